"""Every corpus in small, in its real format, written by the tests themselves: what the contract is tested on.

A sample's audio files hold a few bytes: readers look whether they are there, decoding is the probe's work.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tests.corpora.conftest import GENRES, NAMES, SECTIONS, write_rows

from artist_transfer.corpora.fma import read_fma
from artist_transfer.corpora.folder import read_folder
from artist_transfer.corpora.gtzan import read_gtzan
from artist_transfer.corpora.jamendo import read_jamendo
from artist_transfer.corpora.labelled import read_labelled
from artist_transfer.corpora.magnatagatune import read_magnatagatune
from artist_transfer.corpora.msd import read_msd
from artist_transfer.corpora.schema import make_track_table
from artist_transfer.corpora.synthetic import SyntheticParams, generate
from artist_transfer.corpora.synthetic_msd import MsdParams, write_msd
from artist_transfer.corpora.table import read_table

Found = tuple[pd.DataFrame, dict[str, int], "dict[str, object] | None"]


@dataclass(frozen=True)
class Sample:
    """A corpus on disk and what a reader must find in it."""

    root: Path
    reader: Callable[[], tuple[Any, ...]]
    ids: tuple[str, ...]
    """All track ids, sorted."""
    lists: tuple[Path, ...] = ()
    """Files without which it cannot be read."""
    sides: Mapping[str, int] = field(default_factory=dict)
    """Tracks of each side of its official split."""
    keeps_absent: bool = False
    """Whether tracks without a file stay in the table, for the probe to quarantine."""
    header: int = 0
    """Header rows of each list."""

    def read(self) -> Found:
        """Read the track table, the counts and the facts of the lists."""
        table, notes, facts, *_ = self.reader()
        return table, notes, facts

    def exclusions(self) -> dict[str, str]:
        """Read the reason of each listed track that is left out."""
        left_out = self.reader()[3]
        assert left_out["track_id"].is_unique
        return dict(zip(left_out["track_id"], left_out["reason"]))


def touch(root: Path, paths: Sequence[str]) -> None:
    """Write audio files that nobody decodes."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"audio of " + path.encode())


