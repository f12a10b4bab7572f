"""A folder of one's own music, read by the tags of its files."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import mutagen
import pandas as pd
from mutagen.id3 import ID3
from tqdm.auto import tqdm

from artist_transfer.corpora.names import folded_name, normal_name
from artist_transfer.corpora.schema import make_track_table, split_words
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

EXTENSIONS = (".mp3", ".ogg", ".oga", ".opus", ".flac", ".wav", ".aiff", ".aif", ".m4a", ".wma", ".ape")
"""File name endings that are taken for audio, whatever their case; the probe says whether one decodes."""

NO_ARTIST = frozenset(
    {
        "various artists", "various artist", "various", "various performers", "va", "v a", "no artist", "n a",
        "unknown", "unknown artist", "artist unknown", "unbekannt", "unbekannter interpret", "verschiedene",
        "verschiedene interpreten", "diverse", "diverse interpreten", "divers", "artistes divers",
        "artiste inconnu", "varios artistas", "varios", "artista desconocido", "artisti vari", "aa vv",
    }
)  # fmt: skip
"""Names that say that no artist is known, lower case, punctuation as one space."""

_GENRE_SEPARATORS = re.compile(r"[;/]")


def read_folder(
    corpus_root: str | Path, *, extensions: Sequence[str] = EXTENSIONS
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the track table of a folder of audio files from their tags.

    Parameters
    ----------
    corpus_root : str or Path
        The folder; all folders below are searched. Links to files count as files, links to folders are not
        followed (they could lead round in a circle or out of the corpus).
    extensions : sequence of str
        Endings of file names that are taken for audio, with the dot.

    Returns
    -------
    track_table : pd.DataFrame
        ``track_id`` = ``path`` (relative, with its ending); the artist is the artist tag, else the album
        artist's, names like 'Various Artists' counting as missing; ``genre_top`` the first genre, ``genres``
        all; ``album_id`` artist and album. Ids are compared whatever the case.
    notes : dict of int
        Counts: ``tracks``, ``without genre``, ``without artist``, ``unreadable tags``, ``files that are not
        audio``, ``names that are not UTF-8``, ``folders behind links``.

    Raises
    ------
    ArtistTransferError
        If the folder is missing, cannot be read or holds no audio file.
    """
    root = Path(corpus_root)
    if not root.is_dir():
        raise ArtistTransferError(f"corpus_root: folder {root} is missing.")
    counts: Counter[str] = Counter()
    paths = sorted(_audio_files(root, {ending.lower() for ending in extensions}, counts))
    if not paths:
        raise ArtistTransferError(
            f"corpus_root: no audio file in {root} ({counts['files that are not audio']} other files);"
            f" endings looked for: {', '.join(extensions)}."
        )
    progress = tqdm(paths, desc="reading tags", unit=" files", delay=2, leave=False)
    table = make_track_table(pd.DataFrame([_record(root, path, counts) for path in progress]), source=root)
    return table, {
        "tracks": len(table),
        "without genre": int(table["genre_top"].isna().sum()),
        "without artist": int(table["artist_id"].isna().sum()),
        "unreadable tags": counts["unreadable tags"],
        "files that are not audio": counts["files that are not audio"],
        "names that are not UTF-8": counts["names that are not UTF-8"],
        "folders behind links": counts["folders behind links"],
    }


def _audio_files(root: Path, endings: set[str], counts: Counter[str]) -> Iterator[str]:
    for folder, folders, files in os.walk(root, followlinks=False, onerror=_unreadable_folder):
        folders.sort()
        counts["folders behind links"] += sum(Path(folder, name).is_symlink() for name in folders)
        for name in sorted(files):
            file = Path(folder, name)
            path = file.relative_to(root).as_posix()
            special = file.exists() and not file.is_file()  # a pipe would wait for ever; the probe names dead links
            if special or file.suffix.lower() not in endings:
                counts["files that are not audio"] += 1
            elif not _is_unicode(path):
                counts["names that are not UTF-8"] += 1
                message = f"{path!a} is left out: its name is not UTF-8; rename it."
                warnings.warn(message, ArtistTransferWarning, stacklevel=4)
            else:
                yield path


def _unreadable_folder(error: OSError) -> None:
    raise ArtistTransferError(f"corpus_root: folder {error.filename} cannot be read ({error.strerror}).") from error


def _is_unicode(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _record(root: Path, path: str, counts: Counter[str]) -> dict[str, object]:
    tags = _tags(root / path)
    if tags is None:
        counts["unreadable tags"] += 1
        tags = {}
    artist = next((name for key in ("artist", "albumartist") if (name := _artist(tags.get(key, [])))), None)
    album = _first(tags.get("album", []))
    genres = split_words(normal_name(";".join(tags.get("genre", []))), separators=_GENRE_SEPARATORS)
    return {
        "track_id": path,
        "path": path,
        "artist_id": None if artist is None else folded_name(artist),
        "artist": artist,
        "album_id": None if album is None else folded_name(f"{artist or ''}/{album}"),
        "title": _first(tags.get("title", [])),
        "genre_top": genres[0] if genres else None,
        "genres": genres,
    }


def _tags(path: Path) -> dict[str, list[str]] | None:
    """Return the tags of a file by their easy names, None if they cannot be read."""
    try:
        audio = mutagen.File(path, easy=True)
        if audio is None:
            return None
        tags = audio.tags
        if tags is None:
            return {}
        return {name: _values(tags, name) for name in ("artist", "albumartist", "album", "title", "genre")}
    except Exception:  # whatever a damaged file makes mutagen raise, its tags are unreadable and no more
        return None


_FRAMES = {"artist": "TPE1", "albumartist": "TPE2", "album": "TALB", "title": "TIT2", "genre": "TCON"}


def _values(tags: object, name: str) -> list[str]:
    """Read one tag; WAV and AIFF keep ID3 frames, for which mutagen has no easy names."""
    values: object
    if isinstance(tags, ID3):
        frame = tags.get(_FRAMES[name])
        values = [] if frame is None else frame.genres if name == "genre" else frame.text
    else:
        values = tags.get(name) or []  # type: ignore[attr-defined]
    values = values if isinstance(values, (list, tuple)) else [values]
    return [str(value).replace("\0", ";").encode("utf-8", "replace").decode("utf-8") for value in values]


def _first(values: Sequence[str]) -> str | None:
    return next((text for value in values if (text := " ".join(value.split()))), None)


def _artist(values: Sequence[str]) -> str | None:
    name = _first(values)
    if name is None:
        return None
    plain = " ".join(re.sub(r"[\W_]+", " ", name.casefold()).split())
    return None if plain in NO_ARTIST or not re.search(r"[^\s<>\[\]().?_-]", name) else name
