"""The map of an index: all songs where they are some thousands, else its artists, else a draw of them.

The map is of the index and not of a query, so it is made once. A query from outside is put at the middle of the songs
that are most like it, which the page says.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from artist_transfer.artifacts import atomic_path, commit_folder, fingerprint, open_folder
from artist_transfer.evaluation.artist_map import PERPLEXITY
from artist_transfer.evaluation.track_map import MOST_TRACKS, drawn, places_by_cosine
from artist_transfer.search.index import SearchIndex

KIND = "maps"
FILE = "map.parquet"
NEAREST = 5  # songs in whose middle a query from outside is put
COLUMNS = ["kind", "id", "artist_id", "artist", "title", "genre", "n_songs", "x", "y"]


def index_map(
    index: SearchIndex, *, most: int = MOST_TRACKS, perplexity: float = PERPLEXITY, seed: int = 0
) -> pd.DataFrame:
    """Place an index in the plane.

    Parameters
    ----------
    index : SearchIndex
    most : int > 0
        Points; with more songs than that the map is of artists, with more artists of a draw of them.
    perplexity : float > 1
    seed : int >= 0

    Returns
    -------
    pd.DataFrame [columns: kind, id, artist_id, artist, title, genre, n_songs, x, y]
        ``kind`` is song or artist, ``id`` the recording's or the artist's.
    """
    songs, artists = index.songs, index.artists
    if len(songs.table) <= most or not len(artists.table):
        rows = drawn(len(songs.table), most, seed)
        table = songs.table.iloc[rows].reset_index(drop=True).rename(columns={"recording_id": "id"})
        table, vectors = table.assign(kind="song", n_songs=1), songs.vectors[rows]
    else:
        rows = drawn(len(artists.table), most, seed)
        table = artists.table.iloc[rows].reset_index(drop=True)
        table, vectors = table.assign(kind="artist", id=table["artist_id"], title=None), artists.vectors[rows]
    places = places_by_cosine(vectors, perplexity=perplexity, seed=seed)
    return table.rename(columns={"genre_top": "genre"}).assign(x=places[:, 0], y=places[:, 1])[COLUMNS]


def cached_map(
    cache_root: str | Path,
    index: SearchIndex,
    *,
    most: int = MOST_TRACKS,
    perplexity: float = PERPLEXITY,
    seed: int = 0,
) -> pd.DataFrame:
    """Read the map of an index, made first if it is not there.

    Parameters
    ----------
    cache_root : str or Path
        The map is in ``<cache_root>/maps/<fingerprint>``.
    index, most, perplexity, seed
        As in `index_map`.

    Returns
    -------
    pd.DataFrame
        As of `index_map`.
    """
    folder = Path(cache_root) / KIND / fingerprint(index.facts["sha256"], most, perplexity, seed)
    if open_folder(folder) is None:
        table = index_map(index, most=most, perplexity=perplexity, seed=seed)
        with atomic_path(folder / FILE) as path:
            table.to_parquet(path, index=False)
        commit_folder(folder, files=[FILE], details={"points": len(table), "kind": str(table["kind"].iloc[0])})
    table = pd.read_parquet(folder / FILE)
    return table.astype(dict.fromkeys(COLUMNS[:6], object)).where(lambda cells: cells.notna(), None)


def place_of(map_table: pd.DataFrame, neighbours: pd.DataFrame) -> tuple[float, float] | None:
    """Place a query that is not on the map.

    Parameters
    ----------
    map_table : pd.DataFrame
        As of `index_map`.
    neighbours : pd.DataFrame [columns: recording_id or artist_id]
        What is most like it, best first.

    Returns
    -------
    x, y : float, or None
        The median of its five nearest that are on the map; None if none of them is.
    """
    column = "recording_id" if (map_table["kind"] == "song").any() else "artist_id"
    by_id = map_table.set_index("id")
    there = [each for each in neighbours[column] if each in by_id.index][:NEAREST]
    if not there:
        return None
    places = by_id.loc[there, ["x", "y"]].to_numpy(dtype=float)
    return float(np.median(places[:, 0])), float(np.median(places[:, 1]))
