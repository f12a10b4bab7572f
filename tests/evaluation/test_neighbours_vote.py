"""k nearest neighbours: scikit-learn's votes, and the tie rule that is stated."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import EXCLUDED
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.neighbours_vote import neighbours_vote, vote
from artist_transfer.evaluation.target_labels import labelled_split

N = 160
IDS = tuple(f"t{k:03d}" for k in range(N))


def corpus(seed: int = 0) -> tuple[Embeddings, dict[str, str | None]]:
    draw = np.random.default_rng(seed)
    genre = draw.integers(4, size=N)
    vectors = draw.normal(size=(N, 12)) + np.eye(4, 12)[genre]
    return Embeddings(IDS, vectors.astype(np.float32)), {x: "abcd"[k] for x, k in zip(IDS, genre)}


@pytest.mark.parametrize("k", [1, 3, 20])
@pytest.mark.parametrize("rows", [None, 1, 13])
def test_votes_are_scikit_learns_where_they_are_no_tie(k: int, rows: int | None) -> None:
    embeddings, labels = corpus()
    split = labelled_split(labels, train_ids=IDS[:110], test_ids=IDS[110:])
    found = neighbours_vote(embeddings, split, k=k, rows=rows)
    model = KNeighborsClassifier(k, metric="cosine", algorithm="brute")
    model.fit(embeddings.of(split.train), [labels[x] for x in split.train])
    shares = model.predict_proba(embeddings.of(split.test))
    clear = (shares == shares.max(axis=1, keepdims=True)).sum(axis=1) == 1
    assert clear.sum() >= 35
    expected = model.predict(embeddings.of(split.test))
    np.testing.assert_array_equal(found.table["label_predicted"].to_numpy()[clear], expected[clear])
    assert found.counts["k"] == k and found.counts["n_test"] == 50
    # a tie is broken among the labels that tie
    said = split.codes(split.train)  # classes are sorted, as scikit-learn's are
    assert set(said) == set(range(4))
    for row in np.flatnonzero(~clear):
        chosen = split.classes.index(found.table["label_predicted"].iloc[row])
        assert shares[row, chosen] == shares[row].max()


def test_ties_go_to_the_more_similar_then_to_the_alphabet() -> None:
    similarities = np.array([[9, 5, 8, 4], [9, 4, 8, 5], [9, 9, 9, 9], [9, 8, 7, EXCLUDED]])
    labels = np.array([[2, 2, 1, 1], [2, 2, 1, 1], [3, 1, 1, 3], [0, 1, 1, 0]])
    assert vote(labels, similarities, 4).tolist() == [2, 1, 1, 1]


def test_fewer_training_tracks_than_k_all_vote() -> None:
    embeddings, labels = corpus()
    split = labelled_split(labels, train_ids=IDS[:9], test_ids=IDS[110:])
    found = neighbours_vote(embeddings, split)
    assert found.counts["k"] == 9
    votes = [labels[x] for x in IDS[:9]]
    most = max(votes.count(x) for x in votes)
    assert {votes.count(x) for x in found.table["label_predicted"]} == {most}


def test_a_label_of_the_test_tracks_only_is_wrong_and_named() -> None:
    embeddings, labels = corpus()
    labels[IDS[120]] = "new"
    found = neighbours_vote(embeddings, labelled_split(labels, train_ids=IDS[:110], test_ids=IDS[110:]))
    assert found.only_in_test == {"new": 1}
    assert not found.table.set_index("track_id").loc[IDS[120], "correct"]
    assert len(found.table) == 50


def test_test_rows_change_nothing_but_themselves() -> None:
    embeddings, labels = corpus()
    split = labelled_split(labels, train_ids=IDS[:110], test_ids=IDS[110:])
    expected = neighbours_vote(embeddings, split).table["label_predicted"]
    other = labelled_split(labels | dict.fromkeys(IDS[111:], "a"), train_ids=IDS[:110], test_ids=IDS[110:])
    assert neighbours_vote(embeddings, other).table["label_predicted"].equals(expected)
    vectors = embeddings.vectors.copy()
    vectors[111:] = -vectors[111:]
    changed = neighbours_vote(Embeddings(IDS, vectors), split).table["label_predicted"]
    assert changed.iloc[0] == expected.iloc[0]
    assert not changed.equals(expected)


def test_errors() -> None:
    embeddings, labels = corpus()
    split = labelled_split(labels, train_ids=IDS[:110], test_ids=IDS[110:])
    with pytest.raises(ArtistTransferError, match="k must be at least 1"):
        neighbours_vote(embeddings, split, k=0)
    with pytest.raises(ArtistTransferError, match="no vector of 10 tracks"):
        neighbours_vote(Embeddings(IDS[:150], embeddings.vectors[:150]), split)
