"""Listed tracks and their audio: where the files are, under which ending, and what is said of those not there."""

from __future__ import annotations

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


def find_audio(root: Path, stems: Iterable[str], *, endings: Sequence[str] = AUDIO_ENDINGS) -> dict[str, str]:
    """Find the audio file of each listed track.

    Parameters
    ----------
    root : Path
        The corpus root.
    stems : iterable of str
        Paths relative to it, without ending.
    endings : sequence of str
        The first under which there is a file is taken.

    Returns
    -------
    dict of str to str
        The path of each stem that there is a file of, relative to `root`.
    """
    found = {}
    for stem in stems:
        ending = next((ending for ending in endings if (root / f"{stem}{ending}").is_file()), None)
        if ending is not None:
            found[stem] = f"{stem}{ending}"
    return found


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
