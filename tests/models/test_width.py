"""The wide net: its parameters are counted as torch counts them, and come within 1 % of the nets' together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet, count_parameters
from artist_transfer.models.width import parameters_of, solve_width

GENRE = DcnnConfig(outputs=(("g", 16),))
FACTORS = DcnnConfig(outputs=(("s", 40),))


@pytest.mark.parametrize("width", [0.3, 1.0, 1.44])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("outputs", [(("g", 16),), (("g", 5), ("s", 40), ("m", 12))])
def test_the_count_is_that_of_the_net(width: float, shared: bool, outputs: tuple[tuple[str, int], ...]) -> None:
    config = DcnnConfig(outputs=outputs, width=width, shared=shared)
    assert parameters_of(config) == count_parameters(MultiTaskNet(config))


@pytest.mark.parametrize(("n", "paper"), [(2, 1.44), (3, 1.75), (4, 2.0), (5, 2.25)])
def test_a_wide_net_is_as_large_as_n_nets(n: int, paper: float) -> None:
    nets = [GENRE, *[FACTORS] * (n - 1)]
    width = solve_width(GENRE, nets)
    count = count_parameters(MultiTaskNet(replace(GENRE, width=width)))
    assert count == pytest.approx(sum(map(parameters_of, nets)), rel=0.01)
    assert width == pytest.approx(paper, abs=0.03)


def test_one_net_has_its_own_width() -> None:
    assert parameters_of(replace(GENRE, width=solve_width(GENRE, [GENRE]))) == parameters_of(GENRE)


def test_what_cannot_be_reached_is_an_error() -> None:
    with pytest.raises(ArtistTransferError, match="no width gives"):
        solve_width(GENRE, [replace(GENRE, width=0.01)])
