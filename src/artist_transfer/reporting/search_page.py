"""The page of a search: what was asked, songs and artists like it with their scores and their sound, and the map.

Equal inputs give equal bytes. The page carries its sound, so that it can be moved or mailed; nothing is fetched but
sound files for which it has no room. See
`artist_transfer.reporting.shell` and `artist_transfer.reporting.players`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from artist_transfer.reporting import tables
from artist_transfer.reporting.players import INLINE_MB, SNIPPET_S, Player, Players
from artist_transfer.reporting.search_figure import search_map_plot
from artist_transfer.reporting.shell import Figures, render
from artist_transfer.search.index import SearchIndex
from artist_transfer.search.query import Query

SECTIONS = {
    "songs": "Songs like it",
    "artists": "Artists like it",
    "map": "Where they are on the map",
    "made": "How it was found",
}
SCORE_NOTE = (
    "The score is the cosine of two embeddings: 1 is the same direction. It orders the songs of one index; scores of "
    "different nets cannot be compared."
)


@dataclass(frozen=True)
class Row:
    """A song or an artist as it is shown.

    Attributes
    ----------
    rank : int
    score : str
    name : str
    details : str
        Beneath the name.
    genre : str
    mark : str
        What sets it off; empty if nothing.
    sound : str
        What the player plays.
    player : Player
    """

    rank: int
    score: str
    name: str
    details: str
    genre: str
    mark: str
    sound: str
    player: Player


def render_search(
    *,
    index: SearchIndex,
    query: Query,
    songs: pd.DataFrame,
    artists: pd.DataFrame,
    map_table: pd.DataFrame | None,
    page_folder: str | Path,
    corpus_root: str | Path | None,
    corpus: str | None = None,
    audio: str = "inline",
    snippet_s: float = SNIPPET_S,
    inline_mb: float = INLINE_MB,
    facts: Mapping[str, Any] | None = None,
) -> str:
    """Write the page.

    Parameters
    ----------
    index : SearchIndex
    query : Query
    songs : pd.DataFrame
        As of `artist_transfer.search.retrieve.songs_like`.
    artists : pd.DataFrame
        As of `artist_transfer.search.retrieve.artists_like`; may be empty.
    map_table : pd.DataFrame, optional
        As of `artist_transfer.search.song_map.index_map`.
    page_folder : str or Path
        Where the page will be; links to sound files are relative to it.
    corpus_root : str or Path, optional
        Where the paths of the index begin; without it there are no players.
    corpus : str, optional
        What the corpus of the index is called.
    audio : {"inline", "link", "none"}
        Carry snippets in the page (so that it can be mailed), play the files where they are, or neither.
    snippet_s : float > 0
        Seconds of a snippet.
    inline_mb : float >= 0
        Of all snippets together; what does not fit is linked.
    facts : mapping, optional
        Seed, git commit, …: shown as they are. No times, no hosts.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ArtistTransferError
        If `audio` is none of the three or a table lacks a column.
    """
    players = Players(corpus_root, page_folder, audio=audio, snippet_s=snippet_s, inline_mb=inline_mb)
    asked = _asked(index, query, players)
    song_rows = [_song_row(row, players) for row in songs.to_dict("records")]
    artist_rows = [_artist_row(row, players) for row in artists.to_dict("records")]
    order = ["songs", "artists", "map", "made"] if query.kind != "artist" else ["artists", "songs", "map", "made"]
    figures = Figures()
    if map_table is not None and len(map_table):
        figures.draw("map", *search_map_plot(index, query, songs, artists, map_table))
    told = ({"corpus": corpus} if corpus else {}) | dict(facts or {})
    context = {
        "title": f"{'Artists and songs' if query.kind == 'artist' else 'Songs'} like {query.label}",
        "sections": [(each, SECTIONS[each]) for each in order],
        "lead": _lead(index, corpus),
        "asked": asked,
        "songs": song_rows,
        "artists": artist_rows,
        "artist_note": _artist_note(query),
        "score_note": SCORE_NOTE,
        "sound_note": _sound_note(players, snippet_s),
        "media": players.policy,
        "figures": figures,
        "provenance": tables.pairs_table(_provenance(index, query, told), "The search", ("what", "value")),
        "left_out": tables.reasons_table(index.left_out) if len(index.left_out) else None,
    }
    return render("search.html.j2", context)


def _asked(index: SearchIndex, query: Query, players: Players) -> dict[str, object]:
    kinds = {"file": "A sound file", "track": "A song of the index", "artist": "An artist of the index"}
    details = []
    if query.kind == "track":
        song = index.songs.table.iloc[int(query.own_songs[0])]
        genre = song["genre_top"]
        details = [f"track {query.key}", *([str(genre)] if genre else [])]
    elif query.kind == "artist":
        n, typical = len(query.own_songs), index.songs.table.iloc[_typical(index, query)]
        name = _text(typical["title"]) or typical["track_id"]
        details = [f"artist {query.key}", f"{n} song{'s' * (n != 1)}, compared by their mean; nearest to it: {name}"]
    else:
        details = ["not in the index"]
    return {
        "kind": kinds[query.kind],
        "label": query.label,
        "details": "; ".join(details),
        "player": _player_of(index, query, players),
    }


def _player_of(index: SearchIndex, query: Query, players: Players) -> Player:
    if query.kind == "file":
        return players.of_file(query.key)
    if query.kind == "artist":
        return players.of_track(index.songs.table["path"].iloc[_typical(index, query)])
    track = index.tracks.loc[index.tracks["track_id"] == query.track_ids[0], "path"]
    return players.of_track(track.iloc[0])


def _typical(index: SearchIndex, query: Query) -> int:
    """Return the artist's song that is nearest to the mean of its songs."""
    vectors = np.asarray(index.songs.vectors[query.own_songs], dtype=np.float64)
    return int(query.own_songs[np.argmax(vectors @ np.asarray(query.vector, dtype=np.float64))])


