from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from artist_transfer.tracking.outputs import ENDINGS, OutputRule, ending_of


class Stored:
    """A dataset of a local file."""

    def __init__(self, path: Path, text: str = "saved") -> None:
        self._filepath = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def rule(tmp_path: Path) -> OutputRule:
    return OutputRule(tmp_path / "project", tmp_path / "scratch", limit=100)


def artifacts(found) -> list[str]:
    return [f"{op['folder']}/{Path(op['file']).name}" for op in found.operations if op["kind"] == "artifact"]


def values(found) -> dict[str, float]:
    return {name: value for op in found.operations if op["kind"] == "metrics" for name, value, _, _ in op["metrics"]}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("prefix", ["", "net_", "mfcc.", "mfcc.net_", "a.b.c_d_"])
def test_the_ending_is_that_of_the_last_part(prefix, ending):
    assert ending_of(prefix + ending) == ending
    assert ending_of(prefix + ending + "s") is None
    assert ending_of(prefix + ending + ".features") is None


@pytest.mark.parametrize(
    "ending", ["table", "manifest", "report", "facts", "html", "weights", "metrics", "history", "csv"]
)
def test_the_saved_file_goes_under_its_layer(rule, ending):
    name = f"mfcc.net_{ending}"
    found = rule.apply(name, {}, Stored(rule.project / f"data/05_model_input/mfcc/net_{ending}.json"))
    assert artifacts(found) == [f"05_model_input/mfcc/net_{ending}.json"]
    assert found.record["file"] == f"data/05_model_input/mfcc/net_{ending}.json"


def test_metrics_are_logged_by_the_names_in_them(rule):
    found = rule.apply("net_metrics", {"transfer.log_loss": 1.5, "a": {"b": 2}, "why": "no genres", "c": None}, None)
    assert values(found) == {"transfer.log_loss": 1.5, "a.b": 2.0}
    assert {"why": "no genres"} in [op.get("tags") for op in found.operations]
    assert found.record["without_value"] == ["c"]


def test_a_second_output_does_not_write_over_the_metrics_of_the_first(rule):
    rule.apply("one_metrics", {"x": 1}, None)
    assert values(rule.apply("two_metrics", {"x": 2}, None)) == {"two_metrics.x": 2.0}
    assert values(rule.apply("one_metrics", {"x": 3}, None)) == {"x": 3.0}


@pytest.mark.parametrize(
    "order", [("training_history", "genre_net_history"), ("genre_net_history", "training_history")]
)
def test_the_runs_own_curve_has_its_name_whatever_is_saved_first(rule, order):
    columns = {"epoch": [0, 1], "task": "g", "fold": 0, "loss": [2.0, 1.0]}
    histories = {
        "training_history": pd.DataFrame({**columns, "net": "gsedm"}),
        "genre_net_history": pd.DataFrame({**columns, "net": "baseline stn_g", "loss": [4.0, 3.0]}),
    }
    logged = [
        tuple(value[:2])
        for name in order
        for op in rule.apply(name, histories[name], None).operations
        if op["kind"] == "metrics"
        for value in op["metrics"]
    ]
    assert sorted(logged) == [
        ("baseline.stn_g.train.g.loss", 3.0),
        ("baseline.stn_g.train.g.loss", 4.0),
        ("train.g.loss", 1.0),
        ("train.g.loss", 2.0),
    ]


def test_every_output_of_every_pipeline_is_logged_by_its_ending():
    from kedro.framework.project import configure_project, pipelines

    configure_project("artist_transfer")
    outputs = {name for pipeline in pipelines.values() for name in pipeline.all_outputs()}
    assert len(outputs) > 20
    assert {name for name in outputs if ending_of(name) is None} == set()


def test_what_is_in_memory_is_written(rule):
    rule.limit = 10**6
    table = pd.DataFrame({"a": [1, 2]})
    for name, data in {"m.x_table": table, "m.x_facts": {"b": 1}, "page_html": "<p>", "x_report": "words"}.items():
        found = rule.apply(name, data, None)
        (operation,) = [op for op in found.operations if op["kind"] == "artifact"]
        file = Path(operation["file"])
        if name == "m.x_table":
            pd.testing.assert_frame_equal(pd.read_parquet(file), table)
        elif name == "m.x_facts":
            assert json.loads(file.read_text()) == {"b": 1}
        else:
            assert file.read_text() == data
    assert artifacts(rule.apply("m.y_table", table, None)) == ["memory/m/y_table.parquet"]


def test_what_cannot_be_written_is_named(rule):
    found = rule.apply("odd_table", object(), None)
    assert not found.operations
    assert "odd_table" in found.left_out[0]


def test_a_large_file_is_left_out_by_name_and_size(rule):
    found = rule.apply("big_table", pd.DataFrame(), Stored(rule.project / "data/big_table.parquet", "x" * 101))
    assert artifacts(found) == []
    assert "data/big_table.parquet" in found.left_out[0]
    exact = rule.apply("fits_table", pd.DataFrame(), Stored(rule.project / "data/fits_table.parquet", "x" * 100))
    assert exact.left_out == []


def test_the_files_of_weights_are_logged_and_the_cache_of_a_manifest_is_not(rule):
    cache = rule.project / "data/cache/nets/0123"
    Stored(cache / "net.json")
    Stored(cache / "net.safetensors")
    Stored(rule.project / "data/cache/mel/4567/shard.npy")
    data = {"nets": [{"folder": "data/cache/nets/0123"}], "mel": "data/cache/mel/4567", "words": "no/such/path"}
    weights = rule.apply("net_weights", data, Stored(rule.project / "data/06_models/net_weights.json"))
    assert artifacts(weights) == [
        "06_models/net_weights.json",
        "06_models/net_weights/0123/net.json",
        "06_models/net_weights/0123/net.safetensors",
    ]
    manifest = rule.apply("mel_manifest", data, Stored(rule.project / "data/04_feature/mel_manifest.json"))
    assert artifacts(manifest) == ["04_feature/mel_manifest.json"]


def test_a_plot_is_also_a_page(rule):
    import plotly.graph_objects as go

    rule.limit = 10**6
    found = rule.apply("loss_plot", go.Figure(), Stored(rule.project / "data/08_reporting/loss_plot.json"))
    assert artifacts(found) == ["08_reporting/loss_plot.html", "08_reporting/loss_plot.json"]
    (page,) = [op["file"] for op in found.operations if op["file"].endswith(".html")]
    assert "<html>" in Path(page).read_text()


def test_any_other_output_is_findable_by_its_record(rule):
    found = rule.apply("features", pd.DataFrame({"a": [1]}), None)
    assert not found.operations
    assert found.record["shape"] == [1, 1]
    assert "ends in none" in found.record["not_logged"]
