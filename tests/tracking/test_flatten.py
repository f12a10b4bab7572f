from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from artist_transfer.tracking.flatten import divide_by_length, flat_metrics, flat_parameters


class Inner(BaseModel):
    rates: list[float] = [0.1, 0.01]
    name: str = "adam"


class Outer(BaseModel):
    epochs: int = 3
    optimiser: Inner = Inner()


@dataclasses.dataclass
class Plain:
    folder: Path = Path("a/b")


def test_every_kind_of_nesting_becomes_dotted_names():
    texts = flat_parameters({"training": Outer(), "seed": 0, "mel": {"plain": Plain()}, "empty": {}, "none": None})
    assert texts == {
        "training.epochs": "3",
        "training.optimiser.rates": "[0.1, 0.01]",
        "training.optimiser.name": "adam",
        "seed": "0",
        "mel.plain.folder": "a/b",
        "empty": "{}",
        "none": "None",
    }


def test_lists_are_json_that_can_be_read_back():
    value = [{"a": 1}, ["x", None], Inner()]
    text = flat_parameters({"list": value})["list"]
    assert json.loads(text) == [{"a": 1}, ["x", None], {"rates": [0.1, 0.01], "name": "adam"}]


def test_names_that_mlflow_refuses_are_made_allowed():
    assert set(flat_parameters({"a(b)": 1, "ü.c": 2})) == {"a_b_", "ü.c"}


def test_the_limit_is_the_one_of_mlflow():
    from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

    limit = MAX_PARAM_VAL_LENGTH
    short, long = divide_by_length({"fits": "x" * limit, "long": "x" * (limit + 1)})
    assert (set(short), set(long)) == ({"fits"}, {"long"})


def test_metrics_keep_their_names_and_lose_nothing():
    numbers, texts, missing = flat_metrics(
        {
            "transfer.log_loss": np.float32(0.5),
            "baseline": {"prior": {"f1": 1}},
            "flag": np.bool_(True),
            "skipped": "no genres",
            "auc": None,
            "nan": math.nan,
            "inf": math.inf,
        }
    )
    assert numbers == {"transfer.log_loss": 0.5, "baseline.prior.f1": 1.0, "flag": 1.0, "inf": math.inf}
    assert texts == {"skipped": "no genres"}
    assert missing == ["auc", "nan"]


def test_nothing_gives_nothing():
    assert flat_metrics({}) == ({}, {}, [])
    assert flat_parameters({}) == {}
