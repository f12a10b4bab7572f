"""Last.fm tags of the Million Song Dataset: ``lastfm_tags.db``.

Reference: T. Bertin-Mahieux, D. Ellis, B. Whitman, P. Lamere, "The Million Song Dataset", ISMIR 2011,
http://millionsongdataset.com/lastfm/. Three tables: ``tids`` (track ids), ``tags`` (names), and ``tid_tag`` with the
row numbers of both and ``val``, the weight from 0 to 100 that Last.fm gives the most used tag of a track 100 of.

The line of work that the ISMIR paper follows (K. Choi, G. Fazekas, M. Sandler, K. Cho, ICASSP 2017; J. Lee, J. Nam,
IEEE Signal Processing Letters 2017) keeps the 50 tags of `TOP_50`. Names are compared as they are written: Last.fm
has both ``rock`` and ``Rock``, and the list was counted without joining them.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from artist_transfer.corpora._sqlite import columns_of, open_database
from artist_transfer.errors import ArtistTransferError

TOP_50 = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock",
    "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow",
    "electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient",
    "acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening",
    "sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad", "House",
    "happy",
)  # fmt: skip
"""The 50 tags of the papers' line of work, most used first."""

FILES = ("lastfm_tags.db",)
TagChoice = Literal["top50", "frequent"] | Sequence[str]


@dataclass(frozen=True)
class LastfmTags:
    """Tags by track.

    Attributes
    ----------
    tags_of : dict of list of str
        Track id to its tags of the vocabulary, heaviest first, then by name.
    vocabulary : tuple of str
        The tags that were kept, the most used first (of `TOP_50` and of a given list: in their order).
    notes : dict of int
        Counts.
    """

    tags_of: dict[str, list[str]]
    vocabulary: tuple[str, ...]
    notes: dict[str, int]


def read_lastfm(
    path: str | Path,
    *,
    track_ids: Collection[str],
    tags: TagChoice = "top50",
    n_tags: int = 50,
    min_weight: float = 0.0,
) -> LastfmTags:
    """Read the tags of the tracks of a corpus, filtered to a vocabulary.

    Parameters
    ----------
    path : str or Path
        ``lastfm_tags.db``.
    track_ids : collection of str
        The tracks of the corpus; others are counted and passed over.
    tags : {"top50", "frequent"} or sequence of str
        The vocabulary: `TOP_50`, the `n_tags` that most tracks of the corpus carry (ties by name), or this list.
    n_tags : int, >= 1
        Size of the vocabulary ``frequent``.
    min_weight : float [0 <= x <= 100]
        Smallest weight that counts.

    Returns
    -------
    LastfmTags
        Tags, vocabulary and counts: ``tags in the vocabulary``, ``vocabulary tags that no track has``, ``tag entries
        used``, ``tag entries of lighter weight``, ``tag entries of other tags``, ``tagged tracks of other corpora``,
        ``tracks without a tag``.

    Raises
    ------
    ArtistTransferError
        If a parameter is impossible, the file is missing or no such database, or an entry of ``tid_tag`` is
        malformed; names file, table and row.
    """
    path = Path(path)
    wanted = _check_choice(tags, n_tags, min_weight)
    with open_database(path) as connection:
        for table, required in (("tids", ["tid"]), ("tags", ["tag"]), ("tid_tag", ["tid", "tag", "val"])):
            columns_of(connection, path, table, required=required)
        tracks, others = _own_tracks(connection, set(track_ids))
        names: dict[int, str] = dict(connection.execute("SELECT rowid, tag FROM tags"))
        if wanted is None:
            wanted = _most_frequent(_entries(connection, path, names), tracks, names, n_tags, min_weight)
        entries = _entries(connection, path, names)
        weights, counts = _collect(entries, tracks, names, frozenset(wanted), min_weight)
    used = {name for found in weights.values() for name in found}
    tags_of = {track: sorted(found, key=lambda name: (-found[name], name)) for track, found in sorted(weights.items())}
    notes = {
        "tags in the vocabulary": len(wanted),
        "vocabulary tags that no track has": len(set(wanted) - used),
        "tag entries used": counts["used"],
        "tag entries of lighter weight": counts["light"],
        "tag entries of other tags": counts["other"],
        "tagged tracks of other corpora": others,
        "tracks without a tag": len(set(track_ids) - set(tags_of)),
    }
    return LastfmTags(tags_of, tuple(wanted), notes)


def _check_choice(tags: TagChoice, n_tags: int, min_weight: float) -> tuple[str, ...] | None:
    if n_tags < 1:
        raise ArtistTransferError(f"ingestion.msd.n_tags={n_tags}: must be 1 or more.")
    if not 0 <= min_weight <= 100:
        raise ArtistTransferError(f"ingestion.msd.min_tag_weight={min_weight}: must be between 0 and 100.")
    if isinstance(tags, str):
        if tags not in ("top50", "frequent"):
            raise ArtistTransferError(f"ingestion.msd.tags={tags!r} is unknown; allowed: top50, frequent, or a list.")
        return TOP_50 if tags == "top50" else None
    twice = [name for name, count in Counter(tags).items() if count > 1]
    if not tags or twice or not all(isinstance(name, str) and name for name in tags):
        raise ArtistTransferError(f"ingestion.msd.tags: must be a list of names, each once; found {list(tags)!r:.120}.")
    return tuple(tags)


def _own_tracks(connection: sqlite3.Connection, wanted: set[str]) -> tuple[dict[int, str], int]:
    tracks, others = {}, 0
    for number, track in connection.execute("SELECT rowid, tid FROM tids"):
        if track in wanted:
            tracks[number] = track
        else:
            others += 1
    return tracks, others


_Entry = tuple[int, int, float]


def _entries(connection: sqlite3.Connection, path: Path, names: dict[int, str]) -> Iterator[_Entry]:
    for row, tid, tag, weight in connection.execute("SELECT rowid, tid, tag, val FROM tid_tag"):
        if not isinstance(weight, (int, float)) or not 0 <= weight <= 100:
            problem = f"must be a weight between 0 and 100, found {weight!r:.40}"
            raise ArtistTransferError(f"{path}, table 'tid_tag', row {row}, column 'val': {problem}.")
        if not isinstance(tag, int) or not isinstance(names.get(tag), str):
            problem = f"must be the row number of a name in table 'tags', found {tag!r:.40}"
            raise ArtistTransferError(f"{path}, table 'tid_tag', row {row}, column 'tag': {problem}.")
        yield tid, tag, float(weight)


def _most_frequent(
    entries: Iterator[_Entry], tracks: dict[int, str], names: dict[int, str], n_tags: int, min_weight: float
) -> tuple[str, ...]:
    pairs = {(tracks[tid], names[tag]) for tid, tag, weight in entries if tid in tracks and weight >= min_weight}
    counts = Counter(name for _, name in pairs)
    return tuple(sorted(counts, key=lambda name: (-counts[name], name))[:n_tags])


def _collect(
    entries: Iterator[_Entry],
    tracks: dict[int, str],
    names: dict[int, str],
    wanted: frozenset[str],
    min_weight: float,
) -> tuple[dict[str, dict[str, float]], Counter[str]]:
    weights: dict[str, dict[str, float]] = {}
    counts: Counter[str] = Counter()
    for tid, tag, weight in entries:
        if tid not in tracks:
            continue
        name = names[tag]
        kind = "other" if name not in wanted else "light" if weight < min_weight else "used"
        counts[kind] += 1
        if kind == "used":
            found = weights.setdefault(tracks[tid], {})
            found[name] = max(weight, found.get(name, 0.0))
    return weights, counts
