"""Song-level descriptors by Essentia's music extractor, cached in shards.

Every track becomes some 3,400 numbers: all statistics of all low-level, rhythm and tonal descriptors at 44.1
kHz, without covariances and without beat positions; keys and scales are one-hot. (Park, Lee, Ko and Nam 2018,
*Transfer Learning of Artist Group Factors to Musical Genre Classification*, section 3.1.3, has 4374 with an
older extractor.)

The extractor is the most expensive step there is, about a second for 30 s of audio. So it runs in worker
processes that may crash or hang without harm to their neighbours, and what it found is kept in shards, each
named by the fingerprint of the extractor and of the audio in it. What a file did wrong is kept as well; but a
track that crashed the extractor or took too long may only have met a busy machine, so a later run tries it once more,
and again whenever it is given more time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from artist_transfer.artifacts import fingerprint, read_json
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.features.essentia_pool import ShardJob, left_to_do, make_shards, map_shards

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_RATE = 44_100
STATISTICS = ("mean", "var", "median", "min", "max", "dmean", "dmean2", "dvar", "dvar2")
PITCHES = ("A", "Bb", "B", "C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab")
SCALES = ("major", "minor")
_ENHARMONIC = {"A#": "Bb", "Db": "C#", "D#": "Eb", "Gb": "F#", "G#": "Ab"}
_VARIABLE_LENGTH = frozenset({"rhythm.beats_position"})
_LEFT_OUT_ENDINGS = (".cov", ".icov", ".stdev")

Extract = Callable[[str], Mapping[str, float | str]]


def extractor_settings() -> dict[str, object]:
    """Return what decides the values: version and parameters of the extractor.

    Returns
    -------
    dict
        Plain values, part of the name of each shard.
    """
    return {
        "extractor": "essentia MusicExtractor",
        "version": version("essentia"),
        "sample_rate": SAMPLE_RATE,
        "statistics": list(STATISTICS),
        "silent_frames": "keep",
        "layout": 1,
    }


def extract_track(path: str | Path) -> dict[str, float | str]:
    """Describe one audio file.

    Silent frames are kept as they are: the extractor's default adds noise to them from a generator that is
    seeded by the clock, so that no two runs agree. Files without silent frames get the same values either
    way.

    Parameters
    ----------
    path : str or Path
        An audio file (mp3, ogg, flac, wav, …).

    Returns
    -------
    dict
        Name of the descriptor to its value; the elements of a vector end in ``.000``, ``.001``, …; keys and
        scales are text. No metadata of the file, no covariances, no beat positions.

    Raises
    ------
    ArtistTransferError
        If the extractor refuses the file.
    """
    import essentia  # takes a second and is needed in the workers only

    essentia.log.infoActive = essentia.log.warningActive = essentia.log.errorActive = False
    import essentia.standard

    kinds = {f"{kind}Stats": list(STATISTICS) for kind in ("lowlevel", "rhythm", "tonal")}
    extractor = essentia.standard.MusicExtractor(
        analysisSampleRate=SAMPLE_RATE, lowlevelSilentFrames="keep", tonalSilentFrames="keep", **kinds
    )
    try:
        pool, _ = extractor(str(path))
    except RuntimeError as error:
        reason = str(error).replace(str(path), Path(path).name).strip()
        raise ArtistTransferError(f"{Path(path).name}: {reason}") from None
    return dict(_flatten((name, pool[name]) for name in pool.descriptorNames()))


def _flatten(pool: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, float | str]]:
    for name, value in pool:
        if name.startswith("metadata.") or name in _VARIABLE_LENGTH or name.endswith(_LEFT_OUT_ENDINGS):
            continue
        if isinstance(value, str):
            yield name, value
        elif np.ndim(value) == 0:
            yield name, float(value)
        elif np.ndim(value) == 1:
            yield from ((f"{name}.{i:03d}", float(item)) for i, item in enumerate(value))


def encode(raw: Mapping[str, float | str]) -> dict[str, float]:
    """Turn keys and scales into one-hot columns.

    Parameters
    ----------
    raw : mapping
        What `extract_track` returned.

    Returns
    -------
    dict
        Numbers only; ``tonal.key_edma.key`` becomes twelve columns ``tonal.key_edma.key=A`` and so on. A text
        that is neither a known key nor a known scale counts as missing.
    """
    numbers: dict[str, float] = {}
    for name, value in raw.items():
        if not isinstance(value, str):
            numbers[name] = float(value)
            continue
        classes = SCALES if name.endswith("scale") else PITCHES
        value = _ENHARMONIC.get(value, value)
        for each in classes:
            numbers[f"{name}={each}"] = float(value == each) if value in classes else float("nan")
    return numbers


def extract_corpus(
    usable_table: pd.DataFrame,
    *,
    corpus_root: str | Path,
    folder: str | Path,
    n_workers: int = 1,
    shard_size: int = 64,
    timeout_s: float = 120.0,
    extract: Extract = extract_track,
    executor_factory: Callable[[int], Executor] | None = None,
) -> dict[str, Any]:
    """Describe every track of a corpus, or find that it has been done.

    Parameters
    ----------
    usable_table : pd.DataFrame
        Usable tracks with ``track_id``, ``path`` (relative to `corpus_root`) and ``audio_hash``.
    corpus_root : str or Path
        Folder of the corpus.
    folder : str or Path
        Where the shards are kept, for all corpora.
    n_workers : int > 0
        Worker processes.
    shard_size : int > 0
        Tracks a shard: what a killed run may have to do again.
    timeout_s : float > 0
        Seconds that one file may take. Tracks that took longer in an earlier run are tried again if they had less time,
        or only one try.
    extract : callable
        Describes one file; another one is for tests.
    executor_factory : callable, optional
        Gives the executor to map shards over, from `n_workers`: for instance that of a Dask cluster, see
        `artist_transfer.cluster.dask_executor_factory`. By default a pool of processes here.

    Returns
    -------
    dict
        The manifest: ``extractor`` (settings), ``shards`` (name, n_tracks, n_failed), ``n_tracks``,
        ``n_failed`` and ``failed`` (track to reason). Independent of the order of the rows and of the number
        of workers.

    Raises
    ------
    ArtistTransferError
        If a parameter is out of its bounds or a column is missing.
    """
    _check_parameters(usable_table, n_workers=n_workers, shard_size=shard_size, timeout_s=timeout_s)
    settings = extractor_settings()
    folder, root = Path(folder), Path(corpus_root).absolute()
    tracks = sorted(zip(*(usable_table[name] for name in ("track_id", "audio_hash", "path")), strict=True))
    shards = [tracks[start : start + shard_size] for start in range(0, len(tracks), shard_size)]
    names = [fingerprint(settings, [track[:2] for track in shard]) for shard in shards]
    jobs = [
        ShardJob(
            folder=str((folder / name).absolute()),
            tracks=tuple((track_id, str(root / path)) for track_id, _, path in shard),
            timeout_s=timeout_s,
            describe=partial(_encoded, extract),
        )
        for name, shard in zip(names, shards, strict=True)
    ]
    left = [left_to_do(job) for job in tqdm(jobs, desc="checking shards", unit="shard", leave=False)]
    to_do = [rest for rest in left if rest is not None]
    if to_do:
        done = len(tracks) - sum(len(rest.tracks) for rest in to_do)
        with tqdm(total=len(tracks), initial=done, desc="Essentia", unit="track") as bar:
            if executor_factory is None:
                make_shards(to_do, n_workers=n_workers, on_track=bar.update)
            else:
                whole = [(job, len(rest.tracks)) for job, rest in zip(jobs, left, strict=True) if rest is not None]
                map_shards(whole, executor_factory(n_workers), on_tracks=bar.update)
    return _manifest(folder, names, settings)


def _check_parameters(table: pd.DataFrame, **limits: float) -> None:
    absent = [name for name in ("track_id", "path", "audio_hash") if name not in table.columns]
    if absent:
        raise ArtistTransferError(f"usable_table has no column {', '.join(absent)}; found {list(table.columns)}")
    for name, value in limits.items():
        if not value > 0:
            raise ArtistTransferError(f"{name} is {value}; it has to be above 0")


def _encoded(extract: Extract, path: str) -> tuple[list[str], np.ndarray]:
    numbers = encode(extract(path))
    names = sorted(numbers)
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and such a descriptor is dropped and named
        return names, np.array([numbers[name] for name in names], dtype=np.float64).astype(np.float32)


def _manifest(folder: Path, names: Sequence[str], settings: Mapping[str, object]) -> dict[str, Any]:
    shards, failed = [], {}
    for name in names:
        index = read_json(folder / name / "index.json")
        shards.append({"name": name, "n_tracks": len(index["track_ids"]), "n_failed": len(index["failed"])})
        failed.update(index["failed"])
    if failed:
        shown = "; ".join(f"{track_id} ({reason})" for track_id, reason in list(failed.items())[:5])
        warnings.warn(
            f"Essentia could not describe {len(failed)} track(s), which take no part in task e: {shown}"
            + (" …" if len(failed) > 5 else ""),
            ArtistTransferWarning,
            stacklevel=3,
        )
    return {
        "extractor": dict(settings),
        "shards": shards,
        "n_tracks": sum(shard["n_tracks"] for shard in shards),
        "n_failed": len(failed),
        "failed": failed,
    }
