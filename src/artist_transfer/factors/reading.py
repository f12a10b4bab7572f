"""Factors made readable: the heaviest artists, genres and subgenre words of each group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError

READING_COLUMNS = ("fold", "factor", "share", "artists", "genres", "words")


def factor_columns(table: pd.DataFrame) -> list[str]:
    """Return the names of a factor table's factors, f00, f01, ….

    Parameters
    ----------
    table : pd.DataFrame
        A factor table.

    Returns
    -------
    list of str
        In order.
    """
    return [name for name in table.columns if name[:1] == "f" and name[1:].isdigit()]


def read_factors(
    table: pd.DataFrame,
    track_table: pd.DataFrame,
    *,
    topics: np.ndarray | None = None,
    words: Sequence[str] = (),
    n_heaviest: int = 5,
) -> pd.DataFrame:
    """Describe each factor by what weighs most in it.

    Parameters
    ----------
    table : pd.DataFrame
        Factor table of one feature set and one fold: ``fold``, ``artist_id``, ``f00`` ….
    track_table : pd.DataFrame
        Tracks with ``artist_id``, ``artist`` (display name) and ``genre_top``.
    topics : np.ndarray [shape=(group, word)] or None
        Distribution of each factor over the words, where the words can be read.
    words : sequence of str
        The words.
    n_heaviest : int > 0
        How many of each are named.

    Returns
    -------
    pd.DataFrame
        One row a factor: ``fold``, ``factor``, ``share`` of all artists' mass (sums to 1), and as text
        ``artists`` (name and how much of the artist is in this factor), ``genres`` and ``words`` (name and
        share of the factor). An artist's mass is spread over the genres as its tracks are; tracks without
        genre count as 'no genre'.

    Raises
    ------
    ArtistTransferError
        If the table holds more than one fold.
    """
    if table["fold"].nunique() != 1:
        raise ArtistTransferError(f"one fold at a time can be read; found {sorted(set(table['fold']))}")
    columns = factor_columns(table)
    artist_ids = table["artist_id"].tolist()
    theta = table[columns].to_numpy(dtype=np.float64)  # (artist, group)
    names = _display_names(track_table, artist_ids)
    genre_names, spread = _genre_spread(track_table, artist_ids)
    mass = theta.sum(axis=0)
    genre_shares = (theta.T @ spread) / np.where(mass > 0, mass, 1.0)[:, None]  # (group, genre)
    rows = []
    for i, factor in enumerate(columns):
        rows.append(
            {
                "fold": int(table["fold"].iloc[0]),
                "factor": factor,
                "share": float(mass[i] / mass.sum()),
                "artists": _heaviest(names, theta[:, i], n_heaviest),
                "genres": _heaviest(genre_names, genre_shares[i], n_heaviest),
                "words": "" if topics is None or not words else _heaviest(words, topics[i], n_heaviest),
            }
        )
    return pd.DataFrame(rows, columns=list(READING_COLUMNS))


def _heaviest(names: Sequence[str], weights: np.ndarray, n: int) -> str:
    order = sorted(range(len(names)), key=lambda i: (-weights[i], names[i]))[:n]
    return ", ".join(f"{names[i]} {weights[i]:.2f}" for i in order if weights[i] >= 0.005)


def _display_names(track_table: pd.DataFrame, artist_ids: Sequence[str]) -> list[str]:
    known = track_table.dropna(subset=["artist_id", "artist"]).sort_values("track_id")
    first = known.drop_duplicates("artist_id").set_index("artist_id")["artist"].to_dict()
    return [str(first.get(artist_id, artist_id)) for artist_id in artist_ids]


def _genre_spread(track_table: pd.DataFrame, artist_ids: Sequence[str]) -> tuple[list[str], np.ndarray]:
    tracks = track_table[track_table["artist_id"].isin(artist_ids)]
    genres = tracks["genre_top"].astype(object).where(tracks["genre_top"].notna(), "no genre")
    counts = pd.crosstab(tracks["artist_id"], genres).reindex(artist_ids, fill_value=0)
    values = counts.to_numpy(dtype=np.float64)  # (artist, genre)
    return [str(name) for name in counts.columns], values / np.maximum(values.sum(axis=1, keepdims=True), 1.0)
