"""The pipelines fit together, and every output has a place on disk."""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from kedro.framework.project import configure_project, pipelines
from kedro.io import DataCatalog

from artist_transfer.parameters import RunParameters
from artist_transfer.pipeline_registry import pipeline_names

ROOT = Path(__file__).resolve().parents[2]
CATALOG = yaml.safe_load((ROOT / "conf" / "base" / "catalog.yml").read_text())


@pytest.fixture(scope="module", autouse=True)
def configured() -> None:
    configure_project("artist_transfer")


def test_the_folders_are_the_registered_pipelines() -> None:
    assert set(pipelines) == {*pipeline_names(), "__default__"}
    assert pipelines["__default__"].describe() == pipelines["agf_multitask"].describe()


@pytest.mark.parametrize(
    "name",
    ["agf_multitask", "agf_study", "artist_basic", "artist_siamese", "artist_study", "download", "embed", "tag_basic"],
)
def test_a_job_needs_nothing_but_parameters(name: str) -> None:
    free = pipelines[name].inputs()
    assert {n for n in free if n != "parameters" and not n.startswith("params:")} == set()


def test_prediction_needs_nothing_but_the_last_model() -> None:
    assert {n for n in pipelines["predict"].inputs() if not n.startswith("params:")} == {"model_weights"}
    assert "model_weights" in pipelines["agf_multitask"].all_outputs()


@pytest.mark.parametrize("name", pipeline_names())
def test_every_output_is_kept_and_every_node_is_named(name: str) -> None:
    catalog = DataCatalog.from_config(CATALOG)
    for output in pipelines[name].all_outputs():
        dataset = catalog.get(output)
        assert dataset is not None, output
        assert "filepath" in dataset._describe(), f"{output} would be lost with the process"
        assert output.endswith("_facts") or dataset.metadata["kedro-viz"]["layer"]
    for node in pipelines[name].nodes:
        assert node._name, f"{node} has no name"


def test_no_two_outputs_share_a_file() -> None:
    catalog = DataCatalog.from_config(CATALOG)
    outputs = {output for name in pipeline_names() for output in pipelines[name].all_outputs()}
    paths = [catalog.get(output)._describe()["filepath"] for output in outputs]
    assert len(set(paths)) == len(paths)


def test_layers_can_be_ordered() -> None:
    catalog = DataCatalog.from_config(CATALOG)
    before: dict[str, set[str]] = {}
    for node in pipelines["agf_multitask"].nodes:
        layers = [{layer_of(catalog, name) for name in names} - {None} for names in (node.inputs, node.outputs)]
        for later in layers[1]:
            before.setdefault(str(later), set()).update(str(layer) for layer in layers[0] - {later})
    tuple(TopologicalSorter(before).static_order())  # raises if a layer comes back


def layer_of(catalog: DataCatalog, name: str) -> str | None:
    if name.startswith("param"):
        return None
    dataset = catalog.get(name)
    assert dataset is not None
    return (dataset.metadata or {}).get("kedro-viz", {}).get("layer")


def test_every_parameter_is_used_and_no_other_is_asked_for() -> None:
    asked = {n.removeprefix("params:") for name in pipeline_names() for n in pipelines[name].inputs() if ":" in n}
    by_hooks = {"tracking", "mlflow_run_id"}
    assert asked | by_hooks == set(RunParameters.model_fields)


def test_every_parameter_is_explained() -> None:
    text = (ROOT / "docs" / "parameters.md").read_text()
    written = yaml.safe_load((ROOT / "conf" / "base" / "parameters.yml").read_text())
    for key, value in written.items():
        assert f"`{key}" in text, f"docs/parameters.md does not explain {key}"
        for inner in value if isinstance(value, dict) else ():
            assert f"{key}.{inner}" in text or f".{inner}`" in text, f"docs/parameters.md: {key}.{inner}"
