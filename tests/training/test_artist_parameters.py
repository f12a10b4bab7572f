"""Learning rates by the paper, and the plateau of a validation loss by a series made up for it."""

from __future__ import annotations

import json

import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.training.artist_parameters import ArtistTrainParams, Plateau


def test_the_defaults_are_those_of_the_paper_and_its_code() -> None:
    params = ArtistTrainParams(epochs=1000)
    assert (params.batch, params.momentum, params.decay, params.l2) == (15, 0.9, 1e-6, 1e-5)
    assert (params.loss, params.negatives, params.margin, params.factor) == ("hinge", 4, 0.4, 0.2)
    assert params.first_rate("basic") == params.first_rate("tag") == 0.015 and params.first_rate("siamese") == 0.1
    # the released Siamese file was written with this learning rate
    assert params.rate("siamese", step=0, reductions=params.max_reductions) == pytest.approx(2.56e-7)


def test_the_rate_decays_with_every_update() -> None:
    params = ArtistTrainParams(epochs=1, learning_rate=0.5, decay=1e-2)
    assert [params.rate("basic", step=n, reductions=0) for n in (0, 100, 300)] == pytest.approx([0.5, 0.25, 0.125])
    assert params.rate("basic", step=100, reductions=2) == pytest.approx(0.25 * 0.04)
    assert ArtistTrainParams(epochs=1).rate("siamese", step=10**6, reductions=0) == pytest.approx(0.05)


def test_the_plateau_of_a_series() -> None:
    plateau = Plateau(patience=2, max_reductions=2)
    series = [5.0, 4.0, 4.0, 4.5, 3.0, 3.1, 2.9, 2.9, 2.9, 2.95, 2.9, 1.0]
    lower = [True, True, False, False, True, False, True, False, False, False, False]
    reductions = [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2]
    seen = []
    for epoch, loss in enumerate(series, start=1):
        if plateau.ended:
            break
        seen.append((plateau.see(loss, epoch=epoch), plateau.reductions))
    assert seen == list(zip(lower, reductions, strict=True))
    assert plateau.ended and (plateau.best, plateau.best_epoch) == (2.9, 7)


def test_a_loss_must_fall_by_enough() -> None:
    plateau = Plateau(patience=2, max_reductions=5, min_delta=0.1)
    assert [plateau.see(loss, epoch=1) for loss in (1.0, 0.95, 0.91)] == [True, False, False]
    assert plateau.reductions == 1 and plateau.see(0.89, epoch=4)


def test_without_reductions_it_is_early_stopping() -> None:
    plateau = Plateau(patience=3, max_reductions=0)
    for epoch, loss in enumerate([1.0, 1.1, 1.2, 1.3], start=1):
        assert not plateau.ended
        plateau.see(loss, epoch=epoch)
    assert plateau.ended and plateau.best_epoch == 1


def test_a_plateau_goes_on_from_its_state() -> None:
    series = [3.0, 2.0, 2.0, 2.0, 2.0, 1.5, 1.6, 1.6, 1.6, 1.6]
    whole = Plateau(patience=2, max_reductions=3)
    for epoch, loss in enumerate(series, start=1):
        whole.see(loss, epoch=epoch)
    for cut in range(len(series)):
        first, second = Plateau(patience=2, max_reductions=3), Plateau(patience=2, max_reductions=3)
        for epoch, loss in enumerate(series[:cut], start=1):
            first.see(loss, epoch=epoch)
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        for epoch, loss in enumerate(series[cut:], start=cut + 1):
            second.see(loss, epoch=epoch)
        assert second.state_dict() == whole.state_dict()


def test_what_cannot_change_a_net_is_no_part_of_it() -> None:
    one = ArtistTrainParams(epochs=3)
    same = ArtistTrainParams(epochs=3, checkpoint_every_s=5, threads=2)
    assert one.identity("siamese") == same.identity("siamese")
    other = ArtistTrainParams(epochs=3, margin=0.5, loss="triplet")
    assert one.identity("basic") == other.identity("basic") and one.identity("siamese") != other.identity("siamese")
    assert one.identity("basic") == ArtistTrainParams(epochs=3, learning_rate=0.015).identity("basic")
    assert one.identity("basic") != ArtistTrainParams(epochs=3, batch=16).identity("basic")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("batch", 1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("decay", -1.0),
        ("momentum", 1.0),
        ("l2", -1.0),
        ("factor", 1.0),
        ("factor", 0.0),
        ("patience", 0),
        ("max_reductions", -1),
        ("min_delta", -1.0),
        ("validation_crops", 0),
        ("loss", "quadruplet"),
        ("negatives", 0),
        ("margin", 0.0),
        ("temperature", 0.0),
        ("distance", "manhattan"),
        ("statistics", "none"),
        ("precision", "float16"),
        ("checkpoint_every_s", -1.0),
        ("seed", -1),
        ("threads", 0),
    ],
)
def test_bad_parameters_are_named(key: str, value: object) -> None:
    with pytest.raises(ArtistTransferError, match=rf"artist_training\.{key}"):
        ArtistTrainParams(**{"epochs": 1, key: value})
