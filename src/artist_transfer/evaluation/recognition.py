"""Who takes part in artist recognition: artists that no system was fitted on, songs to enrol them, songs to test.

Artists are drawn in one seeded order and an artist's songs in another: fewer artists are part of more artists. Clips of
one recording and exact duplicates are one song, of which one track is taken; a song that several artists share (unseen
ones, or one that systems are trained on) is nobody's.

References
----------
DeepArtistID: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels", first version,
sections 3.1 to 3.3: 500 unseen artists with 20 songs each, 15 to enrol and 5 to test. Which pairs are compared the
paper does not say; here it is all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from artist_transfer.corpora.songs import Unit, drawn_order, find_songs, songs_by_artist
from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.album_parting import part_albums
from artist_transfer.evaluation.cosine import some
from artist_transfer.evaluation.recognition_protocol import RecognitionProtocol

__all__ = ["ALBUMS", "RecognitionProtocol", "draw_protocol", "hold_out"]

Albums = Literal["any", "other"]
ALBUMS = ("any", "other")


def draw_protocol(
    track_table: pd.DataFrame,
    candidates: Iterable[str],
    *,
    training_artists: Iterable[str] = (),
    artists: int | None = None,
    enrol: int = 15,
    test: int = 5,
    albums: Albums = "any",
    seed: int,
) -> RecognitionProtocol:
    """Draw unseen artists and their songs.

    Parameters
    ----------
    track_table : pd.DataFrame
        Usable tracks in any order, those of other artists too: ``track_id, artist_id, recording_id, album_id,
        genre_top`` and, to find exact duplicates, ``audio_hash``.
    candidates : iterable of str
        Artists that may take part.
    training_artists : iterable of str
        Artists that anything was fitted on; none of them may be a candidate.
    artists : int, >= 2, optional
        How many take part; default all with enough songs.
    enrol, test : int, >= 1
        Songs of each.
    albums : {"any", "other"}
        With ``other`` no test song is of an album that a song of the artist's enrolment is of, and songs without an
        album cannot take part.
    seed : int
        Of both orders. Protocols of one seed are nested in the number of artists.

    Returns
    -------
    RecognitionProtocol

    Raises
    ------
    ArtistTransferError
        If a parameter is out of range, an artist is a candidate and trained on, or fewer artists have enough songs
        than are asked for (or than two).
    """
    _check_parameters(artists, enrol, test, albums)
    named = sorted({str(artist) for artist in candidates})
    seen = sorted({str(artist) for artist in training_artists}.intersection(named))
    if seen:
        raise ArtistTransferError(
            f"recognition: {len(seen)} artists are both unseen and in training: {some(seen)}; an artist that a system"
            " was fitted on cannot be recognised as unseen. With split=artist_disjoint there is none."
        )
    table = track_table.sort_values("track_id", ignore_index=True)
    songs = find_songs(table)
    own = songs_by_artist(songs, seed)
    found = _choose({artist: own.get(artist, []) for artist in named}, table, enrol=enrol, test=test, albums=albums)
    order = drawn_order(found.chosen, seed=seed, purpose="unseen artists")
    _check_enough(artists, order, found, enrol=enrol, test=test, albums=albums)
    taken = order[:artists]
    theirs = [song for song in songs if not song.artists.isdisjoint(named)]
    counts = {
        "candidates": len(named),
        "artists with enough songs": len(order),
        "artists": len(taken),
        "artists with fewer songs than needed": len(found.few),
        "artists whose albums cannot be parted": len(found.bound),
        "songs of candidates that several artists share": sum(len(song.artists) > 1 for song in theirs),
        "songs of candidates without album": found.without_album,
        "tracks of candidates beyond one a song": sum(song.size - 1 for song in theirs),
    }
    reasons = {"fewer songs than needed": found.few, "albums that cannot be parted": found.bound}
    return RecognitionProtocol(
        _rows((artist, found.chosen[artist][0]) for artist in taken),
        _rows((artist, found.chosen[artist][1]) for artist in taken),
        counts,
        {reason: left for reason, left in reasons.items() if left},
    )


@dataclass
class _Found:
    """Tracks to enrol and to test of artists with enough songs, and how many songs the others have."""

    chosen: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    few: dict[str, int] = field(default_factory=dict)
    bound: dict[str, int] = field(default_factory=dict)  # enough songs, but by whole albums they cannot be parted
    without_album: int = 0


def _choose(
    songs: Mapping[str, Sequence[Unit]], table: pd.DataFrame, *, enrol: int, test: int, albums: Albums
) -> _Found:
    found = _Found()
    ids, album_ids = table["track_id"].tolist(), table["album_id"].tolist()
    for artist, mine in songs.items():
        on = [{str(album_ids[row]) for row in song.rows if not pd.isna(album_ids[row])} for song in mine]
        usable = [k for k in range(len(mine)) if on[k] or albums == "any"]
        found.without_album += sum(not of for of in on)
        if len(usable) < enrol + test:
            found.few[artist] = len(usable)
            continue
        parted: tuple[Sequence[int], Sequence[int]] | None = range(enrol), range(enrol, enrol + test)
        if albums == "other":
            parted = part_albums([on[k] for k in usable], enrol=enrol, test=test)
        if parted is None:
            found.bound[artist] = len(usable)
            continue
        tracks = [ids[mine[k].rows[0]] for k in usable]
        found.chosen[artist] = [tracks[k] for k in parted[0]], [tracks[k] for k in parted[1]]
    return found


def hold_out(
    artists: Iterable[str], *, share: float | None = None, count: int | None = None, seed: int
) -> tuple[str, ...]:
    """Choose artists to set thresholds and calibrate on, apart from those that systems are fitted on.

    Parameters
    ----------
    artists : iterable of str
        The training artists.
    share : float in (0, 1), optional
        Of them, rounded, at least two; or
    count : int, >= 2, optional
        how many.
    seed : int
        More artists with the same seed hold fewer artists.

    Returns
    -------
    tuple of str, sorted
        The artists held out.

    Raises
    ------
    ArtistTransferError
        If both or none of share and count are given, one is out of range, or no artist is left.
    """
    named = sorted({str(artist) for artist in artists})
    if (share is None) == (count is None):
        raise ArtistTransferError(f"hold out: give either a share or a count, found {share!r} and {count!r}")
    if share is not None and not 0 < share < 1:
        raise ArtistTransferError(f"hold out: share={share!r} must lie between 0 and 1")
    wanted = max(2, round(share * len(named))) if share is not None else count
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 2 <= wanted < len(named):
        raise ArtistTransferError(
            f"hold out: {wanted!r} of {len(named)} artists; allowed: from 2 to {len(named) - 1}"
            + ("" if len(named) > 2 else ", and here there are too few artists")
        )
    order = drawn_order(named, seed=seed, purpose="held out artists")
    return tuple(sorted(order[:wanted]))


def _check_parameters(artists: int | None, enrol: int, test: int, albums: str) -> None:
    for key, value, least in (("artists", artists, 2), ("enrol", enrol, 1), ("test", test, 1)):
        if value is None and key == "artists":
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ArtistTransferError(f"recognition: {key}={value!r}; allowed: whole numbers from {least} on")
    if albums not in ALBUMS:
        raise ArtistTransferError(f"recognition: albums={albums!r}; allowed: {', '.join(ALBUMS)}")


def _check_enough(
    artists: int | None, order: Sequence[str], found: _Found, *, enrol: int, test: int, albums: str
) -> None:
    if len(order) >= (artists or 2):
        return
    wanted = f"artists={artists}" if artists else "at least two artists"
    other = " of other albums" if albums == "other" else ""
    short = f"; {len(found.few):,} have fewer songs ({_sizes(found.few)})" if found.few else ""
    parted = f"; of {len(found.bound):,} the albums cannot be parted so ({_sizes(found.bound)})" if found.bound else ""
    allowed = f"artists up to {len(order):,}" if len(order) >= 2 else "fewer songs to enrol or to test"
    raise ArtistTransferError(
        f"recognition: {wanted} with {enrol} songs to enrol and {test} songs{other} to test were asked for, but"
        f" {len(order):,} have them{short}{parted}; allowed: {allowed}."
    )


def _sizes(artists: dict[str, int], most: int = 5) -> str:
    shown = ", ".join(f"{artist}: {n}" for artist, n in list(artists.items())[:most])
    return shown if len(artists) <= most else f"{shown}, …"


def _rows(tracks: Iterable[tuple[str, Sequence[str]]]) -> pd.DataFrame:
    rows = [(artist, track) for artist, own in tracks for track in own]
    return pd.DataFrame(rows, columns=["artist_id", "track_id"]).astype("str")
