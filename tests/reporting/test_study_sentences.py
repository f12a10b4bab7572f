"""What may be said of a study: shown one way, shown the other way, not shown."""

from __future__ import annotations

import re
from math import nan
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.reporting import study_builder as builder

from artist_transfer.reporting import study_counts, study_opening, study_sentences


def one(
    name: str, effect: tuple[float, float, float], p: float, metric: str = "log_loss", *, n_seeds: int = 3
) -> study_sentences.StudyFinding:
    rows = builder.comparison_rows(
        name, "Does it help?", "gsedm-mtn", "B", effects={metric: effect}, p=p, n_seeds=n_seeds
    )
    (found,) = study_sentences.findings(pd.DataFrame(rows))
    return found


def test_shown_in_the_papers_direction() -> None:
    found = one("all_vs_g:mtn", (-0.08, -0.12, -0.04), 0.012)
    assert found.kind == "paper"
    assert found.sentence == (
        "In log loss gsedm-mtn is better than B (−0.080, 95 % interval −0.120 to −0.040, corrected p 0.012), as the "
        "paper has it (paper, FMA medium, stratified: −0.116)."
    )
    assert found.details == "gsedm-mtn (15 cases) less B (15 cases)."


def test_shown_against_it() -> None:
    found = one("all_vs_g:mtn", (0.08, 0.04, 0.12), 0.012)
    assert found.kind == "against"
    assert "In log loss B is better than gsedm-mtn" in found.sentence
    assert "the other way than the paper has it" in found.sentence


def test_what_one_seed_shows_is_shown_for_its_nets() -> None:
    found = one("all_vs_g:mtn", (-0.08, -0.12, -0.04), 0.012, n_seeds=1)
    assert found.kind == "paper"
    assert found.ending == "Shown for these nets (one seed), in the paper's direction"
    assert found.sentence.startswith("In log loss, for these nets (one seed), gsedm-mtn is better than B (−0.080,")
    assert study_sentences.summary([found]).endswith(" What is shown is shown for these nets (one seed).")
    other = one("all_vs_g:mtn", (0.01, -0.05, 0.07), 0.6, n_seeds=1)
    assert other.ending == "Not shown"
    several = one("all_vs_g:mtn", (-0.08, -0.12, -0.04), 0.012, n_seeds=2)
    assert several.ending == "Shown, in the paper's direction"
    for each in (several, other):
        assert "seed" not in each.sentence + study_sentences.summary([each])
    older = builder.comparison_table().drop(columns="n_seeds")
    assert {each.one_seed for each in study_sentences.findings(older)} == {False}


def test_not_shown_is_never_no_difference() -> None:
    found = one("all_vs_g:mtn", (0.01, -0.05, 0.07), 0.6)
    assert (found.kind, found.ending) == ("open", "Not shown")
    assert found.sentence == (
        "In log loss no difference could be shown (+0.010, 95 % interval −0.050 to +0.070, corrected p 0.600): the "
        "interval allows for gsedm-mtn to be better by up to 0.050 and to be worse by up to 0.070."
    )
    other = one("all_vs_g:mtn", (0.01, -0.05, 0.07), 0.6, "f1_macro")
    assert "gsedm-mtn to be better by up to 0.070 and to be worse by up to 0.050" in other.sentence


def test_an_interval_without_0_that_the_correction_takes_away() -> None:
    found = one("all_vs_g:mtn", (-0.05, -0.09, -0.01), 0.2)
    assert found.kind == "open"
    assert "the interval alone would favour gsedm-mtn by 0.010 to 0.090, but that does not hold" in found.sentence
    assert "would favour B by 0.010 to 0.090" in one("all_vs_g:stn", (-0.05, -0.09, -0.01), 0.2, "f1_macro").sentence


def test_an_interval_without_0_of_artists_who_agree_too_easily() -> None:
    found = one("all_vs_g:mtn", (-0.05, -0.09, -0.01), 0.625)  # p itself is 0.0625
    assert found.kind == "open"
    assert "0.010 to 0.090, but so few that all of them agree by chance with p 0.062 cannot show it" in found.sentence


def test_without_an_interval_nothing_follows() -> None:
    found = one("all_vs_g:mtn", (-0.5, nan, nan), nan)
    assert found.kind == "open"
    assert "no interval, corrected p –): without an interval nothing follows" in found.sentence


def test_of_a_question_that_the_paper_does_not_ask() -> None:
    found = one("shuffled_vs_g:stn", (-0.08, -0.12, -0.04), 0.01)
    assert found.kind == "unspoken"
    assert "of this the paper says nothing" in found.sentence
    premise = one("true_vs_shuffled:stn", (-0.08, -0.12, -0.04), 0.01)
    assert premise.kind == "paper"
    assert "by its premise, not by numbers" in premise.sentence
    assert one("artist_vs_groups_alone:stn", (-0.08, -0.12, -0.04), 0.01).kind == "against"


