"""The Million Song Dataset with its 7digital previews.

Reference: T. Bertin-Mahieux, D. Ellis, B. Whitman, P. Lamere, "The Million Song Dataset", ISMIR 2011,
http://millionsongdataset.com. The previews are not part of it and must be at hand.

What may be there, each used if it is (in the corpus, in its folder ``AdditionalFiles``, or in `metadata_folder`; the
subset's names with ``subset_`` in front count too):

- what the tracks are, in the order of preference `SOURCES`: the summary file, song files ``A/B/C/TRABC….h5``,
  ``track_metadata.db``, ``unique_tracks.txt`` with ``unique_artists.txt``. Each fact is taken from the first that has
  it; where two differ, it is counted;
- what is wrong with them: ``sid_mismatches.txt`` with ``sid_matches_manually_accepted.txt`` (mismatched tracks are left
  out), ``msd_duplicates.txt`` (duplicates stay, as one recording);
- genres by tagtraum and tags by Last.fm.

An artist is known by its Echo Nest id (``AR…``). Where no source has one (``unique_tracks.txt`` alone), the name takes
its place, and that is counted. An album is artist and release name, for not every source has release ids.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from artist_transfer.corpora import tagtraum
from artist_transfer.corpora._msd_sources import (
    TRACK_ID,
    Source,
    merge_sources,
    read_database,
    read_song_files,
    read_summary,
    read_unique_tracks,
)
from artist_transfer.corpora.folder import EXTENSIONS
from artist_transfer.corpora.lastfm import FILES as LASTFM_FILES
from artist_transfer.corpora.lastfm import TagChoice, read_lastfm
from artist_transfer.corpora.msd_lists import (
    apply_mismatches,
    group_recordings,
    read_accepted,
    read_duplicates,
    read_mismatches,
)
from artist_transfer.corpora.names import folded_name
from artist_transfer.corpora.previews import Previews, find_previews, read_id_maps
from artist_transfer.corpora.schema import make_track_table
from artist_transfer.errors import ArtistTransferError

SOURCES = ("summary", "songs", "database", "unique_tracks")
"""What tells what the tracks are, the preferred one first."""

_NAMES = {"summary": "the summary file", "songs": "song files", "database": "the database"}
_FILES: Mapping[str, Sequence[str]] = {
    "summary": ("msd_summary_file.h5",),
    "database": ("track_metadata.db",),
    "unique_tracks": ("unique_tracks.txt",),
    "unique_artists": ("unique_artists.txt",),
    "mismatches": ("sid_mismatches.txt",),
    "accepted": ("sid_matches_manually_accepted.txt",),
    "duplicates": ("msd_duplicates.txt",),
    "lastfm": LASTFM_FILES,
    "tagtraum": tagtraum.FILES,
}


@dataclass(frozen=True)
class MsdCorpus:
    """What the Million Song Dataset's files say.

    Attributes
    ----------
    track_table : pd.DataFrame
        Tracks that have a preview and are not mismatched; ``genres`` are Last.fm's tags, or tagtraum's genres where
        there is no ``lastfm_tags.db``; ``genre_top`` is tagtraum's.
    notes : dict of int
        Counts. Songs in the metadata and song files that cannot be used (of tracks known from nowhere else) are
        ``tracks`` and the sum of ``left out: …``.
    exclusions : pd.DataFrame [columns: track_id, reason]
        Every track that was left out, sorted.
    songs : pd.DataFrame [index: track_id]
        Everything known of every song, the 7digital ids and the year (missing: unknown) among it.
    vocabulary : tuple of str
        The Last.fm tags that were kept; empty without ``lastfm_tags.db``.
    """

    track_table: pd.DataFrame
    notes: dict[str, int]
    exclusions: pd.DataFrame
    songs: pd.DataFrame
    vocabulary: tuple[str, ...]


def read_msd(corpus_root: str | Path, **options: object) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the track table of the Million Song Dataset.

    Parameters
    ----------
    corpus_root : str or Path
        The folder with the previews.
    **options : object
        Of `load_msd`.

    Returns
    -------
    track_table : pd.DataFrame
        See `MsdCorpus`.
    notes : dict of int
        Counts.
    """
    corpus = load_msd(corpus_root, **options)  # type: ignore[arg-type]
    return corpus.track_table, corpus.notes


