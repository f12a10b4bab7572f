"""Losses against numbers worked out by hand, and against those of pytorch-metric-learning where they are the same."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from artist_transfer.errors import ArtistTransferError
from artist_transfer.training.artist_losses import (
    artist_values,
    combined,
    contrastive,
    distances,
    hinge,
    relevance,
    siamese_values,
    softmax_over_negatives,
    tag_values,
    triplet,
)

# cosines with the anchors: first row 0.6 | 0.8, 0 ; second row 0 | 1, -1
ANCHORS = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
POSITIVES = torch.tensor([[3.0, 4.0], [5.0, 0.0]])
NEGATIVES = torch.tensor([[[4.0, 3.0], [0.0, 7.0]], [[0.0, 0.5], [0.0, -2.0]]])


def close(values: Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(values, torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_relevance_is_the_cosine() -> None:
    torch.testing.assert_close(relevance(ANCHORS, NEGATIVES), torch.tensor([[0.8, 0.0], [1.0, -1.0]]))
    torch.testing.assert_close(relevance(ANCHORS, POSITIVES[:, None]), torch.tensor([[0.6], [0.0]]))
    x, others = torch.randn(5, 8), torch.randn(5, 3, 8)
    expected = torch.nn.functional.cosine_similarity(x[:, None], others, dim=2)
    torch.testing.assert_close(relevance(x, others), expected, rtol=1e-5, atol=1e-6)


def test_the_hinge_of_the_paper() -> None:
    # 0.4 - 0.6 + 0.8 = 0.6, 0.4 - 0.6 + 0 < 0 ; 0.4 - 0 + 1 = 1.4, 0.4 - 0 - 1 < 0
    close(hinge(ANCHORS, POSITIVES, NEGATIVES), [0.6, 1.4])
    close(hinge(ANCHORS, POSITIVES, NEGATIVES, margin=1.0), [1.2 + 0.4, 2.0 + 0.0])
    close(combined(hinge(ANCHORS, POSITIVES, NEGATIVES), loss="hinge"), 2.0)  # summed over the batch too


def test_the_softmax_over_negatives() -> None:
    expected = [
        -0.6 + math.log(math.exp(0.6) + math.exp(0.8) + 1),
        math.log(1 + math.exp(1) + math.exp(-1)),
    ]
    close(softmax_over_negatives(ANCHORS, POSITIVES, NEGATIVES), expected)
    half = -1.2 + math.log(math.exp(1.2) + math.exp(1.6) + 1)
    close(softmax_over_negatives(ANCHORS, POSITIVES, NEGATIVES, temperature=0.5)[:1], [half])
    same = torch.ones(1, 4, 6)
    close(siamese_values(same, loss="softmax"), [math.log(3)])


def test_distances() -> None:
    close(distances(ANCHORS, POSITIVES[:, None], kind="euclidean")[:, 0], [math.sqrt(17), math.sqrt(34)])
    close(distances(ANCHORS, POSITIVES[:, None], kind="cosine")[:, 0], [0.4, 1.0])
    close(distances(ANCHORS, POSITIVES[:, None], kind="unit")[:, 0], [math.sqrt(0.8), math.sqrt(2)])


def test_the_contrastive_loss_of_the_slides() -> None:
    # cosine distances: positives 0.4, 1; negatives 0.2, 1 and 0, 2
    expected = [(0.4**2 + 0.3**2) / 2, (1.0**2 + 0.5**2) / 2]
    close(contrastive(ANCHORS, POSITIVES, NEGATIVES, margin=0.5, distance="cosine"), expected)
    # euclidean distances: positives √17, √34; negatives √13, √53 and 2.5, 5
    expected = [(17 + (7 - math.sqrt(13)) ** 2) / 2, (34 + 4.5**2 + 2**2) / 2]
    close(contrastive(ANCHORS, POSITIVES, NEGATIVES, margin=7, distance="euclidean"), expected)


def test_the_triplet_hinge_of_the_slides_with_one_and_many_negatives() -> None:
    expected = [math.sqrt(17) - math.sqrt(13) + 4, (math.sqrt(34) - 2.5 + 4) + (math.sqrt(34) - 5 + 4)]
    expected[0] += math.sqrt(17) - math.sqrt(53) + 4
    close(triplet(ANCHORS, POSITIVES, NEGATIVES, margin=4, distance="euclidean"), expected)
    one = triplet(ANCHORS, POSITIVES, NEGATIVES[:, :1], margin=4, distance="euclidean")
    close(one, [math.sqrt(17) - math.sqrt(13) + 4, math.sqrt(34) - 2.5 + 4])
    close(triplet(ANCHORS, POSITIVES, NEGATIVES, margin=0.4, distance="cosine"), [0.6, 1.4])


def random_features(seed: int = 0, *, negatives: int = 4) -> Tensor:
    return torch.randn(7, 2 + negatives, 16, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def library(loss: object, features: Tensor) -> Tensor:
    """Give the library's loss the same anchors, positives and negatives."""
    batch, columns, width = features.shape
    places = torch.arange(batch * columns).view(batch, columns)
    anchors, positives, negatives = places[:, :1], places[:, 1:2], places[:, 2:]
    each = anchors.expand_as(negatives).flatten()
    if type(loss).__name__ == "TripletMarginLoss":
        indices = (each, positives.expand_as(negatives).flatten(), negatives.flatten())
    else:
        indices = (anchors.flatten(), positives.flatten(), each, negatives.flatten())
    return loss(features.reshape(-1, width), places.flatten(), indices)