def test_metrics_that_end_differently_are_mixed() -> None:
    rows = builder.comparison_rows("all_vs_g:stn", "?", "A", "B", effects={"log_loss": (-0.1, -0.2, -0.05)}, p=0.01)
    rows += builder.comparison_rows("all_vs_g:stn", "?", "A", "B", effects={"f1_macro": (0.0, -0.1, 0.1)}, p=1.0)
    (found,) = study_sentences.findings(pd.DataFrame(rows))
    assert found.kind == "mixed"
    assert "In log loss A is better" in found.sentence
    assert "in macro F1 no difference could be shown" in found.sentence


def test_every_comparison_has_one_finding_that_says_its_verdict() -> None:
    table = builder.comparison_table()
    found = study_sentences.findings(table)
    assert len(found) == table["comparison"].nunique()
    assert sorted(each.question for each in found) == sorted(table.drop_duplicates("comparison")["question"])
    for each in found:
        own = table[(table["question"] == each.question) & table["metric"].isin(["log_loss", "f1_macro"])]
        assert each.sentence.count("no difference could be shown") == (own["verdict"] == "no difference shown").sum()
        assert each.sentence.count(" is better than ") == (own["verdict"] != "no difference shown").sum()
        assert not re.search(r"no difference(?! could be shown)", each.sentence)
    assert [each.family for each in found][:2] == ["All tasks against genre alone"] * 2
    assert study_sentences.summary(found) == (
        "Of 16 questions: a difference is shown in the paper's direction in 2, against it in 2, where the paper says "
        "nothing in 1, no difference could be shown in 11."
    )
    assert sum(len(each) for each in study_sentences.by_family(found).values()) == 16
    assert "nothing is shown" in study_sentences.summary([])


def test_notes_of_one_metric_name_it() -> None:
    rows = [
        row | {"note": f"chosen from 10; chosen: {row['metric']}"}
        for row in builder.comparison_rows(
            "best_vs_wide:stn:2", "?", "A", "B", effects={"log_loss": (0, -1, 1), "f1_macro": (0, -1, 1)}
        )
    ]
    (found,) = study_sentences.findings(pd.DataFrame(rows))
    assert found.details.endswith("; chosen from 10; chosen: log_loss (log loss); chosen: f1_macro (macro F1).")


def opening(**changes: Any) -> str:
    facts = builder.facts() | changes
    return " ".join(
        study_opening.opening(facts, builder.case_table(), builder.score_table(), builder.comparison_table())
    )


def test_the_opening_says_how_much_data_and_which_setting() -> None:
    said = opening()
    assert (
        "Corpus composers: 921 tracks, 51 artists, 5 genres. Split artist-disjoint, 5 folds pooled; 1 seed (0)" in said
    )
    assert (
        "resample 51 artists. Of a score they are the expanded percentiles of that bootstrap, of a difference" in said
    )
    assert "the t interval with its standard error. They hold what other artists would change, not what another" in said
    assert "equal ones" not in said
    assert "trained for 30 epochs a task (paper, FMA medium, stratified: 200). A shorter training may hide" in said
    assert "No artist stands in training and in test at once" in said
    prior = builder.score_table().set_index("case").loc["prior"]
    assert f"class priors reaches log loss {prior['log_loss']:.3f}" in said
    assert "A shorter training" not in opening(epochs={"stn": 200, "mtn": 200})
    assert "stn 20, mtn 60 epochs" in opening(epochs={"stn": 20, "mtn": 60})


def test_the_opening_says_what_few_and_unequal_artists_are_worth() -> None:
    several = builder.score_table(n_replicates=3).assign(n_units=5, n_effective=2.9)
    said = " ".join(study_opening.opening(builder.facts(), builder.case_table(), several, None))
    assert "resample 5 artists and the seeds and splits of 3 replicates" in said
    assert "they count as 2.9 equal ones. So few artists can show no difference, however large: it takes 6." in said


def test_artists_on_both_sides_and_factors_of_all_tracks_are_alarms() -> None:
    facts = builder.facts()
    assert study_opening.alarms(facts) == []
    (shared,) = study_opening.alarms(facts | {"split": "stratified"})
    assert "Artists stand in training and in test" in shared
    assert len(study_opening.alarms(facts | {"artists_shared": True, "fit_on": "all"})) == 2
    assert study_opening.artists_shared({"split": "official"}) is None
    assert "is not stated" in opening(split="official")
    assert "No artist stands" not in opening(split="stratified")