def load_msd(
    corpus_root: str | Path,
    *,
    metadata_folder: str | Path | None = None,
    audio_folder: str = "",
    sources: Sequence[str] = SOURCES,
    id_maps: Sequence[str] = (),
    clip_s: float | None = 30.0,
    ambiguous_genre: tagtraum.Ambiguous = "first",
    tags: TagChoice = "top50",
    n_tags: int = 50,
    min_tag_weight: float = 0.0,
) -> MsdCorpus:
    """Read the Million Song Dataset and everything that was left out of it.

    Parameters
    ----------
    corpus_root : str or Path
        The folder with the previews; usually with the metadata too.
    metadata_folder : str or Path, optional
        The folder with the metadata, absolute or in `corpus_root`; by default `corpus_root`.
    audio_folder : str
        Folder of the previews in `corpus_root`; empty: `corpus_root` itself.
    sources : sequence of {"summary", "songs", "database", "unique_tracks"}
        Which of the metadata are used, the preferred one first. A million song files take an hour to open: leave them
        out where the summary file is there.
    id_maps : sequence of str
        Files that say which preview is whose (`previews`), in the folder of the metadata or absolute.
    clip_s : float > 0, optional [s]
        How long previews are meant to be; a shorter one is quarantined as truncated, unless the song itself is shorter.
        None: not known.
    ambiguous_genre : {"first", "missing"}
        ``genre_top`` of a track to which tagtraum gives two genres.
    tags, n_tags, min_tag_weight
        Which Last.fm tags are kept (`lastfm.read_lastfm`).

    Returns
    -------
    MsdCorpus
        Track table, counts, exclusions and all that is known of the songs.

    Raises
    ------
    ArtistTransferError
        If a parameter is impossible, a file is malformed, or there is nothing to read; names file and row.
    """
    root = Path(corpus_root)
    _check(root, sources, clip_s, audio_folder)
    where = root if metadata_folder is None else root / metadata_folder
    if not where.is_dir():
        raise ArtistTransferError(f"ingestion.msd.metadata_folder: folder {where} is missing.")
    files = _find_files(where)
    counts: Counter[str] = Counter()
    id_map = read_id_maps([where / name for name in id_maps])
    songs, excluded = _read_songs(where, files, sources, counts)
    audio = _audio_files(root, audio_folder, counts)
    sound = songs.drop(index=list(mismatched := _mismatched(songs, files, counts)))
    previews = find_previews(sound, audio, id_map=id_map, folder=audio_folder)
    unusable = len(excluded)
    excluded |= mismatched | previews.reasons
    if len(songs) + unusable != len(previews.path_of) + len(excluded):
        raise AssertionError(f"{len(songs)} songs in, {len(previews.path_of)} and {len(excluded)} accounted for")
    counts.update(previews.notes)
    if not previews.path_of:
        why = "; ".join(f"{count} {kind}" for kind, count in sorted(_kinds(excluded).items()))
        raise ArtistTransferError(
            f"corpus_root: no track of {root} has a preview ({why}; {len(audio)} audio files). Previews are found by"
            " ingestion.msd.id_maps, or named <7digital id>.mp3, <7digital id>.clip.mp3 or <track id>.mp3."
        )
    kept = sound.loc[list(previews.path_of)]
    labels, vocabulary = _labels(kept.index.tolist(), files, counts, ambiguous_genre, (tags, n_tags, min_tag_weight))
    table = _track_table(root, kept, previews, _recordings(kept, previews, files, counts), labels, clip_s)
    exclusions = pd.DataFrame(sorted(excluded.items()), columns=["track_id", "reason"], dtype="str")
    counts["artists known by name only"] = int(kept.loc[kept["artist_id"].isna(), "artist"].nunique())
    notes = {
        "tracks": len(table),
        "without genre": int(table["genre_top"].isna().sum()),
        "without artist": int(table["artist_id"].isna().sum()),
        "songs in the metadata": len(songs),
        **{f"left out: {kind}": count for kind, count in sorted(_kinds(excluded).items())},
        **{name: count for name, count in counts.items() if count},
    }
    return MsdCorpus(table, notes, exclusions, songs, vocabulary)


