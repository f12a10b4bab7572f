"""What of a node's output goes into MLflow: a rule on the ending of its name, no list of names.

==============================================================  =======================================================
the last part of the name ends in                               it is logged as
==============================================================  =======================================================
``metrics``                                                     metrics, by the names in it; words in it as tags
``history``                                                     metrics by epoch: ``train.<task>.loss``, of baselines
                                                                ``baseline.<name>.train.<task>.loss``
``plot``                                                        a page that MLflow shows
all of these, and ``table``, ``manifest``, ``weights``,         the file that the catalogue saved; what the catalogue
``report``, ``facts``, ``html``, ``csv``                        keeps in memory is written as JSON, Parquet or text
``weights``                                                     and the folders with safetensors that it names
``runs``                                                        a run below this one for each of its entries
anything else                                                   its name, type and file in ``outputs.json``
==============================================================  =======================================================

A manifest is logged, the cache that it describes is not.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from artist_transfer.tracking import operations
from artist_transfer.tracking.curves import curves
from artist_transfer.tracking.flatten import flat_metrics
from artist_transfer.tracking.operations import Operation

ENDINGS = ("metrics", "history", "table", "plot", "manifest", "weights", "report", "facts", "html", "csv", "runs")
LIMIT_BYTES = 50 * 2**20


@dataclass
class Findings:
    """What is to be done about one output.

    Attributes
    ----------
    operations : list of dict
        What to log.
    record : dict
        Its line in ``outputs.json``.
    left_out : list of str
        What is not logged, and why; for the end of the run.
    """

    operations: list[Operation] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


@dataclass
class OutputRule:
    """The rule, for one run.

    Parameters
    ----------
    project : Path
        The project's folder.
    scratch : Path
        Where outputs that are only in memory are written to be logged.
    limit : int, bytes
        No larger file is logged.
    """

    project: Path
    scratch: Path
    limit: int = LIMIT_BYTES
    _owners: dict[str, str] = field(default_factory=dict)

    def apply(self, name: str, data: Any, dataset: Any) -> Findings:
        """Decide on one output.

        Parameters
        ----------
        name : str
            The dataset's name.
        data : object
            What the node returned.
        dataset : AbstractDataset or None
            Where the catalogue saved it.

        Returns
        -------
        Findings
            What to log and what to say.
        """
        ending = ending_of(name)
        stored = stored_file(dataset, self.project)
        record: dict[str, Any] = {"type": type(data).__name__, "file": self._relative(stored)}
        if hasattr(data, "shape"):
            record["shape"] = list(data.shape)
        found = Findings(record=record)
        if ending is None:
            record["not_logged"] = f"its name ends in none of {', '.join(ENDINGS)}"
            return found
        self._numbers(found, name, ending, data)
        if ending == "runs":
            found.operations += [operations.child(run, label=f"run {run['name']}") for run in data]
        if ending == "plot" and hasattr(data, "write_html"):
            self._file(found, name, self._page(name, data), self._folder(name, stored))
        self._files(found, name, data, stored, ending)
        record["logged"] = sorted(_logged(found.operations))
        if found.left_out:
            record["not_logged"] = "; ".join(found.left_out)
        return found

    def _numbers(self, found: Findings, name: str, ending: str, data: Any) -> None:
        if ending == "metrics" and isinstance(data, Mapping):
            numbers, texts, missing = flat_metrics(data)
            values = [(self._own(key, name), value, 0) for key, value in numbers.items()]
            if missing:
                found.record["without_value"] = missing
            if texts:
                own = {self._own(key, name): text for key, text in texts.items()}
                found.operations.append(operations.tags(own, label=f"{name} ({len(own)} texts)"))
        elif ending == "history" and hasattr(data, "columns"):
            values = [(self._own(key, name), value, step) for key, value, step in curves(data)]
        else:
            return
        if values:
            found.operations.append(operations.metrics(values, label=f"{name} ({len(values)} values)"))

    def _own(self, key: str, name: str) -> str:
        """Return the metric's name, with that of the output before it if another output has taken it."""
        if self._owners.setdefault(key, name) == name:
            return key
        return operations.allowed_name(f"{name}.{key}")

    def _files(self, found: Findings, name: str, data: Any, stored: Path | None, ending: str) -> None:
        folder = self._folder(name, stored)
        if stored is None:
            stored = _written(self.scratch / name.replace(".", "/"), name, data)
            if stored is None and ending not in ("metrics", "history"):
                found.left_out.append(f"{name}: {type(data).__name__} is only in memory and cannot be written")
        if stored is not None:
            self._file(found, name, stored, folder)
        if ending == "weights":
            for path in _paths_in(data, self.project):
                self._file(found, name, path, f"{folder}/{name}")

    def _file(self, found: Findings, name: str, path: Path, folder: str) -> None:
        if path.is_dir():
            for inner in sorted(path.iterdir()):
                if inner.is_file() and not inner.name.startswith("."):
                    self._file(found, name, inner, f"{folder}/{path.name}")
        elif not path.is_file():
            found.left_out.append(f"{name}: {self._relative(path)} is not there")
        elif path.stat().st_size > self.limit:
            found.left_out.append(
                f"{name}: {self._relative(path)} has {path.stat().st_size / 2**20:.1f} MB "
                f"(at most {self.limit / 2**20:.3g} MB are logged)"
            )
        else:
            label = f"{name} ({path.name})"
            found.operations.append(operations.artifact(os.fspath(path), folder=folder, label=label))

    def _page(self, name: str, figure: Any) -> Path:
        path = self.scratch / name.replace(".", "/") / f"{name.rpartition('.')[2]}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.write_html(path, include_plotlyjs="cdn")  # as MLflow's own log_figure does
        return path

    def _folder(self, name: str, stored: Path | None) -> str:
        """Return the layer's folder under ``data``; for what is in memory or elsewhere the namespace."""
        if stored is not None and stored.is_relative_to(self.project / "data"):
            return stored.parent.relative_to(self.project / "data").as_posix().removeprefix(".")
        place = "outputs" if stored is not None else "memory"
        return "/".join([place, *name.split(".")[:-1]])

    def _relative(self, path: Path | None) -> str | None:
        if path is None:
            return None
        return path.relative_to(self.project).as_posix() if path.is_relative_to(self.project) else path.name


