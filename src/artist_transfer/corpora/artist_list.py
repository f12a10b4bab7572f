"""The ISMIR paper's list of artists and songs: ``msd-artist-list.pkl``.

Reference: J. Park, J. Lee, J. Park, J.-W. Ha, J. Nam, "Representation Learning of Music Using Artist Labels", ISMIR
2018, section 3.1.1; https://github.com/jiyoungpark527/msd-artist-split. A pickled list of texts ``7digital
id/artist index/song index``, 17,591 artists with 20 songs each, both indices from 1, one artist after the other: the
first 20 N entries are the set of N artists, so that the sets are nested. Songs 1–15 train, 16–18 validate, 19 and 20
test (for 10,000 artists 17, 1 and 2).
"""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pandas as pd

from artist_transfer.artifacts import atomic_path
from artist_transfer.corpora.artist_sets import SET_COLUMNS, paper_division
from artist_transfer.corpora.plain_pickle import read_plain_pickle
from artist_transfer.errors import ArtistTransferError

FILE = "msd-artist-list.pkl"
LIST_COLUMNS = ("track_7digitalid", "artist_index", "song_index")
_SIDES = ("train", "validation", "test")
_ENTRY = re.compile(r"([0-9]{1,12})/([1-9][0-9]{0,8})/([1-9][0-9]{0,8})")


def read_artist_list(path: str | Path) -> pd.DataFrame:
    """Read an artist list; no pickle of it can run anything.

    Parameters
    ----------
    path : str or Path
        The file, of any pickle protocol, of Python 2 or 3.

    Returns
    -------
    pd.DataFrame [shape=(n, 3)]
        ``track_7digitalid`` (text), ``artist_index``, ``song_index`` (from 1), in the order of the file.

    Raises
    ------
    ArtistTransferError
        If it is no list of texts, an entry has another form, or two entries are the same song of an artist; names
        file and entry (from 1).
    """
    path = Path(path)
    entries = read_plain_pickle(path)
    if not isinstance(entries, list) or not entries:
        raise ArtistTransferError(f"{path}: must hold a list of texts with at least one, found {entries!r:.60}.")
    rows = []
    first: dict[tuple[int, int], int] = {}
    for number, entry in enumerate(entries, start=1):
        found = _ENTRY.fullmatch(entry) if isinstance(entry, str) else None
        if found is None:
            _refuse(path, number, f"must be '7digital id/artist index/song index', indices from 1, found {entry!r:.60}")
        seven, place = found[1], (int(found[2]), int(found[3]))
        if place in first:
            _refuse(path, number, f"artist {place[0]}, song {place[1]} is entry {first[place]} already")
        first[place] = number
        rows.append((seven, *place))
    return pd.DataFrame(rows, columns=list(LIST_COLUMNS)).astype({"track_7digitalid": "str"})


def _refuse(path: Path, number: int, problem: str) -> NoReturn:
    raise ArtistTransferError(f"{path}, entry {number}: {problem}.")


def write_artist_list(path: str | Path, artist_list: pd.DataFrame, *, protocol: int = 2) -> None:
    """Write an artist list as the paper's authors do.

    Parameters
    ----------
    path : str or Path
        Where it goes.
    artist_list : pd.DataFrame
        As of `read_artist_list`.
    protocol : int [0 <= x <= 5]
        Of the pickle; up to 2, Python 2 reads it too.

    Raises
    ------
    ArtistTransferError
        If a row is none that could be read again.
    """
    path = Path(path)
    if not 0 <= protocol <= pickle.HIGHEST_PROTOCOL:
        raise ArtistTransferError(f"protocol={protocol}: must be between 0 and {pickle.HIGHEST_PROTOCOL}.")
    columns = [artist_list[name].tolist() for name in LIST_COLUMNS]
    entries = ["/".join(map(str, row)) for row in zip(*columns, strict=True)]
    for number, entry in enumerate(entries, start=1):
        if not _ENTRY.fullmatch(entry):
            _refuse(path, number, f"must be '7digital id/artist index/song index', indices from 1, found {entry!r:.60}")
    with atomic_path(path) as temporary:
        temporary.write_bytes(pickle.dumps(entries, protocol=protocol))


def make_artist_list(artist_sets: pd.DataFrame, songs: pd.DataFrame) -> pd.DataFrame:
    """Turn the largest set of an artist set table into an artist list.

    Parameters
    ----------
    artist_sets : pd.DataFrame
        ``set, artist_id, track_id, position, side``; sets are nested.
    songs : pd.DataFrame [index: track_id]
        With ``track_7digitalid``.

    Returns
    -------
    pd.DataFrame
        As of `read_artist_list`; artists of smaller sets come first, so that the first entries are these sets.

    Raises
    ------
    ArtistTransferError
        If a track has no 7digital id.
    """
    smallest = artist_sets.groupby("artist_id")["set"].min().rename("first_set")
    rows = artist_sets[artist_sets["set"].eq(artist_sets["set"].max())].join(smallest, on="artist_id")
    rows = rows.sort_values(["first_set", "artist_id", "position"])
    sevens = rows["track_id"].map(songs["track_7digitalid"].to_dict())
    if sevens.isna().any():
        nameless = rows.loc[sevens.isna(), "track_id"].iloc[0]
        raise ArtistTransferError(f"track {nameless} has no 7digital id; the artist list names songs by it.")
    index = rows.groupby("artist_id", sort=False).ngroup() + 1
    table = {"track_7digitalid": sevens, "artist_index": index, "song_index": rows["position"]}
    return pd.DataFrame(table).reset_index(drop=True)


