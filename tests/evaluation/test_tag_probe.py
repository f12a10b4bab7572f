"""The probe for tags learns, stops, keeps the best, and sees no test row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.tag_probe import DEEP_ARTIST_ID, TagProbe, TagProbeParams, fit_tag_probe, tag_probe
from artist_transfer.evaluation.tagging import TaggedSplit, macro, tag_metrics, tagged_split

N = 200
IDS = tuple(f"t{k:03d}" for k in range(N))
TRACKS = pd.DataFrame({"track_id": IDS, "artist_id": [f"artist{k // 4}" for k in range(N)]})
TAGS = [f"tag{k}" for k in range(6)]
QUICK = TagProbeParams(max_epochs=4, patience=2, batch=32)


def corpus(seed: int = 0) -> tuple[Embeddings, dict[str, list[str] | None]]:
    """Each tag is one side of a plane."""
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(N, 10))
    truth = vectors @ draw.normal(size=(10, 6)) + 0.5 * draw.normal(size=(N, 6)) > 0.5
    words = {x: [TAGS[k] for k in np.flatnonzero(row)] for x, row in zip(IDS, truth)}
    return Embeddings(IDS, (0.2 + 0.3 * vectors).astype(np.float32)), words


def split_of(words: dict[str, list[str] | None], **sides: tuple[str, ...]) -> TaggedSplit:
    return tagged_split(words, train_ids=IDS[:140], test_ids=IDS[140:], **sides)


def same(first: TagProbe, second: TagProbe) -> bool:
    pairs = [
        (a, b)
        for mine, theirs in zip(first.layers, second.layers, strict=True)
        for x, y in zip(mine, theirs, strict=True)
        for a, b in zip(x, y, strict=True)
    ]
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("hidden", [(), (32, 32)])
def test_it_learns_what_can_be_separated(hidden: tuple[int, ...]) -> None:
    embeddings, words = corpus()
    params = TagProbeParams(hidden=hidden, learning_rate=0.01, dropout=0.2, trials=2)
    scores, probe = tag_probe(embeddings, split_of(words), TRACKS, params=params)
    assert scores.scores.shape == (2, 60, 6)
    assert macro(tag_metrics(scores))["auc"] > 0.9
    assert [tuple(w.shape) for w, _ in probe.layers[0]] == ([(6, 10)] if not hidden else [(32, 10), (32, 32), (6, 32)])
    assert scores.counts["n_validation"] >= 14


def test_the_paper_had_two_dense_layers() -> None:
    assert len(DEEP_ARTIST_ID) == 2 and TagProbeParams().hidden == ()


def test_the_best_epoch_is_what_is_kept() -> None:
    embeddings, words = corpus()
    sides = {"train_ids": IDS[:110], "validation_ids": IDS[110:140], "test_ids": IDS[140:]}
    split = tagged_split(words, **sides)
    params = TagProbeParams(learning_rate=0.05, patience=3, hidden=(16,))
    probe = fit_tag_probe(embeddings, split, params=params)
    assert probe.epochs[0] - probe.best_epoch[0] == 3 and probe.not_converged == 0
    (w1, b1), (w2, b2) = probe.layers[0]
    x = probe.scaling.apply(embeddings.of(split.validation))
    logits = torch.relu(x @ w1.T + b1) @ w2.T + b2
    truth = torch.from_numpy(split.truth["validation"]).double()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.double(), truth)
    assert float(loss) == pytest.approx(probe.validation_loss[0], abs=1e-6)
    np.testing.assert_allclose(probe.predict(embeddings.of(split.validation))[0], logits.numpy(), atol=1e-5)
    short = fit_tag_probe(
        embeddings,
        split,
        params=TagProbeParams(learning_rate=0.05, patience=3, hidden=(16,), max_epochs=probe.best_epoch[0]),
    )
    assert same(short, probe) and short.not_converged == 1


def test_test_rows_and_tags_change_nothing() -> None:
    embeddings, words = corpus()
    expected = tag_probe(embeddings, split_of(words), TRACKS, params=QUICK)[1]
    vectors = embeddings.vectors.copy()
    vectors[140:] *= -100
    other = words | {x: ["tag0", "never heard"] for x in IDS[140:]}
    assert same(tag_probe(Embeddings(IDS, vectors), split_of(other), TRACKS, params=QUICK)[1], expected)
    vectors = embeddings.vectors.copy()
    vectors[:140] *= -1
    assert not same(tag_probe(Embeddings(IDS, vectors), split_of(words), TRACKS, params=QUICK)[1], expected)


def test_seeds_and_trials() -> None:
    embeddings, words = corpus()
    split = split_of(words)
    first = tag_probe(embeddings, split, TRACKS, params=TagProbeParams(max_epochs=2, trials=2))[1]
    again = tag_probe(embeddings, split, TRACKS, params=TagProbeParams(max_epochs=2, trials=2))[1]
    alone = tag_probe(embeddings, split, TRACKS, params=TagProbeParams(max_epochs=2))[1]
    assert same(first, again)
    assert torch.equal(first.layers[0][0][0], alone.layers[0][0][0])
    assert not torch.equal(first.layers[0][0][0], first.layers[1][0][0])


def test_errors() -> None:
    embeddings, words = corpus()
    with pytest.raises(ArtistTransferError, match="needs validation tracks"):
        fit_tag_probe(embeddings, split_of(words), params=QUICK)
    for wrong in ({"hidden": (0,)}, {"dropout": 1.0}, {"trials": 0}, {"learning_rate": -1.0}):
        with pytest.raises(ArtistTransferError, match=next(iter(wrong))):
            TagProbeParams(**wrong)
    with pytest.raises(ArtistTransferError, match="nothing can be learned"):
        tag_probe(Embeddings(IDS, np.zeros((N, 4), np.float32)), split_of(words), TRACKS, params=QUICK)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_learns_as_well() -> None:
    embeddings, words = corpus()
    params = TagProbeParams(learning_rate=0.01)
    scores, _ = tag_probe(embeddings, split_of(words), TRACKS, params=params, device="cuda")
    assert macro(tag_metrics(scores))["auc"] > 0.9
