from __future__ import annotations

import subprocess
import sys

RUN = """
import logging, sys, warnings
logging.captureWarnings(True)
logging.basicConfig(format="LOGGED %(message)s", stream=sys.stderr)
from artist_transfer.errors import ArtistTransferWarning
from artist_transfer.tracking.quiet import quieten, show_own_warnings
quieten(); quieten(); show_own_warnings()
for _ in range(3):
    warnings.warn("only 3 centres", ArtistTransferWarning)
warnings.warn("only 4 centres", ArtistTransferWarning)
warnings.warn("somebody else's", UserWarning)
"""


def test_own_warnings_are_shown_once_each_and_those_of_others_as_before():
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.startswith("warning: ")] == [
        "warning: only 3 centres",
        "warning: only 4 centres",
    ]
    assert next(line for line in lines if line.startswith("LOGGED")).endswith("UserWarning: somebody else's")


def test_the_settings_module_does_not_import_mlflow():
    code = "import sys, artist_transfer.hooks; print(sorted({'mlflow', 'torch', 'pandas', 'tqdm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_kedro_mlflow_is_quiet():
    code = (
        "import kedro.framework.project; from artist_transfer.tracking.quiet import quieten; quieten(); "
        "import kedro_mlflow.framework.hooks.mlflow_hook"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Warning" not in done.stdout + done.stderr
