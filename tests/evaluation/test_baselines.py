"""Priors by hand, logistic regression that is fitted on training tracks only."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation import metrics
from artist_transfer.evaluation.baselines import logistic_predictions, prior_predictions

GENRES = {"t1": "a", "t2": "a", "t3": "b", "t4": None, "t5": "c", "t6": "b", "t7": "a"}


def world(n: int = 120, *, noise: float = 1.0) -> tuple[pd.DataFrame, dict[str, str], dict[str, str]]:
    draw = np.random.default_rng(0)
    ids = [f"t{k:03d}" for k in range(n)]
    label = np.arange(n) % 3
    x = np.zeros((n, 5))
    x[:, :3] = 3 * np.eye(3)[label]
    x += noise * draw.normal(size=x.shape)
    x = x * [1, 10, 100, 1000, 1] + [0, 5, 0, 0, 9]
    genres = {track_id: "abc"[k] for track_id, k in zip(ids, label)}
    artists = {track_id: f"artist {k // 6}" for k, track_id in enumerate(ids)}
    return pd.DataFrame(x, index=ids), genres, artists


def test_priors_are_the_shares_of_the_training_tracks() -> None:
    table = prior_predictions(GENRES, ["t1", "t2", "t3", "t4"], ["t5", "t6"])
    assert list(table.columns) == ["a", "b"]
    np.testing.assert_allclose(table, [[2 / 3, 1 / 3], [2 / 3, 1 / 3]])


def test_priors_score_as_entropy_and_majority() -> None:
    train = {f"t{k}": "aaabbc"[k % 6] for k in range(60)}
    predictions = metrics.make_predictions(prior_predictions(train, train, train), train)
    share = np.array([3, 2, 1]) / 6
    assert metrics.log_loss(predictions) == pytest.approx(-(share * np.log(share)).sum())
    assert metrics.accuracy(predictions) == pytest.approx(0.5)
    assert metrics.f1_macro(predictions) == pytest.approx((2 * 0.5 / 1.5) / 3)  # only the majority is ever hit


def test_a_tie_goes_to_the_alphabetically_first() -> None:
    genres = {"t1": "b", "t2": "a"}
    predictions = metrics.make_predictions(prior_predictions(genres, ["t1", "t2"], ["t1"]), genres)
    assert predictions["genre_predicted"].tolist() == ["a"]


def test_logistic_regression_learns_whatever_the_units() -> None:
    statistics, genres, _ = world()
    train, test = list(statistics.index[:90]), list(statistics.index[90:])
    found = logistic_predictions(statistics, genres, train, test, C=[1.0])
    assert found.n_train == 90
    assert found.inner_log_loss == {}
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    predicted = found.probabilities.idxmax(axis=1)
    assert sklearn.metrics.accuracy_score([genres[x] for x in test], predicted) > 0.85
    scaled = logistic_predictions(statistics * 1e3 - 7, genres, train, test, C=[1.0])
    np.testing.assert_allclose(scaled.probabilities, found.probabilities, atol=1e-4)


def test_test_rows_change_nothing_but_themselves() -> None:
    statistics, genres, artists = world()
    train, test = list(statistics.index[:90]), list(statistics.index[90:])
    options = {"C": [0.01, 1.0], "artists": artists}
    expected = logistic_predictions(statistics, genres, train, test, **options)
    changed = statistics.copy()
    changed.loc[test[1:]] = 1e6
    other = logistic_predictions(changed, genres | dict.fromkeys(test, "z"), train[::-1], test, **options)
    np.testing.assert_array_equal(other.probabilities.iloc[0], expected.probabilities.iloc[0])
    assert other.inner_log_loss == expected.inner_log_loss


def test_c_is_chosen_by_artists_not_by_tracks() -> None:
    """Statistics give the artist away and say nothing of the genre: across artists the strong penalty is best."""
    draw = np.random.default_rng(1)
    n_artists, per_artist = 24, 8
    artist = np.repeat(np.arange(n_artists), per_artist)
    ids = [f"t{k:04d}" for k in range(len(artist))]
    x = draw.normal(size=(n_artists, 30))[artist] + 0.05 * draw.normal(size=(len(artist), 30))
    statistics = pd.DataFrame(x, index=ids)
    genres = {track_id: "ab"[k % 2] for track_id, k in zip(ids, artist)}
    by_artist = {track_id: f"artist {k}" for track_id, k in zip(ids, artist)}
    c = [1e-4, 10.0]
    assert logistic_predictions(statistics, genres, ids, ids, C=c, artists=by_artist).C == 1e-4
    assert logistic_predictions(statistics, genres, ids, ids, C=c).C == 10.0


def test_bad_input() -> None:
    statistics, genres, _ = world()
    ids = list(statistics.index)
    with pytest.raises(ArtistTransferError, match="no training track has a genre"):
        prior_predictions({}, ["t1"], ["t2"])
    with pytest.raises(ArtistTransferError, match="two genres, found only 'a'"):
        logistic_predictions(statistics, dict.fromkeys(ids, "a"), ids, ids)
    with pytest.raises(ArtistTransferError, match="missing for 1 tracks, the first is 'zz'"):
        logistic_predictions(statistics, genres, ids, ["zz"])
    with pytest.raises(ArtistTransferError, match="C must be positive"):
        logistic_predictions(statistics, genres, ids, ids, C=[0.0])
    statistics.iloc[3, 0] = np.nan
    with pytest.raises(ArtistTransferError, match="'t003' are not finite"):
        logistic_predictions(statistics, genres, ids, ids)
    assert len(logistic_predictions(*world()[:2], ids, []).probabilities) == 0
