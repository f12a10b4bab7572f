"""What is asked for: a sound file, a track or an artist, by id or by name.

Ids are text: ``000002`` is not ``2``. What is written is looked up in this order, and the first kind of match counts:
ids and files, then names, titles and paths as they are written, then names and titles without regard to case. How
Unicode spells a letter makes no difference (`artist_transfer.corpora.names`). Two matches of one kind are an error that
lists them; ``file:``, ``track:`` and ``artist:`` before the rest say which is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from artist_transfer.audio.probe import file_fault
from artist_transfer.corpora.names import folded_name, normal_name
from artist_transfer.errors import ArtistTransferError
from artist_transfer.search.groups import unit
from artist_transfer.search.index import Encoder, SearchIndex

KINDS = ("file", "track", "artist")
MOST_LISTED = 5
MOST_COMPARED = 20_000  # names among which close ones are looked for


@dataclass(frozen=True, eq=False)
class Query:
    """What is asked for.

    Attributes
    ----------
    kind : {"file", "track", "artist"}
    text : str
        As it was asked.
    label : str
        What to call it.
    key : str
        Path of the file, id of the track (or of its recording), or id of the artist.
    vector : np.ndarray [shape=(width,)] or None
        Of length 1; None for a file that is not yet encoded.
    own_songs : np.ndarray of int
        Rows of `SearchIndex.songs` that are the query itself and are not found.
    track_ids : tuple of str
        Its tracks in the index.
    artist_id : str or None
        Its artist, if known.
    """

    kind: str
    text: str
    label: str
    key: str
    vector: np.ndarray | None
    own_songs: np.ndarray
    track_ids: tuple[str, ...] = ()
    artist_id: str | None = None

    def encoded(self, vector: np.ndarray, encoder: Encoder, index: SearchIndex) -> Query:
        """Give a file its vector.

        Parameters
        ----------
        vector : np.ndarray [shape=(width,)]
        encoder : Encoder
            What made it.
        index : SearchIndex
            In which it is looked for.

        Returns
        -------
        Query

        Raises
        ------
        ArtistTransferError
            If it is of another net than the index, not as wide, not finite or all zero.
        """
        index.check(encoder, what=f"query {self.text!r}")
        vector = np.asarray(vector, dtype=np.float64)
        if vector.shape != (index.encoder.width,):
            raise ArtistTransferError(
                f"query {self.text!r}: a vector of shape {vector.shape}; the index has {index.encoder.width} columns"
            )
        if not np.isfinite(vector).all() or not vector.any():
            raise ArtistTransferError(f"query {self.text!r}: its embedding is all zero or not finite; is it silence?")
        return replace(self, vector=unit(vector))


@dataclass(frozen=True)
class _Match:
    kind: str
    key: str
    described: str


def resolve(query: str, index: SearchIndex, *, corpus_root: str | Path | None = None) -> Query:
    """Find out what is meant.

    Parameters
    ----------
    query : str
        A path, a track id or title, an artist's id or name; ``file:``, ``track:`` or ``artist:`` may stand before it.
    index : SearchIndex
    corpus_root : str or Path, optional
        Where the paths of the index begin: a file that is in the index is then known as its track.

    Returns
    -------
    Query
        Of a file that is not in the index the vector is None: encode it, then `Query.encoded`.

    Raises
    ------
    ArtistTransferError
        If nothing or more than one thing is meant, with what is close; if a file is empty or may not be read.
    """
    if not isinstance(query, str):
        raise ArtistTransferError(f"query: {query!r} is not text. Ids are text: quote them, as in query='\"000002\"'")
    text = query.strip()
    if not text:
        raise ArtistTransferError("query: nothing was asked for; allowed: a sound file, a track or an artist")
    for kinds, wanted in _readings(text):
        for matches in _levels(wanted, index, kinds, corpus_root):
            if len(matches) > 1:
                _ambiguous(query, matches)
            if matches:
                return _query(text, matches[0], index)
    _unknown(text, index)


def _readings(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Read a text as it stands, then without the kind before the colon."""
    yield KINDS, text
    kind, colon, rest = text.partition(":")
    if colon and kind in KINDS and rest.strip():
        yield (kind,), rest.strip()


def _levels(
    text: str, index: SearchIndex, kinds: Sequence[str], corpus_root: str | Path | None
) -> Iterator[list[_Match]]:
    """Return what matches, the surest way first."""
    tracks, songs, artists = index.tracks, index.songs.table, index.artists.table
    folded = folded_name(text)
    file = _file(text, index, corpus_root) if "file" in kinds else None
    first = [file] if file else []
    second: list[_Match] = []
    third: list[_Match] = []
    if "track" in kinds:
        ids = _tracks(index, tracks.loc[_same(tracks["track_id"], text), "track_id"])
        recordings = songs[_same(songs["recording_id"], text)]
        if not ids and len(recordings):
            ids = [_Match("track", recordings["recording_id"].iloc[0], _title(recordings.iloc[0]))]
        first += ids
        second += _tracks(index, tracks.loc[_same(tracks["path"], text), "track_id"])
        second += _tracks(index, songs.loc[_same(songs["title"], text), "track_id"])
        third += _tracks(index, songs.loc[_fold(songs["title"]) == folded, "track_id"])
    if "artist" in kinds:
        first += _artists(index, _same(artists["artist_id"], text))
        second += _artists(index, _same(artists["artist"], text))
        third += _artists(index, _fold(artists["artist"]) == folded)
    for level in (first, second, third):
        yield list({(match.kind, match.key): match for match in level}.values())


