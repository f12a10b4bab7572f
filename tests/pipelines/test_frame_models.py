"""Models of frames on disk: what is damaged is fitted again, what is whole is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.pipelines.recognition_problem import FRAMES, corpus, drawn, sets_of
from tests.pipelines.test_recognition_leaks import MODELS, Sounds, hashes

from artist_transfer.artifacts import MANIFEST, read_json, write_json
from artist_transfer.pipelines.recognition.fitting import HISTORY, fit_frame_models
from artist_transfer.recognition.frames_file import write_song_frames

Fit = Callable[[], tuple[dict[str, Any], pd.DataFrame]]


@pytest.fixture
def fit(tmp_path: Path) -> Fit:
    _, _, _, held = drawn(tmp_path / "trials")
    usable, _ = corpus()
    write_song_frames(Sounds(()), usable["track_id"], tmp_path / "frames", coefficients=6)
    frames = {"self": FRAMES["self"] | {"folder": str(tmp_path / "frames")}}
    return lambda: fit_frame_models(sets_of(usable, held), frames, MODELS, 0, "cpu", 1, str(tmp_path / "cache"))


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def unnamed(folder: Path) -> None:
    """Write the manifest as early versions did, which did not name the history and had no checksum of their own."""
    content = read_json(folder / MANIFEST)
    del content["sha256"], content["files"][HISTORY]
    write_json(folder / MANIFEST, content)


@pytest.mark.filterwarnings("ignore::artist_transfer.errors.ArtistTransferWarning")
@pytest.mark.parametrize("early", [False, True])
def test_a_damaged_history_is_made_again(fit: Fit, tmp_path: Path, early: bool) -> None:
    first, table = fit()
    before = hashes(tmp_path / "cache")
    (entry,) = first["models"]
    for kind in ("ubm", "ivector"):
        path = Path(entry[kind]) / HISTORY
        whole = path.read_bytes()
        for damaged in (whole[:20], b"", b"[]", b'{"objective": null}', b"\xff", None):
            if early:
                unnamed(path.parent)
            path.unlink() if damaged is None else path.write_bytes(damaged)
            again, rows = fit()
            assert again == first and hashes(tmp_path / "cache") == before
            pd.testing.assert_frame_equal(rows, table, check_exact=True)


def test_early_models_that_are_whole_are_kept(fit: Fit, tmp_path: Path) -> None:
    first, table = fit()
    for kind in ("ubm", "ivector"):
        unnamed(Path(first["models"][0][kind]))
    before = times(tmp_path / "cache")
    again, rows = fit()
    assert again == first and times(tmp_path / "cache") == before
    pd.testing.assert_frame_equal(rows, table, check_exact=True)
