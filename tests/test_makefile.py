"""What `make clean` and its siblings take away, and above all what they leave."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOWNLOADS = {"data/01_raw/fma/fma_small.zip", "data/01_raw/released/net.h5", "data/01_raw/mine/song.mp3"}
EMBEDDED = {"data/01_raw/synthetic/0123/tracks.csv"}
WRITTEN = {
    "data/02_intermediate/corpus_facts.json",
    "data/04_feature/mfcc/bag_manifest.json",
    "data/08_reporting/agf_multitask.html",
    "build/index.html",
}
CACHE = {"data/cache/nets/0123/net.safetensors"}
TRACKED = {"mlflow.db", "mlflow.db-wal", "mlruns/0/meta.yaml", "mlartifacts/x", "data/09_tracking/spool/x.json"}
KEPT = {f"data/{layer}/.gitkeep" for layer in ("01_raw", "02_intermediate", "04_feature", "08_reporting")}

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


@pytest.mark.parametrize(
    ("target", "gone"), [("clean", WRITTEN), ("clean-cache", CACHE | EMBEDDED), ("clean-tracking", TRACKED)]
)
def test_what_is_cleaned_is_what_the_target_says(target: str, gone: set[str], tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    everything = DOWNLOADS | EMBEDDED | WRITTEN | CACHE | TRACKED | KEPT
    for name in everything:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", target], cwd=tmp_path, check=True, capture_output=True)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == everything - gone | {"Makefile"}