def ending_of(name: str) -> str | None:
    """Return the ending of a dataset's name that the rule knows.

    Parameters
    ----------
    name : str
        Perhaps with namespaces.

    Returns
    -------
    str or None
        One of `ENDINGS`.
    """
    ending = re.split(r"[._]", name)[-1]
    return ending if ending in ENDINGS else None


def stored_file(dataset: Any, project: Path) -> Path | None:
    """Return the local file that a dataset saved to.

    Parameters
    ----------
    dataset : AbstractDataset or None
        Perhaps wrapped in another one.
    project : Path
        What relative paths are relative to.

    Returns
    -------
    Path or None
        None for what is in memory or on another machine.
    """
    while hasattr(dataset, "_dataset"):  # a CachedDataset
        dataset = dataset._dataset
    if getattr(dataset, "_protocol", "file") not in ("file", ""):
        return None
    path = getattr(dataset, "_filepath", None)
    if path is not None and getattr(dataset, "_version", None) is not None:
        path = dataset._get_load_path()
    return None if path is None else project / Path(path)


def _written(folder: Path, name: str, data: Any) -> Path | None:
    """Write what is only in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name.rpartition(".")[2]
    if isinstance(data, Path):
        return data
    if isinstance(data, str):
        path = path.with_suffix(".html" if data.lstrip().startswith("<") else ".txt")
        path.write_text(data, encoding="utf-8")
    elif hasattr(data, "to_parquet"):
        path = path.with_suffix(".parquet")
        data.to_parquet(path)
    elif isinstance(data, (Mapping, list, tuple)):
        path = path.with_suffix(".json")
        path.write_text(json.dumps(data, indent=1, default=str, ensure_ascii=False) + "\n", encoding="utf-8")
    elif hasattr(data, "to_json"):
        path = path.with_suffix(".json")
        path.write_text(data.to_json(), encoding="utf-8")
    else:
        return None
    return path


def _paths_in(data: Any, project: Path) -> Iterator[Path]:
    """Find the folders of nets that a description of weights names; of other folders it may name nothing is logged."""
    if isinstance(data, Mapping):
        for value in data.values():
            yield from _paths_in(value, project)
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from _paths_in(value, project)
    elif _holds_nets(data, project):
        yield project / data


def _holds_nets(data: Any, project: Path) -> bool:
    if not isinstance(data, (str, Path)) or not 0 < len(str(data)) < 1000:  # longer than that is no path
        return False
    return any((project / data).glob("*.safetensors"))


def _logged(found: list[Operation]) -> Iterator[str]:
    for operation in found:
        if operation["kind"] == "artifact":
            yield f"{operation['folder']}/{Path(operation['file']).name}".lstrip("/")
        else:
            yield operation["kind"]
