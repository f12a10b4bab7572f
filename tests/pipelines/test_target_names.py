"""Names that the environments give their corpora: those that the paper's tables and the README know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from artist_transfer.reporting.artist_paper import TARGETS

PROJECT = Path(__file__).parents[2]
ENVIRONMENTS = {
    "gtzan": "gtzan",
    "mtat": "magnatagatune",
    "jamendo": "jamendo",
    "fma_small": "fma_small",
    "fma_medium": "fma_medium",
    "fma_large": "fma_large",
    "msd": "msd",
}


def target_of(environment: str) -> object:
    return yaml.safe_load((PROJECT / "conf" / environment / "parameters.yml").read_text())["target"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_names_its_corpus(environment: str) -> None:
    assert target_of(environment) == ENVIRONMENTS[environment]


def test_the_papers_targets_are_among_them() -> None:
    assert set(TARGETS) - {"naver"} <= {target_of(environment) for environment in ENVIRONMENTS}  # naver: a user's CSV


def test_the_readme_scores_on_names_that_its_environments_give() -> None:
    text = (PROJECT / "README.md").read_text()
    embedded = set(re.findall(r"--pipeline=embed --env=(\w+)", text)) - {"folder"}
    scored = set(re.findall(r"artist_evaluation\.targets=self\+(\w+)", text))
    assert scored and scored <= {target_of(environment) for environment in embedded}
    for environment, name in re.findall(r"`(\w+)`, whose name is `(\w+)`", " ".join(text.split())):
        assert target_of(environment) == name
