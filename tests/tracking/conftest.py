"""A tiny Kedro project, and ways to run it as a user would."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

FILES = {
    "pyproject.toml": """
        [tool.kedro]
        package_name = "tiny"
        project_name = "tiny"
        kedro_init_version = "1.7.0"
        source_dir = "src"
        """,
    ".telemetry": "consent: false",
    "src/tiny/__init__.py": "",
    "src/tiny/settings.py": """
        from artist_transfer.hooks import TrackingHooks
        HOOKS = (TrackingHooks(limit=200_000),)
        DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow", "kedro-telemetry")
        CONFIG_LOADER_ARGS = {
            "base_env": "base", "default_run_env": "local", "merge_strategy": {"parameters": "soft"}}
        """,
    "src/tiny/pipeline_registry.py": """
        from kedro.pipeline import Node, Pipeline
        from tiny import nodes

        def register_pipelines():
            tiny = Pipeline([
                Node(nodes.train, ["params:training", "params:wait", "parameters"],
                     ["net_history", "loss_plot", "net_weights", "huge_table", "anything"],
                     name="train"),
                Node(nodes.score, ["net_history", "params:fault"], ["transfer_metrics", "some_facts"], name="score"),
            ]) + Pipeline([Node(nodes.factors, None, "factor_table", name="factors")], namespace="mfcc")
            return {"tiny": tiny, "__default__": tiny}
        """,
    "src/tiny/nodes.py": """
        import os, signal, subprocess, sys, time, warnings
        from pathlib import Path
        import pandas as pd
        from pydantic import BaseModel
        from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

        class Optimiser(BaseModel):
            name: str = "adam"
            rates: list[float] = [0.1, 0.01]

        class Training(BaseModel):
            epochs: int
            optimiser: Optimiser = Optimiser()

        def factors():
            return pd.DataFrame({"artist_id": ["a", "b"], "f00": [0.5, 0.5]})

        def train(training: Training, wait, parameters):
            import plotly.graph_objects as go
            Path("first_node").write_text(str(time.time()))
            for _ in range(2):
                warnings.warn("only 3 centres", ArtistTransferWarning)
            while wait and not Path(wait).exists():
                time.sleep(0.05)
            rows = [(e, t, 1.0 / (e + 1), f) for f in (0, 1) for t in "gs" for e in range(training.epochs)]
            history = pd.DataFrame(rows, columns=["epoch", "task", "loss", "fold"])
            folder = Path("data/cache/nets/0123"); folder.mkdir(parents=True, exist_ok=True)
            (folder / "net.safetensors").write_bytes(b"weights")
            (folder / "net.json").write_text("{}")
            huge = pd.DataFrame({"x": pd.Series(range(100_000)) * 7919 % 100_003})
            return history, go.Figure(), {"folder": str(folder)}, huge, object()

        def score(history, fault):
            if fault == "error":
                raise ArtistTransferError("the node has failed")
            if fault == "exit":
                raise SystemExit(143)
            if fault == "sigterm":
                os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)
            if fault == "sigkill":
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == "interrupt":
                raise KeyboardInterrupt
            metrics = {"transfer.log_loss": 1.5, "baseline": {"prior": {"log_loss": 1.75}}, "transfer.auc": None}
            return metrics, {"tracks": 12}
        """,
    "conf/base/parameters.yml": """
        training: {epochs: 3}
        corpus: synthetic
        letters: [g, s]
        long: ""
        wait: ""
        fault: ""
        tracking: true
        mlflow_run_id: null
        """,
    "conf/base/catalog.yml": """
        "{namespace}.{name}_table":
          type: pandas.ParquetDataset
          filepath: data/05_model_input/{namespace}/{name}_table.parquet
        "huge_table":
          type: pandas.ParquetDataset
          filepath: data/03_primary/huge_table.parquet
        "{name}_history":
          type: pandas.ParquetDataset
          filepath: data/06_models/{name}_history.parquet
        "{name}_plot":
          type: plotly.JSONDataset
          filepath: data/08_reporting/{name}_plot.json
        "{name}_metrics":
          type: json.JSONDataset
          filepath: data/08_reporting/{name}_metrics.json
        "{name}_weights":
          type: json.JSONDataset
          filepath: data/06_models/{name}_weights.json
        """,
    "conf/local/.gitkeep": "",
}


class Tiny:
    """The project, and how to run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        for name, text in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(textwrap.dedent(text).lstrip())
        shipped = Path(__file__).resolve().parents[2] / "conf/base/mlflow.yml"
        (folder / "conf/base/mlflow.yml").write_bytes(shipped.read_bytes())

    def start(self, *arguments: str, uri: str | None = None, env: dict[str, str] | None = None) -> subprocess.Popen:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        kept |= {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "400", **(env or {})}
        if uri:
            kept["MLFLOW_TRACKING_URI"] = uri
        command = [sys.executable, "-m", "kedro", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=kept, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, *params: str, uri: str | None = None, code: int | None = 0) -> str:
        extra = ["--params", ",".join(params)] if params else []
        process = self.start("run", "--pipelines=tiny", *extra, uri=uri)
        output, errors = process.communicate(timeout=120)
        assert code is None or process.returncode == code, f"exit {process.returncode}\n{output}\n{errors}"
        return output + errors

    def client(self, uri: str | None = None):
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=uri or self.uri)

    def runs(self, uri: str | None = None) -> list:
        client = self.client(uri)
        experiment = client.get_experiment_by_name("artist-transfer")
        return client.search_runs([experiment.experiment_id]) if experiment else []

    def spools(self) -> list[Path]:
        return sorted(path.parent for path in (self.folder / "data/09_tracking/spool").glob("*/header.json"))

    def wait_for(self, name: str, process: subprocess.Popen, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not (self.folder / name).exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until, f"{name} was not written within {seconds} s"
            time.sleep(0.02)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that MLflow has made, to be copied: making it takes seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


class Server:
    """A real `mlflow server` on this machine."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = port or free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = self._start()

    def _start(self) -> subprocess.Popen:
        store = f"sqlite:///{self.folder / 'server.db'}"
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        process = subprocess.Popen(
            command, cwd=self.folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(600):
            try:
                urllib.request.urlopen(self.uri + "/health", timeout=1)
                return process
            except OSError:
                assert process.poll() is None, "mlflow server did not start"
                time.sleep(0.1)
        raise AssertionError("mlflow server did not answer")

    def send(self, number: int) -> None:
        """Send a signal to the server and its workers: they are a process group of their own."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self.send(9)
        self.process.wait()

    def restart(self) -> None:
        self.process = self._start()


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("server"))
    yield found
    found.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
