"""MagnaTagATune: 25,863 clips of 29 s with 188 tags from a game, by its cleaned or its raw lists.

References: E. Law, K. West, M. Mandel, M. Bay, J. S. Downie, "Evaluation of algorithms using games: the case of
music tagging", ISMIR 2009; the cleaned lists: J. Lee, J. Nam, "Multi-Level and Multi-Scale Feature Aggregation
Using Pre-trained Convolutional Neural Networks for Music Auto-tagging", IEEE SPL 2017; the raw ones: J. Pons, X.
Serra, "musicnn", ISMIR 2019 late-breaking.

Facts of the files: ``annotations_final.csv`` is tab-separated: ``clip_id``, a column of 0 and 1 for each tag,
``mp3_path``. Folders 0 to b are training, c validation, d to f test, in both variants. The cleaned lists (15,244
/ 1,529 / 4,332) hold clips of more than 29.1 s with a tag among the top 50; the raw ones (18,706 / 1,825 / 5,329)
hold all, untagged clips too, but three files without audio. Results on the two are not comparable. A clip is
called ``<artist>-<album>-<nn>-<title>-<start>-<end>``; some artists' names are cut off. Tracks and albums stay in
one folder, artists do not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from artist_transfer.corpora._csv import check_width, csv_rows, refuse_cell
from artist_transfer.corpora.listed_audio import (
    NOT_ANNOTATED,
    exclusions,
    find_audio,
    find_folder,
    tell_absent,
    without_ending,
)
from artist_transfer.corpora.official_lists import (
    OfficialLists,
    Published,
    SideList,
    content_lines,
    find_lists,
    list_hash,
    read_list,
)
from artist_transfer.corpora.schema import make_track_table
from artist_transfer.errors import ArtistTransferError

VARIANTS = ("cleaned", "raw")
ANNOTATIONS = "annotations_final.csv"
TAG_FILE = "top50_tags.txt"
WITHOUT_AUDIO = ("35644", "55753", "57881")
"""Clips whose files are empty or damaged in every copy; the raw lists leave them out."""
FOLDERS = {"training": "0123456789ab", "validation": "c", "test": "def"}
"""The split by folder, which both variants keep to."""
AUDIO_FOLDERS = ("", "mp3", "audio", "MagnaTagATune")

_LIST_FILES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "cleaned": {
        "training": ("train_list_pub.txt", "train_list_pub.cP"),
        "validation": ("valid_list_pub.txt", "valid_list_pub.cP"),
        "test": ("test_list_pub.txt", "test_list_pub.cP"),
    },
    "raw": {
        "training": ("train_gt_mtt.tsv", "train_list_raw.txt"),
        "validation": ("val_gt_mtt.tsv", "valid_list_raw.txt"),
        "test": ("test_gt_mtt.tsv", "test_list_raw.txt"),
    },
}
PUBLISHED = {
    "cleaned": Published(
        counts={"training": 15244, "validation": 1529, "test": 4332},
        source="MTAT_split of github.com/jongpillee/music_dataset_split",
        sha256="df9af53a1ee43bb3e2c210b1c1a47e266b12010e2225ec76f7753ecc5dc85f3a",
    ),
    "raw": Published(
        counts={"training": 18706, "validation": 1825, "test": 5329},
        source="data/index/mtt of github.com/jordipons/musicnn-training",
    ),
}

_CLIP = re.compile(r"(?P<recording>.+)-(?P<start>\d+)-(?P<end>\d+)")


@dataclass(frozen=True)
class _Clip:
    """One row of the annotations."""

    number: str
    stem: str
    tags: tuple[str, ...]


def read_magnatagatune(
    corpus_root: str | Path,
    *,
    variant: str = "cleaned",
    lists: str | Path | None = None,
    audio_folder: str | None = None,
    annotations: str = ANNOTATIONS,
    top_tags: int = 50,
) -> tuple[pd.DataFrame, dict[str, int], dict[str, object], pd.DataFrame]:
    """Read the track table of MagnaTagATune by its cleaned or its raw lists.

    Parameters
    ----------
    corpus_root : str or Path
        The folder that holds the annotations and the audio.
    variant : {"cleaned", "raw"}
        Which lists.
    lists : str or Path, optional
        The folder of the lists: ``train_list_pub.txt`` or ``.cP``, … (cleaned), or ``train_gt_mtt.tsv``, …
        (raw; a clip's number or path a line, more columns are passed over). Default: cleaned ones in
        `corpus_root`, raw ones made by their rule (the folders 0 to f without the three files that have no
        audio).
    audio_folder : str, optional
        Folder of the folders 0 to f in `corpus_root`; default: the first of `AUDIO_FOLDERS` that has them.
    annotations : str
        The file of clips and tags in `corpus_root`.
    top_tags : int, >= 1
        How many tags ``genres`` is restricted to: those of ``top50_tags.txt`` beside the lists if it names as
        many, else the most frequent ones of all annotated clips.

    Returns
    -------
    track_table : pd.DataFrame
        ``track_id`` the clip's number, ``recording_id`` its name without start and end, ``artist_id`` its name
        before the first ``-``, ``album_id`` up to the second, ``genres`` its top tags, ``declared_s`` end -
        start, ``official_split`` by the lists. Listed clips without a file or without annotations are left out
        (a warning names them).
    notes : dict of int
        Counts: ``tracks``, ``without genre`` (a tag corpus: all), ``without tag``, ``without artist``,
        ``listed`` = ``tracks`` + ``listed but not there`` + ``listed but not annotated``; ``on no list``:
        annotated clips that the lists leave out; ``tags``; ``artists on two sides``; ``artists that may be cut
        off``: their name continues in another's; ``names of another form``.
    list_facts : dict
        `artist_transfer.corpora.official_lists.OfficialLists.facts`, and of the tags ``tags`` their names in
        order, ``tags_from`` and ``tags_sha256``.
    exclusions : pd.DataFrame [columns: track_id, reason]
        Every listed clip that is left out; one without annotations by its path, for it has no number.

    Raises
    ------
    ArtistTransferError
        If a folder, list or column is missing, a row malformed, a tag unknown, or none of the listed clips is
        there.
    """
    root = Path(corpus_root)
    if variant not in VARIANTS:
        raise ArtistTransferError(
            f"ingestion.magnatagatune.variant={variant!r} is unknown; allowed: {', '.join(VARIANTS)}."
        )
    if not root.is_dir():
        raise ArtistTransferError(f"corpus_root: folder {root} is missing.")
    if isinstance(top_tags, bool) or top_tags < 1:
        raise ArtistTransferError(f"ingestion.magnatagatune.top_tags={top_tags!r}; allowed: whole numbers from 1 on.")
    given = None if variant == "raw" and lists is None else Path(lists or root)
    if given is not None:  # a missing list is told before the large file is read
        list_paths = _find(given, variant)
    clips, all_tags = _read_annotations(root / annotations)
    official = _by_folder(clips) if given is None else _read_lists(list_paths, variant, clips)
    tags, tags_from = _choose_tags(given or root, clips, all_tags, top_tags)
    records, notes, left_out = _records(root, official, clips, tags, audio_folder=audio_folder)
    table = make_track_table(pd.DataFrame(records), source=root)
    counts = {"tracks": len(table), "without genre": len(table)} | _count(table) | notes
    facts = official.facts() | {"tags": list(tags), "tags_from": tags_from, "tags_sha256": list_hash(tags)}
    return table, counts, facts, left_out


def _find(folder: Path, variant: str) -> dict[str, Path]:
    name = f"MagnaTagATune ({variant})"
    key = "ingestion.magnatagatune.lists"
    return find_lists(folder, _LIST_FILES[variant], name=name, key=key, published=PUBLISHED[variant])


def _read_annotations(path: Path) -> tuple[dict[str, _Clip], list[str]]:
    """Return the clips by stem, such as ``f/artist-album-01-title-0-29``, and the tags in column order."""
    rows = csv_rows(path, delimiter="\t")
    line, header = next(rows, (1, []))
    for name in ("clip_id", "mp3_path"):
        if name not in header:
            found = ", ".join(header[:3]) or "an empty file"
            refuse_cell(path, line, name, problem=f"missing column; found {found}, …")
    id_at, path_at = header.index("clip_id"), header.index("mp3_path")
    columns = [(at, name) for at, name in enumerate(header) if at not in (id_at, path_at)]
    clips: dict[str, _Clip] = {}
    lines: dict[str, int] = {}
    for line, cells in rows:
        check_width(path, line, cells, width=len(header))
        number, stem = cells[id_at].strip(), without_ending(cells[path_at].strip())
        for name, text in (("clip_id", number), ("mp3_path", stem)):
            if not text:
                refuse_cell(path, line, name, problem="is empty; every row needs one")
        for at, name in columns:
            if cells[at] not in ("0", "1"):
                refuse_cell(path, line, name, problem=f"must be 0 or 1, found {cells[at]!r}")
        if stem in clips:
            refuse_cell(path, line, "mp3_path", problem=f"{stem!r} stands in row {lines[stem]} too; allowed: once")
        clips[stem] = _Clip(number, stem, tuple(name for at, name in columns if cells[at] == "1"))
        lines[stem] = line
    if not clips:
        raise ArtistTransferError(f"{path}: no rows below the header; at least one clip is needed.")
    return clips, [name for _, name in columns]


def _by_folder(clips: Mapping[str, _Clip]) -> OfficialLists:
    """Make the raw lists by their rule."""
    lists = []
    for side, folders in FOLDERS.items():
        stems = sorted(
            clip.stem
            for clip in clips.values()
            if clip.stem.split("/")[0] in folders and clip.number not in WITHOUT_AUDIO
        )
        lists.append(SideList(f"folders {folders[0]} to {folders[-1]}", side, dict.fromkeys(stems, 0)))
    return OfficialLists("MagnaTagATune (raw)", tuple(lists), PUBLISHED["raw"])


def _read_lists(paths: Mapping[str, Path], variant: str, clips: Mapping[str, _Clip]) -> OfficialLists:
    """Read lists whose entries are paths or clip numbers; all become stems, so that both hash alike."""
    by_number = {clip.number: clip.stem for clip in clips.values()}

    def stem(text: str) -> str:
        first = text.split("\t")[0].strip()
        if first.isascii() and first.isdigit():
            return by_number.get(first, first)
        if "/" not in first:
            raise ValueError("must be a clip's number or its path, such as f/artist-album-01-title-0-29.mp3")
        return without_ending(first)

    lists = tuple(read_list(path, side=side, canonical=stem) for side, path in paths.items())
    return OfficialLists(f"MagnaTagATune ({variant})", lists, PUBLISHED[variant])


def _choose_tags(
    folder: Path, clips: Mapping[str, _Clip], all_tags: Sequence[str], count: int
) -> tuple[tuple[str, ...], str]:
    """Return the tags by rank, spelt as in the annotations, and where they are from."""
    path = folder / TAG_FILE
    if path.is_file():
        names = list(content_lines(path))
        if len(names) == count:
            return tuple(_spelt(path, row, name, all_tags) for row, name in names), TAG_FILE
    uses = Counter(tag for clip in clips.values() for tag in clip.tags)
    ranked = sorted(uses, key=lambda tag: (-uses[tag], tag))
    return tuple(ranked[:count]), f"the {min(count, len(ranked))} most frequent of the annotations"


def _spelt(path: Path, row: int, name: str, tags: Sequence[str]) -> str:
    """Find a tag of the list (``noVocals``) among those of the annotations (``no vocals``)."""
    plain = re.sub(r"\W", "", name).casefold()
    found = [name] if name in tags else [tag for tag in tags if re.sub(r"\W", "", tag).casefold() == plain]
    if len(found) != 1:
        what = "unknown tag" if not found else f"tag that may be any of {', '.join(found)}"
        raise ArtistTransferError(f"{path}, row {row}: {what}: {name!r}; allowed: the tags of {ANNOTATIONS}.")
    return found[0]


def _records(
    root: Path,
    official: OfficialLists,
    clips: Mapping[str, _Clip],
    tags: Sequence[str],
    *,
    audio_folder: str | None,
) -> tuple[list[dict[str, object]], dict[str, int], pd.DataFrame]:
    sides = official.sides
    known = [stem for stem in sides if stem in clips]
    unknown = [stem for stem in sides if stem not in clips]
    tell_absent(unknown, listed=len(sides), name=official.name, where=ANNOTATIONS)
    folders = {stem.split("/")[0] for stem in known}
    folder = find_folder(root, AUDIO_FOLDERS, wanted=folders) if audio_folder is None else audio_folder
    full = {stem: f"{folder}/{stem}".lstrip("/") for stem in known}
    paths = find_audio(root, full.values())
    absent = [stem for stem in known if full[stem] not in paths]
    tell_absent(absent, listed=len(known), name=official.name, where=root / folder)
    rank = {tag: place for place, tag in enumerate(tags)}
    records = [
        _record(clips[stem], rank, path=paths[full[stem]], side=sides[stem]) for stem in known if full[stem] in paths
    ]
    notes = {
        "listed": len(sides),
        "listed but not there": len(absent),
        "listed but not annotated": len(unknown),
        "on no list": len(clips) - len(known),
        "tags": len(tags),
    }
    strangers = exclusions({stem: stem for stem in unknown}, reason=NOT_ANNOTATED)
    left_out = pd.concat([exclusions({clips[stem].number: stem for stem in absent}), strangers], ignore_index=True)
    return records, notes, left_out


def _record(clip: _Clip, rank: Mapping[str, int], *, path: str, side: str) -> dict[str, object]:
    name = clip.stem.rpartition("/")[2]
    form = _CLIP.fullmatch(name)
    recording = form["recording"] if form else name
    parts = recording.split("-")
    seconds = int(form["end"]) - int(form["start"]) if form else 0
    return {
        "track_id": clip.number,
        "recording_id": recording,
        "artist_id": parts[0] if len(parts) > 1 else None,
        "artist": parts[0].replace("_", " ") if len(parts) > 1 else None,
        "album_id": "-".join(parts[:2]) if len(parts) > 2 else None,
        "title": "-".join(parts[3:]).replace("_", " ") or None,
        "genres": sorted((tag for tag in clip.tags if tag in rank), key=rank.__getitem__),
        "path": path,
        "declared_s": seconds if seconds > 0 else None,
        "official_split": side,
    }


def _count(table: pd.DataFrame) -> dict[str, int]:
    names = set(table["artist_id"].dropna())
    sides = table.groupby("artist_id")["official_split"].nunique()
    cut = [name for name in names if any(other.startswith(f"{name}_") for other in names)]
    return {
        "without tag": int((table["genres"].map(len) == 0).sum()),
        "without artist": int(table["artist_id"].isna().sum()),
        "artists on two sides": int((sides > 1).sum()),
        "artists that may be cut off": len(cut),
        "names of another form": int(table["declared_s"].isna().sum()),
    }
