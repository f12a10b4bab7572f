"""``python -m artist_transfer.tracking``: log to MLflow what was kept while it was away."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from artist_transfer.tracking.quiet import quieten, quieten_loggers
from artist_transfer.tracking.reach import shortly, why_not


def main(arguments: list[str] | None = None) -> int:
    """Replay all spools of a folder.

    Parameters
    ----------
    arguments : list of str, optional
        The command line; that of this process by default.

    Returns
    -------
    int
        1 if something is still kept, else 0.
    """
    parser = argparse.ArgumentParser(prog="python -m artist_transfer.tracking", description=__doc__)
    parser.add_argument("--uri", default=os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db"))
    parser.add_argument("--spool", type=Path, default=Path("data/09_tracking/spool"))
    options = parser.parse_args(arguments)
    reason = why_not(options.uri)
    if reason:
        print(f"MLflow ({options.uri}) cannot be reached: {reason}", file=sys.stderr)
        return 1
    return _replay_all(options.spool, options.uri)


def _replay_all(root: Path, uri: str) -> int:
    quieten()
    from artist_transfer.tracking.spool import pending, replay

    quieten_loggers()
    kept = 0
    for folder in pending(root):
        try:
            done = replay(folder, uri, force=True)
        except Exception as error:
            print(f"{folder}: {shortly(error)}", file=sys.stderr)
            kept += 1
            continue
        if done.busy:
            print(f"{folder}: its run still goes on")
        else:
            print(f"{folder}: logged to run {done.run_id} ({done.operations} operations)")
        for label in done.refused:
            print(f"  MLflow refused {label}", file=sys.stderr)
    return 1 if kept else 0


if __name__ == "__main__":
    sys.exit(main())
