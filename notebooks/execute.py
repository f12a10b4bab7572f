"""Execute all notebooks; fail if one fails. Outputs are not kept."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent


def main() -> None:
    """Execute them in the project's folder, where a user would start them."""
    notebooks = sorted(FOLDER.glob("*.ipynb"))
    if not notebooks:
        sys.exit("there are no notebooks")
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER.parent)}}).execute()
        print(f"{path.name}: {sum(cell.cell_type == 'code' for cell in notebook.cells)} cells ran")


if __name__ == "__main__":
    main()