def write_lines(path: Path, lines: Sequence[str], *, end: str = "\n") -> None:
    """Write a text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())


def fma_small(folder: Path) -> Sample:
    """Two tracks of small, on the official split, and one of medium."""
    root = folder / "fma"
    rows = [
        ["2", "1", "1", "AWOL", "training", "small", "168", "Hip-Hop", "[21]", "[21]", "Food"],
        ["3", "1", "1", "AWOL", "validation", "medium", "12", "Hip-Hop", "[21]", "[21]", "Two"],
        ["100017", "6", "9", "Ann, with a comma", "test", "small", "300", "", "[83, 12]", "[12, 83, 21]", "Other"],
    ]
    tracks = root / "fma_metadata" / "tracks.csv"
    write_rows(tracks, [SECTIONS, NAMES, ["track_id", *[""] * (len(NAMES) - 1)], *rows])
    write_rows(root / "fma_metadata" / "genres.csv", GENRES)
    touch(root, ["fma_small/000/000002.mp3", "fma_small/100/100017.mp3"])

    def read() -> tuple[pd.DataFrame, dict[str, int], None]:
        return *read_fma(root, subset="small"), None

    sides = {"training": 1, "test": 1}
    return Sample(root, read, ("000002", "100017"), (tracks,), sides, keeps_absent=True, header=3)


def table(folder: Path) -> Sample:
    """A CSV with a split of its own, ids with leading zeros, a name with a comma."""
    root = folder / "table"
    rows = [
        ["track_id", "artist_id", "artist", "genre_top", "path", "official_split"],
        ["000002", "007", "Ann, Bob & Co", "folk", "a/2.ogg", "train"],
        ["000001", "", "", "", "a/1.ogg", "valid"],
        ["1e5", "8", "Ólafur", "dub", "b/3.ogg", "Test"],
    ]
    write_rows(root / "tracks.csv", rows)
    touch(root, [row[4] for row in rows[1:]])

    def read() -> tuple[pd.DataFrame, dict[str, int], None]:
        return *read_table(root), None

    sides = {"training": 1, "validation": 1, "test": 1}
    ids = ("000001", "000002", "1e5")
    return Sample(root, read, ids, (root / "tracks.csv",), sides, keeps_absent=True, header=1)


def folder(folder: Path) -> Sample:
    """Files without readable tags."""
    root = folder / "folder"
    touch(root, ["000002.mp3", "a, b/c.wav"])

    def read() -> tuple[pd.DataFrame, dict[str, int], None]:
        return *read_folder(root), None

    return Sample(root, read, ("000002.mp3", "a, b/c.wav"))


GTZAN_LISTS = {
    "train_filtered.txt": ["blues/blues.00029.wav", "jazz/jazz.00054.wav", "jazz/jazz.00055.wav"],
    "valid_filtered.txt": ["blues/blues.00000.wav"],
    "test_filtered.txt": ["blues/blues.00012.wav", "jazz/jazz.00000.wav"],
}


def gtzan(folder: Path) -> Sample:
    """Six listed clips, as .wav, .au and .mp3, and one that no list names."""
    root = folder / "gtzan"
    for name, lines in GTZAN_LISTS.items():
        write_lines(root / "lists" / name, lines)
    stems = [line.removesuffix(".wav") for lines in GTZAN_LISTS.values() for line in lines]
    endings = [".wav", ".au", ".mp3", ".wav", ".au", ".mp3"]
    touch(root, [f"genres/{stem}{ending}" for stem, ending in zip(stems, endings, strict=True)])
    touch(root, ["genres/blues/blues.00099.au", "genres/bextract.mf"])
    ids = tuple(sorted(stem.split("/")[1] for stem in stems))
    lists = tuple(root / "lists" / name for name in GTZAN_LISTS)
    sides = {"training": 3, "validation": 1, "test": 2}
    return Sample(root, functools.partial(read_gtzan, root, lists=root / "lists"), ids, lists, sides)


MTAT_TAGS = ("no vocals", "guitar", "new age", "singer")
MTAT_CLIPS = (
    ("2", "f/ann-first_album-01-a_song-0-29.mp3", "0110"),
    ("6", "f/ann-first_album-01-a_song-29-58.mp3", "0100"),
    ("10", "c/ann-second-02-other-59-88.mp3", "1101"),
    ("11", "c/bob-solo-01-untagged-0-29.mp3", "0000"),
    ("35644", "6/bob-now_and_zen-08-gently-117-146.mp3", "0100"),
    ("46644", "6/bob_and_ann-duets-03-la__la-30-59.mp3", "1010"),
    ("46645", "b/carl-songs-03-x-30-59.mp3", "0001"),
)


def write_mtat(root: Path, clips: Sequence[tuple[str, str, str]] = MTAT_CLIPS) -> None:
    """Write annotations as they come: tab-separated, every cell quoted."""
    rows = [("clip_id", *MTAT_TAGS, "mp3_path"), *((number, *flags, path) for number, path, flags in clips)]
    write_lines(root / "annotations_final.csv", ["\t".join(f'"{cell}"' for cell in row) for row in rows], end="\r\n")
    touch(root, [path for _, path, _ in clips])


def magnatagatune_cleaned(folder: Path) -> Sample:
    """Four of seven clips by lists of feature files, with the top tags in another spelling."""
    root = folder / "mtat"
    write_mtat(root)
    lists = {
        "train_list_pub.txt": ["6/bob_and_ann-duets-03-la__la-30-59.npy"],
        "valid_list_pub.txt": ["c/ann-second-02-other-59-88.npy"],
        "test_list_pub.txt": ["f/ann-first_album-01-a_song-0-29.npy", "f/ann-first_album-01-a_song-29-58.npy"],
    }
    for name, lines in lists.items():
        write_lines(root / "lists" / name, lines)
    write_lines(root / "lists" / "top50_tags.txt", ["guitar", "noVocals", "newAge"])
    read = functools.partial(read_magnatagatune, root, lists=root / "lists", top_tags=3)
    sides = {"training": 1, "validation": 1, "test": 2}
    paths = (*(root / "lists" / name for name in lists), root / "annotations_final.csv")
    return Sample(root, read, ("10", "2", "46644", "6"), paths, sides)


def magnatagatune_raw(folder: Path) -> Sample:
    """All clips but the one without audio, by number, path or number and tags."""
    root = folder / "mtat_raw"
    write_mtat(root)
    lists = {
        "train_gt_mtt.tsv": ["46644\t[1.0, 0.0]", "46645\t[0.0, 0.0]"],
        "val_gt_mtt.tsv": ["c/ann-second-02-other-59-88.mp3", "11"],
        "test_gt_mtt.tsv": ["2", "6"],
    }
    for name, lines in lists.items():
        write_lines(root / "lists" / name, lines)
    read = functools.partial(read_magnatagatune, root, variant="raw", lists=root / "lists", top_tags=3)
    sides = {"training": 2, "validation": 2, "test": 2}
    paths = (*(root / "lists" / name for name in lists), root / "annotations_final.csv")
    return Sample(root, read, ("10", "11", "2", "46644", "46645", "6"), paths, sides)


JAMENDO_HEADER = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"
JAMENDO_ROWS = {
    "train": [
        "track_0000214\tartist_000014\talbum_000031\t14/214.mp3\t124.6\tgenre---punkrock\tgenre---rock",
        "track_0000241\tartist_000005\talbum_000033\t41/241.mp3\t340.1\tgenre---rock",
    ],
    "validation": ["track_0000773\tartist_000104\talbum_000126\t73/773.mp3\t275.3\tgenre---electronic"],
    "test": [
        "track_0010014\tartist_000106\talbum_000131\t14/10014.mp3\t215.0\tgenre---jazz\tgenre---rock\tgenre---pop"
    ],
}


def jamendo(folder: Path) -> Sample:
    """Four tracks with one to three tags, Windows line endings, one file of low quality."""
    root = folder / "jamendo"
    for end, rows in JAMENDO_ROWS.items():
        write_lines(root / "split-0" / f"autotagging_genre-{end}.tsv", [JAMENDO_HEADER, *rows], end="\r\n")
    touch(root, [f"raw_30s/audio/{path}" for path in ("14/214.mp3", "41/241.low.mp3", "73/773.mp3", "14/10014.mp3")])
    lists = tuple(root / "split-0" / f"autotagging_genre-{end}.tsv" for end in JAMENDO_ROWS)
    ids = ("track_0000214", "track_0000241", "track_0000773", "track_0010014")
    sides = {"training": 2, "validation": 1, "test": 1}
    return Sample(root, functools.partial(read_jamendo, root, lists=root / "split-0"), ids, lists, sides, header=1)


def labelled(folder: Path) -> Sample:
    """A CSV with labels in Korean, one or two a song, and a split in its own words."""
    root = folder / "labelled"
    rows = [
        ["song", "who", "mood", "where", "side"],
        ["000002", "가수", "발라드", "audio/2.ogg", "0"],
        ["000010", "가수", "힙합;댄스", "audio/10.ogg", "0"],
        ["3", "Kim, Lee", "댄스", "audio/3.ogg", "1"],
        ["4", "", "", "audio/4.ogg", "test"],
    ]
    write_rows(root / "songs.csv", rows)
    touch(root, [row[3] for row in rows[1:]])
    columns = {"track_id": "song", "artist_id": "who", "path": "where", "official_split": "side"}
    names = {"0": "training", "1": "validation"}
    read = functools.partial(read_labelled, root, label="mood", file="songs.csv", columns=columns, split_names=names)
    sides = {"training": 2, "validation": 1, "test": 1}
    return Sample(root, read, ("000002", "000010", "3", "4"), (root / "songs.csv",), sides, header=1)


def msd(folder: Path) -> Sample:
    """Eight tracks in all files of a Million Song Dataset, one mismatched, one without preview."""
    rows = [(f"{k:06d}", str(k % 2), f"Ann, {k % 2}", "Rock" if k % 3 else None, f"{k}.mp3") for k in range(8)]
    names = ["track_id", "artist_id", "artist", "genre_top", "path"]
    source = make_track_table(pd.DataFrame(rows, columns=names), source="x")
    touch(folder / "source", source["path"].tolist())
    params = MsdParams(mismatched=1, taken_back=1, without_preview=1, list_songs=2)
    root = write_msd(folder / "msd", source, audio_root=folder / "source", params=params)
    truth = pd.read_csv(root / "truth.csv", dtype="str", keep_default_na=False)
    kept = truth[~truth["planted"].isin(["mismatched", "no preview"])]

    def read() -> tuple[pd.DataFrame, dict[str, int], None]:
        return *read_msd(root, audio_folder="audio"), None

    return Sample(root, read, tuple(sorted(kept["track_id"])))


def synthetic(folder: Path) -> Sample:
    """The embedded corpus at its smallest, which has FMA's files."""
    params = SyntheticParams(genres=2, artists_per_genre=3, tracks_per_artist=2, seconds=2.0)
    root = generate(folder / "synthetic", params, n_workers=1)

    def read() -> tuple[pd.DataFrame, dict[str, int], None]:
        return *read_fma(root, subset="small"), None

    table = read_fma(root, subset="small")[0]
    assert len(table) == 12
    sides = table["official_split"].value_counts().to_dict()
    return Sample(root, read, tuple(sorted(path.stem for path in root.rglob("*.mp3"))), (), sides, keeps_absent=True)


SAMPLES: dict[str, Callable[[Path], Sample]] = {
    maker.__name__: maker
    for maker in (
        fma_small, table, folder, gtzan, magnatagatune_cleaned, magnatagatune_raw, jamendo, labelled,
        msd, synthetic,
    )
}  # fmt: skip
