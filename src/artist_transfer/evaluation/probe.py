"""The transfer net: one hidden layer on top of fixed features (AGF, section 3.2.3).

Dropout 0.5, dense 1024 with ELU, dropout 0.5, softmax over the genres; Adam at 1e-3, L2 of 1e-5 on the kernels,
50 epochs in batches of 64 segments. Every segment has its track's genre; a track's probabilities are the mean
over its segments'. Nothing is fitted on a track that is not named as a training track.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from tqdm.auto import tqdm

from artist_transfer.artifacts import atomic_path, commit_folder, fingerprint, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.probe_steps import ProbeSteps, logits, scaled
from artist_transfer.evaluation.segments import SegmentFeatures
from artist_transfer.training.devices import GIB, memory_errors, other_memory

KIND = "probes"
CHUNK = 65536  # rows that are read at once where all rows pass by
WEIGHTS, CARD = "probe.safetensors", "probe.json"


@dataclass(frozen=True)
class ProbeParams:
    """Hyper-parameters of the probe; the defaults are the paper's.

    Attributes
    ----------
    hidden : int > 0
    dropout : float in [0, 1)
        Of the inputs and of the hidden layer.
    epochs, batch : int > 0
    learning_rate : float > 0
    l2 : float >= 0
        The loss gets ``l2 * sum(kernel ** 2)``.
    seed : int >= 0
    standardise : bool
        Scale each column by mean and deviation of the training segments. Off for the nets' own features, which
        come out of a batch norm; needed for somebody else's.
    """

    hidden: int = 1024
    dropout: float = 0.5
    epochs: int = 50
    batch: int = 64
    learning_rate: float = 1e-3
    l2: float = 1e-5
    seed: int = 0
    standardise: bool = False


@dataclass(frozen=True)
class Probe:
    """A fitted probe.

    Attributes
    ----------
    classes : tuple of str, sorted
    params : ProbeParams
    tensors : dict of str to torch.Tensor
        ``kernel1 (hidden, width)``, ``bias1``, ``kernel2 (classes, hidden)``, ``bias2``, ``mean``, ``scale``.
    history : tuple of float
        Mean cross-entropy of each epoch, under dropout, without the L2 term.
    counts : dict
        Training tracks and segments.
    """

    classes: tuple[str, ...]
    params: ProbeParams
    tensors: dict[str, torch.Tensor]
    history: tuple[float, ...]
    counts: dict[str, int]

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON, and declare the folder done.

        Parameters
        ----------
        folder : Path
        """
        folder = Path(folder)
        with atomic_path(folder / WEIGHTS) as path:
            save_file({name: value.contiguous().cpu() for name, value in sorted(self.tensors.items())}, path)
        card = {"classes": self.classes, "params": asdict(self.params), "history": self.history}
        write_json(folder / CARD, {**card, "counts": self.counts})
        commit_folder(folder, files=[WEIGHTS, CARD], details={"classes": list(self.classes), **self.counts})

    @classmethod
    def load(cls, folder: Path) -> Probe:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : Path

        Returns
        -------
        Probe

        Raises
        ------
        ArtistTransferError
            If the folder holds no whole probe.
        """
        folder = Path(folder)
        if open_folder(folder) is None:
            raise ArtistTransferError(f"{folder} holds no finished probe ({WEIGHTS}, {CARD} and their manifest)")
        card = read_json(folder / CARD)
        return cls(
            classes=tuple(card["classes"]),
            params=ProbeParams(**card["params"]),
            tensors=load_file(folder / WEIGHTS),
            history=tuple(card["history"]),
            counts=dict(card["counts"]),
        )


def fit_probe(
    features: SegmentFeatures,
    genres: Mapping[str, str | None],
    train_ids: Iterable[str],
    *,
    params: ProbeParams | None = None,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> Probe:
    """Fit the probe on the segments of the training tracks (AGF, section 3.2.3).

    Parameters
    ----------
    features : SegmentFeatures
        Rows of other tracks are never read.
    genres : mapping of track id to genre
        Training tracks without a genre (missing, None, NaN) take no part; `counts` of the probe says how many.
    train_ids : iterable of str
    params : ProbeParams, optional
    device : str or torch.device
        On a CPU rows are taken straight from `features` (a memory-mapped matrix stays on disk); on a GPU the
        training rows lie in its memory.
    progress : bool

    Returns
    -------
    Probe
        The same for the same seed, features and device, in whatever order the tracks come.

    Raises
    ------
    ArtistTransferError
        With fewer than two genres among the training tracks, or features that are not finite; or if memory runs out.
    """
    params = params or ProbeParams()
    device = torch.device(device)
    training = _Training.of(features, genres, train_ids)
    tensors = _initial(features.width, params, len(training.classes))
    if params.standardise:
        tensors.update(_column_statistics(features, training.rows))
    advice = f"make the batch smaller, or {other_memory(device)}"
    if device.type == "cuda":
        gib = len(training.rows) * features.width * features.features.itemsize / GIB
        advice += f" (the training segments alone are {gib:.2g} GiB)"
    with memory_errors(device, params.batch, kept=None, key="transfer.batch", advice=advice):
        tensors = {name: value.to(device) for name, value in tensors.items()}
        history = _optimise(tensors, training, features=features, params=params, progress=progress)
        tensors = {name: value.detach().cpu() for name, value in tensors.items()}
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise ArtistTransferError("the probe's weights are not finite: are the features finite and standardised?")
    return Probe(training.classes, params, tensors, tuple(history), training.counts)


def fit_probe_cached(
    features: SegmentFeatures,
    genres: Mapping[str, str | None],
    train_ids: Iterable[str],
    *,
    cache_root: Path,
    params: ProbeParams | None = None,
    device: str | torch.device = "cpu",
    progress: bool = True,
) -> tuple[Probe, Path]:
    """Return `fit_probe`'s result, computed once for the same training rows, labels and parameters.

    Parameters
    ----------
    features, genres, train_ids, params, device, progress
        As in `fit_probe`.
    cache_root : Path
        The probe is kept in ``<cache_root>/probes/<fingerprint>``.

    Returns
    -------
    probe : Probe
    folder : Path
        Where it is kept.
    """
    params = params or ProbeParams()
    training = _Training.of(features, genres, train_ids)
    folder = Path(cache_root) / KIND / training.key(features, params)
    if open_folder(folder) is None:
        fit_probe(features, genres, training.track_ids, params=params, device=device, progress=progress).save(folder)
    return Probe.load(folder), folder


def predict_tracks(
    probe: Probe,
    features: SegmentFeatures,
    track_ids: Iterable[str] | None = None,
    *,
    device: str | torch.device = "cpu",
) -> pd.DataFrame:
    """Give each track the mean of its segments' genre probabilities (AGF, section 3.2.3).

    Parameters
    ----------
    probe : Probe
    features : SegmentFeatures
    track_ids : iterable of str, optional
        Default: all of `features`.
    device : str or torch.device

    Returns
    -------
    pd.DataFrame [shape=(n_tracks, n_classes)], float64, index track_id, rows sum to 1

    Raises
    ------
    ArtistTransferError
        If the width is not the probe's, a track has no segment, its features are not finite, or memory runs out.
    """
    if features.width != probe.tensors["kernel1"].shape[1]:
        expected = probe.tensors["kernel1"].shape[1]
        raise ArtistTransferError(f"the probe was fitted on {expected} features, found {features.width}")
    ids = list(features.track_ids if track_ids is None else track_ids)
    device, table = torch.device(device), np.empty((len(ids), len(probe.classes)))
    memory = memory_errors(device, 1, kept=None, key="tracks at once", advice=other_memory(device))
    with memory, torch.inference_mode():
        tensors = {name: value.to(device) for name, value in probe.tensors.items()}
        for position, track_id in enumerate(ids):  # one at a time: the others must not change a bit of it
            if not len(features.rows(track_id)):
                raise ArtistTransferError(f"track {track_id!r} has no segment to predict from")
            x = torch.from_numpy(features.of_track(track_id)).to(device)  # (segment, feature)
            outputs = logits(scaled(x, tensors), tensors)
            probabilities = torch.softmax(outputs.double(), dim=1).mean(dim=0).cpu().numpy()
            if not np.isfinite(probabilities).all():
                raise ArtistTransferError(f"track {track_id!r}: its features are not finite")
            table[position] = probabilities / probabilities.sum()
    return pd.DataFrame(table, index=pd.Index(ids, name="track_id"), columns=list(probe.classes))


@dataclass(frozen=True)
class _Training:
    """Rows and labels of the training segments, tracks in sorted order."""

    track_ids: tuple[str, ...]
    classes: tuple[str, ...]
    rows: np.ndarray  # (segment,)
    labels: np.ndarray  # (segment,)
    counts: dict[str, int]

    @classmethod
    def of(cls, features: SegmentFeatures, genres: Mapping[str, str | None], train_ids: Iterable[str]) -> _Training:
        named = sorted(set(train_ids))
        labelled = {x: str(genres.get(x)) for x in named if not pd.isna(genres.get(x))}
        ids = tuple(x for x in labelled if len(features.rows(x)))
        classes = tuple(sorted({labelled[x] for x in ids}))
        if len(classes) < 2:
            raise ArtistTransferError(
                f"the probe needs training tracks of at least two genres, found {len(classes)} "
                f"({', '.join(classes) or 'none'}) among {len(named)} training tracks"
            )
        code = {name: position for position, name in enumerate(classes)}
        rows = [features.rows(x) for x in ids]
        labels = np.repeat([code[labelled[x]] for x in ids], [len(x) for x in rows])
        counts = {
            "n_train_tracks": len(ids),
            "n_train_segments": len(labels),
            "n_train_without_genre": len(named) - len(labelled),
            "n_train_without_segments": len(labelled) - len(ids),
        }
        return cls(ids, classes, np.concatenate(rows), labels, counts)

    def key(self, features: SegmentFeatures, params: ProbeParams) -> str:
        parts = [
            fingerprint(features.features[self.rows[start : start + CHUNK]])
            for start in range(0, len(self.rows), CHUNK)
        ]
        return fingerprint(KIND, 1, params, self.classes, self.track_ids, self.labels, parts)


def _initial(width: int, params: ProbeParams, n_classes: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(params.seed)
    kernel1, kernel2 = torch.empty(params.hidden, width), torch.empty(n_classes, params.hidden)
    torch.nn.init.xavier_uniform_(kernel1, generator=draw)
    torch.nn.init.xavier_uniform_(kernel2, generator=draw)
    return {
        "kernel1": kernel1,
        "bias1": torch.zeros(params.hidden),
        "kernel2": kernel2,
        "bias2": torch.zeros(n_classes),
        "mean": torch.zeros(width),
        "scale": torch.ones(width),
    }


def _column_statistics(features: SegmentFeatures, rows: np.ndarray) -> dict[str, torch.Tensor]:
    total, squares = np.zeros(features.width), np.zeros(features.width)
    for start in range(0, len(rows), CHUNK):
        total += features.features[rows[start : start + CHUNK]].sum(axis=0, dtype=np.float64)
    mean = total / len(rows)
    for start in range(0, len(rows), CHUNK):
        squares += np.square(features.features[rows[start : start + CHUNK]] - mean).sum(axis=0)
    deviation = np.sqrt(squares / len(rows))
    constant = deviation <= 1e-12 * np.maximum(1.0, np.abs(mean))
    scale = np.where(constant, 1.0, deviation)
    return {
        "mean": torch.from_numpy(mean.astype(np.float32)),
        "scale": torch.from_numpy(scale.astype(np.float32)),
    }


def _optimise(
    tensors: dict[str, torch.Tensor],
    training: _Training,
    *,
    features: SegmentFeatures,
    params: ProbeParams,
    progress: bool,
) -> list[float]:
    device = tensors["kernel1"].device
    data, rows = _on_device(features.features, training.rows, device)
    steps = ProbeSteps(
        tensors,
        data,
        rows,
        torch.from_numpy(training.labels).to(device),
        dropout=params.dropout,
        batch=params.batch,
        learning_rate=params.learning_rate,
        l2=params.l2,
        seed=params.seed,
    )
    history = []
    bar = tqdm(range(params.epochs), desc="probe", unit="epoch", leave=False, disable=not progress)
    try:
        for _ in bar:
            history.append(steps.epoch())
            bar.set_postfix(loss=f"{history[-1]:.3f}")
    finally:
        steps.wait()  # a GPU must not write into what has been let go
    return history


def _on_device(features: np.ndarray, rows: np.ndarray, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the matrix that batches are gathered from, and the row of each training segment in it."""
    if device.type == "cpu":
        return torch.from_numpy(features), torch.from_numpy(rows)
    held = torch.empty(len(rows), features.shape[1], dtype=torch.from_numpy(features[:1]).dtype, device=device)
    for start in range(0, len(rows), CHUNK):
        held[start : start + CHUNK] = torch.from_numpy(features[rows[start : start + CHUNK]]).to(device)
    return held, torch.arange(len(rows), device=device)
