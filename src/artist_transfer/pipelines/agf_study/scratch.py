"""Where the features of a fold lie while its cases are predicted: gigabytes that are removed as soon as they may be."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from artist_transfer.artifacts import fingerprint
from artist_transfer.pipelines.feature_learning import learning

log = logging.getLogger(__name__)

SILENT_S = 1.0  # of waiting for another study


def split_key(usable_table: pd.DataFrame, split_table: pd.DataFrame, front_end: Mapping[str, Any]) -> str:
    """Name the tracks and sides that features are of.

    Parameters
    ----------
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    front_end : mapping
        How their spectrograms were made.

    Returns
    -------
    str
        The beginning of the names of their folders.
    """
    return fingerprint(split_table, learning.source_key(usable_table, front_end))


@contextmanager
def features_of_fold(cache_root: Path, key: str, *, fold: int, seed: int) -> Iterator[Path]:
    """Give a folder for the features of a fold's nets, and remove it afterwards.

    Parameters
    ----------
    cache_root : Path
        Of all caches.
    key : str
        As `split_key` gives it.
    fold, seed : int
        Whose features.

    Yields
    ------
    Path
        The folder; one process at a time has it, and one that was killed left what is of use.
    """
    from artist_transfer.training.checkpoints import only_one

    folder = _features(cache_root) / f"{key}-{fold}-{seed}"
    with only_one(_lock(folder), stop=_say_that_it_waits(folder)):
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def drop_leftovers(cache_root: Path, key: str, seeds: Sequence[int]) -> list[Path]:
    """Remove the features that studies left that were killed, but for what this one goes on with.

    Parameters
    ----------
    cache_root : Path
        Of all caches.
    key : str
        As `split_key` gives it; folders of this key and one of the seeds stay.
    seeds : sequence of int
        Of this study.

    Returns
    -------
    list of Path
        What was removed. A study that is at work has the lock of its folder, which stays.
    """
    from artist_transfer.training.checkpoints import Interrupted, only_one

    removed = []
    for folder in sorted(_features(cache_root).glob("*-*-*")):
        of_key, _, seed = folder.name.split("-", 2)
        if of_key == key and seed in {str(one) for one in seeds}:
            continue
        try:
            with only_one(_lock(folder), stop=lambda: True):
                shutil.rmtree(folder, ignore_errors=True)
        except Interrupted:
            continue
        log.info("Removed the features %s, which a study left that had been stopped", folder)
        removed.append(folder)
    return removed


def _features(cache_root: Path) -> Path:
    return cache_root / "study" / "features"


def _lock(folder: Path) -> Path:
    return folder.parent.parent / "locks" / folder.name


def _say_that_it_waits(folder: Path) -> Any:
    """Return what `only_one` asks while it waits whether to give up: never, but it says so once."""
    begun = time.monotonic()
    said = False

    def stop() -> bool:
        nonlocal said
        if not said and time.monotonic() - begun >= SILENT_S:
            said = True
            log.warning("Waiting for another study that works in %s", folder)
        return False

    return stop