def _check(root: Path, sources: Sequence[str], clip_s: float | None, audio_folder: str) -> None:
    if not root.is_dir():
        raise ArtistTransferError(f"corpus_root: folder {root} is missing.")
    if not sources or set(sources) - set(SOURCES) or len(set(sources)) != len(sources):
        allowed = ", ".join(SOURCES)
        raise ArtistTransferError(
            f"ingestion.msd.sources={list(sources)}: must be one or more of {allowed}, once each."
        )
    if clip_s is not None and not 0 < clip_s < float("inf"):
        raise ArtistTransferError(f"ingestion.msd.clip_s={clip_s}: must be a number of seconds above 0, or null.")
    if Path(audio_folder).is_absolute() or ".." in Path(audio_folder).parts or not (root / audio_folder).is_dir():
        raise ArtistTransferError(f"ingestion.msd.audio_folder={audio_folder!r}: must be a folder in {root}.")


def _find_files(where: Path) -> dict[str, Path]:
    files = {}
    for kind, names in _FILES.items():
        wanted = [name for plain in names for name in (plain, f"subset_{plain}")]
        found = [path for name in wanted for path in (where / name, where / "AdditionalFiles" / name) if path.is_file()]
        if len(found) > 1 and kind != "tagtraum":
            both = " and ".join(map(str, found))
            raise ArtistTransferError(f"corpus_root: {both} are both there; one of them must go elsewhere.")
        if found:
            files[kind] = found[0]
    return files


def _walk(top: Path, keep: Callable[[str], bool], counts: Counter[str]) -> list[Path]:
    found = []
    for folder, folders, names in os.walk(top, onerror=_unreadable):
        folders.sort()
        counts["folders behind links"] += sum(Path(folder, name).is_symlink() for name in folders)
        found += [Path(folder, name) for name in sorted(names) if keep(name)]
    return found


def _unreadable(error: OSError) -> None:
    raise ArtistTransferError(f"corpus_root: folder {error.filename} cannot be read ({error.strerror}).") from error


def _is_song_file(name: str) -> bool:
    return name.endswith(".h5") and TRACK_ID.fullmatch(name.removesuffix(".h5")) is not None


def _audio_files(root: Path, folder: str, counts: Counter[str]) -> list[str]:
    paths = _walk(root / folder, lambda name: Path(name).suffix.lower() in EXTENSIONS, counts)
    names = [path.relative_to(root).as_posix() for path in paths]
    good = [name for name in names if name.isascii() or name.encode("utf-8", "ignore").decode() == name]
    counts["file names that are not UTF-8"] += len(names) - len(good)
    return good