def _text(value: object) -> str:
    return value if isinstance(value, str) and value else ""


def _song_row(row: Mapping[Any, Any], players: Players) -> Row:
    title = _text(row["title"]) or str(row["track_id"])
    return Row(
        int(row["rank"]),
        f"{row['score']:.3f}",
        title,
        _text(row["artist"]) or _text(row["artist_id"]),
        _text(row["genre_top"]),
        "same artist" if row["same_artist"] else "",
        title,
        players.of_track(row["path"]),
    )


def _artist_row(row: Mapping[Any, Any], players: Players) -> Row:
    n, title = int(row["n_songs"]), _text(row["title"]) or str(row["track_id"])
    return Row(
        int(row["rank"]),
        f"{row['score']:.3f}",
        _text(row["artist"]) or str(row["artist_id"]),
        f"{n} song{'s' * (n != 1)}; nearest: {title}",
        _text(row["genre_top"]),
        "the song's own artist" if row["same_artist"] else "",
        title,
        players.of_track(row["path"]),
    )


def _lead(index: SearchIndex, corpus: str | None) -> str:
    facts = index.facts
    out = f" ({facts['n_left_out']:,} tracks could not be embedded)" if facts["n_left_out"] else ""
    songs = f"{facts['n_songs']:,} song{'s' * (facts['n_songs'] != 1)}"
    artists = f" of {facts['n_artists']:,} artist{'s' * (facts['n_artists'] != 1)}" if facts["n_artists"] else ""
    where = f"Searched in {corpus}, among" if corpus else "Searched among"
    return f"{where} {songs}{artists}{out}, by what {index.encoder.name} hears in them."


def _artist_note(query: Query) -> str:
    note = "An artist is compared by the mean of all its songs; the player has the one nearest to the query."
    if query.kind == "track" and query.artist_id is not None:
        note += " The mean of the song's own artist is taken without the song."
    return note


def _sound_note(players: Players, snippet_s: float) -> str:
    if players.audio == "none":
        return ""
    if players.audio == "link":
        return (
            "The players play the files where they are: they are silent if this page or the music is moved. "
            "With search.audio=inline the page carries its sound."
        )
    note = f"The players have {snippet_s:g} seconds from the middle of each song, which this page carries."
    if players.linked:
        note += (
            f" For {players.linked} of them it had no room (search.inline_mb): these play the files where they are, "
            "and are silent if this page or the music is moved."
        )
    return note


def _provenance(index: SearchIndex, query: Query, facts: Mapping[str, Any]) -> dict[str, object]:
    found_by = dict(index.facts["neighbours"])
    method = str(found_by.pop("method"))
    if method == "exact":
        method = "each song looked at"
    else:
        method += f" ({', '.join(f'{key} {value}' for key, value in found_by.items())}), scores exact"
    known = {key: value for key, value in asdict(index.encoder).items() if value is not None}
    encoder = {f"encoder {key}".replace("_", " "): value for key, value in known.items()}
    return {
        "query": query.text if query.kind != "file" else query.label,  # a path is of one machine
        "read as": f"{query.kind} {query.key if query.kind != 'file' else query.label}",
        **encoder,
        "index": str(index.facts["sha256"]),
        "tracks": int(index.facts["n_tracks"]),
        "tracks left out": int(index.facts["n_left_out"]),
        "neighbours": method,
        **{str(key).replace("_", " "): value for key, value in tables.flat_parameters(facts).items()},
    }
