"""Fetch the authors' released weights to the user's machine, by checksum; this package ships none."""

from __future__ import annotations

from pathlib import Path

from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.released import RELEASED, ReleasedWeights


def fetch_released(folder: str | Path, *, released: ReleasedWeights = RELEASED) -> Path:
    """Return the released file, downloaded if it is not there.

    Parameters
    ----------
    folder : str or Path
        Where it is kept; made if it is not there.
    released : ReleasedWeights
        Which one.

    Returns
    -------
    Path
        The file, its checksum verified.

    Raises
    ------
    ArtistTransferError
        If it cannot be fetched or is not the right one; says how to do it by hand.
    """
    import pooch  # slow to import

    folder, logger = Path(folder), pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")  # its notes name temporary files
    try:
        found = pooch.retrieve(
            released.url, known_hash=f"sha256:{released.sha256}", fname=released.name, path=folder, progressbar=False
        )
    except Exception as error:  # pooch lets through what requests, urllib3 and the file system raise
        raise ArtistTransferError(
            f"{released.url} cannot be fetched to {folder}: {error}. Put the file there by hand as "
            f"{released.name} (SHA-256 {released.sha256})"
        ) from error
    finally:
        logger.setLevel(level)
    return Path(found)
