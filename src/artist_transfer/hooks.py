"""What Kedro calls: tracking, and the quiet around it. MLflow is not imported before a session is made."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.tracking.quiet import quieten, quieten_loggers, show_own_warnings

if TYPE_CHECKING:
    from artist_transfer.tracking.lifecycle import TrackedRun
    from artist_transfer.tracking.mlflow_run import GuardedMlflowHook

quieten()  # this module is imported with the settings, before the plugins are

SPOOL = Path("data/09_tracking/spool")
LIMIT_BYTES = 50 * 2**20


class TrackingHooks:
    """One MLflow run for each Kedro run; whatever happens to MLflow, the Kedro run goes on.

    kedro-mlflow's own hook has to be disabled in the settings (``DISABLE_HOOKS_FOR_PLUGINS``, where its name is
    ``kedro_mlflow``): it is called from here, with guards.

    Parameters
    ----------
    spool : Path
        Where it is kept what MLflow did not take; relative to the project.
    limit : int, bytes
        No larger artifact is logged.
    """

    def __init__(self, *, spool: Path = SPOOL, limit: int = LIMIT_BYTES) -> None:
        self._spool = spool
        self._limit = limit
        self._hook: GuardedMlflowHook | None = None
        self._run: TrackedRun | None = None
        self._project = Path()
        self._parameters: dict[str, Any] = {}

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Read ``mlflow.yml``; ask MLflow nothing yet.

        Parameters
        ----------
        context : KedroContext
            The context that Kedro made.
        """
        show_own_warnings()
        self._project = Path(context.project_path)
        self._hook = None
        from artist_transfer.tracking.mlflow_run import GuardedMlflowHook  # imports MLflow: a second

        quieten_loggers()
        hook = GuardedMlflowHook()
        hook.configure(context)
        self._hook = hook

    @hook_impl
    def after_catalog_created(self, parameters: dict[str, Any]) -> None:
        """Keep the parameters, validated and typed.

        Parameters
        ----------
        parameters : dict
            All of them under ``parameters``, each under ``params:…``.
        """
        self._parameters = parameters.get("parameters", {})

    @hook_impl(wrapper=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> Generator[None, Any, Any]:
        """Start the MLflow run, after all checks of the others.

        Parameters
        ----------
        run_params : dict
            What was asked for.
        pipeline : Pipeline
            The nodes that will run.
        catalog : CatalogProtocol
            The catalogue.

        Yields
        ------
        None
            To the other hooks.

        Raises
        ------
        ArtistTransferError
            If a run is to be resumed that MLflow does not know.
        """
        result = yield
        self._end("KILLED")  # of a run before, in the same notebook, that was interrupted
        self._run = None
        if self._hook is not None and self._wanted(self._hook, run_params):
            self._begin(self._hook, run_params, pipeline, catalog)
        return result

    def _wanted(self, hook: GuardedMlflowHook, run_params: dict[str, Any]) -> bool:
        names = run_params.get("pipeline_names") or ["__default__"]
        return bool(self._parameters.get("tracking", True)) and hook.enabled(list(names))

    def _begin(self, hook: GuardedMlflowHook, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        from artist_transfer.tracking.lifecycle import TrackedRun

        if "ParallelRunner" in str(run_params.get("runner")):
            warnings.warn(
                "with ParallelRunner what the nodes return is not logged in MLflow; SequentialRunner logs it",
                ArtistTransferWarning,
                stacklevel=2,
            )
        try:
            run = TrackedRun(hook, self._project, spool_root=self._spool, limit=self._limit)
            run.begin(run_params, self._parameters, pipeline=pipeline, catalog=catalog)
        except ArtistTransferError:
            raise
        except Exception as error:
            _warn("nothing of this run is logged in MLflow", error)
            return
        self._run = run

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Any) -> None:
        """Log an output.

        Parameters
        ----------
        dataset_name : str
            Its name.
        data : object
            What the node returned.
        node : Node
            The node.
        """
        if self._run is not None:
            self._run.saved(dataset_name, data, node.name)

    @hook_impl
    def on_node_error(self, error: Exception, node: Any) -> None:
        """Remember which node failed.

        Parameters
        ----------
        error : Exception
            What it raised.
        node : Node
            The node.
        """
        if self._run is not None:
            self._run.failed(node.name)

    @hook_impl(wrapper=True)
    def after_pipeline_run(self) -> Generator[None, Any, Any]:
        """End the MLflow run, after all others have spoken.

        Yields
        ------
        None
            To the other hooks.
        """
        try:
            result = yield
        except Exception as error:
            self._end("FAILED", error)
            raise
        self._end("FINISHED")
        return result

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """End the MLflow run as failed.

        Parameters
        ----------
        error : Exception
            What a node raised.
        """
        self._end("FAILED", error)

    def _end(self, status: str, error: BaseException | None = None) -> None:
        if self._run is None:
            return
        try:
            self._run.end(status, error)
        except Exception as problem:
            _warn("the end of this run is not logged in MLflow", problem)


def _warn(what: str, error: Exception) -> None:
    warnings.warn(f"{what}: {type(error).__name__}: {error}", ArtistTransferWarning, stacklevel=2)
