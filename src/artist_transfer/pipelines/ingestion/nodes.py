"""Nodes of ingestion: from the files of a corpus to the track table."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from artist_transfer.artifacts import fingerprint
from artist_transfer.pipelines.ingestion.params import IngestionBlock
from artist_transfer.pipelines.splitting.nodes import balanced_params
from artist_transfer.pipelines.splitting.params import SplittingBlock

log = logging.getLogger(__name__)

SYNTHETIC_FOLDER = Path("data/01_raw/synthetic")


def read_corpus(
    corpus: str,
    corpus_root: str | None,
    ingestion: IngestionBlock,
    workers: int | None,
    split: str,
    splitting: SplittingBlock,
    folds: int,
    embeddings: str | None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read the corpus that the parameters name; the embedded one is written first.

    What the rest of the job needs of the table is tried here, before hours of decoding: that it is large enough for
    the split, and that somebody else's features are of its tracks.

    Parameters
    ----------
    corpus : str
        synthetic, synthetic_msd, fma, table, folder, msd, gtzan, magnatagatune, jamendo or labelled.
    corpus_root : str or None
        Its folder; None for the embedded corpora.
    ingestion : IngestionBlock
        What each kind of corpus needs to know.
    workers : int or None
        Processes that write the embedded corpus; None for all cores.
    split : str
        Kind of the split.
    splitting : SplittingBlock
        Its shares.
    folds : int
        Its folds.
    embeddings : str or None
        File with somebody else's features.

    Returns
    -------
    track_table : pd.DataFrame
        One row a clip.
    corpus_facts : dict
        ``corpus``, ``root``, the reader's ``notes``, its ``lists`` by hash, and what it ``left_out``.

    Raises
    ------
    ArtistTransferError
        If the corpus cannot be read, or cannot carry the job.
    """
    table, facts = read_tracks(corpus, corpus_root, ingestion, workers)
    try_split(table, split, splitting, folds)
    if embeddings is not None:
        try_embeddings(table, embeddings)
    return table, facts


