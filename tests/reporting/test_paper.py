"""The paper's table 4, checked against the paper's other tables."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from artist_transfer.reporting.paper import TABLE_4, TASK_NAMES, paper_result


def test_every_combination_of_tasks_is_there_once() -> None:
    letters = list(TASK_NAMES)
    expected = {"".join(chosen) for size in range(1, 6) for chosen in combinations(letters, size)}
    assert set(TABLE_4) == expected
    assert len(expected) == 31
    assert all((multi is None) == (len(tasks) == 1) for tasks, (_, multi) in TABLE_4.items())


@pytest.mark.parametrize(
    ("with_genre", "architecture", "expected"),
    [  # AGF, table 3
        (False, 0, (1.0079, 0.4932)),
        (True, 0, (0.8540, 0.6154)),
        (False, 1, (0.9618, 0.5168)),
        (True, 1, (0.8486, 0.6155)),
    ],
)
def test_the_averages_are_those_of_table_3(with_genre: bool, architecture: int, expected: tuple[float, float]) -> None:
    rows = [
        values[architecture]
        for tasks, values in TABLE_4.items()
        if ("g" in tasks) == with_genre and values[architecture]
    ]
    assert np.mean(rows, axis=0) == pytest.approx(expected, abs=1.1e-4)


def test_the_best_of_each_number_of_tasks_are_those_of_table_5() -> None:
    best = {2: (0.8606, 0.8578), 3: (0.8361, 0.8335), 4: (0.8211, 0.8132), 5: (0.7893, 0.7727)}
    f1_of_the_mtn = {2: 0.6190, 3: 0.6277, 4: 0.6328, 5: 0.6571}
    for size, expected in best.items():
        rows = [values for tasks, values in TABLE_4.items() if len(tasks) == size]
        found = tuple(min(row[k][0] for row in rows) for k in (0, 1))
        assert found == pytest.approx(expected, abs=1.1e-4)
        assert max(row[1][1] for row in rows) == f1_of_the_mtn[size]


def test_a_row_is_found_in_any_order_of_letters() -> None:
    found = paper_result("mdesg", "mtn")
    assert found is not None
    assert (found.tasks, found.log_loss, found.f1_macro) == ("gsedm", 0.7727, 0.6571)
    assert found.label == "MTN gsedm (paper, FMA medium, stratified)"
    alone = paper_result("g", "mtn")
    assert alone is not None
    assert (alone.architecture, alone.log_loss) == ("stn", 0.8891)
    assert paper_result("gx", "mtn") is None
    assert paper_result("", "stn") is None
    assert paper_result("gs", "wide") is None
