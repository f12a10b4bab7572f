"""Silence what a user can do nothing about, and show what a user should read.

Standard library only: this is imported with Kedro's settings, before MLflow is.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Callable
from typing import TextIO

from artist_transfer.errors import ArtistTransferWarning

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",  # MLflow accepts no other word, Kedro's telemetry any
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # MLflow's own seven retries hold a training up for four minutes when its server is gone.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0.1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
}
# The beginning of the message and the category of each warning that is raised by a plugin's import.
IMPORT_WARNINGS: tuple[tuple[str, type[Warning]], ...] = (
    ("Add type hints to the `predict` method", UserWarning),  # kedro-mlflow defines an MLflow model
)
_said: set[str] = set()  # own warnings of this run
LOGGERS = ("alembic", "mlflow.store.db.utils", "kedro_mlflow")


def quieten() -> None:
    """Set the environment and choose which warnings are shown; what the user has set in the environment stays."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _install()


def quieten_loggers() -> None:
    """Raise the level of loggers that tell of their own workings; call it after they were imported."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def silence_mlflow() -> None:
    """Let MLflow say nothing more: it is away, and its retries would repeat what the run's end says once."""
    for name in ("mlflow", "mlflow.store.db.utils", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def show_own_warnings() -> None:
    """Show each ArtistTransferWarning once; call it when a run begins."""
    warnings.filterwarnings("always", category=ArtistTransferWarning)  # Python counts anew when a filter changes
    _said.clear()
    _install()


def _install() -> None:
    if not isinstance(warnings.showwarning, _Show):  # Kedro's logging may have taken its place
        warnings.showwarning = _Show(warnings.showwarning)


class _Show:
    """A replacement of ``warnings.showwarning``: our own ones as one readable line, those of the plugins not at all.

    A filter does not do: MLflow puts its own before it while the warning is raised.
    """

    def __init__(self, other: Callable[..., None]) -> None:
        self._other = other

    def __call__(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, ArtistTransferWarning):
            if str(message) in _said:
                return
            _said.add(str(message))
            from tqdm import tqdm

            tqdm.write(f"warning: {message}", file=file or sys.stderr)  # keeps a progress bar whole
        elif not _is_noise(str(message), category):
            self._other(message, category, filename, lineno, file, line)


def _is_noise(text: str, category: type[Warning]) -> bool:
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)  # MLflow colours it
    return any(category is kind and plain.startswith(start) for start, kind in IMPORT_WARNINGS)
