"""What may be said of scores and differences."""

from __future__ import annotations

from math import nan

import pytest

from artist_transfer.reporting.scores import comparisons_of, findings, score_of, systems_of, verdict_of


@pytest.mark.parametrize(
    ("metric", "low", "high", "expected"),
    [
        ("log_loss", -0.2, -0.1, "better"),
        ("log_loss", 0.1, 0.2, "worse"),
        ("f1_macro", -0.2, -0.1, "worse"),
        ("accuracy", 0.1, 0.2, "better"),
        ("f1_macro", -0.1, 0.2, "open"),
        ("f1_macro", 0.0, 0.2, "open"),
        ("log_loss", -0.2, 0.0, "open"),
        ("log_loss", nan, nan, "open"),
    ],
)
def test_a_verdict_needs_an_interval_without_0(metric: str, low: float, high: float, expected: str) -> None:
    assert verdict_of({"metric": metric, "effect": 1.0, "low": low, "high": high}) == expected


def test_so_few_artists_that_they_agree_by_chance_show_nothing() -> None:
    row = {"metric": "log_loss", "effect": -0.2, "low": -0.3, "high": -0.1}
    assert verdict_of(row | {"p": 0.03}) == "better"
    assert verdict_of(row | {"p": 0.0625}) == verdict_of(row | {"p": 0.03}, level=0.99) == "open"


def test_findings_in_plain_words(metrics: dict[str, float]) -> None:
    found = findings(comparisons_of(metrics))
    assert [(each.verdict, each.sentence) for each in found] == [
        ("better", "Against the class priors: better in log loss and macro F1."),
        ("open", "Against the genre-only STN: no difference could be shown in log loss or macro F1."),
        (
            "mixed",
            "Against MFCC statistics + logistic regression: worse in log loss; no difference could be shown "
            "in macro F1.",
        ),
    ]
    assert found[0].details[0] == "log loss −0.130 (95 % interval −0.200 to −0.060)"


def test_without_an_interval_nothing_follows() -> None:
    row = {"system": "transfer", "baseline": "prior", "metric": "log_loss", "effect": -9.0, "low": nan}
    (found,) = findings([{**row, "high": nan, "p": nan}])
    assert found.verdict == "open"
    assert "nothing follows" in found.details[0]


def test_systems_and_scores_are_read_from_flat_metrics(metrics: dict[str, float]) -> None:
    metrics["baseline.aaa.log_loss"] = 2.0
    assert systems_of(metrics) == ["transfer", "prior", "stn_g", "mfcc_logreg", "aaa"]
    assert score_of(metrics, "prior", "f1_macro") == pytest.approx((0.12, 0.07, 0.18))
    assert systems_of({}) == []


def test_a_baseline_that_was_not_compared_is_not_spoken_of(metrics: dict[str, float]) -> None:
    kept = {key: value for key, value in metrics.items() if not key.startswith("difference.prior")}
    assert {row["baseline"] for row in comparisons_of(kept)} == {"stn_g", "mfcc_logreg"}
