"""Shards of Essentia's descriptors: a folder each, written whole, and read back for the tracks one wants.

A shard has ``values.npy`` (track, descriptor), float32, not-a-number where a track has no such descriptor,
and ``index.json`` with the tracks, the names of the columns, the tracks that failed with the reason and, where there
are any, of what kind each failure was, after how many tries and under which time limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from artist_transfer.artifacts import atomic_path, commit_folder, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError

TRIES = 2  # of a track whose failure may be the machine's


@dataclass(frozen=True)
class Failure:
    """Why a track has no descriptors.

    Attributes
    ----------
    reason : str
        For people.
    kind : {'refused', 'crashed', 'timed out'}
        The extractor's word on the file, which it would give again, or what a busy machine may have done.
    limit_s : float [s]
        Longest time limit that it was tried under.
    tries : int [>= 1]
        How often it was tried.
    """

    reason: str
    kind: str
    limit_s: float
    tries: int = 1

    def settled(self, limit_s: float) -> bool:
        """Tell whether another try is not worth its time.

        Parameters
        ----------
        limit_s : float [s]
            The time limit of another try.

        Returns
        -------
        bool
        """
        return self.kind == "refused" or (self.tries >= TRIES and self.limit_s >= limit_s)


# Track, names of its descriptors, their values [shape=(descriptor,)], and why it failed (None if it did not).
Result = tuple[str, Sequence[str], np.ndarray, Failure | None]


@dataclass(frozen=True)
class Descriptors:
    """Descriptors of some tracks, complete: no value is missing.

    Attributes
    ----------
    track_ids : tuple of str
        Rows, sorted.
    names : tuple of str
        Columns, sorted.
    values : np.ndarray [shape=(track, descriptor)], float32, finite
        The values.
    dropped : tuple of str
        Names of the descriptors that were missing, not a number or infinite for at least one of the tracks.
    """

    track_ids: tuple[str, ...]
    names: tuple[str, ...]
    values: np.ndarray
    dropped: tuple[str, ...]


def write_shard(folder: Path, results: Sequence[Result]) -> None:
    """Write a shard and declare it done.

    Parameters
    ----------
    folder : Path
        Where it goes.
    results : sequence of Result
        One for each of its tracks, good or failed.
    """
    good = [result for result in results if result[3] is None]
    names = sorted({name for result in good for name in result[1]})
    column = {name: i for i, name in enumerate(names)}
    values = np.full((len(good), len(names)), np.nan, dtype=np.float32)
    for row, (_, found, numbers, _) in zip(values, good, strict=True):
        row[[column[name] for name in found]] = numbers
    with atomic_path(folder / "values.npy") as temporary, open(temporary, "wb") as stream:
        np.save(stream, values, allow_pickle=False)
    failures = {result[0]: result[3] for result in results if result[3] is not None}
    failed = {track_id: failure.reason for track_id, failure in failures.items()}
    index: dict[str, Any] = {"track_ids": [result[0] for result in good], "names": names, "failed": failed}
    if failures:
        index["attempts"] = {
            track_id: {"kind": each.kind, "limit_s": each.limit_s, "tries": each.tries}
            for track_id, each in failures.items()
        }
    write_json(folder / "index.json", index)
    commit_folder(folder, files=["values.npy", "index.json"], details={"n_tracks": len(good), "n_failed": len(failed)})


def unsettled_tracks(folder: Path, limit_s: float) -> set[str]:
    """Return the tracks of a finished shard that are worth another try.

    Parameters
    ----------
    folder : Path
        A shard that is there and whole.
    limit_s : float [s]
        The time limit of another try.

    Returns
    -------
    set of str
        Those that crashed or timed out in a single try, or under a shorter limit.
    """
    return {
        track_id for track_id, each in _failures(read_json(folder / "index.json")).items() if not each.settled(limit_s)
    }


def mend_shard(folder: Path, results: Sequence[Result]) -> None:
    """Write a shard again with what another try of some of its tracks gave.

    Parameters
    ----------
    folder : Path
        A shard that is there and whole.
    results : sequence of Result
        One for each track tried again. If none failed, the shard gets the bytes of one that never had a failure.
    """
    index = read_json(folder / "index.json")
    values = np.load(folder / "values.npy", allow_pickle=False)
    before = _failures(index)
    merged: dict[str, Result] = {
        track_id: (track_id, index["names"], row, None)
        for track_id, row in zip(index["track_ids"], values, strict=True)
    }
    merged |= {track_id: (track_id, [], np.empty(0, dtype=np.float32), each) for track_id, each in before.items()}
    for track_id, names, row, failure in results:
        if failure is not None:
            old = before[track_id]
            failure = replace(failure, tries=old.tries + failure.tries, limit_s=max(old.limit_s, failure.limit_s))
        merged[track_id] = (track_id, names, row, failure)
    write_shard(folder, [merged[track_id] for track_id in sorted(merged)])


def _failures(index: Mapping[str, Any]) -> dict[str, Failure]:
    unknown = {"kind": "unknown", "limit_s": 0.0, "tries": 0}  # of a shard that does not say: worth another try
    attempts = index.get("attempts", {})
    return {
        track_id: Failure(reason, **attempts.get(track_id, unknown)) for track_id, reason in index["failed"].items()
    }


def read_corpus(
    manifest: Mapping[str, Any], *, folder: str | Path, track_ids: Iterable[str] | None = None
) -> Descriptors:
    """Read the descriptors of some tracks, and drop those that are not complete.

    Parameters
    ----------
    manifest : mapping
        What `extract_corpus` returned.
    folder : str or Path
        The folder that it was given.
    track_ids : iterable of str or None
        The tracks wanted, all by default. Whether a descriptor is complete is judged on these tracks alone,
        so that nothing is learned from any other. Tracks that failed are not among the rows.

    Returns
    -------
    Descriptors
        Rows sorted by track, columns by name.

    Raises
    ------
    ArtistTransferError
        If a shard is missing or damaged.
    """
    wanted = None if track_ids is None else set(track_ids)
    parts: list[tuple[list[str], list[str], np.ndarray]] = []
    shards = manifest["shards"]
    for shard in tqdm(shards, desc="Essentia: read", unit="shard", leave=False, delay=1.0):
        part = Path(folder) / shard["name"]
        if open_folder(part) is None:
            raise ArtistTransferError(f"{part} is missing or damaged; run the extraction again to make it anew")
        index = read_json(part / "index.json")
        rows = [i for i, track_id in enumerate(index["track_ids"]) if wanted is None or track_id in wanted]
        if rows:
            values = np.load(part / "values.npy", mmap_mode="r", allow_pickle=False)
            parts.append(([index["track_ids"][i] for i in rows], index["names"], np.asarray(values[rows])))
    return _complete(parts)


def _complete(parts: Sequence[tuple[list[str], list[str], np.ndarray]]) -> Descriptors:
    every = sorted({name for _, names, _ in parts for name in names})
    finite = dict.fromkeys(every, True)
    for _, names, values in parts:
        present = dict(zip(names, np.isfinite(values).all(axis=0), strict=True))
        for name in every:
            finite[name] &= bool(present.get(name, False))
    kept = [name for name in every if finite[name]]
    ids = [track_id for part_ids, _, _ in parts for track_id in part_ids]
    values = np.empty((len(ids), len(kept)), dtype=np.float32)
    start = 0
    for part_ids, names, part in parts:
        column = {name: i for i, name in enumerate(names)}
        values[start : start + len(part_ids)] = part[:, [column[name] for name in kept]]
        start += len(part_ids)
    order = sorted(range(len(ids)), key=ids.__getitem__)
    dropped = tuple(name for name in every if not finite[name])
    return Descriptors(tuple(ids[i] for i in order), tuple(kept), values[order], dropped)
