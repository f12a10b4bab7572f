"""Artists on a plane: who is near whom, and who is there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.artist_map import artist_map
from artist_transfer.evaluation.segments import SegmentFeatures


def world(n_artists: int, *, n_genres: int = 2, width: int = 8) -> tuple[SegmentFeatures, pd.DataFrame]:
    draw = np.random.default_rng(0)
    rows = [
        (f"t{a:03d}{k}", f"a{a:03d}", f"Artist {a}", "pqr"[a % n_genres]) for a in range(n_artists) for k in range(2)
    ]
    table = pd.DataFrame(rows, columns=["track_id", "artist_id", "artist", "genre_top"])
    index = np.repeat(np.arange(len(table)), 3)
    centres = 20 * np.eye(n_genres, width)[[a % n_genres for a in range(n_artists) for _ in range(2)]]
    features = centres[index] + draw.normal(size=(len(index), width))
    return SegmentFeatures(features.astype(np.float32), index, tuple(table["track_id"])), table


@pytest.mark.parametrize("n_artists", [1, 2, 3, 4, 5, 9, 40])
def test_any_number_of_artists(n_artists: int) -> None:
    places = artist_map(*world(n_artists))
    assert list(places.columns) == ["artist_id", "artist", "genre", "x", "y", "n_tracks"]
    assert places["artist_id"].tolist() == [f"a{k:03d}" for k in range(n_artists)]
    assert np.isfinite(places[["x", "y"]].to_numpy()).all()
    assert (places["n_tracks"] == 2).all()


def test_nearest_artists_are_of_the_same_genre() -> None:
    places = artist_map(*world(40))
    at = places[["x", "y"]].to_numpy()
    distance = np.linalg.norm(at[:, None] - at[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    genre = places["genre"].to_numpy()
    assert (genre[distance.argmin(axis=1)] == genre).mean() > 0.95


def test_two_artists_keep_their_distance() -> None:
    """Principal components of two points: one axis, the distance of their mean vectors."""
    features, table = world(2)
    places = artist_map(features, table)
    means = features.track_means().reshape(2, 2, -1).mean(axis=1, dtype=np.float64)
    at = places[["x", "y"]].to_numpy()
    assert np.linalg.norm(at[0] - at[1]) == pytest.approx(np.linalg.norm(means[0] - means[1]), rel=1e-6)
    assert np.abs(at[:, 1]).max() < 1e-4


def test_deterministic_and_independent_of_row_order() -> None:
    features, table = world(12)
    expected = artist_map(features, table, seed=3)
    pd.testing.assert_frame_equal(artist_map(features, table, seed=3), expected)
    mixed = table.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(artist_map(features, mixed, seed=3), expected)


def test_majority_genre_ties_and_missing_values() -> None:
    features, table = world(5)
    table.loc[0, "genre_top"] = "z"  # a tie of p and z
    table.loc[2:3, "genre_top"] = None
    table.loc[4, "artist_id"] = None
    table.loc[6:7, "artist"] = None
    places = artist_map(features, table).set_index("artist_id")
    assert places.loc["a000", "genre"] == "p"
    assert places.loc["a001", "genre"] is None
    assert places.loc["a002", "n_tracks"] == 1
    assert places.loc["a003", "artist"] == "a003"


def test_no_artist_is_an_error() -> None:
    features, table = world(2)
    with pytest.raises(ArtistTransferError, match="no map of artists"):
        artist_map(features, table.assign(artist_id=None))
    with pytest.raises(ArtistTransferError, match="no map of artists"):
        artist_map(features, table.iloc[:0])
