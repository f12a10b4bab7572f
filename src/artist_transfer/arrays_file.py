"""A fitted model on disk: arrays as safetensors, what is known of them as JSON, and a manifest that is written last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from artist_transfer.artifacts import atomic_path, commit_folder, open_folder, read_json, write_json
from artist_transfer.errors import ArtistTransferError


def save_arrays(
    folder: str | Path,
    arrays: Mapping[str, np.ndarray],
    card: Mapping[str, Any],
    *,
    name: str,
    card_name: str,
    details: Mapping[str, Any] | None = None,
    also: Sequence[str] = (),
) -> None:
    """Write arrays as safetensors and a card as JSON, and declare the folder done.

    Parameters
    ----------
    folder : str or Path
    arrays : mapping
    card : mapping
        What JSON can write.
    name, card_name : str
        Files of the arrays and of the card.
    details : mapping, optional
        What the manifest says of them; default nothing.
    also : sequence of str
        Further files, already in the folder, that the manifest is to name.
    """
    folder = Path(folder)
    with atomic_path(folder / name) as path:
        save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, path)
    write_json(folder / card_name, dict(card))
    commit_folder(folder, files=[name, card_name, *also], details=details or {})


def load_arrays(folder: str | Path, what: str, *, name: str, card_name: str) -> tuple[dict[str, np.ndarray], Any]:
    """Read what `save_arrays` wrote.

    Parameters
    ----------
    folder : str or Path
    what : str
        What it is, for the error.
    name, card_name : str
        Files of the arrays and of the card.

    Returns
    -------
    arrays : dict
    card : dict

    Raises
    ------
    ArtistTransferError
        If the folder does not hold both, whole.
    """
    folder = Path(folder)
    if open_folder(folder) is None:
        raise ArtistTransferError(f"{folder} holds no finished {what} ({name}, {card_name}, manifest)")
    return load_file(folder / name), read_json(folder / card_name)
