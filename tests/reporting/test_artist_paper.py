"""The papers' numbers as the shared texts print them, where those are at hand."""

from __future__ import annotations

import re
from math import isnan
from pathlib import Path

import pytest

from artist_transfer.reporting import artist_paper as paper


def test_what_the_paper_says_of_its_tables_holds() -> None:
    for target in paper.TABLE_1:  # "the artist-based Siamese model outperforms the rest on all target datasets"
        assert max(paper.TABLE_1[target]) == paper.paper_score(target, "siamese", "map")
    # "significantly worse than the basic model on the NAVER Music dataset in the genre classification using k-NN"
    assert paper.paper_score("naver", "siamese", "knn_accuracy") < paper.paper_score("naver", "basic", "knn_accuracy")
    early = paper.EARLY_BY_ARTISTS["magnatagatune"]
    assert list(early.values()) == sorted(early.values())  # "proportional to the number of artists"
    without, with_it = (paper.EARLY_TABLE_2[f"Artist labels {how} linear discriminant"] for how in ("without", "with"))
    assert with_it[0] > without[0]  # "improves classification accuracy but slightly reduces tagging performance"
    assert with_it[1] < without[1]
    assert without == (paper.EARLY_BY_ARTISTS["gtzan"][5000], early[5000])


def test_numbers_over_artists() -> None:
    assert paper.paper_by_artists("gtzan", "siamese", "softmax_accuracy") == {5000: 0.6993, 10_000: 0.7203}
    assert paper.paper_by_artists("gtzan", "siamese", "map") == {5000: 0.5510}
    assert paper.paper_by_artists("composers", "basic", "map") == {}
    assert isnan(paper.paper_score("gtzan", "released", "map"))
    assert isnan(paper.paper_score("magnatagatune", "basic", "auc"))


def test_every_number_stands_in_the_papers(shared_corpora: Path) -> None:
    folder = shared_corpora.parent / "papers"
    if not folder.is_dir():
        pytest.skip(f"the papers are not at {folder}")
    ismir, early = (next(folder.glob(f"{name}_*.txt")).read_text(encoding="utf-8") for name in ("000", "001"))
    rows = [row for table in paper.TABLES.values() for row in table.values()]
    assert len(rows) == 9
    for row in rows:
        assert re.search(r"\s+".join(f"{value:.4f}" for value in row), ismir), row
    for values in paper.TABLE_4.values():
        for value in values:
            assert isnan(value) or f"{value:.4f}" in ismir
    for numbers in paper.EARLY_BY_ARTISTS.values():
        assert "\t".join(f"{value:.4f}" for value in numbers.values()) in early
    for values in paper.EARLY_TABLE_2.values():
        assert "\t".join("-" if isnan(value) else f"{value:.4f}" for value in values) in early
