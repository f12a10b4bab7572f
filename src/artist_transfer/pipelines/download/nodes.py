"""Nodes of the download."""

from __future__ import annotations

from typing import Any

from artist_transfer.pipelines.download.params import DownloadBlock
from artist_transfer.pipelines.ingestion.params import IngestionBlock


def download_fma(corpus: str, corpus_root: str, ingestion: IngestionBlock, download: DownloadBlock) -> dict[str, Any]:
    """Fetch, check and unpack the archives of an FMA subset.

    Parameters
    ----------
    corpus : str
        fma; checked at start-up, as is the next.
    corpus_root : str
        Where it goes.
    ingestion : IngestionBlock
        Its subset.
    download : DownloadBlock
        Mirror and patience.

    Returns
    -------
    dict
        What was fetched and unpacked.
    """
    from artist_transfer.corpora.download import fetch_and_extract, fma_archives

    archives = fma_archives(ingestion.fma.subset)
    records = fetch_and_extract(archives, folder=corpus_root, base_url=download.base_url, retries=download.retries)
    return {"root": corpus_root, "archives": records}
