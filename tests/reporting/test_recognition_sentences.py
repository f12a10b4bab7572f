from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.reporting import recognition_builder as builder

from artist_transfer.reporting.recognition_sentences import findings, lead, listed, method
from artist_transfer.reporting.recognition_tables import pair_rows, scored_rows


def scores(*systems: tuple[str, float, float]) -> pd.DataFrame:
    """EER of systems on a number of artists."""
    rows = [
        {"system": f"{name} {n:g}", "encoder": name, "scoring": "cosine", "n_artists_trained": n, "metric": "eer"}
        | {"of": "overall", "value": value, "low": value - 0.02, "high": value + 0.02, "chance": 0.5, "n_units": 30}
        for name, n, value in systems
    ]
    return pd.DataFrame(rows)


def pair(first: str, second: str, effect: float, p_holm: float, *, p: float | None = None) -> dict[str, object]:
    """A paired difference in EER whose interval goes with its p before the correction."""
    p = p_holm if p is None else p
    half = 0.5 * abs(effect) if p < 0.05 else 2 * abs(effect)
    ends = {"low": effect - half, "high": effect + half}
    return (
        {"metric": "eer", "of": "overall", "first": first, "second": second, "effect": effect, "p": p}
        | ends
        | {"p_holm": p_holm}
    )


def said(table: pd.DataFrame, *pairs: dict[str, object]) -> list[tuple[str, str]]:
    rows = scored_rows(table)
    return findings(rows, pair_rows(rows, pd.DataFrame(list(pairs))))


def test_a_lead_that_is_shown_and_one_that_is_not() -> None:
    table = scores(("a", 100, 0.10), ("b", 100, 0.20), ("c", 100, 0.11))
    found = said(
        table,
        pair("a 100", "b 100", -0.1, 0.001),
        pair("c 100", "a 100", 0.01, 0.8),
        pair("b 100", "c 100", 0.09, 0.01),
    )
    assert found[0] == (
        "better",
        "Verification: of 3 systems a · cosine has the lowest EER 0.100 (95 % interval 0.080 to 0.120), trained on "
        "100 artists. It is better than b · cosine (after Holm's correction). No difference could be shown from "
        "c · cosine.",
    )
    assert found[1] == (
        "better",
        "Of 3 paired differences in EER, 2 are shown after Holm's correction: a · cosine is better than b · cosine; "
        "c · cosine is better than b · cosine. Of the last one nothing can be said.",
    )
    assert len(found) == 2


def test_what_falls_to_the_correction_is_open_and_said_so() -> None:
    table = scores(("a", 100, 0.10), ("b", 100, 0.20), ("c", 100, 0.21))
    kinds, sentences = zip(
        *said(table, pair("a 100", "b 100", -0.1, 0.06, p=0.02), pair("a 100", "c 100", -0.11, 0.06, p=0.03))
    )
    assert set(kinds) == {"open"}
    assert "Which is best remains open." in sentences[0]
    assert sentences[1] == (
        "Of 2 paired differences in EER, none is shown after Holm's correction. Of the 2 nothing can be said; 2 of "
        "them would count if each had been the only question."
    )


def test_a_best_system_that_lost_a_paired_test_is_not_called_better() -> None:
    table = scores(("a", 100, 0.10), ("b", 100, 0.20))
    ((kind, sentence), (_, single)) = said(table, pair("a 100", "b 100", 0.1, 0.001))
    assert kind == "open"
    assert "It is better than" not in sentence
    assert "No difference could be shown" not in sentence
    assert "Yet the paired test favours b · cosine." in sentence
    assert single.startswith("EER: b · cosine is better than a · cosine (+0.100, 95 % interval +0.050 to +0.150")


@pytest.mark.parametrize(
    ("first", "second", "effect", "p", "kind", "start"),
    [
        ("a 2000", "a 100", -0.1, 0.001, "better", "More training artists make EER better: a · cosine goes from"),
        ("a 100", "a 2000", 0.1, 0.001, "better", "More training artists make EER better"),
        ("a 2000", "a 100", 0.1, 0.001, "worse", "More training artists make EER worse"),
        ("a 2000", "a 100", -0.1, 0.7, "open", "What more training artists do to EER is not shown by a paired test"),
    ],
)  # fmt: skip
def test_what_more_artists_do(first: str, second: str, effect: float, p: float, kind: str, start: str) -> None:
    table = scores(("a", 100, 0.20), ("a", 500, 0.15), ("a", 2000, 0.10))
    found = said(table, pair(first, second, effect, p))
    (trend,) = [each for each in found if "ore training artists" in each[1]]
    assert trend[0] == kind
    assert trend[1].startswith(start)
    assert "(100 to 2,000 artists" in trend[1]


def test_steps_between_numbers_of_artists() -> None:
    table = scores(("a", 100, 0.20), ("a", 500, 0.15), ("a", 2000, 0.10))
    steps = [pair("a 500", "a 100", -0.05, 0.001), pair("a 2000", "a 500", -0.05, 0.4)]
    kind, sentence = said(table, *steps)[-1]
    assert (kind, sentence) == (
        "better",
        "More training artists make EER better: a · cosine goes from 0.200 to 0.100 (100 to 2,000 artists; of 2 steps "
        "shown: better 100 to 500).",
    )
    kind, sentence = said(table, steps[1])[-1]
    assert kind == "open"
    assert sentence.endswith("(100 to 2,000 artists; the step is not shown).")
    kind, sentence = said(table, steps[0], pair("a 2000", "a 500", 0.05, 0.001))[-1]
    assert kind == "open"
    assert "shown: better 100 to 500, worse 500 to 2,000" in sentence
    kind, sentence = said(table)[-1]
    assert kind == "open"
    assert "not compared" in sentence


def test_one_system_and_systems_that_were_not_compared() -> None:
    ((kind, sentence),) = said(scores(("a", 100, 0.2)))
    assert kind == "open"
    assert sentence.endswith("trained on 100 artists. It is the only system.")
    ((kind, sentence),) = said(scores(("a", 100, 0.2), ("b", 100, 0.3)))
    assert kind == "open"
    assert sentence.endswith("so nothing can be said of its lead.")
    ((kind, sentence),) = said(scores(("a", 100, np.nan)))
    assert sentence == "Verification: EER is not defined of any system."


def test_who_is_not_better_than_chance() -> None:
    found = said(scores(("a", 100, 0.2), ("b", 100, 0.49)))
    assert found[-1] == ("open", "Not shown to be better than chance in EER: b · cosine (0.490 against 0.5).")
    accurate = scores(("a", 100, 0.2), ("b", 100, 0.03)).assign(metric="top1", chance=0.02)
    assert (
        said(accurate)[-1][1]
        == "Not shown to be better than chance in top-1 accuracy: b · cosine (0.030 against 0.02)."
    )


def test_lists() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "a"]) == "a and b"
    assert listed([f"s{k}" for k in range(10)], most=2) == "s0, s1 and 8 more"


def test_what_was_done_in_words() -> None:
    rows = scored_rows(builder.score_table())
    assert lead(rows, builder.protocol_facts(), "composers") == (
        "composers, 25 unseen artists in each of 2 folds, 15 songs to enrol, 5 songs to test. 12 systems, trained on "
        "100 to 2,000 artists, scored on the same trials."
    )
    assert lead(None, {}, "composers") == "Nothing was scored in this run."
    assert "several nets, they are resampled too" in method(rows)
    assert "several nets" not in method(rows.assign(n_trials=1))
    assert "99 %" in method(rows, level=0.99)
