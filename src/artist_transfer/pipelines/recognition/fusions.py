"""Fusions of a net with the i-vector: early, of vectors, and late, of scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.recognition.backends import COSINE, PLDA, Learned, Scores
from artist_transfer.pipelines.recognition.encoders import IVECTOR

if TYPE_CHECKING:
    from artist_transfer.evaluation.embeddings import Embeddings
    from artist_transfer.pipelines.recognition.scoring import Board

VALIDATION = ("self", "validation")


def early(net: Mapping[str, Embeddings], ivector: Mapping[str, Embeddings], learned: Learned) -> dict[str, Embeddings]:
    """Put the vectors of a net and of i-vectors side by side, each of length 1.

    Parameters
    ----------
    net, ivector : mapping of target to Embeddings
        Vectors.
    learned : Learned
        Which songs are needed.

    Returns
    -------
    dict of target to Embeddings
        Of the training songs and those of the trials, as far as both hear them.
    """
    from artist_transfer.recognition.fusion import fit_early_fusion

    fitted = fit_early_fusion([net["self"], ivector["self"]], learned.train_ids)
    found = {}
    for target in net:
        ids = set(learned.train_ids) if target == "self" else set()
        for (name, _), protocol in learned.protocols.items():
            if name == target:
                ids |= set(protocol.enrolments["track_id"]) | set(protocol.test_ids)
        ids.intersection_update(net[target].track_ids, ivector[target].track_ids)
        found[target] = fitted.transform([one[target].subset(sorted(ids)) for one in (net, ivector)])
    return found


def add_late(board: Board, net: str, trial: int | None, learned: Learned) -> None:
    """Fuse the scores of a net and of i-vectors: plainly, calibrated, and with weights.

    Calibration and weights are learned on the trials of the validation artists.

    Parameters
    ----------
    board : Board
        Has the scores; the fused ones are added.
    net : str
        The net.
    trial : int or None
        Its number by seed.
    learned : Learned
        Trials.
    """
    for scoring in (PLDA, COSINE):
        pair = [_find(board, net, scoring, trial), _find(board, IVECTOR, scoring, None)]
        if all(one is not None for one in pair):
            _add_three(board, [one for one in pair if one is not None], scoring, trial, learned)
        else:
            board.skip(f"late.{scoring}_average", f"{net} and {IVECTOR} were not both scored by {scoring}")


def _add_three(board: Board, pair: list[Scores], scoring: str, trial: int | None, learned: Learned) -> None:
    from artist_transfer.recognition.calibration import fit_calibration, fit_fusion
    from artist_transfer.recognition.fusion import calibrated_average, plain_average

    cells = list(learned.protocols)
    board.add("late", f"{scoring}_average", trial, {c: plain_average([one[c] for one in pair]) for c in cells})
    held = learned.protocols[VALIDATION]
    truth, n_artists = held.targets(), len(held.artists)
    try:
        lines = [fit_calibration(one[VALIDATION], truth, n_artists=n_artists) for one in pair]
        # a part that does not tell the validation artists apart says nothing, rather than the opposite
        lines = [replace(line, scale=max(line.scale, 0.0)) for line in lines]
        averaged = {c: calibrated_average([one[c] for one in pair], lines) for c in cells}
        weights = fit_fusion([one[VALIDATION] for one in pair], truth, n_artists=n_artists)
    except ArtistTransferError as error:
        board.skip(f"late.{scoring}_calibrated", str(error))
        return
    board.add("late", f"{scoring}_calibrated", trial, averaged)
    board.add("late", f"{scoring}_weighted", trial, {c: weights.apply([one[c] for one in pair]) for c in cells})


def _find(board: Board, encoder: str, scoring: str, trial: int | None) -> Scores | None:
    wanted = (encoder, scoring, trial)
    return next((scores for _, *key, scores in board.entries if tuple(key) == wanted), None)
