from __future__ import annotations

import pandas as pd
import pytest

from artist_transfer.reporting.page_tables import UNREAD, filled, left_out_tables, made_tables, unread_tables

LEFT_OUT = pd.DataFrame({"track_id": ["1", "2", "3"], "reason": ["silent", "unreadable: a", "unreadable: b"]})


@pytest.mark.parametrize("table", [None, LEFT_OUT.head(0)])
def test_nothing_is_shown_where_nothing_was_left_out(table: pd.DataFrame | None) -> None:
    assert filled(table) is None
    assert left_out_tables(table) == {"reasons": None, "quarantine": None}
    assert unread_tables(table) == {"unread_reasons": None, "unread": None}


def test_what_was_left_out_is_shown_by_reason_and_one_by_one() -> None:
    assert filled(LEFT_OUT) is LEFT_OUT
    for found in (left_out_tables(LEFT_OUT), unread_tables(LEFT_OUT)):
        by_reason, each = found.values()
        assert by_reason is not None and each is not None
        assert by_reason.rows == (("unreadable", "2", "2, 3"), ("silent", "1", "1"))
        assert len(each.rows) == len(LEFT_OUT)
    assert unread_tables(LEFT_OUT)["unread_reasons"].caption == UNREAD


def test_how_it_was_made_flattens_parameters_and_may_be_empty() -> None:
    made = made_tables({"seed": 0}, {"search": {"k": 10}, "seed": None})
    assert made["provenance"].rows == (("seed", "0"),)
    assert made["parameters"].rows == (("search.k", "10"), ("seed", "not set"))
    assert all(table.rows == () for table in made_tables(None, None).values())