def to_artist_sets(
    artist_list: pd.DataFrame,
    tracks: pd.DataFrame,
    *,
    sizes: Sequence[int],
    division: tuple[int, int, int] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Make nested artist sets of an artist list, with the tracks of a corpus.

    Parameters
    ----------
    artist_list : pd.DataFrame
        Of `read_artist_list`.
    tracks : pd.DataFrame
        The corpus: ``track_id``, ``artist_id``, ``track_7digitalid``.
    sizes : sequence of int, >= 1
        Numbers of artists; the set of N holds the first N artists of the list whose songs are all there.
    division : (int, int, int), optional
        Songs that train, validate and test, by their song index; by default the paper's for each size (15, 3 and 2, or
        17, 1 and 2 from 10,000 artists on).

    Returns
    -------
    artist_set_table : pd.DataFrame [columns: SET_COLUMNS]
        Sorted by set, artist and position.
    exclusions : pd.DataFrame [columns: artist_index, reason]
        Artists of the list that take part in no set.
    notes : dict of int
        ``artists in the list``, ``artists usable``, ``songs in the list that are not in the corpus``, ``artists with
        several ids`` (the most frequent is used), ``artists left out: …``.

    Raises
    ------
    ArtistTransferError
        If the division is impossible, or the largest set needs more artists than are usable.
    """
    if not sizes or min(sizes) < 1 or len(set(sizes)) != len(sizes):
        raise ArtistTransferError(f"sizes {list(sizes)}: must be numbers of artists from 1 on, each once.")
    divisions = {size: division or paper_division(size) for size in sorted(sizes)}
    for parts in divisions.values():
        if len(parts) != 3 or min(parts) < 0 or parts[0] < 1:
            raise ArtistTransferError(f"division {parts}: three numbers of songs from 0 on, the first at least 1.")
    songs = max(map(sum, divisions.values()))
    rows, missing = _with_tracks(artist_list, tracks)
    usable, exclusions, several = _usable_artists(artist_list, rows, songs)
    if max(sizes) > len(usable):
        raise ArtistTransferError(
            f"sets.sizes={max(sizes)}: a set of {max(sizes)} artists was asked for, but only {len(usable)} artists of"
            f" the list have their songs 1 to {songs} in training."
        )
    rows = rows[rows["artist_index"].isin(usable) & rows["song_index"].le(songs)].copy()
    rows["artist_id"] = rows["artist_index"].map(usable)
    rank = {artist: number for number, artist in enumerate(usable, start=1)}
    rows["rank"] = rows["artist_index"].map(rank)
    rows["position"] = rows["song_index"]
    sets = []
    for size, (train, validation, _) in divisions.items():
        one = rows[rows["rank"] <= size].assign(set=size)
        one["side"] = [_SIDES[(at > train) + (at > train + validation)] for at in one["position"]]
        sets.append(one)
    table = pd.concat(sets).sort_values(["set", "artist_id", "position"], ignore_index=True)
    table = table.astype({"artist_id": "str", "track_id": "str", "side": "str"})
    kinds = Counter(reason.split(":", 1)[0] for reason in exclusions["reason"])
    notes = {
        "artists in the list": int(artist_list["artist_index"].nunique()),
        "artists usable": len(usable),
        "songs in the list that are not in the corpus": missing,
        "artists with several ids": several,
        **{f"artists left out: {kind}": count for kind, count in sorted(kinds.items())},
    }
    return table.loc[:, list(SET_COLUMNS)], exclusions, notes


def _with_tracks(artist_list: pd.DataFrame, tracks: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    known = tracks.loc[:, ["track_id", "artist_id", "track_7digitalid"]].dropna(subset=["track_7digitalid"])
    known = known.sort_values("track_id").drop_duplicates("track_7digitalid")  # two tracks may share one preview
    rows = artist_list.merge(known, on="track_7digitalid", how="left")
    there = rows["track_id"].notna()
    return rows[there], int((~there).sum())


def _usable_artists(
    artist_list: pd.DataFrame, rows: pd.DataFrame, songs: int
) -> tuple[dict[int, str], pd.DataFrame, int]:
    """Return the usable artists in the order of the list, with their ids, and why the others are not."""
    there = dict(iter(rows[rows["song_index"] <= songs].groupby("artist_index", sort=False)))
    usable: dict[int, str] = {}
    taken: dict[str, int] = {}
    left_out, several = [], 0
    for artist in dict.fromkeys(artist_list["artist_index"].tolist()):
        group = there.get(artist)
        found = 0 if group is None else len(group)
        if group is None or found < songs:
            left_out.append((artist, f"fewer songs than {songs}: {found} in the corpus"))
            continue
        ids = Counter(group["artist_id"].dropna())
        if not ids:
            left_out.append((artist, "no artist id"))
            continue
        several += len(ids) > 1
        artist_id = min(ids, key=lambda name: (-ids[name], name))
        if artist_id in taken:
            left_out.append((artist, f"same artist id as another: {artist_id}, artist {taken[artist_id]} of the list"))
            continue
        usable[artist], taken[artist_id] = artist_id, artist
    return usable, pd.DataFrame(left_out, columns=["artist_index", "reason"]), several
