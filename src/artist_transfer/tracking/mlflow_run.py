"""kedro-mlflow, with guards: its configuration, and its way to make a run in a fresh or shared database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from kedro.config import MissingConfigException
from kedro_mlflow.config.kedro_mlflow_config import KedroMlflowConfig
from kedro_mlflow.config.resolvers import resolve_random_name
from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook
from omegaconf import OmegaConf

from artist_transfer.tracking.facts import PROCESS
from artist_transfer.tracking.process import is_dead, scope
from artist_transfer.tracking.reach import NoAnswerError, sqlite_path, why_not

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from mlflow import MlflowClient

DEFAULT_URI = "sqlite:///mlflow.db"
DATABASE_WAIT_S = 30.0


class GuardedMlflowHook(MlflowHook):
    """kedro-mlflow's hook, called by this project's own one instead of by Kedro.

    Kedro's `after_context_created` reads the configuration only: MLflow is asked when a run begins, so that
    `kedro catalog`, `kedro viz` and the rest do not depend on it.
    """

    given_up = False  # set by the one who waited too long: then no run is made that nobody would end

    def configure(self, context: KedroContext) -> None:
        """Read ``mlflow.yml`` and hang it into the context, as kedro-mlflow does.

        Parameters
        ----------
        context : KedroContext
            The context.
        """
        import mlflow

        config = _read_config(context)
        self.external_run = mlflow.active_run()
        if self.external_run is not None:  # of a notebook or another program: it is theirs to end
            config.server.mlflow_tracking_uri = mlflow.get_tracking_uri()
            config.tracking.run.id = self.external_run.info.run_id
        else:
            mlflow.set_tracking_uri(config.server.mlflow_tracking_uri)
        self._already_active_mlflow = False  # the run is made in a thread of its own, where none is active
        self._context = context
        self.mlflow_config = config
        context.__setattr__("mlflow", config)  # `kedro mlflow ui` reads it there

    @property
    def uri(self) -> str:
        """The tracking address."""
        return str(self.mlflow_config.server.mlflow_tracking_uri)

    def enabled(self, names: list[str]) -> bool:
        """Tell whether ``mlflow.yml`` wants these pipelines tracked.

        Parameters
        ----------
        names : list of str
            The pipelines.

        Returns
        -------
        bool
            False if all of them are in ``tracking.disable_tracking.pipelines``.
        """
        return not set(names) <= set(self.mlflow_config.tracking.disable_tracking.pipelines)

    def open_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> tuple[MlflowClient, str]:
        """Make the database and the experiment if need be, and start or resume the run.

        Parameters
        ----------
        run_params : dict
            What Kedro tells its hooks of the run.
        pipeline : Pipeline
            The nodes that will run.
        catalog : CatalogProtocol
            The catalogue.

        Returns
        -------
        (MlflowClient, str)
            The client and the run's id.

        Raises
        ------
        NoAnswerError
            If MLflow is not there, in words for people.
        Exception
            Whatever else MLflow raises when it cannot be reached.
        """
        with _alone(sqlite_path(self.uri)):
            reason = why_not(self.uri)  # under the lock: a database that is just being made looks locked
            if reason:
                raise NoAnswerError(reason)
            self.mlflow_config.setup(self._context)
        if self.given_up:
            raise NoAnswerError("MLflow came too late")
        super().before_pipeline_run(run_params=run_params, pipeline=pipeline, catalog=catalog)
        client = self.mlflow_config.server._mlflow_client
        return client, str(self.run_id)

    def bury_the_dead(self, client: MlflowClient) -> list[str]:
        """Mark runs as KILLED whose process has ended without a word.

        Parameters
        ----------
        client : MlflowClient
            The client.

        Returns
        -------
        list of str
            Their ids.
        """
        if scope() is None:
            return []
        experiment = self.mlflow_config.tracking.experiment._experiment.experiment_id
        running = client.search_runs([experiment], filter_string="attributes.status = 'RUNNING'", max_results=1000)
        dead = [run.info.run_id for run in running if is_dead(run.data.tags.get(PROCESS))]
        for run_id in dead:
            client.set_terminated(run_id, "KILLED")
        return dead


@contextmanager
def _alone(path: Path | None) -> Iterator[None]:
    """Let one process at a time look for the tables and make them: of several at once all but one would fail."""
    lock = None if path is None else FileLock(f"{path}.lock", timeout=DATABASE_WAIT_S)
    try:
        if path is not None and lock is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
    except Timeout as error:
        raise NoAnswerError(f"another process has held {path}.lock for {DATABASE_WAIT_S:g} s") from error
    except OSError:
        lock = None  # the folder is read-only: nobody makes tables there
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _read_config(context: KedroContext) -> KedroMlflowConfig:
    if not OmegaConf.has_resolver("km.random_name"):
        OmegaConf.register_new_resolver("km.random_name", resolve_random_name, use_cache=True)
    patterns: dict[str, list[str]] = getattr(context.config_loader, "config_patterns", {})
    patterns.setdefault("mlflow", ["mlflow*", "mlflow*/**", "**/mlflow*"])
    try:
        found = context.config_loader["mlflow"] or {}
    except MissingConfigException:
        found = {}
    config = KedroMlflowConfig.model_validate(found)
    config.server.mlflow_tracking_uri = _absolute(
        os.environ.get("MLFLOW_TRACKING_URI") or config.server.mlflow_tracking_uri or DEFAULT_URI,
        Path(context.project_path),
    )
    database = sqlite_path(config.server.mlflow_tracking_uri)
    made = config.tracking.experiment.create_experiment_kwargs
    if database is not None and made.artifact_location is None:
        # MLflow would take a folder beside wherever the command was given.
        made.artifact_location = (database.parent / "mlruns").as_uri()
    if "name" not in (found.get("tracking") or {}).get("experiment", {}):
        config.tracking.experiment.name = context._package_name or Path(context.project_path).name
    return config


def _absolute(uri: str, project: Path) -> str:
    """Let a relative SQLite file be the project's, wherever the command was given."""
    path = sqlite_path(uri)
    if path is None or path.is_absolute():
        return uri
    return uri.replace(f"sqlite:///{path}", f"sqlite:///{project / path}", 1)
