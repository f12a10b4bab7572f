"""Node that fits what is learned from frames: a Gaussian mixture and the total variability, by fold and set."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.artifacts import fingerprint, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.feature_learning import bars
from artist_transfer.pipelines.recognition.params import RecognitionBlock, read_families

if TYPE_CHECKING:
    import torch

    from artist_transfer.recognition.frames import SongFrames

log = logging.getLogger(__name__)

HISTORY = "history.json"
EM_COLUMNS = ["fold", "set", "model", "iteration", "objective"]


def fit_frame_models(
    artist_set_table: pd.DataFrame,
    song_frames_manifest: dict[str, Any],
    recognition: RecognitionBlock,
    seed: int,
    device: str,
    threads: int | None,
    cache_root: str,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Fit the universal background model and the total variability of every fold and set of artists.

    Parameters
    ----------
    artist_set_table : pd.DataFrame
        Which songs each set has; all of an artist's songs are used.
    song_frames_manifest : dict
        Frames of the run's own corpus.
    recognition : RecognitionBlock
        Which systems, and how.
    seed : int
        Of the starts.
    device : str
        auto, cpu or cuda.
    threads : int or None
        Of torch on a CPU; None for all cores.
    cache_root : str
        Where fitted models are kept.

    Returns
    -------
    frame_models_manifest : dict
        ``models``: fold, set, and the folders ``ubm`` and ``ivector`` (None where it was not asked for or not
        possible), ``skipped`` with the reason.
    em_table : pd.DataFrame
        Objectives by iteration.
    """
    from artist_transfer.recognition.frames import SongFrames
    from artist_transfer.training.devices import pin_threads, resolve_device

    pin_threads(threads)
    where, families = resolve_device(device), read_families(recognition.systems)
    models: list[dict[str, Any]] = []
    rows: list[tuple[Any, ...]] = []
    if not {"gmm_ubm", "ivector"} & set(families):
        return {"models": models}, pd.DataFrame(rows, columns=EM_COLUMNS)
    place = song_frames_manifest["self"]["folder"]
    fit = _Fitting(SongFrames.open(place), Path(place).name, recognition, seed, where, cache_root)
    for (fold, size), songs in artist_set_table[artist_set_table["kind"] == "artist"].groupby(["fold", "set"]):
        ids = sorted(set(songs["track_id"]) & set(fit.frames.track_ids))
        label = f"fold {fold}, {size} artists"
        ubm, history = fit.ubm(ids, label)
        rows += [(fold, size, "ubm", step, value) for step, value in enumerate(history)]
        entry: dict[str, Any] = {"fold": int(fold), "set": int(size), "songs": len(ids), "ubm": ubm.as_posix()}
        entry |= {"ivector": None, "skipped": {}}
        if "ivector" in families:
            try:
                folder, history = fit.ivector(ids, ubm, label)
                entry["ivector"] = folder.as_posix()
                rows += [(fold, size, "total variability", step, value) for step, value in enumerate(history)]
            except ArtistTransferError as error:
                entry["skipped"]["ivector"] = str(error)
                log.warning("No i-vectors of %s: %s", label, error)
        models.append(entry)
    return {"models": models}, pd.DataFrame(rows, columns=EM_COLUMNS)


@dataclass(frozen=True)
class _Fitting:
    """What both models are fitted with."""

    frames: SongFrames
    frames_key: str
    recognition: RecognitionBlock
    seed: int
    device: torch.device
    cache_root: str

    def ubm(self, ids: Sequence[str], label: str) -> tuple[Path, list[float]]:
        """Fit a mixture, or find it; give its folder and the objective by iteration."""
        from artist_transfer.recognition.gmm import fit_gmm

        block = self.recognition.ubm
        settings: dict[str, Any] = {
            "mixtures": block.mixtures,
            "iterations": block.iterations,
            "max_frames": block.max_frames,
        }
        key = fingerprint("ubm", 1, self.frames_key, list(ids), settings, self.seed, self.device.type)
        folder = Path(self.cache_root) / "ubm" / key
        found = _objective(folder)
        if found is None:
            with bars.training_bar(f"UBM, {label}") as progress:
                gmm, found = fit_gmm(
                    self.frames, ids, seed=self.seed, device=self.device, progress=progress, **settings
                )
            write_json(folder / HISTORY, {"objective": found})
            gmm.save(folder, also=[HISTORY])
        return folder, found

    def ivector(self, ids: Sequence[str], ubm: Path, label: str) -> tuple[Path, list[float]]:
        """Fit a total variability, or find it; give its folder and the objective by iteration."""
        from artist_transfer.recognition.gmm import DiagonalGmm, baum_welch
        from artist_transfer.recognition.ivector import fit_total_variability
        from artist_transfer.recognition.ivector_songs import squares_by_mixture

        settings = self.recognition.ivector.model_dump()
        key = fingerprint("total variability", 1, list(ids), ubm.name, settings, self.seed, self.device.type)
        folder = Path(self.cache_root) / "total_variability" / key
        found = _objective(folder)
        if found is None:
            gmm = DiagonalGmm.load(ubm)
            statistics = baum_welch(gmm, self.frames, ids, device=self.device)
            squares = None
            if settings["update_sigma"]:
                squares = squares_by_mixture(gmm, self.frames, ids, device=self.device)
            with bars.training_bar(f"total variability, {label}") as progress:
                model, found = fit_total_variability(
                    gmm, statistics, second=squares, seed=self.seed, device=self.device, progress=progress, **settings
                )
            write_json(folder / HISTORY, {"objective": found})
            model.save(folder, also=[HISTORY])
        return folder, found


def _objective(folder: Path) -> list[float] | None:
    """Read the objective by iteration of a model; None if it has to be fitted."""
    if open_folder(folder) is None:
        return None
    try:  # early manifests do not name the file, so it may be damaged
        return [float(value) for value in read_json(folder / HISTORY)["objective"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
