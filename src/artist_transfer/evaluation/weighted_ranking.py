"""Area under the ROC curve and average precision of one ranking under many weightings of its rows.

A bootstrap over artists gives every row its artist's multiplicity as a weight; the ranking stays the same, so it is
sorted once. Both measures are those of scikit-learn (``roc_auc_score``, ``average_precision_score`` with
``sample_weight``): rows of equal score count half for the area, and are retrieved at once for the average precision.

References
----------
Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27(8), 2006.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MEASURES = ("auc", "ap")
HELD = 1 << 22  # numbers held at once


@dataclass(frozen=True)
class RankedRows:
    """Rows sorted by score, and where the positive ones stand.

    Attributes
    ----------
    rows : np.ndarray [shape=(n,)]
        The highest score first.
    positive : np.ndarray [shape=(p,)]
        The positive rows in this order.
    run : np.ndarray [shape=(g,)]
        Where in `positive` each run of equal scores begins.
    starts, stops : np.ndarray [shape=(g,)]
        Where in `rows` these runs, negative rows of the same score included, begin and end.
    """

    rows: np.ndarray
    positive: np.ndarray
    run: np.ndarray
    starts: np.ndarray
    stops: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray, truth: np.ndarray) -> RankedRows:
        """Sort.

        Parameters
        ----------
        scores : np.ndarray [shape=(n,)], finite
        truth : np.ndarray [shape=(n,)], bool

        Returns
        -------
        RankedRows
        """
        rows = np.argsort(-scores, kind="stable")
        ranked = scores[rows]
        first = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])[: len(rows)])
        tie = np.searchsorted(first, np.arange(len(rows)), side="right") - 1  # which run each place is in
        places = np.flatnonzero(truth[rows])
        ties, run = np.unique(tie[places], return_index=True)
        stops = np.append(first[1:], len(rows))[ties] if len(ties) else ties
        return cls(rows, rows[places], run, first[ties], stops)

    def measure(self, weights: np.ndarray) -> np.ndarray:
        """Compute both measures under each weighting.

        Parameters
        ----------
        weights : np.ndarray [shape=(n, m)], >= 0
            By row and weighting.

        Returns
        -------
        np.ndarray [shape=(m, 2)]
            In the order of `MEASURES`; NaN where only one class has weight.
        """
        out = np.full((weights.shape[1], len(MEASURES)), np.nan)
        if not len(self.positive):
            return out
        step = max(1, HELD // max(1, len(self.rows)))
        for start in range(0, weights.shape[1], step):
            out[start : start + step] = self._measure(weights[:, start : start + step])
        return out

    def _measure(self, weights: np.ndarray) -> np.ndarray:
        reached = np.zeros((len(self.rows) + 1, weights.shape[1]))
        np.cumsum(weights[self.rows], axis=0, out=reached[1:])
        before, until = reached[self.starts], reached[self.stops]  # (run, weighting)
        hits = np.add.reduceat(weights[self.positive], self.run, axis=0)
        hits_until = np.cumsum(hits, axis=0)
        positive = hits_until[-1]
        negative = reached[-1] - positive
        false_before, false = before - (hits_until - hits), until - before - hits
        with np.errstate(invalid="ignore", divide="ignore"):
            auc = (hits * (negative - false_before - false / 2)).sum(axis=0) / (positive * negative)
            precision = np.where(until > 0, hits_until / until, 0.0)
            ap = (hits * precision).sum(axis=0) / positive
        measured = np.stack([auc, ap], axis=1)
        measured[(positive <= 0) | (negative <= 0)] = np.nan
        return measured
