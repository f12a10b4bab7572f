"""Parameters of ingestion: which corpus, and where its facts stand."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from artist_transfer.pipelines.typed import Block, Seed

CorpusKind = Literal[
    "synthetic", "fma", "table", "folder", "msd", "synthetic_msd", "gtzan", "magnatagatune", "jamendo", "labelled"
]


class SyntheticBlock(Block):
    """Size of the embedded default corpus."""

    seed: Seed = 0
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
    split_names: dict[str, str] | None = Field(None, description="their names of sides: training, validation, test")


class MsdBlock(Block):
    """The Million Song Dataset: which of its files are read, and where the previews are."""

    metadata_folder: str | None = None
    audio_folder: str = ""
    sources: tuple[Literal["summary", "songs", "database", "unique_tracks"], ...] = (
        "summary",
        "songs",
        "database",
        "unique_tracks",
    )
    id_maps: tuple[str, ...] = ()
    clip_s: float | None = Field(30.0, gt=0)
    ambiguous_genre: Literal["first", "missing"] = "first"
    tags: Literal["top50", "frequent"] | tuple[str, ...] = "top50"
    n_tags: int = Field(50, ge=1)
    min_tag_weight: float = Field(0.0, ge=0, le=100)


class GtzanBlock(Block):
    """GTZAN and its fault-filtered lists."""

    lists: str | None = Field(None, description="folder of the lists; null: corpus_root")
    audio_folder: str | None = None


class MagnatagatuneBlock(Block):
    """MagnaTagATune by its cleaned or its raw lists."""

    variant: Literal["cleaned", "raw"] = "cleaned"
    lists: str | None = None
    audio_folder: str | None = None
    annotations: str = "annotations_final.csv"
    top_tags: int = Field(50, ge=1)


class JamendoBlock(Block):
    """MTG-Jamendo by its TSVs."""

    subset: str = "autotagging_genre"
    lists: str | None = None
    audio_folder: str | None = None


class LabelledBlock(Block):
    """A CSV with a column of labels."""

    label: str = "label"
    labels: Literal["auto", "one", "several"] = "auto"
    separators: str = ";|"
    file: str = "tracks.csv"
    columns: dict[str, str | None] = Field(default_factory=dict)
    split_names: dict[str, str] | None = None


class FolderBlock(Block):
    """Which files of a folder are music."""

    extensions: tuple[str, ...] = (".mp3", ".flac", ".ogg", ".oga", ".opus", ".wav", ".aif", ".aiff", ".m4a", ".wma")


class IngestionBlock(Block):
    """One block for each kind of corpus; only the one of `corpus` is used."""

    synthetic: SyntheticBlock = SyntheticBlock()
    fma: FmaBlock = FmaBlock()
    table: TableBlock = TableBlock()
    folder: FolderBlock = FolderBlock()
    msd: MsdBlock = MsdBlock()
    gtzan: GtzanBlock = GtzanBlock()
    magnatagatune: MagnatagatuneBlock = MagnatagatuneBlock()
    jamendo: JamendoBlock = JamendoBlock()
    labelled: LabelledBlock = LabelledBlock()
