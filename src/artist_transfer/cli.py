"""The project's own `kedro run`: Kedro's command, with errors written for people.

Kedro finds the group named ``cli`` in this module and puts its commands before its own.
"""

from __future__ import annotations

import copy
import functools
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import click
from kedro import KedroDeprecationWarning
from kedro.framework.cli.project import run as kedro_run
from kedro.io import DatasetError

from artist_transfer.configuration import suggestion
from artist_transfer.errors import ArtistTransferError, DeviceLost
from artist_transfer.pipeline_registry import jobs_that_make, pipeline_names

MOST_OTHERS = 3

# The catalogue puts the dataset's name before what `artist_transfer.datasets` says of a file that is not there.
_MISSING = re.compile(r"(?P<name>\S+): (?P<path>.+) is not there: the node")


@click.group(name="artist_transfer")
def cli() -> None:
    """Commands of the artist-transfer project."""


def _with_plain_errors(callback: Any) -> Any:
    @functools.wraps(callback)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("pipeline") and not kwargs.get("pipelines"):
            # `--pipeline` and `--pipelines` are the same to a user of one pipeline; Kedro warns about the first.
            warnings.filterwarnings("ignore", message="Option '--pipeline'", category=KedroDeprecationWarning)
        asked = [kwargs["pipeline"]] if kwargs.get("pipeline") else list(kwargs.get("pipelines") or [])
        try:
            _check_pipelines(asked)
            return callback(*args, **kwargs)
        except (ArtistTransferError, DeviceLost) as error:
            message = str(error)
        except DatasetError as error:
            missing = _MISSING.match(str(error))
            if missing is None:
                raise
            message = f"{missing['name']}: {_short(missing['path'])} is not there yet{_first(missing['name'], asked)}"
        click.secho(f"Error: {message}", fg="red", err=True)
        sys.exit(1)

    return call


def _first(dataset: str, asked: list[str]) -> str:
    """Say which job makes a dataset, and which others do."""
    jobs = jobs_that_make(dataset, asked=asked[0] if len(asked) == 1 else None)
    if not jobs:
        return ""
    others = f" (or {', '.join(jobs[1 : MOST_OTHERS + 1])})" if len(jobs) > 1 else ""
    return f": run `kedro run --pipeline={jobs[0]}` first{others}"


def _short(path: str) -> str:
    here = Path.cwd()
    return Path(path).relative_to(here).as_posix() if Path(path).is_relative_to(here) else path


def _check_pipelines(asked: list[str]) -> None:
    known = pipeline_names()
    for name in asked:
        if name not in (*known, "__default__"):
            raise ArtistTransferError(
                f"--pipeline={name}: there is no such pipeline{suggestion(name, known)} Allowed: {', '.join(known)}"
            )


@functools.cache
def _query_pattern() -> re.Pattern[str]:
    """Find ``query=`` and its text, which ends where another of the parameters that there are begins.

    A song may be called ``one, two=three.mp3``: an equals sign after a comma alone ends nothing. In quotation marks
    even ``"one, seed=3.mp3"`` is one text.
    """
    from artist_transfer.parameters import RunParameters

    names = "|".join(sorted(RunParameters.model_fields, key=len, reverse=True))
    end = rf"\s*(?=,\s*(?:{names})(?:\.[a-z_0-9.]+)?=|$)"
    return re.compile(rf'(?:^|,)\s*query=\s*(?:"(?P<quoted>.*?)"{end}|(?P<plain>.*?){end})', re.DOTALL)


def _with_literal_query(option: click.Parameter) -> click.Parameter:
    """Take ``query=`` as it is written: Kedro would read 000002 as 2 and part a name at its comma."""
    if option.name != "params" or option.callback is None:
        return option
    split = option.callback
    literal = copy.copy(option)

    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        found = _query_pattern().search(value) if isinstance(value, str) and "query=" in value else None
        if found is None:
            return split(context, parameter, value)
        rest = (value[: found.start()] + value[found.end() :]).strip(", ")
        query = found["plain"] if found["quoted"] is None else found["quoted"]
        return {**split(context, parameter, rest), "query": query.strip()}

    literal.callback = callback
    return literal


run = click.Command(
    name="run",
    params=[_with_literal_query(option) for option in kedro_run.params],
    callback=_with_plain_errors(kedro_run.callback),
    help="Run a pipeline. The pipelines are listed by `kedro registry list`.",
)
cli.add_command(run)
