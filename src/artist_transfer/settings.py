"""Kedro's settings of this project. Imported by every `kedro` command, so nothing heavy is imported here."""

import os

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from artist_transfer.configuration import ProjectConfigLoader
from artist_transfer.hooks import TrackingHooks
from artist_transfer.startup import StartUpHooks
from artist_transfer.summary import SummaryHooks

HOOKS = (StartUpHooks(), TrackingHooks(), SummaryHooks())
DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow", "kedro-telemetry")

CONFIG_LOADER_CLASS = ProjectConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft"},
}