def _same(names: pd.Series, text: str) -> np.ndarray:
    """Say which names are written so; if none is, which only differ in how Unicode spells a letter."""
    found = np.array(names == text, dtype=bool)
    if found.any() or text.isascii():
        return found
    wanted = normal_name(text)
    return np.array([isinstance(name, str) and normal_name(name) == wanted for name in names], dtype=bool)


def _fold(names: Iterable[object]) -> np.ndarray:
    return np.array([folded_name(name) if isinstance(name, str) else "" for name in names], dtype=object)


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # "~name" of nobody here: perhaps an artist is called so
        return Path(text)


def _file(text: str, index: SearchIndex, corpus_root: str | Path | None) -> _Match | None:
    path = _path(text)
    try:
        if not path.exists() or path.is_dir():
            return None
        if corpus_root is not None and path.resolve().is_relative_to(Path(corpus_root).resolve()):
            inside = path.resolve().relative_to(Path(corpus_root).resolve()).as_posix()
            known = index.tracks.loc[index.tracks["path"] == inside, "track_id"]
            if len(known) == 1:
                return _tracks(index, known)[0]
    except (OSError, ValueError):  # a name with a null byte, or too long: not a file's
        return None
    return _Match("file", str(path), f"the file {path}")


def _tracks(index: SearchIndex, track_ids: Iterable[str]) -> list[_Match]:
    by_id = index.tracks.set_index("track_id")
    return [_Match("track", track, _title(by_id.loc[track])) for track in track_ids]


def _artists(index: SearchIndex, mask: np.ndarray) -> list[_Match]:
    found = index.artists.table[mask]
    return [
        _Match("artist", artist_id, f"{name}, {n} songs")
        for artist_id, name, n in zip(found["artist_id"], found["artist"], found["n_songs"])
    ]


def _title(row: pd.Series) -> str:
    parts = [row[name] for name in ("artist", "title") if isinstance(row[name], str)]
    return " – ".join(parts) or Path(row["path"]).name


def _query(text: str, match: _Match, index: SearchIndex) -> Query:
    if match.kind == "file":
        fault = file_fault(match.key)
        if fault:
            raise ArtistTransferError(f"query: {match.key} cannot be used: {fault}")
        return Query("file", text, Path(match.key).name, match.key, None, np.zeros(0, dtype=np.int64))
    if match.kind == "artist":
        own = index.songs.by_artist[match.key]
        row = index.artists.row_of[match.key]
        ids = tuple(index.tracks.loc[index.tracks["artist_id"] == match.key, "track_id"])
        name = str(index.artists.table["artist"].iloc[row])
        return Query("artist", text, name, match.key, index.artists.vectors[row], own, ids, match.key)
    rows = np.flatnonzero(index.tracks["track_id"] == match.key)
    own = index.songs.of_track[rows] if len(rows) else np.flatnonzero(index.songs.table["recording_id"] == match.key)
    vector = np.asarray(index.vectors[rows[0]] if len(rows) else index.songs.vectors[own[0]])
    song = index.songs.table.iloc[int(own[0])]
    ids = (match.key,) if len(rows) else tuple(index.tracks["track_id"][index.songs.of_track == own[0]])
    return Query("track", text, match.described, match.key, vector, own, ids, song["artist_id"])


def _ambiguous(query: str, matches: Sequence[_Match]) -> NoReturn:
    shown = "; ".join(f"{match.kind}:{match.key} ({match.described})" for match in matches[:MOST_LISTED])
    more = f"; and {len(matches) - MOST_LISTED} more" if len(matches) > MOST_LISTED else ""
    raise ArtistTransferError(f"query: {query!r} may mean {len(matches)} things. Ask for one of them: {shown}{more}")


def _unknown(text: str, index: SearchIndex) -> NoReturn:
    what = f"query: {text!r} is neither a file, nor a track or an artist of the index"
    out = index.left_out[_same(index.left_out["track_id"], text)]
    if len(out):
        raise ArtistTransferError(f"query: track {text!r} cannot be searched for: {out['reason'].iloc[0]}")
    try:
        if _path(text).is_dir():
            raise ArtistTransferError(f"query: {text} is a folder; allowed: a sound file, a track or an artist")
    except (OSError, ValueError):
        pass
    close = _close(text, index)
    hint = f". Close to it: {'; '.join(close)}" if close else ""
    raise ArtistTransferError(f"{what} ({len(index.tracks):,} tracks, {len(index.artists.table):,} artists){hint}")


def _close(text: str, index: SearchIndex) -> list[str]:
    """List ids and names that resemble a text; ids that are the same number first."""
    ids = index.tracks["track_id"].tolist()
    same = [track for track in ids if text.isdecimal() and track.isdecimal() and int(track) == int(text)]
    if same:
        return [f"track {track!r} (ids are text, with their zeros)" for track in same[:MOST_LISTED]]
    groups = (
        ("artist", index.artists.table["artist"]),
        ("artist", index.artists.table["artist_id"]),
        ("track", index.tracks["track_id"]),
        ("track", index.songs.table["title"]),
    )
    folded: dict[str, str] = {}
    for kind, names in groups:
        for name in names:
            if isinstance(name, str):
                folded.setdefault(folded_name(name), f"{kind} {name!r}")
    wanted = folded_name(text)
    candidates = list(folded)
    if len(candidates) > MOST_COMPARED:  # comparing a million names would take minutes
        candidates = [name for name in candidates if wanted in name or name[:2] == wanted[:2]][:MOST_COMPARED]
    inside = [name for name in candidates if len(wanted) > 2 and wanted in name][:MOST_LISTED]
    near = get_close_matches(wanted, candidates, n=MOST_LISTED, cutoff=0.6)
    return [folded[name] for name in dict.fromkeys([*near, *inside])][:MOST_LISTED]
