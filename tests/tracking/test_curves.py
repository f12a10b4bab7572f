from __future__ import annotations

import pandas as pd

from artist_transfer.tracking.curves import curves


def test_losses_by_task_and_epoch():
    history = pd.DataFrame({"epoch": [0, 0, 1], "task": ["g", "s", "g"], "loss": [3.0, 2.0, 1.0]})
    assert curves(history) == [("train.g.loss", 3.0, 0), ("train.s.loss", 2.0, 0), ("train.g.loss", 1.0, 1)]


def test_later_folds_are_named_and_the_first_is_not():
    history = pd.DataFrame({"epoch": [0, 0], "task": ["g", "g"], "fold": [0, 2], "loss": [1.0, 2.0]})
    assert [name for name, _, _ in curves(history)] == ["train.g.loss", "fold2.train.g.loss"]


def test_nets_are_named_only_where_two_learned_the_same_task():
    history = pd.DataFrame(
        {"epoch": [0, 0, 0], "task": ["g", "g", "s"], "net": ["g", "gs", "gs"], "loss": [1.0, 2.0, 3.0]}
    )
    assert [name for name, _, _ in curves(history)] == ["g.train.g.loss", "gs.train.g.loss", "train.s.loss"]


def test_every_column_of_numbers_is_a_curve_and_missing_values_are_left_out():
    history = pd.DataFrame({"epoch": [0, 1], "loss": [1.0, None], "learning_rate": [0.1, 0.2], "note": ["a", "b"]})
    assert curves(history) == [
        ("train.loss", 1.0, 0),
        ("train.learning_rate", 0.1, 0),
        ("train.learning_rate", 0.2, 1),
    ]


def test_a_table_without_epochs_has_no_curves():
    assert curves(pd.DataFrame({"loss": [1.0]})) == []
    assert curves(pd.DataFrame({"epoch": [], "loss": []})) == []


OWN = pd.DataFrame({"epoch": [0, 0], "task": ["g", "s"], "fold": [0, 0], "net": ["gs", "gs"], "loss": [1.0, 2.0]})
BASELINE = pd.DataFrame({"epoch": [0, 0], "task": "g", "fold": [0, 1], "net": "baseline stn_g", "loss": [3.0, 4.0]})


def test_baselines_are_named_even_if_they_are_alone():
    names = ["baseline.stn_g.train.g.loss", "fold1.baseline.stn_g.train.g.loss"]
    assert [name for name, _, _ in curves(BASELINE)] == names


def test_a_baseline_in_the_same_table_does_not_rename_the_own_nets():
    assert {name: value for name, value, _ in curves(pd.concat([BASELINE, OWN]))} == {
        "baseline.stn_g.train.g.loss": 3.0,
        "fold1.baseline.stn_g.train.g.loss": 4.0,
        "train.g.loss": 1.0,
        "train.s.loss": 2.0,
    }
