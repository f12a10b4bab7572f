"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_corpora() -> Path:
    """Folder of the shared real corpora, or a skip that says where it was looked for."""
    folder = Path(os.environ.get("AT_CORPORA", ROOT.parent / "shared" / "corpora"))
    if not (folder / "composers" / "tracks.csv").is_file():
        pytest.skip(f"the shared corpora are not at {folder}; set AT_CORPORA to their folder")
    return folder
