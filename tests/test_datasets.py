"""The catalogue's datasets: whole or absent, and seen by Kedro-Viz."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest
import yaml
from kedro.io import DataCatalog
from kedro.io.core import DatasetError

from artist_transfer.datasets import JsonDataset, PlotDataset, TableDataset, TextDataset

ROOT = Path(__file__).resolve().parents[1]
CATALOG = yaml.safe_load((ROOT / "conf" / "base" / "catalog.yml").read_text())


def test_a_table_comes_back_with_its_lists_and_missing_values(tmp_path: Path) -> None:
    table = pd.DataFrame({"track_id": ["000002", "7"], "genres": [["a", "b"], []], "artist_id": ["x", None]})
    dataset = TableDataset((tmp_path / "t.parquet").as_posix())
    dataset.save(table)
    back = dataset.load()
    assert back["track_id"].tolist() == ["000002", "7"]
    assert [list(words) for words in back["genres"]] == [["a", "b"], []]
    assert back["artist_id"].isna().tolist() == [False, True]
    assert dataset.preview()["columns"] == ["track_id", "genres", "artist_id"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    dataset = JsonDataset((tmp_path / "a.json").as_posix())
    dataset.save({"a": 1})
    with pytest.raises(DatasetError):
        dataset.save({"a": object()})
    assert dataset.load() == {"a": 1}


def test_a_plot_and_a_page_come_back(tmp_path: Path) -> None:
    figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))
    plot = PlotDataset((tmp_path / "p.json").as_posix())
    plot.save(figure)
    assert plot.load().to_dict()["data"] == figure.to_dict()["data"]
    assert plot.preview()["data"][0]["type"] == "scatter"
    page = TextDataset((tmp_path / "p.html").as_posix())
    page.save("<p>ü</p>")
    assert page.load() == "<p>ü</p>"


def test_loading_what_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has not run yet"):
        TableDataset((tmp_path / "none.parquet").as_posix()).load()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("track_table", "data/03_primary/track_table.parquet"),
        ("mfcc_factor_table", "data/05_model_input/mfcc_factor_table.parquet"),
        ("mel_manifest", "data/04_feature/mel_manifest.json"),
        ("transfer_metrics", "data/08_reporting/transfer_metrics.json"),
        ("transfer_predictions_table", "data/07_model_output/transfer_predictions_table.parquet"),
        ("artist_map_plot", "data/08_reporting/artist_map_plot.json"),
        ("agf_multitask_report", "data/08_reporting/agf_multitask.html"),
        ("anything_new_table", "data/03_primary/anything_new_table.parquet"),
    ],
)
def test_an_output_is_stored_by_the_ending_of_its_name(name: str, path: str) -> None:
    dataset = DataCatalog.from_config(CATALOG).get(name)
    assert dataset is not None
    assert dataset._describe()["filepath"] == path
