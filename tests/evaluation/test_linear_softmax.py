"""The linear softmax: torch's own SGD, Keras's early stopping, no test row in it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.linear_softmax import (
    LinearSoftmax,
    Scaling,
    SoftmaxParams,
    _State,
    fit_linear_softmax,
    linear_softmax,
)
from artist_transfer.evaluation.target_labels import labelled_split

N = 120
IDS = tuple(f"t{k:03d}" for k in range(N))
TRACKS = pd.DataFrame({"track_id": IDS, "artist_id": [f"artist{k // 3}" for k in range(N)]})
QUICK = SoftmaxParams(trials=2, max_epochs=12, patience=3)


def corpus(seed: int = 0, *, apart: float = 3.0) -> tuple[Embeddings, dict[str, str | None]]:
    draw = np.random.default_rng(seed)
    genre = draw.integers(3, size=N)
    vectors = 5 + 2 * (draw.normal(size=(N, 8)) + apart * np.eye(3, 8)[genre])
    return Embeddings(IDS, vectors.astype(np.float32)), {x: "abc"[k] for x, k in zip(IDS, genre)}


def official(labels):
    return labelled_split(labels, train_ids=IDS[:70], validation_ids=IDS[70:90], test_ids=IDS[90:])


def same(first: LinearSoftmax, second: LinearSoftmax) -> bool:
    return np.array_equal(first.weight, second.weight) and np.array_equal(first.bias, second.bias)


def test_it_learns_what_can_be_separated() -> None:
    embeddings, labels = corpus()
    found, fitted = linear_softmax(embeddings, official(labels), TRACKS, params=SoftmaxParams(trials=3, max_epochs=60))
    assert found.accuracy > 0.85
    assert len(found.table) == 3 * 30 and found.counts["n_trials"] == 3
    assert fitted.weight.shape == (3, 8, 3)


def test_the_defaults_are_the_authors() -> None:
    params = SoftmaxParams()
    assert (params.learning_rate, params.momentum, params.batch, params.patience, params.trials) == (
        0.01,
        0.9,
        16,
        8,
        10,
    )


def test_one_epoch_is_torchs_nesterov() -> None:
    params = SoftmaxParams(trials=2, batch=16)
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(50, 8, generator=draw), torch.randint(3, (50,), generator=draw)
    state, twin = (_State.initial(8, 3, params, torch.device("cpu")) for _ in range(2))
    for _ in range(3):
        state.train_epoch([0, 1], x, y, params)
    for trial in range(2):
        net = torch.nn.Linear(8, 3)
        with torch.no_grad():
            net.weight.copy_(twin.weight[trial].T)
            net.bias.copy_(twin.bias[trial, 0])
        optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True)
        for _ in range(3):
            for index in torch.randperm(50, generator=twin.shuffles[trial]).split(16):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(net(x[index]), y[index]).backward()
                optimiser.step()
        torch.testing.assert_close(state.weight[trial].T, net.weight.detach(), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(state.bias[trial, 0], net.bias.detach(), atol=1e-6, rtol=1e-5)


def test_early_stopping_keeps_the_best() -> None:
    embeddings, labels = corpus(apart=0.3)
    split = official(labels)
    params = SoftmaxParams(trials=3, patience=4, max_epochs=300)
    fitted = fit_linear_softmax(embeddings, split, params=params)
    assert fitted.not_converged == 0
    assert [e - b for e, b in zip(fitted.epochs, fitted.best_epoch)] == [4, 4, 4]
    held = fitted.scaling.apply(embeddings.of(split.validation))
    truth = torch.from_numpy(split.codes(split.validation))
    for trial in range(3):
        logits = held @ torch.from_numpy(fitted.weight[trial]) + torch.from_numpy(fitted.bias[trial])
        loss = float(torch.nn.functional.cross_entropy(logits.double(), truth))
        assert loss == pytest.approx(fitted.validation_loss[trial], abs=1e-6)
    # a run that ends where the best epoch was has the same weights: what came later left no trace
    trial = int(np.argmin(fitted.best_epoch))
    short = fit_linear_softmax(
        embeddings, split, params=SoftmaxParams(trials=3, patience=4, max_epochs=fitted.best_epoch[trial])
    )
    np.testing.assert_array_equal(short.weight[trial], fitted.weight[trial])
    assert short.not_converged >= 1


def test_a_trial_is_what_it_would_be_alone() -> None:
    embeddings, labels = corpus()
    split = official(labels)
    few = fit_linear_softmax(embeddings, split, params=SoftmaxParams(trials=1, max_epochs=10))
    many = fit_linear_softmax(embeddings, split, params=SoftmaxParams(trials=4, max_epochs=10))
    np.testing.assert_allclose(many.weight[0], few.weight[0], atol=1e-6)
    assert not np.allclose(many.weight[0], many.weight[1], atol=1e-3)


def test_test_rows_and_labels_change_nothing() -> None:
    embeddings, labels = corpus()
    expected = linear_softmax(embeddings, official(labels), TRACKS, params=QUICK)[1]
    vectors = embeddings.vectors.copy()
    vectors[90:] = 1e6
    other = labels | dict.fromkeys(IDS[90:], "another")
    assert same(linear_softmax(Embeddings(IDS, vectors), official(other), TRACKS, params=QUICK)[1], expected)
    vectors = embeddings.vectors.copy()
    vectors[0] += 1
    assert not same(linear_softmax(Embeddings(IDS, vectors), official(labels), TRACKS, params=QUICK)[1], expected)


def test_validation_artists_are_held_out_where_there_is_no_official_side() -> None:
    embeddings, labels = corpus()
    split = labelled_split(labels, train_ids=IDS[:90], test_ids=IDS[90:])
    found, fitted = linear_softmax(embeddings, split, TRACKS, params=QUICK)
    assert found.counts["n_train"] + found.counts["n_validation"] == 90
    assert found.counts["n_validation"] >= 0.15 * 90
    again = linear_softmax(embeddings, split, TRACKS, params=QUICK)[1]
    assert same(fitted, again)
    other = SoftmaxParams(trials=2, max_epochs=12, patience=3, seed=1)
    assert not same(linear_softmax(embeddings, split, TRACKS, params=other)[1], fitted)


def test_scaling_is_one_number_each() -> None:
    vectors = np.array([[1.0, 2], [3, 6]])
    scaling = Scaling.of(vectors)
    assert (scaling.mean, scaling.deviation) == (3.0, np.std([1, 2, 3, 6]))
    np.testing.assert_allclose(scaling.apply(vectors).numpy(), (vectors - 3) / np.std([1, 2, 3, 6]), rtol=1e-6)


def test_labels_of_one_side_are_counted() -> None:
    embeddings, labels = corpus()
    labels |= {IDS[100]: "new", IDS[0]: "old"}
    found, _ = linear_softmax(embeddings, official(labels), TRACKS, params=QUICK)
    assert found.only_in_test == {"new": 1} and found.only_in_train == {"old": 1}
    assert not found.table.set_index("track_id").loc[IDS[100], "correct"].any()


def test_errors() -> None:
    embeddings, labels = corpus()
    split = labelled_split(labels, train_ids=IDS[:90], test_ids=IDS[90:])
    with pytest.raises(ArtistTransferError, match="needs validation tracks"):
        fit_linear_softmax(embeddings, split, params=QUICK)
    with pytest.raises(ArtistTransferError, match=r"all features .* are 1"):
        linear_softmax(Embeddings(IDS, np.ones((N, 4), np.float32)), split, TRACKS, params=QUICK)
    for wrong in ({"trials": 0}, {"learning_rate": 0.0}, {"momentum": 1.0}, {"validation_share": 0.0}):
        with pytest.raises(ArtistTransferError, match=next(iter(wrong))):
            SoftmaxParams(**wrong)
    with pytest.raises(ArtistTransferError, match="not finite"):
        linear_softmax(embeddings, official(labels), TRACKS, params=SoftmaxParams(learning_rate=1e38, trials=1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_same_classes() -> None:
    embeddings, labels = corpus()
    cpu = linear_softmax(embeddings, official(labels), TRACKS, params=QUICK)[1]
    gpu = linear_softmax(embeddings, official(labels), TRACKS, params=QUICK, device="cuda")[1]
    np.testing.assert_allclose(gpu.weight, cpu.weight, atol=1e-3)
