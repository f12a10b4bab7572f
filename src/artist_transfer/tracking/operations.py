"""The few things that are done to an MLflow run, as plain dicts: what is done now can be written down and done later.

=========  ==================================================================
kind       further keys
=========  ==================================================================
tags       ``tags``: name → text
params     ``params``: name → text
metrics    ``metrics``: list of [name, value, time in ms, step]
artifact   ``file``: path of the file, ``folder``: where it goes in the run
child      ``name``, ``params``, ``metrics``: name → number, ``tags``, ``status``: a run below this one
end        ``status``: FINISHED, FAILED or KILLED, ``time`` in ms
=========  ==================================================================

Each has a ``label``, the words for it in "not logged: …". Doing one twice changes nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from artist_transfer.tracking.facts import PROCESS
from artist_transfer.tracking.process import identity

if TYPE_CHECKING:
    from mlflow import MlflowClient

Operation = dict[str, Any]
Item = TypeVar("Item")

PARAMS_PER_CALL = 100
METRICS_PER_CALL = 1000
LONGEST_PARAMETER = 6000
LONGEST_TAG = 8000
CHANGED = "changed_parameter."
PARENT = "mlflow.parentRunId"
CHILD = "artist_transfer.child"


class RefusedError(Exception):
    """Something that cannot be logged, and could not be later either."""


def now() -> int:
    """Return the time as MLflow counts it.

    Returns
    -------
    int
        Milliseconds since 1970.
    """
    return time.time_ns() // 1_000_000


def tags(values: Mapping[str, object], *, label: str) -> Operation:
    """Make the operation that sets tags.

    Parameters
    ----------
    values : mapping
        Name → value; None is left out, long text cut at MLflow's limit.
    label : str
        The words for it.

    Returns
    -------
    dict
        The operation.
    """
    kept = {allowed_name(name): str(value)[:LONGEST_TAG] for name, value in values.items() if value is not None}
    return {"kind": "tags", "tags": kept, "label": label}


def params(values: Mapping[str, str], *, label: str) -> Operation:
    """Make the operation that logs parameters.

    Parameters
    ----------
    values : mapping
        Name → text.
    label : str
        The words for it.

    Returns
    -------
    dict
        The operation.
    """
    return {"kind": "params", "params": dict(values), "label": label}


def metrics(values: Sequence[tuple[str, float, int]], *, label: str) -> Operation:
    """Make the operation that logs metrics.

    Parameters
    ----------
    values : sequence of (str, float, int)
        Name, value, step.
    label : str
        The words for it.

    Returns
    -------
    dict
        The operation.
    """
    at = now()
    return {"kind": "metrics", "metrics": [[name, value, at, step] for name, value, step in values], "label": label}


def artifact(file: str, *, folder: str, label: str) -> Operation:
    """Make the operation that logs a file.

    Parameters
    ----------
    file : str
        Its path.
    folder : str
        Where it goes in the run; "" is the top.
    label : str
        The words for it.

    Returns
    -------
    dict
        The operation.
    """
    return {"kind": "artifact", "file": file, "folder": folder, "label": label}


def child(run: Mapping[str, Any], *, label: str) -> Operation:
    """Make the operation that logs a run below this one, all at once.

    Parameters
    ----------
    run : mapping
        ``name``, its name; ``params``, ``metrics`` and ``tags`` (name → value), ``failed`` (bool). Doing it again with
        the same name writes into the same run.
    label : str
        The words for it.

    Returns
    -------
    dict
        The operation.
    """
    return {
        "kind": "child",
        "name": str(run["name"]),
        "params": {allowed_name(name): str(value) for name, value in run["params"].items() if value is not None},
        "metrics": {allowed_name(name): float(value) for name, value in run["metrics"].items()},
        "tags": {allowed_name(name): str(value)[:LONGEST_TAG] for name, value in run["tags"].items()},
        "status": "FAILED" if run["failed"] else "FINISHED",
        "time": now(),
        "label": label,
    }


def end(status: str) -> Operation:
    """Make the operation that ends the run.

    Parameters
    ----------
    status : str
        FINISHED, FAILED or KILLED.

    Returns
    -------
    dict
        The operation.
    """
    return {"kind": "end", "status": status, "time": now(), "label": f"the end status {status}"}


def allowed_name(name: str) -> str:
    """Replace what MLflow does not allow in a name by underscores.

    Parameters
    ----------
    name : str
        Of a parameter, metric or tag.

    Returns
    -------
    str
        At most 250 characters.
    """
    return re.sub(r"[^/\w.\- :]", "_", name)[:250]


def perform(operation: Operation, client: MlflowClient, run_id: str) -> None:
    """Do one operation.

    Parameters
    ----------
    operation : dict
        As above.
    client : MlflowClient
        Where.
    run_id : str
        To which run.

    Raises
    ------
    RefusedError
        If MLflow says that the request itself is wrong, or the file has gone.
    Exception
        Whatever MLflow raises when it cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    try:
        _PERFORM[operation["kind"]](operation, client, run_id)
    except MlflowException as error:
        if error.error_code == "INVALID_PARAMETER_VALUE":  # BAD_REQUEST can also mean a damaged database
            raise RefusedError(str(error)) from error
        raise


