"""Logistic regression and a neural network on fixed features: against scikit-learn, and on what no line can part."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.further_probes import NeuralProbeParams, logistic_probe, neural_probe
from artist_transfer.evaluation.target_labels import LabelledSplit, labelled_split

N = 120
IDS = tuple(f"t{k:03d}" for k in range(N))
TRACKS = pd.DataFrame({"track_id": IDS, "artist_id": [f"artist{k // 3:02d}" for k in range(N)]})


def split_of(labels: list[str]) -> LabelledSplit:
    return labelled_split(dict(zip(IDS, labels, strict=True)), train_ids=IDS[:90], test_ids=IDS[90:])


def test_logistic_regression_is_scikit_learns_on_columns_standardised_in_training() -> None:
    draw = np.random.default_rng(0)
    codes = draw.integers(3, size=N)
    vectors = (draw.normal(size=(N, 5)) + codes[:, None] * [1.0, -1.0, 0.5, 0.0, 0.2]) * [1, 100, 1, 1, 1]
    split = split_of([f"genre {k}" for k in codes])
    found = logistic_probe(Embeddings(IDS, vectors.astype(np.float32)), split, C=0.3)
    scaler = StandardScaler().fit(vectors[:90])
    model = LogisticRegression(C=0.3, max_iter=5000).fit(scaler.transform(vectors[:90]), codes[:90])
    expected = [f"genre {k}" for k in model.predict(scaler.transform(vectors[90:]))]
    assert found.table["label_predicted"].tolist() == expected
    with pytest.raises(ArtistTransferError, match="C must be positive"):
        logistic_probe(Embeddings(IDS, vectors), split, C=0.0)


def circle() -> tuple[Embeddings, LabelledSplit]:
    """What is near the middle is of one label, what is far of the other: no line parts them."""
    draw = np.random.default_rng(1)
    angle, near = draw.uniform(0, 2 * np.pi, N), np.arange(N) % 2 == 0
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.where(near, 0.4, 2.0)[:, None]
    return Embeddings(IDS, vectors.astype(np.float32)), split_of(["near" if x else "far" for x in near])


def test_dense_layers_part_what_no_line_does() -> None:
    embeddings, split = circle()
    params = NeuralProbeParams(hidden=(32,), dropout=0.0, learning_rate=1e-2, batch=16, trials=2)
    neural = neural_probe(embeddings, split, TRACKS, params=params)
    assert neural.accuracy == 1.0
    assert logistic_probe(embeddings, split).accuracy < 0.8
    assert sorted(neural.table["trial"].unique()) == [0, 1]


def test_test_tracks_have_no_say_and_equal_seeds_give_equal_answers() -> None:
    embeddings, split = circle()
    params = NeuralProbeParams(hidden=(8,), max_epochs=5)
    first = neural_probe(embeddings, split, TRACKS, params=params).table
    pd.testing.assert_frame_equal(first, neural_probe(embeddings, split, TRACKS, params=params).table)
    moved = embeddings.vectors.copy()
    moved[90] += 50
    other = neural_probe(Embeddings(IDS, moved), split, TRACKS, params=params).table
    pd.testing.assert_frame_equal(first.iloc[1:], other.iloc[1:])


@pytest.mark.parametrize("wrong", [{"hidden": (0,)}, {"trials": 0}, {"dropout": 1.0}])
def test_what_cannot_be_trained_with_is_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ArtistTransferError, match="neural_probe"):
        NeuralProbeParams(**wrong)  # type: ignore[arg-type]