@pytest.mark.parametrize("negatives", [1, 4])
@pytest.mark.parametrize("name", ["hinge", "triplet.unit", "triplet.euclidean", "softmax"])
def test_where_a_library_has_the_same_loss_value_and_gradient_are_its(name: str, negatives: int) -> None:
    from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
    from pytorch_metric_learning.losses import NTXentLoss, TripletMarginLoss
    from pytorch_metric_learning.reducers import SumReducer

    ours, theirs = random_features(negatives=negatives), random_features(negatives=negatives)
    loss, _, distance = name.partition(".")
    values = siamese_values(ours, loss=loss, margin=0.4, temperature=0.3, distance=distance or "unit")
    other = {
        "hinge": lambda: TripletMarginLoss(margin=0.4, distance=CosineSimilarity(), reducer=SumReducer()),
        "triplet.unit": lambda: TripletMarginLoss(margin=0.4, distance=LpDistance(), reducer=SumReducer()),
        "triplet.euclidean": lambda: TripletMarginLoss(
            margin=0.4, distance=LpDistance(normalize_embeddings=False), reducer=SumReducer()
        ),
        "softmax": lambda: NTXentLoss(temperature=0.3, distance=CosineSimilarity(), reducer=SumReducer()),
    }[name]()
    expected = library(other, theirs)
    assert float(expected.detach()) > 0
    torch.testing.assert_close(values.sum(), expected, rtol=1e-5, atol=1e-5)
    values.sum().backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["hinge", "softmax", "contrastive", "triplet"])
@pytest.mark.parametrize("distance", ["unit", "euclidean", "cosine"])
def test_features_that_are_zero_or_equal_have_finite_gradients(loss: str, distance: str) -> None:
    for features in (torch.zeros(2, 4, 5), torch.ones(2, 4, 5)):
        features.requires_grad_()
        values = siamese_values(features, loss=loss, distance=distance)
        assert values.isfinite().all()
        values.sum().backward()
        assert features.grad is not None and features.grad.isfinite().all()


@pytest.mark.parametrize("loss", ["hinge", "softmax", "contrastive", "triplet"])
def test_a_step_down_the_gradient_brings_positives_near(loss: str) -> None:
    features = random_features(3)
    siamese_values(features, loss=loss, margin=1.0).sum().backward()
    with torch.no_grad():
        after = features - 0.05 * features.grad

    def gap(x: Tensor) -> float:
        return float((relevance(x[:, 0], x[:, 1:2]) - relevance(x[:, 0], x[:, 2:])).detach().mean())

    assert gap(after) > gap(features)


def test_artists_are_a_softmax_and_tags_are_sigmoids() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0], [math.log(2), 0.0, 0.0]])
    close(artist_values(logits, torch.tensor([1, 0])), [math.log(3), math.log(2)])
    tags = torch.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    close(tag_values(logits, tags), [math.log(2), (math.log(1.5) + 2 * math.log(2)) / 3])


def test_only_the_hinge_is_summed_over_the_batch() -> None:
    values = torch.tensor([1.0, 2.0, 6.0])
    assert float(combined(values, loss="hinge")) == 9
    for name in ("softmax", "contrastive", "triplet", "basic", "tag"):
        assert float(combined(values, loss=name)) == 3


def test_half_precision_features_are_compared_in_float32() -> None:
    features = random_features().detach().bfloat16()
    values = siamese_values(features, loss="hinge")
    assert values.dtype == torch.float32
    torch.testing.assert_close(values, siamese_values(features.float(), loss="hinge"))
    assert artist_values(features[0], torch.zeros(6, dtype=torch.int64)).dtype == torch.float32
    assert tag_values(features[0], torch.zeros(6, 16)).dtype == torch.float32


def test_unknown_losses_and_missing_negatives_are_errors() -> None:
    with pytest.raises(ArtistTransferError, match="allowed are hinge, softmax"):
        siamese_values(torch.ones(2, 3, 4), loss="quadruplet")
    with pytest.raises(ArtistTransferError, match="1 or more negatives"):
        siamese_values(torch.ones(2, 2, 4), loss="hinge")
