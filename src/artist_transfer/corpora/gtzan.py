"""GTZAN by the fault-filtered lists: ten genres, artists not repeated across training, validation and test.

References: G. Tzanetakis, P. Cook, "Musical genre classification of audio signals", IEEE TSAP 2002; the faults:
B. L. Sturm, "The state of the art ten years after a state of the art", JNMR 2014; the lists: C. Kereliuk, B. L.
Sturm, J. Larsen, "Deep Learning and Music Adversaries", IEEE TMM 2015 (443 / 197 / 290 of the 1,000 clips).

Facts of the files: the lists name ``blues/blues.00029.wav``; copies of the audio come as .au, .wav or .mp3, in
one folder a genre; artists are not stated. In a common copy ``jazz.00054`` cannot be decoded: the probe says so.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from artist_transfer.corpora.listed_audio import (
    AUDIO_ENDINGS,
    exclusions,
    find_audio,
    find_folder,
    tell_absent,
    without_ending,
)
from artist_transfer.corpora.official_lists import OfficialLists, Published, find_lists, read_list
from artist_transfer.corpora.schema import make_track_table
from artist_transfer.errors import ArtistTransferError

LIST_FILES = {
    "training": ("train_filtered.txt",),
    "validation": ("valid_filtered.txt",),
    "test": ("test_filtered.txt",),
}
PUBLISHED = Published(
    counts={"training": 443, "validation": 197, "test": 290},
    source="GTZAN_split of github.com/jongpillee/music_dataset_split",
    sha256="185dff51d1f36a2309510aa256c0e645bcba0f2ce048d187b55cfd7f8c22dd44",
)
AUDIO_FOLDERS = ("", "genres", "genres_original", "Data/genres_original")
"""Where copies of GTZAN keep their genre folders."""

_NAME = "GTZAN (fault-filtered)"
_ENTRY = re.compile(r"(?P<genre>[^/.]+)/(?P<track>(?P=genre)\.\d+)")


def read_gtzan(
    corpus_root: str | Path, *, lists: str | Path | None = None, audio_folder: str | None = None
) -> tuple[pd.DataFrame, dict[str, int], dict[str, object], pd.DataFrame]:
    """Read the track table of GTZAN's fault-filtered lists.

    Parameters
    ----------
    corpus_root : str or Path
        The folder that holds the audio.
    lists : str or Path, optional
        The folder of ``train_filtered.txt``, ``valid_filtered.txt`` and ``test_filtered.txt``; default
        `corpus_root`.
    audio_folder : str, optional
        Folder of the genre folders in `corpus_root`; default: the first of `AUDIO_FOLDERS` that has the genre
        folders.

    Returns
    -------
    track_table : pd.DataFrame
        ``track_id`` such as ``blues.00029``, ``genre_top`` the folder, ``official_split`` by the lists; no
        artists. Listed tracks without a file are left out (a warning names them).
    notes : dict of int
        Counts: ``tracks``, ``without genre``, ``without artist``; ``listed`` = ``tracks`` + ``listed but not
        there``; ``on no list``: audio files that the lists leave out.
    list_facts : dict
        `artist_transfer.corpora.official_lists.OfficialLists.facts`.
    exclusions : pd.DataFrame [columns: track_id, reason]
        Every listed track that is left out.

    Raises
    ------
    ArtistTransferError
        If a folder or a list is missing, a line malformed, or none of the listed tracks is there.
    """
    root = Path(corpus_root)
    if not root.is_dir():
        raise ArtistTransferError(f"corpus_root: folder {root} is missing.")
    official = gtzan_lists(root if lists is None else lists)
    sides = official.sides
    genres = sorted({entry.split("/")[0] for entry in sides})
    folder = find_folder(root, AUDIO_FOLDERS, wanted=genres) if audio_folder is None else audio_folder
    stems = {entry: f"{folder}/{entry}".lstrip("/") for entry in sides}
    paths = find_audio(root, stems.values())
    absent = [entry for entry, stem in stems.items() if stem not in paths]
    tell_absent(absent, listed=len(sides), name=_NAME, where=root / folder)
    records = [
        {
            "track_id": entry.split("/")[1],
            "genre_top": entry.split("/")[0],
            "path": paths[stem],
            "official_split": sides[entry],
        }
        for entry, stem in stems.items()
        if stem in paths
    ]
    table = make_track_table(pd.DataFrame(records), source=root)
    notes = {
        "tracks": len(table),
        "without genre": 0,
        "without artist": len(table),
        "listed": len(sides),
        "listed but not there": len(absent),
        "on no list": len(_tracks_there(root / folder, genres) - set(sides)),
    }
    return table, notes, official.facts(), exclusions({entry.split("/")[1]: entry for entry in absent})


def gtzan_lists(folder: str | Path) -> OfficialLists:
    """Read the three fault-filtered lists.

    Parameters
    ----------
    folder : str or Path
        Where they are.

    Returns
    -------
    OfficialLists
        Entries such as ``blues/blues.00029``.

    Raises
    ------
    ArtistTransferError
        If a list is missing or a line malformed.
    """
    paths = find_lists(folder, LIST_FILES, name=_NAME, key="ingestion.gtzan.lists", published=PUBLISHED)
    return OfficialLists(
        _NAME, tuple(read_list(path, side=side, canonical=_entry) for side, path in paths.items()), PUBLISHED
    )


def _entry(text: str) -> str:
    entry = without_ending(text)
    if not _ENTRY.fullmatch(entry):
        raise ValueError("must be <genre>/<genre>.<number>.<ending>, such as blues/blues.00029.wav")
    return entry


def _tracks_there(folder: Path, genres: list[str]) -> set[str]:
    return {
        f"{genre}/{without_ending(file.name)}"
        for genre in genres
        for file in (folder / genre).glob("*")
        if file.suffix.lower() in AUDIO_ENDINGS and not file.name.startswith("._")
    }
