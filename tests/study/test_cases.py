"""Names of cases: the paper's grid is complete, and every name that is none is refused with what is allowed."""

from __future__ import annotations

from itertools import combinations

import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.study.cases import all_cases, multi, parse_cases, single, tasks_of


def names(text: str, tasks: str = "gsedm") -> list[str]:
    return [case.name for case in parse_cases(text, tasks=tasks)]


def test_the_grid_is_the_papers_62_cells_five_of_which_name_a_net_twice() -> None:
    subsets = ["".join(s) for n in range(1, 6) for s in combinations("gsedm", n)]
    cells = [make(subset) for subset in subsets for make in (single, multi)]
    assert len(cells) == 62
    grid = all_cases("grid")
    assert set(grid) == set(cells)
    assert len(grid) == 57


def test_all_is_grid_wide_and_controls_each_once() -> None:
    parts = [all_cases(kind) for kind in ("grid", "wide", "controls")]
    assert all_cases("all") == tuple(case for part in parts for case in part)
    assert [case.name for case in parts[1]] == ["g-wstn2", "g-wstn3", "g-wstn4", "g-wstn5"]
    assert {case.kind for case in parts[2]} == {"control"}
    assert {"a-stn", "ga-stn", "ga-mtn", "gM-mtn", "gSEDM-mtn"} <= {case.name for case in parts[2]}


def test_a_subset_means_both_architectures_and_one_task_is_one_net() -> None:
    assert names("g+gs+gsedm") == ["g-stn", "gs-stn", "gs-mtn", "gsedm-stn", "gsedm-mtn"]
    assert names("g-mtn") == ["g-stn"]
    assert names("mg-stn+gm") == ["gm-stn", "gm-mtn"]  # any order of letters, each case once


def test_single_task_nets_are_shared_by_all_combinations() -> None:
    cases = [case for case in all_cases("grid") if case.architecture == "stn"]
    assert len(cases) == 31
    assert {net for case in cases for net in case.nets} == {f"{task}-stn" for task in "gsedm"}
    assert multi("gs").nets == ("gs-mtn",)


def test_fewer_tasks_make_smaller_sets() -> None:
    assert names("all", "gs") == [
        *("g-stn", "s-stn", "gs-stn", "gs-mtn", "g-wstn2"),
        *("a-stn", "ga-stn", "ga-mtn", "gS-stn", "gS-mtn"),
    ]
    assert names("wide", "sd") == []


def test_a_shuffled_task_needs_the_factors_it_was_shuffled_from() -> None:
    assert tasks_of(parse_cases("gM+ga+s-stn")) == "gsm"


@pytest.mark.parametrize("text", ["", "gx", "g++s", "gg", "g-wstn1", "gs-wstn2", "g-foo", "all,grid"])
def test_what_is_no_case_is_refused(text: str) -> None:
    with pytest.raises(ArtistTransferError, match=r"Allowed, joined by|a wide net learns genre"):
        parse_cases(text)


def test_a_task_that_the_run_has_not_is_named() -> None:
    with pytest.raises(ArtistTransferError, match="'gM' needs task m, but tasks=gs"):
        parse_cases("gM", tasks="gs")
