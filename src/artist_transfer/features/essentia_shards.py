"""Shards of Essentia's descriptors: a folder each, written whole, and read back for the tracks one wants.

A shard has ``values.npy`` (track, descriptor), float32, not-a-number where a track has no such descriptor,
and ``index.json`` with the tracks, the names of the columns and the tracks that failed with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from artist_transfer.artifacts import atomic_path, commit_folder, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError

# Track, names of its descriptors, their values [shape=(descriptor,)], and why it failed (None if it did not).
Result = tuple[str, list[str], np.ndarray, str | None]


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
    failed = {result[0]: result[3] for result in results if result[3] is not None}
    write_json(folder / "index.json", {"track_ids": [result[0] for result in good], "names": names, "failed": failed})
    commit_folder(folder, files=["values.npy", "index.json"], details={"n_tracks": len(good), "n_failed": len(failed)})


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
    for shard in manifest["shards"]:
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
