"""Which system recognises new audio, which net and training songs are its, and how its scores are calibrated."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.pipelines.artist_learning.encoders import RELEASED
from artist_transfer.pipelines.artist_learning.params import KINDS

if TYPE_CHECKING:
    from artist_transfer.evaluation.recognition import RecognitionProtocol
    from artist_transfer.recognition.calibration import Calibration

log = logging.getLogger(__name__)

COSINE, PLDA = "cosine", "plda"
SCORINGS = (COSINE, PLDA)
AUTO = "auto"


def choose(
    rows: Sequence[dict[str, Any]], wanted: str, fold: int, protocol: RecognitionProtocol
) -> tuple[dict[str, Any], Calibration]:
    """Find the system that is asked for, or the best that can say of new audio whose it is, and calibrate it.

    Parameters
    ----------
    rows : sequence of dict
        ``scores`` of the manifest.
    wanted : str
        A system, or auto: the one with the lowest equal error rate on the validation trials.
    fold : int
        Whose net.
    protocol : RecognitionProtocol
        The validation trials of the fold.

    Returns
    -------
    row : dict
        Of `rows`.
    line : Calibration
        With a scale above 0.

    Raises
    ------
    ArtistTransferError
        If there is none, with the reason.
    """
    from artist_transfer.evaluation.verification import eer
    from artist_transfer.recognition.calibration import fit_calibration

    able = _able(rows, fold)
    if not able:
        raise ArtistTransferError(
            "no system of the run can recognise new audio: recognition.systems must have nets in it, and one of them "
            "must have been scored by cosine or PLDA"
        )
    if wanted != AUTO and wanted not in able:
        raise ArtistTransferError(f"recognition.recogniser={wanted} was not scored; allowed: {AUTO}, {', '.join(able)}")
    targets = protocol.targets()
    read = {system: np.load(row["file"], allow_pickle=False) for system, row in able.items()}
    ordered = [wanted] if wanted != AUTO else sorted(read, key=lambda name: (eer(read[name], targets), name))
    for system in ordered:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ArtistTransferWarning)  # the scale is looked at here
            line = fit_calibration(read[system], targets, n_artists=len(protocol.artists))
        if line.scale > 0:
            return able[system], line
        log.warning("%s cannot recognise anybody: validation artists score no higher by their own songs", system)
    raise ArtistTransferError(
        f"{' and '.join(ordered)} {'do' if len(ordered) > 1 else 'does'} not tell the {len(protocol.artists)} "
        "validation artists apart at all"
    )


def source_of(chosen: Mapping[str, Any], nets: Sequence[Mapping[str, Any]]) -> str:
    """Say where the net of a system is.

    Parameters
    ----------
    chosen : mapping
        A row of ``scores``.
    nets : sequence of mapping
        Of the manifest of nets.

    Returns
    -------
    str
        ``ismir2018_siamese``, or the folder of the run's own net: of its kind, fold and number of artists the one with
        the lowest seed.
    """
    if chosen["encoder"] == RELEASED:
        return RELEASED
    wanted = chosen["encoder"], chosen["fold"], chosen["artists"]
    mine = [net for net in nets if (net["kind"], net["fold"], net["artists"]) == wanted]
    return str(min(mine, key=lambda net: net["seed"])["folder"])


def training_artists(
    artist_set_table: pd.DataFrame, chosen: Mapping[str, Any], unusable: Collection[str]
) -> dict[str, str]:
    """Give the artist of every song that a system's PLDA is fitted on.

    Parameters
    ----------
    artist_set_table : pd.DataFrame
        Songs of each fold and set.
    chosen : mapping
        A row of ``scores``: its fold and number of artists.
    unusable : collection of str
        Songs that take no part.

    Returns
    -------
    dict of track id to artist id
        In the order of the table.
    """
    rows = artist_set_table[(artist_set_table["fold"] == chosen["fold"]) & (artist_set_table["kind"] == "artist")]
    rows = rows[(rows["set"] == chosen["artists"]) & ~rows["track_id"].isin(unusable)]
    return dict(zip(rows["track_id"], rows["artist_id"], strict=True))


def _able(rows: Sequence[dict[str, Any]], fold: int) -> dict[str, dict[str, Any]]:
    """Find the systems whose encoder takes new audio, those of the most artists."""
    largest = max((row["artists"] for row in rows), default=0)
    return {
        row["system"]: row
        for row in rows
        if (row["target"], row["role"], row["fold"], row["artists"]) == ("self", "validation", fold, largest)
        and row["scoring"] in SCORINGS
        and (row["encoder"] == RELEASED or (row["encoder"] in KINDS and row["trial"] == 0))
    }
