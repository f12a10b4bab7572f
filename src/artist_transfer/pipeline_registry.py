"""The pipelines of this project, by the names that `kedro run --pipeline=` takes: the folders of `pipelines`."""

from __future__ import annotations

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
