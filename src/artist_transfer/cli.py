"""The project's own `kedro run`: Kedro's command, with errors written for people.

Kedro finds the group named ``cli`` in this module and puts its commands before its own.
"""

from __future__ import annotations

import functools
import sys
import warnings
from typing import Any

import click
from kedro import KedroDeprecationWarning
from kedro.framework.cli.project import run as kedro_run

from artist_transfer.configuration import suggestion
from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipeline_registry import pipeline_names


@click.group(name="artist_transfer")
def cli() -> None:
    """Commands of the artist-transfer project."""


def _with_plain_errors(callback: Any) -> Any:
    @functools.wraps(callback)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("pipeline") and not kwargs.get("pipelines"):
            # `--pipeline` and `--pipelines` are the same to a user of one pipeline; Kedro warns about the first.
            warnings.filterwarnings("ignore", message="Option '--pipeline'", category=KedroDeprecationWarning)
        try:
            _check_pipelines([kwargs["pipeline"]] if kwargs.get("pipeline") else kwargs.get("pipelines") or [])
            return callback(*args, **kwargs)
        except ArtistTransferError as error:
            click.secho(f"Error: {error}", fg="red", err=True)
            sys.exit(1)

    return call


def _check_pipelines(asked: list[str]) -> None:
    known = pipeline_names()
    for name in asked:
        if name not in (*known, "__default__"):
            raise ArtistTransferError(
                f"--pipeline={name}: there is no such pipeline{suggestion(name, known)} Allowed: {', '.join(known)}"
            )


run = click.Command(
    name="run",
    params=kedro_run.params,
    callback=_with_plain_errors(kedro_run.callback),
    help="Run a pipeline. The pipelines are listed by `kedro registry list`.",
)
cli.add_command(run)
