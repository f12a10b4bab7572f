"""Official lists of tracks: which file, how many, and a hash that tells two copies of one list from two lists.

Results on two lists of one corpus are not comparable (MagnaTagATune's cleaned and raw lists, GTZAN with and
without its faults), so a report names its list by hash. The hash is over the entries, sorted, each without
surrounding space: line endings, a final blank line and the order of lines make no difference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from artist_transfer.corpora._lines import refuse_row, text_lines
from artist_transfer.corpora.names import normal_name
from artist_transfer.corpora.plain_pickle import read_plain_pickle
from artist_transfer.corpora.schema import OFFICIAL_SPLITS
from artist_transfer.errors import ArtistTransferError

PICKLE_ENDINGS = (".cp", ".pkl")

_WORDS = {
    "train": "training", "training": "training",
    "valid": "validation", "validation": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test", "evaluation": "test", "eval": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Published:
    """What is known of a published set of lists.

    Parameters
    ----------
    counts : mapping of str to int
        Entries of each side.
    source : str
        Where a user finds the files.
    sha256 : str, 64 hexadecimal digits, optional
        Hash of all lists together, as `OfficialLists.sha256`.
    """

    counts: Mapping[str, int]
    source: str
    sha256: str | None = None


@dataclass(frozen=True)
class SideList:
    """One list: the entries of one side of a split.

    Parameters
    ----------
    file : str
        Name of the file, or what the list was made from.
    side : {"training", "validation", "test"}
        The side.
    entries : mapping of str to int
        Each entry once, and its 1-based line.
    content : mapping of str to str, optional
        What else the list says of an entry, such as its tags: part of the hash.
    """

    file: str
    side: str
    entries: Mapping[str, int]
    content: Mapping[str, str] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Hash of the entries, in any order."""
        return list_hash(self.lines())

    def lines(self) -> list[str]:
        """Write each entry with what is said of it.

        Returns
        -------
        list of str
        """
        return [f"{entry}\t{self.content[entry]}" if entry in self.content else entry for entry in self.entries]


@dataclass(frozen=True)
class OfficialLists:
    """The lists of one split of one corpus; no entry stands on two of them.

    Parameters
    ----------
    name : str
        Corpus and variant.
    lists : tuple of SideList
        One list a side.
    published : Published, optional
        What is known of them.

    Raises
    ------
    ArtistTransferError
        If an entry stands on two lists, or there is no entry at all; names files and rows.
    """

    name: str
    lists: tuple[SideList, ...]
    published: Published | None = None

    def __post_init__(self) -> None:
        """Check that lists are disjoint and not all empty."""
        seen: dict[str, str] = {}
        for one in self.lists:
            for entry, row in one.entries.items():
                where = f"{one.file}, row {row}"
                if entry in seen:
                    raise ArtistTransferError(
                        f"{where}: {entry!r} stands in {seen[entry]} too; allowed: on one list, once."
                    )
                seen[entry] = where
        if not seen:
            files = ", ".join(one.file for one in self.lists)
            raise ArtistTransferError(f"{self.name}: no entry in {files}; at least one track is needed.")

    @property
    def sides(self) -> dict[str, str]:
        """Side of each entry."""
        return {entry: one.side for one in self.lists for entry in one.entries}

    @property
    def sha256(self) -> str:
        """Hash of all sides and their entries."""
        return list_hash(f"{one.side}\t{line}" for one in self.lists for line in one.lines())

    def rows(self) -> Iterator[tuple[str, str, str, int]]:
        """Yield side, entry, file and row of all lists.

        Yields
        ------
        (str, str, str, int)
        """
        for one in self.lists:
            for entry, row in one.entries.items():
                yield one.side, entry, one.file, row

    def facts(self) -> dict[str, object]:
        """Say which lists these are, for a manifest and for reports.

        Returns
        -------
        dict
            ``name``, ``entries``, ``sha256``, ``as_published`` (None: nothing is known of published ones) and
            of each of the ``lists`` its ``file``, ``side``, ``entries``, ``sha256``.
        """
        lists = [
            {"file": one.file, "side": one.side, "entries": len(one.entries), "sha256": one.sha256}
            for one in self.lists
        ]
        return {
            "name": self.name,
            "entries": len(self.sides),
            "sha256": self.sha256,
            "as_published": self._as_published(),
            "lists": lists,
        }

    def _as_published(self) -> bool | None:
        if self.published is None:
            return None
        if self.published.sha256 is not None:
            return self.sha256 == self.published.sha256
        return {one.side: len(one.entries) for one in self.lists} == dict(self.published.counts)


def list_hash(entries: Iterable[str]) -> str:
    """Hash the content of a list.

    Parameters
    ----------
    entries : iterable of str
        In any order.

    Returns
    -------
    str
        64 hexadecimal digits: SHA-256 over the sorted entries, a line feed after each.
    """
    return hashlib.sha256("".join(f"{entry}\n" for entry in sorted(entries)).encode()).hexdigest()


