"""Several systems as one: early, by putting vectors together; late, by putting scores together.

Late fusion is the plain average of the scores, as in the paper, which lets the system whose scores spread most decide;
the average of calibrated scores, which puts all in nats; or a weighted sum, learned on validation trials
(`calibration.fit_fusion`).

References
----------
DeepArtistID: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels", first version,
section 3.3: "early fusion that concatenates DeepArtistID and i-vector into a single feature vector before scoring, and
… late fusion that uses the average evaluation score from both features".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.cosine import some, unit_vectors
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.recognition.calibration import Calibration, same_shape

LENGTH, STANDARD = SCALINGS = ("length", "standard")
NEGLIGIBLE = 1e-7  # of a feature's mean: a single-precision feature that deviates less is constant
CHUNK = 8192


@dataclass(frozen=True)
class EarlyFusion:
    """How vectors of several encoders become one.

    Attributes
    ----------
    means, scales : tuple of np.ndarray [shape=(width_k,)], float64
        Of the training songs, one pair an encoder; 0 and 1 by `length`. A constant feature has scale 1.
    card : dict
        ``scaling, widths, n_songs, n_constant``.
    """

    means: tuple[np.ndarray, ...]
    scales: tuple[np.ndarray, ...]
    card: dict[str, object]

    def transform(self, parts: Sequence[Embeddings]) -> Embeddings:
        """Put vectors side by side.

        Parameters
        ----------
        parts : sequence of Embeddings
            One an encoder, of the same tracks in any order.

        Returns
        -------
        Embeddings [width=sum of widths], float64
            In the order of the first. By `length` each part is divided by its length; by `standard` by the training
            songs' deviations, and by the root of its width, so that a wide encoder weighs no more than a narrow one.

        Raises
        ------
        ArtistTransferError
            If encoders, widths or tracks differ from what is expected, or by `length` a vector is zero.
        """
        widths = [x.width for x in parts]
        if widths != self.card["widths"]:
            raise ArtistTransferError(f"early fusion: fitted on widths {self.card['widths']}, found {widths}")
        ids = parts[0].track_ids
        for number, part in enumerate(parts[1:], start=2):
            strange = sorted(set(part.track_ids) ^ set(ids))
            if strange:
                raise ArtistTransferError(
                    f"early fusion: {len(strange)} tracks have a vector of encoder 1 or {number} only: {some(strange)}"
                )
        out = np.empty((len(ids), sum(widths)))
        at = 0
        for part, mean, scale in zip(parts, self.means, self.scales):
            here = out[:, at : at + part.width]
            at += part.width
            rows = part.rows(ids)
            if self.card["scaling"] == LENGTH:
                here[:] = unit_vectors(part, rows)
            else:
                here[:] = part.vectors[rows]
                here -= mean
                here /= scale * np.sqrt(part.width)
        return Embeddings(ids, out)


def fit_early_fusion(parts: Sequence[Embeddings], train_ids: Iterable[str], *, scaling: str = LENGTH) -> EarlyFusion:
    """Learn from training songs how much the encoders' features deviate; other rows are not read.

    Parameters
    ----------
    parts : sequence of Embeddings
        One an encoder.
    train_ids : iterable of str
    scaling : {"length", "standard"}

    Returns
    -------
    EarlyFusion

    Raises
    ------
    ArtistTransferError
        If there are fewer than two encoders, the scaling is unknown, or there is no training song.
    """
    ids = sorted(set(train_ids))
    if scaling not in SCALINGS or len(parts) < 2 or not ids:
        raise ArtistTransferError(
            f"early fusion: two encoders or more are needed (found {len(parts)}), training songs (found {len(ids)}), "
            f"and the scaling {' or '.join(SCALINGS)} (found {scaling!r})"
        )
    pairs = [(np.zeros(x.width), np.ones(x.width), 0) if scaling == LENGTH else _moments(x, ids) for x in parts]
    card: dict[str, object] = {
        "scaling": scaling,
        "widths": [x.width for x in parts],
        "n_songs": len(ids),
        "n_constant": sum(n for _, _, n in pairs),
    }
    return EarlyFusion(tuple(x for x, _, _ in pairs), tuple(x for _, x, _ in pairs), card)


def plain_average(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Average scores as the systems make them: the paper's late fusion.

    Parameters
    ----------
    scores : sequence of np.ndarray, of one shape

    Returns
    -------
    np.ndarray of that shape, float64

    Raises
    ------
    ArtistTransferError
        If shapes differ.
    """
    parts = same_shape(scores)
    out = parts[0].copy()
    for part in parts[1:]:
        out += part
    out /= len(parts)
    return out


def calibrated_average(scores: Sequence[np.ndarray], calibrations: Sequence[Calibration]) -> np.ndarray:
    """Average the systems' log-likelihood ratios.

    Two systems that say the same are right about how sure to be, two that are independent are too careful: calibrate
    what comes out if the numbers are to be ratios.

    Parameters
    ----------
    scores : sequence of np.ndarray, of one shape
    calibrations : sequence of Calibration
        One a system.

    Returns
    -------
    np.ndarray of that shape, float64

    Raises
    ------
    ArtistTransferError
        If numbers or shapes differ.
    """
    parts = same_shape(scores)
    if len(parts) != len(calibrations):
        raise ArtistTransferError(f"late fusion: {len(parts)} systems, but {len(calibrations)} calibrations")
    return plain_average([own.apply(part) for own, part in zip(calibrations, parts)])


def _moments(part: Embeddings, ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean and deviation of each feature, and how many are constant."""
    rows = part.rows(ids)
    mean, square = np.zeros(part.width), np.zeros(part.width)
    for start in range(0, len(rows), CHUNK):
        mean += part.vectors[rows[start : start + CHUNK]].sum(axis=0, dtype=np.float64)
    mean /= len(rows)
    for start in range(0, len(rows), CHUNK):
        square += ((part.vectors[rows[start : start + CHUNK]].astype(np.float64) - mean) ** 2).sum(axis=0)
    deviation = np.sqrt(square / len(rows))
    constant = deviation <= NEGLIGIBLE * np.abs(mean)
    return mean, np.where(constant, 1.0, deviation), int(constant.sum())
