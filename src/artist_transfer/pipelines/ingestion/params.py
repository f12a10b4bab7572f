"""Parameters of ingestion: which corpus, and where its facts stand."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from artist_transfer.pipelines.typed import Block

CorpusKind = Literal["synthetic", "fma", "table", "folder"]


class SyntheticBlock(Block):
    """Size of the embedded default corpus."""

    seed: int = Field(0, ge=0)
    genres: int = Field(5, ge=2, le=6)
    artists_per_genre: int = Field(8, ge=3, le=999)
    tracks_per_artist: int = Field(6, ge=2, le=90)
    seconds: float = Field(8.0, ge=2.0, le=30.0)


class FmaBlock(Block):
    """Which part of FMA, and the folders of its archives."""

    subset: Literal["small", "medium", "large", "full"] = "small"
    metadata_folder: str = "fma_metadata"
    audio_folder: str | None = None


class TableBlock(Block):
    """A CSV and the names of its columns (ours: theirs; null for a column that there is not)."""

    file: str = "tracks.csv"
    columns: dict[str, str | None] = Field(default_factory=dict)


class FolderBlock(Block):
    """Which files of a folder are music."""

    extensions: tuple[str, ...] = (".mp3", ".flac", ".ogg", ".oga", ".opus", ".wav", ".aif", ".aiff", ".m4a", ".wma")


class IngestionBlock(Block):
    """One block for each kind of corpus; only the one of `corpus` is used."""

    synthetic: SyntheticBlock = SyntheticBlock()
    fma: FmaBlock = FmaBlock()
    table: TableBlock = TableBlock()
    folder: FolderBlock = FolderBlock()
