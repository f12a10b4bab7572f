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
    narrow = replace(GENRE, width=0.07)  # where one channel more is several per cent of the net
    with pytest.raises(ArtistTransferError, match=r"no width gives \d+ parameters within 1%; the nearest, 0\.1"):
        solve_width(narrow, [narrow, replace(narrow, outputs=(("m", 40),))])


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("width", [0.15, 0.25, 3.0, 4.0, 8.0])
def test_nets_of_any_width_have_a_wide_one(width: float, n: int) -> None:
    one = replace(GENRE, width=width)
    nets = [one, *[replace(one, outputs=(("m", 40),))] * (n - 1)]
    found = parameters_of(replace(one, width=solve_width(one, nets)))
    assert found == pytest.approx(sum(map(parameters_of, nets)), rel=0.01)


@pytest.mark.parametrize(
    ("width", "found"),
    [
        (0.25, [0.3613, 0.4434, 0.5136718749999999, 0.5761718749999999]),
        (1.0, [1.4199, 1.7422, 2.0136718749999996, 2.2539]),
        (2.5, [3.5410156250000004, 4.33984375, 5.013671874999999, 5.6074]),
    ],
)
def test_widths_that_finished_nets_are_filed_under_stay_the_same(width: float, found: list[float]) -> None:
    one = DcnnConfig(outputs=(("g", 16),), shared=False, width=width)
    factor = replace(one, outputs=(("m", 40),))
    assert [solve_width(one, [one, *[factor] * (n - 1)]) for n in (2, 3, 4, 5)] == found
