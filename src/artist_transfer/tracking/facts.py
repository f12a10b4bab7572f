"""What a run's tags say: which code, which command, which corpus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import artist_transfer
from artist_transfer.provenance import git_state
from artist_transfer.tracking.process import identity

PROCESS = "artist_transfer.process"


def run_tags(run_params: Mapping[str, Any], parameters: Mapping[str, Any], project: Path) -> dict[str, str | None]:
    """Gather the tags of a run.

    Parameters
    ----------
    run_params : mapping
        What Kedro tells its hooks of the run.
    parameters : mapping
        The run's parameters.
    project : Path
        The project's folder.

    Returns
    -------
    dict
        Name → text, or None where there is nothing to say.
    """
    return {
        **git_state(project),
        "kedro.pipeline": pipeline_name(run_params),
        "kedro.env": run_params.get("env") or "local",
        "artist_transfer.version": artist_transfer.__version__,
        "corpus": str(parameters["corpus"]) if "corpus" in parameters else None,
        PROCESS: identity(),
    }


def pipeline_name(run_params: Mapping[str, Any]) -> str:
    """Return the names of the pipelines that run.

    Parameters
    ----------
    run_params : mapping
        What Kedro tells its hooks of the run.

    Returns
    -------
    str
        Joined by +.
    """
    names = run_params.get("pipeline_names") or run_params.get("pipeline_name") or ["__default__"]
    return names if isinstance(names, str) else "+".join(names)
