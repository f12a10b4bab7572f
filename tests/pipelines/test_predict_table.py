"""The table of predictions: its columns, whatever genres are called."""

from __future__ import annotations

import pandas as pd
import pytest

from artist_transfer.pipelines.predict.nodes import OWN_COLUMNS, genre_columns, prediction_table

NOBODY = pd.DataFrame({"path": [], "reason": []}, dtype="str")


def test_genres_have_their_own_names() -> None:
    probabilities = pd.DataFrame([[0.25, 0.75], [1.0, 0.0]], columns=["dub", "p_file"])
    bad = pd.DataFrame({"path": ["c.wav"], "reason": ["empty file"]})
    table = prediction_table(probabilities, ["a.wav", "b.wav"], bad)
    assert table.columns.tolist() == ["file", "genre", "reason", "dub", "p_file"]
    assert table[["file", "genre", "reason"]].to_numpy().tolist() == [
        ["a.wav", "p_file", ""], ["b.wav", "dub", ""], ["c.wav", "", "empty file"],
    ]  # fmt: skip
    assert table["dub"].tolist()[:2] == [0.25, 1.0] and table.loc[2, ["dub", "p_file"]].isna().all()


@pytest.mark.parametrize("other", ["dub", "p_file", "p_p_file", "p_reason"])
def test_genres_called_like_other_columns(other: str) -> None:
    genres = ["file", "genre", other, "reason"]
    probabilities = pd.DataFrame([[0.1, 0.2, 0.6, 0.1], [0.7, 0.1, 0.1, 0.1]], columns=genres)
    table = prediction_table(probabilities, ["a.wav", "b.wav"], NOBODY)
    assert table.columns.is_unique and table.columns[:3].tolist() == list(OWN_COLUMNS)
    assert table["genre"].tolist() == [other, "file"]  # the genre itself keeps its name
    columns = genre_columns(genres)
    assert columns[other] == other and columns["genre"] == "p_genre"
    for genre in genres:
        assert table[columns[genre]].tolist() == probabilities[genre].tolist()
