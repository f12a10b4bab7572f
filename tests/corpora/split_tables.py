"""Tables to split, made by hand or drawn, and what they are checked with."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import hypothesis.strategies as st
import pandas as pd
from hypothesis import HealthCheck, assume, settings

from artist_transfer.corpora.splits import make_split
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

OFFICIAL = ["training", "validation", "test"]


def usable(columns: dict[str, list[object]]) -> pd.DataFrame:
    """Give a usable table with the columns that a split reads."""
    count = len(columns["track_id"])
    empty: dict[str, list[object]] = {
        name: [None] * count for name in ("artist_id", "album_id", "genre_top", "official_split")
    }
    own = {"recording_id": columns["track_id"], "audio_hash": [f"hash {i}" for i in columns["track_id"]]}
    table = pd.DataFrame(empty | own | columns)
    return table.astype(dict.fromkeys(table.columns, "str"))


def artists(sizes: dict[str, list[int]], **more: list[object]) -> pd.DataFrame:
    """Give a table with one artist of each size in each genre."""
    rows = [
        (f"{genre}-{n}-{i:02d}", f"{genre}-{n}", genre)
        for genre, counts in sizes.items()
        for n, count in enumerate(counts)
        for i in range(count)
    ]
    ids, names, genres = (list(column) for column in zip(*rows, strict=True))
    return usable({"track_id": ids, "artist_id": names, "genre_top": genres, **more})


@st.composite
def tables(draw: Callable[..., object]) -> pd.DataFrame:
    """Draw corpora with missing genres, artists and albums, recordings of several clips and duplicates."""
    count = draw(st.integers(2, 40))

    def column(values: int, missing: bool) -> list[object]:
        cell = st.integers(0, values - 1).map(str)
        return draw(st.lists(st.none() | cell if missing else cell, min_size=count, max_size=count))

    return usable(
        {
            "track_id": [f"{i:03d}" for i in range(count)],
            "artist_id": column(draw(st.integers(1, 12)), True),
            "album_id": column(6, True),
            "genre_top": column(draw(st.integers(1, 4)), True),
            "recording_id": column(draw(st.integers(2, 80)), False),
            "audio_hash": column(draw(st.integers(2, 200)), True),
            "official_split": draw(st.lists(st.none() | st.sampled_from(OFFICIAL), min_size=count, max_size=count)),
        }
    )


KINDS = st.sampled_from([("stratified", 1), ("artist_disjoint", 1), ("artist_disjoint", 3), ("official", 1)])
PROPERTY = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def split_or_skip(table: pd.DataFrame, kind: tuple[str, int], seed: int = 0, share: float = 0.15) -> pd.DataFrame:
    """Split, or give the example up where the corpus is too small for the kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ArtistTransferWarning)
        try:
            return make_split(table, kind=kind[0], folds=kind[1], seed=seed, test_share=share)
        except ArtistTransferError:
            assume(False)
            raise


def components(table: pd.DataFrame, columns: list[str]) -> list[int]:
    """Label what must stay together, by brute force."""
    labels = list(range(len(table)))
    changed = True
    while changed:
        changed = False
        for column in columns:
            for rows in table.reset_index(drop=True).groupby(column).indices.values():
                low = min(labels[row] for row in rows)
                changed |= any(labels[row] != low for row in rows)
                for row in rows:
                    labels[row] = low
    return labels