@pytest.mark.parametrize(
    ("half", "expected"),
    [
        (0.02, "would probably have been seen, even after the correction"),
        (0.07, "would probably have been seen by itself, but may be lost in the correction"),
        (0.10, "may well have been missed"),
        (0.20, "could hardly have been seen"),
    ],
)
def test_whether_a_gain_like_the_papers_could_have_been_seen(half: float, expected: str) -> None:
    effects = {"log_loss": (0.0, -half, half)}
    rows = builder.comparison_rows("all_vs_g:stn", "?", "A", "B", effects=effects)
    for n in range(2, 6):
        rows += builder.comparison_rows(f"stn_vs_mtn:{n}", "?", "A", "B", effects={"log_loss": (0.0, -9.0, 9.0)})
    said = study_opening.opening(builder.facts(), builder.case_table(), builder.score_table(), pd.DataFrame(rows))[-1]
    assert expected in said  # the other comparisons' wide intervals do not count
    alone, strictest, power = 2.00856, 2.67779, 0.84887  # t with 50 degrees of freedom: two-sided 5 %, 1 %; 80 %
    assert f"a true difference of {half * (alone + power) / alone:.3f} is found by itself" in said
    assert f"one of {half * (strictest + power) / alone:.3f} after the strictest correction for 5" in said


@pytest.mark.parametrize(
    ("n_units", "expected"),
    [
        (8, "is found by itself and one of "),
        (7, "is found by itself and none of any size after the strictest correction for 5 comparisons"),
        (5, "5 units agree too easily by chance for a true difference of any size to be found"),
    ],
)
def test_what_few_artists_could_have_shown(n_units: int, expected: str) -> None:
    """All of n agree by chance with p 2 ** (1 − n): 8 artists survive a correction for five, 7 do not."""
    rows = []
    for n in range(1, 6):
        rows += builder.comparison_rows(f"stn_vs_mtn:{n}", "?", "A", "B", effects={"log_loss": (0.0, -0.01, 0.01)})
    scores = builder.score_table().assign(n_units=n_units)
    said = study_opening.opening(builder.facts(), builder.case_table(), scores, pd.DataFrame(rows))[-1]
    assert expected in said
    assert ("even after the correction" in said) == (n_units == 8)
    assert ("that it is not shown says nothing" in said) == (n_units == 5)


def test_one_unit_cannot_show_anything() -> None:
    scores = builder.score_table().assign(n_units=1)
    scores[[name for name in scores if name.endswith(("_low", "_high"))]] = np.nan
    pairs = builder.comparison_table().assign(low=nan, high=nan, p=nan, p_holm=nan, verdict="no difference shown")
    said = " ".join(study_opening.opening(builder.facts(), builder.case_table(), scores, pairs))
    assert "make 1 artist: there are no intervals then" in said
    assert "no difference of any size could have been shown" in said
    assert {each.kind for each in study_sentences.findings(pairs)} == {"open"}


def test_counts_and_reasons() -> None:
    cases = builder.case_table()
    assert (
        study_counts.counts(cases)
        == "Of 70 cases (57 grid, 4 wide, 7 control, 2 baseline): 68 done, 1 failed, 1 skipped."
    )
    assert "2 of them were asked for" in study_counts.counts(cases.head(2))
    assert study_counts.troubles(cases) == [
        f"Failed: gdm-mtn: {builder.FAILURE}.",
        "Skipped: ga-mtn: no artist has two tracks.",
    ]
    both = cases.assign(status="failed", reason="disk full").head(2)
    assert study_counts.troubles(both) == ["Failed: g-stn, s-stn: disk full."]
    for left_out in ({"a": "b"}, ["a: b"], [{"comparison": "a", "reason": "b"}]):
        assert study_counts.left_out(left_out) == ["a: b."]
    assert study_counts.left_out(None) == []
    assert study_counts.counts(cases.head(0)) == "There was no case."


def test_reservations_name_what_is_lacking() -> None:
    cases, scores, pairs = builder.case_table(), builder.score_table(), builder.comparison_table()
    said = " ".join(study_counts.reservations(builder.facts(), cases, scores, pairs))
    assert "16 comparisons are one family" in said
    assert "One seed and one split" in said
    assert "No control was run" not in said
    grid = cases[cases["kind"] == "grid"]
    said = " ".join(study_counts.reservations({}, grid, builder.score_table(n_replicates=3), pairs.head(0)))
    assert "No control was run" in said
    assert "No wide net was run" in said
    assert "means over 3 replicates" in said
