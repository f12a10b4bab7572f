"""Scores of frames: artists as adapted mixtures, against the universal background model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.recognition.backends import NORMED, Learned, Scores, normalised
from artist_transfer.pipelines.recognition.encoders import Encoding
from artist_transfer.pipelines.recognition.params import RecognitionBlock

if TYPE_CHECKING:
    from artist_transfer.pipelines.recognition.scoring import Board

NAME = "gmm_ubm"


def add_gmm_ubm(
    board: Board, frames: Mapping[str, Any], learned: Learned, recognition: RecognitionBlock, where: Encoding
) -> None:
    """Adapt the means to every artist and score test songs by the mean log-likelihood ratio of their frames.

    Parameters
    ----------
    board : Board
        Takes the scores.
    frames : mapping
        Entry of ``frame_models_manifest``.
    learned : Learned
        Training songs and trials.
    recognition : RecognitionBlock
        Relevance, mixtures a frame, s-norm.
    where : Encoding
        Device and frames.
    """
    from artist_transfer.recognition.frames import SongFrames
    from artist_transfer.recognition.gmm import DiagonalGmm, baum_welch
    from artist_transfer.recognition.map_adaptation import adapt, log_likelihood_ratios

    gmm, block = DiagonalGmm.load(Path(frames["ubm"])), recognition.ubm
    stores = {name: SongFrames.open(entry["folder"]) for name, entry in where.frames.items()}

    def models(target: str, groups: Mapping[str, Any]) -> np.ndarray:
        ids = sorted({track for songs in groups.values() for track in songs})
        statistics = baum_welch(gmm, stores[target], ids, device=where.device)
        return adapt(gmm, statistics, groups, relevance=block.relevance)

    def ratios(means: np.ndarray, target: str, ids: Any) -> np.ndarray:
        return log_likelihood_ratios(gmm, means, stores[target], ids, top=block.top, device=where.device)

    own = {cell: models(cell[0], protocol.enrolment_groups) for cell, protocol in learned.protocols.items()}
    plain: Scores = {
        cell: ratios(own[cell], cell[0], protocol.test_ids) for cell, protocol in learned.protocols.items()
    }
    board.add(NAME, "", None, plain)
    if not recognition.s_norm:
        return
    songs = learned.cohort(recognition.cohort)
    cohort = models("self", songs)
    try:
        normed = {
            cell: normalised(
                plain[cell],
                ratios(own[cell], "self", list(songs)),
                ratios(cohort, cell[0], protocol.test_ids),
                recognition,
                protocol,
            )
            for cell, protocol in learned.protocols.items()
        }
    except ArtistTransferError as error:
        board.skip(NAME + NORMED, str(error))
        return
    board.add(NAME, NORMED.strip("_"), None, normed)