def table_facts(track_table: pd.DataFrame, *, name: str) -> dict[str, object]:
    """Say which official split a track table has, where the corpus states it in its metadata and not in lists.

    Parameters
    ----------
    track_table : pd.DataFrame
        A track table with ``official_split``.
    name : str
        Corpus and variant.

    Returns
    -------
    dict
        As `OfficialLists.facts`, entries are track ids.

    Raises
    ------
    ArtistTransferError
        If no track has an official split.
    """
    by_side = [
        SideList("metadata", side, dict.fromkeys(sorted(track_table.loc[given, "track_id"]), 0))
        for side in OFFICIAL_SPLITS
        if (given := track_table["official_split"] == side).any()
    ]
    return OfficialLists(name, tuple(by_side)).facts()


def find_lists(
    folder: str | Path,
    files: Mapping[str, Sequence[str]],
    *,
    name: str,
    key: str,
    published: Published | None = None,
    source: str = "",
) -> dict[str, Path]:
    """Find the list files of a corpus, which its user downloads.

    Parameters
    ----------
    folder : str or Path
        Where they are looked for.
    files : mapping of str to sequence of str
        Possible file names of each side; the first that is there is taken.
    name : str
        Corpus and variant.
    key : str
        The parameter that names the folder.
    published : Published, optional
        Counts and source, for the error.
    source : str
        The source, where `published` is None.

    Returns
    -------
    dict of str to Path
        The file of each side.

    Raises
    ------
    ArtistTransferError
        If a list is missing; names the files, how many entries each has, and where they come from.
    """
    folder = Path(folder)
    found = {
        side: next((folder / file for file in names if (folder / file).is_file()), None)
        for side, names in files.items()
    }
    absent = [side for side, path in found.items() if path is None]
    if absent:
        counts = {} if published is None else {side: f" ({n:,} entries)" for side, n in published.counts.items()}
        wanted = ", ".join(f"{' or '.join(names)}{counts.get(side, '')}" for side, names in files.items())
        missing = ", ".join(files[side][0] for side in absent)
        raise ArtistTransferError(
            f"{key}: {missing} missing in {folder}; the {name} lists are {wanted}, to be found in"
            f" {published.source if published else source}; allowed: a folder that holds them."
        )
    return {side: path for side, path in found.items() if path is not None}


def read_list(path: Path, *, side: str, canonical: Callable[[str], str] = str) -> SideList:
    """Read a list of one entry a line.

    Parameters
    ----------
    path : Path
        A text file or a pickled list, as `content_lines` reads it.
    side : str
        The side it is the list of.
    canonical : callable
        From a line to its entry; a ValueError names what is wrong with the line.

    Returns
    -------
    SideList

    Raises
    ------
    ArtistTransferError
        If the file cannot be read, a line is malformed or stands there twice; names file and row.
    """
    entries: dict[str, int] = {}
    for row, text in content_lines(path):
        try:
            entry = canonical(text)
        except ValueError as error:
            refuse_row(path, row, f"{error}; found {text!r}")
        if entry in entries:
            refuse_row(path, row, f"{entry!r} stands in row {entries[entry]} too; allowed: once")
        entries[entry] = row
    return SideList(path.name, side, entries)


def content_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a list that are not blank, with their 1-based row.

    Parameters
    ----------
    path : Path
        A UTF-8 text file with any line endings, or a pickled list of texts (``.cP``, ``.pkl``), of which nothing
        is run.

    Yields
    ------
    (int, str)
        Row and line, without surrounding space.

    Raises
    ------
    ArtistTransferError
        If the file is missing, a line is not UTF-8 text, or a pickle holds anything but a list of texts.
    """
    lines = enumerate(_pickled(path), start=1) if path.suffix.lower() in PICKLE_ENDINGS else text_lines(path)
    for row, line in lines:
        if text := line.strip():
            yield row, text


def _pickled(path: Path) -> list[str]:
    content = read_plain_pickle(path)
    if not isinstance(content, list) or not all(isinstance(text, str) for text in content):
        raise ArtistTransferError(f"{path}: holds something else than a list of texts, one for each track.")
    return content


def official_side(word: str, names: Mapping[str, str] | None = None) -> str:
    """Translate a corpus's word for a side of its split.

    Parameters
    ----------
    word : str
        For instance ``train``, ``Valid`` or ``test``.
    names : mapping, optional
        Words of this corpus to ours, such as ``{"0": "training"}``; they win.

    Returns
    -------
    str
        training, validation or test; a word that is none of these comes back as it is, for the track table's
        check to refuse with its row.
    """
    known = {normal_name(theirs): ours for theirs, ours in (names or {}).items()}
    if normal_name(word) in known:
        return known[normal_name(word)]
    return _WORDS.get(word.strip().casefold(), word)
