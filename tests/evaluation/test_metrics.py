"""Scores against scikit-learn, by hand, and on bad tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation import metrics


def table(truth: list[str], probabilities: np.ndarray, classes: list[str], artists: list[str | None] | None = None):
    ids = [f"t{k:04d}" for k in range(len(truth))]
    return metrics.make_predictions(
        pd.DataFrame(probabilities, index=ids, columns=classes),
        dict(zip(ids, truth)),
        artists=None if artists is None else dict(zip(ids, artists)),
    )


def random_table(seed: int, n: int, classes: str, drawn: str) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    truth = draw.choice(list(drawn), n).tolist()
    probabilities = draw.dirichlet(np.full(len(classes), 0.5), n)
    return table(truth, probabilities, list(classes))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("classes", "drawn"), [("abcd", "abcd"), ("abcdef", "bd"), ("ab", "a")])
@pytest.mark.parametrize("n", [1, 7, 200])
def test_equal_to_scikit_learn(seed: int, classes: str, drawn: str, n: int) -> None:
    predictions = random_table(seed, n, classes, drawn)
    truth, predicted = predictions["genre_true"], predictions["genre_predicted"]
    occurring = sorted(set(truth))
    f1 = sklearn.metrics.f1_score(truth, predicted, labels=occurring, average=None, zero_division=0)
    by_genre = metrics.f1_by_genre(predictions)
    assert by_genre["genre"].tolist() == occurring
    np.testing.assert_allclose(by_genre["f1"], f1, atol=1e-12)
    for name, score in (("precision", "precision_score"), ("recall", "recall_score")):
        expected = getattr(sklearn.metrics, score)(truth, predicted, labels=occurring, average=None, zero_division=0)
        np.testing.assert_allclose(by_genre[name], expected, atol=1e-12)
    assert metrics.f1_macro(predictions) == pytest.approx(f1.mean(), abs=1e-12)
    assert metrics.accuracy(predictions) == pytest.approx(sklearn.metrics.accuracy_score(truth, predicted))
    columns = [f"p_{name}" for name in classes]
    p = np.maximum(predictions[columns].to_numpy(), 1e-8)
    expected = sklearn.metrics.log_loss(truth, p / p.sum(axis=1, keepdims=True), labels=list(classes))
    assert metrics.log_loss(predictions) == pytest.approx(expected, abs=1e-5)
    matrix = sklearn.metrics.confusion_matrix(truth, predicted, labels=list(classes))
    np.testing.assert_array_equal(metrics.confusion_matrix(predictions), matrix)


def test_by_hand() -> None:
    predictions = table(
        ["a", "a", "b", "c"],
        np.array([[0.5, 0.3, 0.2], [0.2, 0.7, 0.1], [0.1, 0.9, 0.0], [0.6, 0.4, 0.0]]),
        list("abc"),
    )
    # a: hit 1 of 2, predicted 2; b: hit 1 of 1, predicted 2; c: none, probability 0
    assert metrics.f1_macro(predictions) == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert metrics.accuracy(predictions) == 0.5
    expected = -(np.log(0.5) + np.log(0.2) + np.log(0.9) + np.log(1e-8)) / 4
    assert metrics.log_loss(predictions) == pytest.approx(expected, abs=1e-12)


def test_a_genre_that_is_only_predicted_is_no_class_of_the_mean() -> None:
    predictions = table(["a", "a"], np.array([[0.9, 0.1], [0.1, 0.9]]), list("ab"))
    assert metrics.f1_macro(predictions) == pytest.approx(2 / 3)


def test_a_genre_without_training_tracks_stays_and_is_named() -> None:
    predictions = table(["a", "new", "new"], np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]), list("ab"))
    checked = metrics.validate(predictions)
    assert checked.unseen == {"new": 2}
    assert checked.classes == ("a", "b", "new")
    assert metrics.log_loss(predictions) == pytest.approx((-np.log(0.9) - 2 * np.log(1e-8)) / 3)
    assert metrics.accuracy(predictions) == pytest.approx(1 / 3)
    assert metrics.f1_macro(predictions) == pytest.approx((2 / 3 + 0) / 2)
    assert metrics.confusion_matrix(predictions).loc["new"].to_dict() == {"a": 1, "b": 1, "new": 0}


def test_the_best_possible() -> None:
    perfect = table(["a", "b"], np.eye(2), list("ab"))
    assert (metrics.log_loss(perfect), metrics.f1_macro(perfect), metrics.accuracy(perfect)) == (0.0, 1.0, 1.0)


def test_folds_are_pooled_with_zeros_for_genres_not_trained_on() -> None:
    one = metrics.make_predictions(pd.DataFrame({"a": [0.4], "b": [0.6]}, index=["y"]), {"y": "a"}, fold=0)
    two = metrics.make_predictions(
        pd.DataFrame({"b": [0.7], "c": [0.3]}, index=["x"]), {"x": "b"}, artists={"x": "q"}, fold=1
    )
    pooled = metrics.pool_predictions([one, two])
    assert pooled["track_id"].tolist() == ["x", "y"]
    assert pooled["fold"].tolist() == [1, 0]
    assert pooled["artist_id"].isna().tolist() == [False, True]
    np.testing.assert_array_equal(pooled[["p_a", "p_b", "p_c"]], [[0, 0.7, 0.3], [0.4, 0.6, 0]])
    assert metrics.log_loss(pooled) == pytest.approx((metrics.log_loss(one) + metrics.log_loss(two)) / 2)
    with pytest.raises(ArtistTransferError, match="more than once: y"):
        metrics.pool_predictions([one, one])
    with pytest.raises(ArtistTransferError, match="no predictions to pool"):
        metrics.pool_predictions([])


def spoil(column: str, value: object):
    def change(predictions: pd.DataFrame) -> pd.DataFrame:
        values = predictions[column].astype(object).tolist()
        values[1] = value
        predictions[column] = values
        return predictions.infer_objects()

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil("p_a", float("nan")), "not finite for t0001"),
        (spoil("p_a", float("inf")), "not finite for t0001"),
        (spoil("p_a", 5.0), "sum to 1; track 't0001'"),
        (spoil("genre_predicted", "z"), r"unknown genre_predicted \['z'\]"),
        (spoil("genre_true", None), "genre_true is missing for t0001"),
        (spoil("track_id", "t0000"), "more than once: t0000"),
        (lambda t: t.assign(p_a=-0.2, p_b=1.2), "in \\[0, 1\\]"),
        (lambda t: t.iloc[:0], "nothing to evaluate"),
        (lambda t: t.drop(columns="fold"), "columns missing: \\['fold'\\]"),
        (lambda t: t.drop(columns=["p_a", "p_b"]), "p_<genre>"),
        (lambda t: t.assign(genre_predicted=["b", "b"]), "not the most probable for t0000"),
    ],
)
@pytest.mark.parametrize("metric", [metrics.log_loss, metrics.f1_macro, metrics.accuracy, metrics.confusion_matrix])
def test_bad_tables(change, message: str, metric) -> None:
    predictions = table(["a", "b"], np.array([[0.8, 0.2], [0.3, 0.7]]), list("ab"))
    with pytest.raises(ArtistTransferError, match=message):
        metric(change(predictions))


def test_a_track_without_genre_cannot_be_evaluated() -> None:
    with pytest.raises(ArtistTransferError, match="1 evaluated tracks have no genre: x"):
        metrics.make_predictions(pd.DataFrame({"a": [1.0]}, index=["x"]), {"x": None})