def read_tracks(
    corpus: str, corpus_root: str | None, ingestion: IngestionBlock, workers: int | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read the corpus that the parameters name, for a job that splits nothing.

    Parameters
    ----------
    corpus : str
        Its kind.
    corpus_root : str or None
        Its folder; None for the embedded corpora.
    ingestion : IngestionBlock
        What each kind of corpus needs to know.
    workers : int or None
        Processes that write the embedded corpus; None for all cores.

    Returns
    -------
    track_table : pd.DataFrame
        One row a clip.
    corpus_facts : dict
        ``corpus``, ``root``, the reader's ``notes``, its ``lists`` by hash, and what it ``left_out``.
    """
    embedded = corpus in ("synthetic", "synthetic_msd")
    root = write_embedded(corpus, ingestion, workers) if embedded else Path(corpus_root or "")
    reading = read_kind(corpus, root, ingestion)
    log.info("Corpus %s in %s: %s", corpus, root, ", ".join(f"{count} {what}" for what, count in reading.notes.items()))
    facts = {"corpus": corpus, "root": root.as_posix(), "notes": reading.notes, "lists": reading.lists}
    return reading.table, facts | {"left_out": reading.left_out}


@dataclass(frozen=True)
class Reading:
    """What a reader found.

    Attributes
    ----------
    table : pd.DataFrame
        The track table.
    notes : dict of str to int
        Counts.
    lists : dict or None
        Official lists by name and hash.
    left_out : list of dict
        ``track_id, reason`` of what the corpus names but the reader leaves out.
    """

    table: pd.DataFrame
    notes: dict[str, int]
    lists: dict[str, Any] | None = None
    left_out: list[dict[str, str]] = field(default_factory=list)


def read_kind(corpus: str, root: Path, ingestion: IngestionBlock) -> Reading:
    """Read a corpus by the reader of its kind.

    Parameters
    ----------
    corpus : str
        The kind.
    root : Path
        Its folder.
    ingestion : IngestionBlock
        What each reader needs to know.

    Returns
    -------
    Reading
        Track table and facts.
    """
    from artist_transfer.corpora.fma import read_fma
    from artist_transfer.corpora.folder import read_folder
    from artist_transfer.corpora.gtzan import read_gtzan
    from artist_transfer.corpora.jamendo import read_jamendo
    from artist_transfer.corpora.labelled import read_labelled
    from artist_transfer.corpora.magnatagatune import read_magnatagatune
    from artist_transfer.corpora.msd import load_msd
    from artist_transfer.corpora.table import read_table

    if corpus in ("msd", "synthetic_msd"):
        block = ingestion.msd if corpus == "msd" else ingestion.msd.model_copy(update={"tags": "frequent"})
        found = load_msd(root, **block.model_dump())
        return Reading(found.track_table, found.notes, left_out=found.exclusions.to_dict("records"))
    if corpus == "synthetic":
        return Reading(*read_fma(root, subset="small"))
    readers: dict[str, Callable[..., Any]] = {
        "fma": read_fma,
        "table": read_table,
        "folder": read_folder,
        "gtzan": read_gtzan,
        "magnatagatune": read_magnatagatune,
        "jamendo": read_jamendo,
        "labelled": read_labelled,
    }
    return Reading(*readers[corpus](root, **getattr(ingestion, corpus).model_dump()))


def write_embedded(corpus: str, ingestion: IngestionBlock, workers: int | None) -> Path:
    """Write the embedded corpus, as FMA or as a Million Song Dataset.

    Parameters
    ----------
    corpus : {"synthetic", "synthetic_msd"}
        Its shape.
    ingestion : IngestionBlock
        Its block ``synthetic``.
    workers : int or None
        Processes; None for all cores.

    Returns
    -------
    Path
        The corpus root.
    """
    fma = write_synthetic(ingestion, workers)
    if corpus == "synthetic":
        return fma
    from artist_transfer.corpora.fma import read_fma
    from artist_transfer.corpora.synthetic_msd import write_msd

    table, _ = read_fma(fma, subset="small")
    return Path(write_msd(SYNTHETIC_FOLDER / f"{fma.name}_msd", table, audio_root=fma))


def write_synthetic(ingestion: IngestionBlock, workers: int | None) -> Path:
    """Write the embedded default corpus, once for each set of its parameters.

    Parameters
    ----------
    ingestion : IngestionBlock
        Its block ``synthetic``.
    workers : int or None
        Processes; None for all cores.

    Returns
    -------
    Path
        The corpus root.
    """
    from artist_transfer.corpora.synthetic import SyntheticParams, generate

    params = SyntheticParams(**ingestion.synthetic.model_dump())
    return generate(SYNTHETIC_FOLDER / fingerprint(params), params, n_workers=workers)


def try_split(track_table: pd.DataFrame, split: str, splitting: SplittingBlock, folds: int) -> None:
    """Make the split as if every file were usable: one that fails now cannot succeed later.

    Parameters
    ----------
    track_table : pd.DataFrame
        All tracks.
    split : str
        Kind of the split.
    splitting : SplittingBlock
        Its shares.
    folds : int
        Its folds.

    Raises
    ------
    ArtistTransferError
        If the corpus is too small for the split.
    """
    from artist_transfer.corpora.splits import make_split

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the real split says what there is to say
        make_split(
            track_table.assign(audio_hash=track_table["track_id"]),
            kind=split,
            seed=0,
            test_share=splitting.test_share,
            folds=folds,
            balanced=balanced_params(splitting.balanced),
        )


def try_embeddings(track_table: pd.DataFrame, path: str) -> None:
    """Read somebody else's features once, to find out whether they are of these tracks.

    Parameters
    ----------
    track_table : pd.DataFrame
        All tracks.
    path : str
        The file.

    Raises
    ------
    ArtistTransferError
        If the file is not what it should be.
    """
    from artist_transfer.evaluation.embeddings_file import read_embeddings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # missing tracks are told when the features are used
        read_embeddings(path, track_ids=track_table["track_id"].tolist())
