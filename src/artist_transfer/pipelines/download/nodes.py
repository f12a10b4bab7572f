"""Nodes of the download."""

from __future__ import annotations

from typing import Any

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.download.params import DownloadBlock
from artist_transfer.pipelines.ingestion.params import IngestionBlock


def download_fma(
    corpus: str, corpus_root: str | None, ingestion: IngestionBlock, download: DownloadBlock
) -> dict[str, Any]:
    """Fetch, check and unpack the archives of an FMA subset.

    Parameters
    ----------
    corpus : str
        Only fma can be downloaded.
    corpus_root : str or None
        Where it goes.
    ingestion : IngestionBlock
        Its subset.
    download : DownloadBlock
        Mirror and patience.

    Returns
    -------
    dict
        What was fetched and unpacked.

    Raises
    ------
    ArtistTransferError
        If the corpus is not FMA.
    """
    from artist_transfer.corpora.download import fetch_and_extract, fma_archives

    if corpus != "fma" or corpus_root is None:
        raise ArtistTransferError(
            f"corpus={corpus}: only FMA can be downloaded. Allowed: --env=fma_small, fma_medium or fma_large"
        )
    archives = fma_archives(ingestion.fma.subset)
    records = fetch_and_extract(archives, folder=corpus_root, base_url=download.base_url, retries=download.retries)
    return {"root": corpus_root, "archives": records}
