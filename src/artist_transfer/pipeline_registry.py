"""The pipelines of this project, by the names that `kedro run --pipeline=` takes: the folders of `pipelines`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

DEFAULT = "agf_multitask"


def pipeline_names() -> list[str]:
    """Return the names of all pipelines, without importing any.

    Returns
    -------
    list of str
        Sorted.
    """
    folder = Path(__file__).parent / "pipelines"
    return sorted(path.parent.name for path in folder.glob("*/pipeline.py"))


def register_pipelines() -> dict[str, Pipeline]:
    """Register every pipeline; the main job is the default.

    Returns
    -------
    dict of str to Pipeline
        By name.
    """
    pipelines = find_pipelines(raise_errors=True)
    if DEFAULT not in pipelines:  # Kedro loads only what a command asks for
        return pipelines
    return pipelines | {"__default__": pipelines[DEFAULT]}


def jobs_that_make(dataset: str, *, asked: str | None = None) -> list[str]:
    """Name the pipelines that make a dataset from nothing but parameters.

    Parameters
    ----------
    dataset : str
        Its name.
    asked : str, optional
        A pipeline that lacks it: only jobs that it is a part of are named, if there are any.

    Returns
    -------
    list of str
        `asked` itself and the main job first, then those with the fewest nodes.
    """
    known = {name: import_module(f"{__package__}.pipelines.{name}").create_pipeline() for name in pipeline_names()}
    makers = {name: pipeline for name, pipeline in known.items() if dataset in pipeline.all_outputs()}
    jobs = [name for name, pipeline in makers.items() if all(each.startswith("param") for each in pipeline.inputs())]
    jobs.sort(key=lambda name: (name != asked, name != DEFAULT, len(known[name].nodes), name))
    wanted = {node.name for node in known[asked].nodes} if asked in known else set()
    return [name for name in jobs if wanted <= {node.name for node in known[name].nodes}] or jobs