def _tags(operation: Operation, client: MlflowClient, run_id: str) -> None:
    from mlflow.entities import RunTag

    entries = [RunTag(name, value) for name, value in operation["tags"].items()]
    for batch in _batches(entries, PARAMS_PER_CALL):
        client.log_batch(run_id, tags=batch)


def _params(operation: Operation, client: MlflowClient, run_id: str) -> None:
    from mlflow.entities import Param

    # MLflow refuses to change a parameter; a run that is resumed with another one says so in a tag.
    there = client.get_run(run_id).data.params
    new = {name: value for name, value in operation["params"].items() if name not in there}
    changed = {name: value for name, value in operation["params"].items() if there.get(name, value) != value}
    for batch in _batches([Param(name, value) for name, value in new.items()], PARAMS_PER_CALL):
        client.log_batch(run_id, params=batch)
    if changed:
        _tags(tags({CHANGED + name: value for name, value in changed.items()}, label=""), client, run_id)


def _metrics(operation: Operation, client: MlflowClient, run_id: str) -> None:
    from mlflow.entities import Metric

    entries = [Metric(name, value, at, step) for name, value, at, step in operation["metrics"]]
    for batch in _batches(entries, METRICS_PER_CALL):
        client.log_batch(run_id, metrics=batch)


def _artifact(operation: Operation, client: MlflowClient, run_id: str) -> None:
    if not Path(operation["file"]).is_file():
        raise RefusedError("the file is not there any more")
    client.log_artifact(run_id, operation["file"], operation["folder"] or None)


def _child(operation: Operation, client: MlflowClient, run_id: str) -> None:
    parent = client.get_run(run_id).info
    mine = f"tags.`{PARENT}` = '{run_id}' and tags.`{CHILD}` = '{operation['name'].replace(chr(39), '_')}'"
    there = client.search_runs([parent.experiment_id], filter_string=mine, max_results=1)
    if there:
        child_id = there[0].info.run_id
    else:
        made = {PARENT: run_id, CHILD: operation["name"].replace("'", "_")}
        process = identity()  # of who makes it now, who need not be who asked for it
        made |= {PROCESS: process} if process else {}
        child_id = client.create_run(
            parent.experiment_id, start_time=operation["time"], tags=made, run_name=operation["name"]
        ).info.run_id
    _params(operation, client, child_id)
    values = [[name, value, operation["time"], 0] for name, value in operation["metrics"].items()]
    _metrics({"metrics": values}, client, child_id)
    _tags(operation, client, child_id)
    client.set_terminated(child_id, operation["status"], operation["time"])


def _end(operation: Operation, client: MlflowClient, run_id: str) -> None:
    client.set_terminated(run_id, operation["status"], operation["time"])


def _batches(entries: Sequence[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(entries)
    while batch := list(islice(iterator, size)):
        yield batch


_PERFORM = {"tags": _tags, "params": _params, "metrics": _metrics, "artifact": _artifact, "child": _child, "end": _end}
