"""Listed tracks and their audio: where the files are, under which ending, and what is said of those not there."""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

AUDIO_ENDINGS = (".mp3", ".wav", ".au", ".flac", ".ogg")
"""Endings that a listed track is looked for under, in this order."""
FIRST_NAMED = 5
"""How many of the tracks that are not there a message names."""
NOT_THERE, NOT_ANNOTATED = "listed but not there", "listed but not annotated"
"""Why listed tracks are left out."""


def without_ending(path: str) -> str:
    """Take the ending of an audio (or feature) file off a listed path.

    Parameters
    ----------
    path : str
        For instance ``blues/blues.00029.wav``; ``blues.00029`` has no such ending.

    Returns
    -------
    str
    """
    stem, dot, ending = path.rpartition(".")
    return stem if dot and f".{ending.lower()}" in (*AUDIO_ENDINGS, ".npy") else path


def find_folder(root: Path, candidates: Sequence[str], *, wanted: Iterable[str]) -> str:
    """Find the folder of a corpus that holds its folders of audio.

    Parameters
    ----------
    root : Path
        The corpus root.
    candidates : sequence of str
        Folders in it; "" is the root itself.
    wanted : iterable of str
        Names of the folders of audio.

    Returns
    -------
    str
        The candidate that has most of them, the first among equals.
    """
    names = sorted(set(wanted))
    return max(candidates, key=lambda folder: sum((root / folder / name).is_dir() for name in names))


def is_there(root: Path, path: str) -> bool:
    """Say whether a listed file is there; one whose name no file system would take is not.

    Parameters
    ----------
    root : Path
        The corpus root.
    path : str
        Relative to it.

    Returns
    -------
    bool
    """
    try:
        return (root / path).is_file()
    except (OSError, ValueError):  # too long, or behind a folder that may not be entered
        return False


def spelt_as_there(root: Path, path: str) -> str:
    """Spell a listed path as its file is: some systems write "ö" as one character, others as two.

    Parameters
    ----------
    root : Path
        The corpus root.
    path : str
        Relative to it.

    Returns
    -------
    str
        As it is listed if that is there, or if no spelling of it is.
    """
    if path.isascii() or is_there(root, path):
        return path
    others = (unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path))
    return next((other for other in others if is_there(root, other)), path)


def find_audio(root: Path, stems: Iterable[str], *, endings: Sequence[str] = AUDIO_ENDINGS) -> dict[str, str]:
    """Find the audio file of each listed track.

    Parameters
    ----------
    root : Path
        The corpus root.
    stems : iterable of str
        Paths relative to it, without ending.
    endings : sequence of str
        In any case. The first under which there is a file is taken.

    Returns
    -------
    dict of str to str
        The path of each stem that there is a file of, relative to `root`.
    """
    folders: dict[str, dict[str, list[str]]] = {}
    found = {}
    for stem in stems:
        folder, slash, name = stem.rpartition("/")
        if folder not in folders:
            folders[folder] = _audio_in(root / folder, endings)
        files = (f"{folder}{slash}{file}" for file in folders[folder].get(name, ()))
        if path := next((path for path in files if is_there(root, path)), None):
            found[stem] = path
    return found


def _audio_in(folder: Path, endings: Sequence[str]) -> dict[str, list[str]]:
    """Return the files of each name without ending, in the order of endings, and as these are written first."""
    try:
        files = sorted(os.listdir(folder), reverse=True)  # small letters before capitals
    except (OSError, ValueError):
        return {}
    audio: dict[str, list[str]] = {}
    for ending in endings:
        for file in files:
            if file[-len(ending) :].lower() == ending:
                audio.setdefault(file[: -len(ending)], []).append(file)
    return audio


def tell_absent(absent: Sequence[str], *, listed: int, name: str, where: str | Path) -> None:
    """Name listed tracks that are not there: a warning, or an error if none is.

    Parameters
    ----------
    absent : sequence of str
        The entries that are not there.
    listed : int
        How many are listed.
    name : str
        Corpus and variant.
    where : str or Path
        Where they were looked for.

    Raises
    ------
    ArtistTransferError
        If not one of the listed tracks is there.
    """
    if not absent:
        return
    first = ", ".join(sorted(absent)[:FIRST_NAMED])
    rest = f" and {len(absent) - FIRST_NAMED:,} more" if len(absent) > FIRST_NAMED else ""
    if len(absent) >= listed:
        raise ArtistTransferError(
            f"corpus_root: none of the {listed:,} tracks that {name} lists is in {where} ({first}{rest});"
            " allowed: the folder that holds their audio."
        )
    warnings.warn(
        f"{name}: {len(absent):,} of {listed:,} listed tracks are not in {where} and left out: {first}{rest}.",
        ArtistTransferWarning,
        stacklevel=3,
    )


def exclusions(absent: Mapping[str, str], *, reason: str = NOT_THERE) -> pd.DataFrame:
    """Name every listed track that is left out.

    Parameters
    ----------
    absent : mapping of str to str
        What the lists call each of them, by track.
    reason : str
        Why.

    Returns
    -------
    pd.DataFrame [columns: track_id, reason]
        Sorted by track.
    """
    rows = [(track, f"{reason}: {name}") for track, name in sorted(absent.items())]
    return pd.DataFrame(rows, columns=["track_id", "reason"], dtype="str")
