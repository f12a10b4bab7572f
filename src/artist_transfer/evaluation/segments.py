"""Transferred features of every one-second window of every track (AGF, section 3.2.3).

A track's log-mel frames are cut into windows of 43 frames, 22 apart. Each net turns a window into the 256
activations after its dense layer, batch norm and ELU; features of several nets stand side by side, segment by
segment, in the canonical order of the tasks (g, s, e, d, m).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from tqdm.auto import tqdm

from artist_transfer.artifacts import atomic_path, commit_folder, fingerprint, open_folder
from artist_transfer.errors import ArtistTransferError
from artist_transfer.tasks import LETTERS, in_order
from artist_transfer.training.devices import memory_errors, other_memory

KIND = "segments"
PIECE = 32  # windows of one track that are passed at once: bounds memory, and fits the caches of a CPU best
IN_MEMORY = 2 * 2**30  # bytes; several nets' features larger than this are joined in a file, not in memory


class MelStore(Protocol):
    """What this module asks of a mel store."""

    def frames(self, track_id: str) -> np.ndarray:
        """Return the log-mel of a track, (frame, band)."""


class FeatureNet(Protocol):
    """What this module asks of a net; one with several tasks also has ``features_all(x) -> {task: features}``."""

    training: bool

    def features(self, x: torch.Tensor, task: str) -> torch.Tensor:
        """Turn raw log-mel (batch, 1, band, frame) into features (batch, 256)."""

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        """Return parameters and statistics by name."""

    def to(self, device: torch.device, *, memory_format: torch.memory_format) -> object:
        """Move the net."""

    def train(self, mode: bool = True) -> object:
        """Switch between training and evaluation."""


@dataclass(frozen=True)
class SegmentFeatures:
    """Features of segments, and the track that each belongs to.

    Attributes
    ----------
    features : np.ndarray [shape=(n_segments, width)], float32 or float16, possibly memory-mapped
    track_index : np.ndarray [shape=(n_segments,)], int64
        Position in `track_ids`.
    track_ids : tuple of str
    blocks : tuple of str
        What the equally wide column blocks are, e.g. ``("g", "s")``; empty for somebody else's features.
    """

    features: np.ndarray
    track_index: np.ndarray
    track_ids: tuple[str, ...]
    blocks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        if self.features.ndim != 2 or self.track_index.shape != (len(self.features),):
            raise ArtistTransferError(
                f"segment features need a matrix and one track for each row; found shapes {self.features.shape} "
                f"and {self.track_index.shape}"
            )
        if len(self.track_index) and not 0 <= self.track_index.min() <= self.track_index.max() < len(self.track_ids):
            raise ArtistTransferError(f"track_index must lie in 0..{len(self.track_ids) - 1}")

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.features.shape[1])

    @cached_property
    def _rows(self) -> dict[str, np.ndarray]:
        order = np.argsort(self.track_index, kind="stable")
        edges = np.searchsorted(self.track_index[order], np.arange(1, len(self.track_ids)))
        return dict(zip(self.track_ids, np.split(order, edges), strict=True))

    def rows(self, track_id: str) -> np.ndarray:
        """Return the rows of a track, in order.

        Parameters
        ----------
        track_id : str

        Returns
        -------
        np.ndarray [shape=(n,)], int64

        Raises
        ------
        ArtistTransferError
            If the track is not here.
        """
        try:
            return self._rows[track_id]
        except KeyError:
            raise ArtistTransferError(f"no segment features of track {track_id!r}") from None

    def of_track(self, track_id: str) -> np.ndarray:
        """Return the features of a track's segments.

        Parameters
        ----------
        track_id : str

        Returns
        -------
        np.ndarray [shape=(n, width)], float32
        """
        return np.asarray(self.features[self.rows(track_id)], dtype=np.float32)

    def track_means(self) -> np.ndarray:
        """Return the mean over each track's segments.

        Returns
        -------
        np.ndarray [shape=(len(track_ids), width)], float32, NaN for a track without segments
        """
        means = np.full((len(self.track_ids), self.width), np.nan, dtype=np.float32)
        for position, track_id in enumerate(self.track_ids):
            if len(self.rows(track_id)):
                means[position] = self.of_track(track_id).mean(axis=0, dtype=np.float64)
        return means


def windows_of(frames: np.ndarray, *, window: int = 43, hop: int = 22) -> np.ndarray:
    """Cut frames into overlapping windows; a rest shorter than a window at the end is left out.

    Parameters
    ----------
    frames : np.ndarray [shape=(n_frames, band)]
    window, hop : int > 0, in frames

    Returns
    -------
    np.ndarray [shape=(1 + (n_frames - window) // hop, band, window)], a view
    """
    return np.lib.stride_tricks.sliding_window_view(frames, window, axis=0)[::hop]  # (segment, band, frame)


def segment_features(
    nets: Mapping[str, FeatureNet],
    store: MelStore,
    track_ids: Sequence[str],
    *,
    window: int = 43,
    hop: int = 22,
    batch: int | None = None,
    device: str | torch.device = "cpu",
    dtype: str = "float32",
    cache_root: Path | None = None,
    joined_root: Path | None = None,
    store_key: object = None,
    in_memory: int = IN_MEMORY,
    progress: bool = True,
) -> SegmentFeatures:
    """Pass every window of every track through the nets (AGF, section 3.2.3).

    Parameters
    ----------
    nets : mapping of str to net
        Task letter to the net that learned it. A multi-task net stands under each of its letters; its shared
        block then runs once for all of them. Nets are moved to `device` and left there.
    store : mel store
    track_ids : sequence of str, each once
        Put in sorted order in the result.
    window, hop : int > 0, in frames
    batch : int > 0, optional
        Tracks are passed together while their windows fit. By default up to 32 windows of one track on a CPU, so that a
        track's features do not depend on its neighbours by a single bit, and 2048 windows on a GPU.
    device : str or torch.device
    dtype : {"float32", "float16"}
        How features are kept. Half of the disk and memory at float16, for a relative error of 5e-4.
    cache_root : Path, optional
        Features of each net are kept in ``<cache_root>/segments/<fingerprint>`` and memory-mapped from there.
    joined_root : Path, optional
        Features of several nets are joined under it instead of under `cache_root`.
    store_key : object with a canonical encoding
        What the store holds (its manifest); needed with `cache_root`.
    in_memory : int, bytes
        Features of several nets that take more are joined in a file, if there is a `cache_root`.
    progress : bool

    Returns
    -------
    SegmentFeatures
        256 columns a task, in the canonical order of the tasks.

    Raises
    ------
    ArtistTransferError
        For an unknown task letter, no track, a repeated track, one shorter than a window, or features that are
        not finite; or if memory runs out.
    """
    letters = _check(nets, track_ids, dtype, cache_root, store_key)
    device = torch.device(device)
    batch = batch or (1 if device.type == "cpu" else 2048)
    ids = tuple(sorted(track_ids))
    plan = _Plan(store, ids, window, hop, batch)
    parts: dict[str, np.ndarray] = {}
    keys: list[str] = []
    groups = list(_by_net(nets, letters))
    for net, tasks in groups:
        key = ""
        if cache_root is not None:
            weights = {name: value.detach().cpu().numpy() for name, value in net.state_dict().items()}
            key = fingerprint(KIND, 1, type(net).__name__, weights, tasks, store_key, ids, window, hop, dtype)
        fill = _Filler(net, tasks, plan, device, progress)
        matrix = _kept(cache_root, key, fill, dtype, {"tasks": tasks, "window": window, "hop": hop})
        wide = matrix.shape[1] // len(tasks)
        for position, letter in enumerate(tasks):
            parts[letter] = matrix[:, position * wide : (position + 1) * wide]
        keys.append(f"{tasks}:{key}")
    root = cache_root if cache_root is None else joined_root or cache_root
    whole = matrix if len(groups) == 1 else _joined([parts[x] for x in letters], root, keys, in_memory)
    return SegmentFeatures(whole, plan.track_index, ids, tuple(letters))


def _check(
    nets: Mapping[str, FeatureNet], track_ids: Sequence[str], dtype: str, cache_root: Path | None, store_key: object
) -> str:
    unknown = sorted(set(nets) - set(LETTERS))
    if unknown or not nets:
        raise ArtistTransferError(f"nets: found tasks {sorted(nets)}, allowed is a non-empty subset of {LETTERS}")
    if dtype not in ("float32", "float16"):
        raise ArtistTransferError(f"dtype: found {dtype!r}, allowed are 'float32' and 'float16'")
    if not len(track_ids):
        raise ArtistTransferError("no track to compute segment features of")
    if len(set(track_ids)) != len(track_ids):
        raise ArtistTransferError("track_ids: a track is named more than once")
    if cache_root is not None and store_key is None:
        raise ArtistTransferError("store_key must say what the mel store holds if features are cached")
    return in_order("".join(nets))


def _by_net(nets: Mapping[str, FeatureNet], letters: str) -> Iterator[tuple[FeatureNet, str]]:
    """Give each distinct net once, with its tasks in canonical order."""
    seen: set[int] = set()
    for letter in letters:
        net = nets[letter]
        if id(net) not in seen:
            seen.add(id(net))
            yield net, "".join(other for other in letters if nets[other] is net)


class _Plan:
    """Which windows are passed together, and which rows they fill."""

    def __init__(self, store: MelStore, ids: tuple[str, ...], window: int, hop: int, batch: int) -> None:
        self.store, self.ids, self.window, self.hop, self.batch = store, ids, window, hop, batch
        lengths = np.array([len(store.frames(track_id)) for track_id in ids])
        if lengths.min() < window:
            short = ids[int(lengths.argmin())]
            raise ArtistTransferError(f"track {short!r} has {lengths.min()} frames, a window needs {window}")
        self.counts = 1 + (lengths - window) // hop
        self.track_index = np.repeat(np.arange(len(ids), dtype=np.int64), self.counts)

    def batches(self) -> Iterator[np.ndarray]:
        """Give windows (batch, 1, band, frame), float32, in the order of the rows."""
        waiting: list[np.ndarray] = []
        for track_id in self.ids:
            cut = windows_of(self.store.frames(track_id), window=self.window, hop=self.hop)
            for start in range(0, len(cut), PIECE):
                piece = np.ascontiguousarray(cut[start : start + PIECE], dtype=np.float32)[:, None]
                if waiting and sum(map(len, waiting)) + len(piece) > self.batch:
                    yield np.concatenate(waiting)
                    waiting = []
                waiting.append(piece)
        if waiting:
            yield np.concatenate(waiting)


@dataclass
class _Filler:
    """Passes the plan's windows through one net, on demand."""

    net: FeatureNet
    tasks: str
    plan: _Plan
    device: torch.device
    progress: bool

    def width(self) -> int:
        with self._ready():
            return int(self._run(next(self.plan.batches())[:1]).shape[1])

    def __call__(self, out: np.ndarray) -> None:
        start = 0
        bar = tqdm(total=len(out), desc=f"features {self.tasks}", unit="seg", leave=False, disable=not self.progress)
        with bar, self._ready():
            for windows in self.plan.batches():
                out[start : start + len(windows)] = self._run(windows)
                start += len(windows)
                bar.update(len(windows))

    @contextmanager
    def _ready(self) -> Iterator[None]:
        was_training, device = self.net.training, self.device
        windows = max(self.plan.batch, PIECE)
        with memory_errors(device, windows, kept=None, key="windows at once", advice=other_memory(device)):
            self.net.to(device, memory_format=torch.channels_last)  # twice as fast on a CPU
            self.net.train(False)
            try:
                with torch.inference_mode():
                    yield
            finally:
                self.net.train(was_training)

    def _run(self, windows: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(windows).to(self.device)  # (batch, 1, band, frame)
        features_all: Any = getattr(self.net, "features_all", None)
        if len(self.tasks) > 1 and features_all is not None:
            by_task = features_all(x)
            blocks = [by_task[task] for task in self.tasks]
        else:
            blocks = [self.net.features(x, task) for task in self.tasks]
        features = torch.cat(blocks, dim=1).float()  # (batch, 256 * tasks)
        if not bool(torch.isfinite(features).all()):
            raise ArtistTransferError(f"the net of task(s) {self.tasks!r} gives features that are not finite")
        return features.cpu().numpy()


def _kept(cache_root: Path | None, key: str, fill: _Filler, dtype: str, details: Mapping[str, object]) -> np.ndarray:
    """Return what `fill` computes: from the cache, or now."""
    n_segments = len(fill.plan.track_index)
    if cache_root is None:
        matrix = np.empty((n_segments, fill.width()), dtype=dtype)
        fill(matrix)
        return matrix
    folder = Path(cache_root) / KIND / key
    if open_folder(folder) is None:
        shape = (n_segments, fill.width())
        with atomic_path(folder / "features.npy") as path:
            mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
            fill(mapped)
            mapped.flush()
            del mapped
        commit_folder(folder, files=["features.npy"], details={**details, "shape": list(shape), "dtype": dtype})
    return _mapped(folder / "features.npy")


def _joined(parts: Sequence[np.ndarray], cache_root: Path | None, keys: Sequence[str], in_memory: int) -> np.ndarray:
    """Put column blocks side by side, in a file if they are large."""
    shape = (len(parts[0]), sum(part.shape[1] for part in parts))
    if cache_root is None or shape[0] * shape[1] * parts[0].dtype.itemsize <= in_memory:
        return np.concatenate(parts, axis=1)
    folder = Path(cache_root) / KIND / fingerprint(KIND, "joined", list(keys), shape[1])
    if open_folder(folder) is None:
        with atomic_path(folder / "features.npy") as path:
            mapped = np.lib.format.open_memmap(path, mode="w+", dtype=parts[0].dtype, shape=shape)
            for start in range(0, shape[0], 8192):
                mapped[start : start + 8192] = np.concatenate([x[start : start + 8192] for x in parts], axis=1)
            mapped.flush()
            del mapped
        commit_folder(folder, files=["features.npy"], details={"joined": list(keys), "shape": list(shape)})
    return _mapped(folder / "features.npy")


def _mapped(path: Path) -> np.ndarray:
    # Copy on write: torch refuses to share read-only memory without a warning, and nothing here writes.
    matrix: np.ndarray = np.load(path, mmap_mode="c", allow_pickle=False)
    return matrix
