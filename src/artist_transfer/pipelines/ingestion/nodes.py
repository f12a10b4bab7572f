"""Nodes of ingestion: from the files of a corpus to the track table."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from artist_transfer.artifacts import fingerprint
from artist_transfer.pipelines.ingestion.params import IngestionBlock

log = logging.getLogger(__name__)

SYNTHETIC_FOLDER = Path("data/01_raw/synthetic")


def read_corpus(
    corpus: str, corpus_root: str | None, ingestion: IngestionBlock, workers: int | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read the corpus that the parameters name; the embedded one is written first.

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

    Returns
    -------
    track_table : pd.DataFrame
        One row a clip.
    corpus_facts : dict
        ``corpus``, ``root`` and the reader's ``notes``.
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
