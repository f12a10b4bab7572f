"""Nodes of ingestion: from the files of a corpus to the track table."""

from __future__ import annotations

import logging
import warnings
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
        synthetic, fma, table or folder.
    corpus_root : str or None
        Its folder; None for the embedded corpus.
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
        ``corpus``, ``root`` and the reader's ``notes``.

    Raises
    ------
    ArtistTransferError
        If the corpus cannot be read, or cannot carry the job.
    """
    from artist_transfer.corpora.fma import read_fma
    from artist_transfer.corpora.folder import read_folder
    from artist_transfer.corpora.table import read_table

    root = write_synthetic(ingestion, workers) if corpus == "synthetic" else Path(corpus_root or "")
    if corpus == "synthetic":
        table, notes = read_fma(root, subset="small")
    elif corpus == "fma":
        table, notes = read_fma(root, **ingestion.fma.model_dump())
    elif corpus == "table":
        table, notes = read_table(root, file=ingestion.table.file, columns=ingestion.table.columns)
    else:
        table, notes = read_folder(root, extensions=ingestion.folder.extensions)
    log.info("Corpus %s in %s: %s", corpus, root, ", ".join(f"{count} {what}" for what, count in notes.items()))
    try_split(table, split, splitting, folds)
    if embeddings is not None:
        try_embeddings(table, embeddings)
    return table, {"corpus": corpus, "root": root.as_posix(), "notes": notes}


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
