"""What makes scores of artist recognition doubtful: few artists, calibration on few, notes of the scores."""

from __future__ import annotations

import pandas as pd
from tests.reporting.test_recognition_sentences import scores

from artist_transfer.reporting.recognition_cautions import cautions, few_to_calibrate
from artist_transfer.reporting.recognition_tables import scored_rows


def test_few_artists_are_cautioned_against() -> None:
    rows = scored_rows(scores(("a", 100, 0.2), ("b", 100, 0.2)))
    protocol = {0: {"hash": "ab"}}
    assert cautions(rows, protocol)[0] == []
    assert len(cautions(rows, protocol)[1]) == 1
    alarms, remarks = cautions(rows.assign(n_units=5), protocol)
    assert alarms == ["Only 5 unseen artists are tried: so few can show no difference, however large; it takes 6."]
    alarms, remarks = cautions(rows.assign(n_units=12), protocol)
    assert alarms == []
    assert remarks[0].startswith("Only 12 unseen artists are tried")
    assert any("has no hash" in each for each in cautions(rows, {0: {}})[1])
    assert "Units: n." in cautions(rows.assign(note="units: n"), protocol)[1]


def test_calibration_on_few_artists_is_cautioned_against() -> None:
    rows = scored_rows(scores(("a", 100, 0.2), ("b", 100, 0.2)))
    assert few_to_calibrate(rows, {0: {"validation_artists": 20}}) == []
    (said,) = few_to_calibrate(rows, {0: {"validation_artists": 25}, 1: {"validation_artists": 19}, "other": {}})
    assert "on 19 validation artists" in said
    assert said in cautions(rows, {0: {"hash": "ab", "validation_artists": 19}})[1]


def test_ratios_that_are_worse_than_none_are_named() -> None:
    rows = scored_rows(scores(("a", 100, 0.2), ("b", 100, 0.2)))
    cost = rows.assign(metric="cllr", value=[1.52, 0.99])
    (said,) = few_to_calibrate(pd.concat([rows, cost], ignore_index=True), {})
    assert f"scores of {rows['family'].iloc[0]} (1.52) as odds" in said


def test_a_note_stands_once_with_its_metrics() -> None:
    base = scored_rows(scores(("a", 100, 0.2)))
    words = "of 112 non-target trials {} false alarms cost as much"
    notes = {"eer": "few", "min_dcf_0.01": f"few; {words.format(1.1)}", "min_dcf_0.05": f"few; {words.format(5.9)}"}
    rows = pd.concat([base.assign(metric=metric, note=note) for metric, note in notes.items()], ignore_index=True)
    _, remarks = cautions(rows, {0: {"hash": "ab"}})
    assert remarks == [
        "Few.",
        "minDCF (0.01) and minDCF (0.05): of 112 non-target trials 1.1 and 5.9 false alarms cost as much.",
    ]
