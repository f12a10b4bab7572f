"""Which code made a result."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git_state(project: Path) -> dict[str, str | None]:
    """Ask git for the commit and whether the working tree differs from it.

    Parameters
    ----------
    project : Path
        The project's folder.

    Returns
    -------
    dict
        ``git.commit`` and ``git.dirty``; None outside a repository.
    """
    commit = _git(project, "rev-parse", "HEAD")
    changes = _git(project, "status", "--porcelain") if commit else None
    return {"git.commit": commit, "git.dirty": None if changes is None else str(bool(changes)).lower()}


def _git(project: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