def _read_songs(
    where: Path, files: Mapping[str, Path], sources: Sequence[str], counts: Counter[str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    song_files = _walk(where, _is_song_file, Counter()) if "songs" in sources else []
    readers: dict[str, Callable[[], Source]] = {}
    if song_files:
        readers["songs"] = lambda: read_song_files(song_files)
    if "summary" in files:
        readers["summary"] = lambda: read_summary(files["summary"])
    if "database" in files:
        readers["database"] = lambda: read_database(files["database"])
    if "unique_tracks" in files:
        readers["unique_tracks"] = lambda: read_unique_tracks(files["unique_tracks"], files.get("unique_artists"))
    used = [name for name in sources if name in readers]
    if not used:
        raise ArtistTransferError(
            f"corpus_root: {where} has no metadata of the Million Song Dataset; looked for"
            f" {', '.join(name for kind in SOURCES for name in _FILES.get(kind, ['TR….h5 in any folder']))}."
        )
    read = {name: readers[name]() for name in used}
    songs, conflicts = merge_sources([source.songs for source in read.values()])
    counts.update({f"songs in {_NAMES.get(name, name)}": len(source.songs) for name, source in read.items()})
    for source in read.values():
        counts.update(source.counts)
        counts["song files that cannot be used"] += len(source.exclusions)
    counts.update(conflicts)
    excluded = {track: why for source in read.values() for track, why in source.exclusions if track not in songs.index}
    return songs, excluded


def _mismatched(songs: pd.DataFrame, files: Mapping[str, Path], counts: Counter[str]) -> dict[str, str]:
    if "mismatches" not in files:
        return {}
    accepted = read_accepted(files["accepted"]) if "accepted" in files else None
    exclusions, notes = apply_mismatches(songs, read_mismatches(files["mismatches"]), accepted=accepted)
    counts.update(notes)
    return dict(zip(exclusions["track_id"], exclusions["reason"], strict=True))


def _recordings(
    kept: pd.DataFrame, previews: Previews, files: Mapping[str, Path], counts: Counter[str]
) -> dict[str, str]:
    """Group tracks that the list, one song id or one preview make one recording."""
    by_key: dict[tuple[str, object], list[str]] = {}
    if "duplicates" in files:
        duplicates = read_duplicates(files["duplicates"])
        for group, track in zip(duplicates["group"], duplicates["track_id"], strict=True):
            by_key.setdefault(("list", group), []).append(track)
        counts["listed duplicates of other tracks"] += int((~duplicates["track_id"].isin(kept.index)).sum())
    for track, song in kept["song_id"].dropna().items():
        by_key.setdefault(("song", song), []).append(str(track))
    for track, path in previews.path_of.items():
        by_key.setdefault(("path", path), []).append(track)
    recording_of, notes = group_recordings(kept.index, by_key.values())
    counts.update(notes)
    return recording_of


def _track_table(
    root: Path,
    kept: pd.DataFrame,
    previews: Previews,
    recording_of: Mapping[str, str],
    labels: Mapping[str, Sequence[object]],
    clip_s: float | None,
) -> pd.DataFrame:
    by_name = "name:" + kept["artist"].map(folded_name, na_action="ignore").astype("str")
    artist_id = kept["artist_id"].where(kept["artist_id"].notna(), by_name)
    release = kept["release"].map(folded_name, na_action="ignore").astype("str")
    table = pd.DataFrame(
        {
            "track_id": kept.index,
            "recording_id": [recording_of[track] for track in kept.index],
            "artist_id": artist_id.tolist(),
            "artist": kept["artist"].tolist(),
            "album_id": (artist_id.fillna("") + "/" + release).tolist(),
            "title": kept["title"].tolist(),
            "path": [previews.path_of[track] for track in kept.index],
            **labels,
        }
    )
    if clip_s is not None:
        table["declared_s"] = kept["duration_s"].fillna(clip_s).clip(upper=clip_s).tolist()
    return make_track_table(table, source=root)


def _labels(
    track_ids: Sequence[str],
    files: Mapping[str, Path],
    counts: Counter[str],
    ambiguous: tagtraum.Ambiguous,
    choice: tuple[TagChoice, int, float],
) -> tuple[dict[str, list[object]], tuple[str, ...]]:
    """Return the columns ``genre_top`` and ``genres``, as far as there are labels, and the vocabulary of the tags."""
    labels: dict[str, list[object]] = {}
    vocabulary: tuple[str, ...] = ()
    if "tagtraum" in files:
        genres, notes = tagtraum.read_tagtraum(files["tagtraum"], ambiguous=ambiguous)
        genres = genres.set_index("track_id")
        counts.update(notes)
        counts["genre rows of other tracks"] += int((~genres.index.isin(track_ids)).sum())
        for name in ("genre_top", "genres"):
            of = genres[name].to_dict()
            labels[name] = [of.get(track) for track in track_ids]
    if "lastfm" in files:
        tags, n_tags, weight = choice
        lastfm = read_lastfm(files["lastfm"], track_ids=track_ids, tags=tags, n_tags=n_tags, min_weight=weight)
        counts.update(lastfm.notes)
        labels["genres"] = [lastfm.tags_of.get(track, []) for track in track_ids]
        vocabulary = lastfm.vocabulary
    return labels, vocabulary


def _kinds(excluded: Mapping[str, str]) -> Counter[str]:
    return Counter(reason.split(":", 1)[0] for reason in excluded.values())
