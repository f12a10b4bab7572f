"""Rank-based quantile normalisation to a normal distribution, fitted on training rows only.

Used on Essentia's descriptors by Park et al. 2018 (section 3.1.3, after Amaratunga and Cabrera 2001) before the
dictionary. Written out here and not taken from scikit-learn, whose ``QuantileTransformer`` takes all values within
1e-7 of a column's least or greatest one for that bound: descriptors as small as ``lowlevel.spectral_decrease`` (1e-9)
would be flattened. Ties get the middle of their ranks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from tqdm.auto import tqdm

from artist_transfer.errors import ArtistTransferError, NothingToFit


@dataclass(frozen=True)
class QuantileNormaliser:
    """A fitted normaliser.

    Attributes
    ----------
    quantiles : np.ndarray [shape=(quantile, column that varies)], float64, ascending along the first axis
        Values of the training rows at evenly spaced ranks, from the least to the greatest.
    varies : np.ndarray [shape=(column,)], bool
        False where a column is constant over the training rows: it says nothing and is left out.
    n_rows : int
        Training rows; a probability stays within 1 / (2 `n_rows`) of 0 and 1.
    """

    quantiles: np.ndarray
    varies: np.ndarray
    n_rows: int

    @property
    def n_constant(self) -> int:
        """Number of columns left out because they are constant over the training rows."""
        return int((~self.varies).sum())

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Map each column through the training rows' distribution function to a normal distribution.

        Parameters
        ----------
        values : np.ndarray [shape=(row, column)], finite
            As many columns as in fitting.

        Returns
        -------
        np.ndarray [shape=(row, column that varies)], float32
            Standard normal over the training rows. A value beyond theirs gets what the furthest one of as many
            rows gets, about 3.3 for a thousand.

        Raises
        ------
        ArtistTransferError
            If the number of columns is another one.
        """
        from scipy.special import ndtri

        if values.ndim != 2 or values.shape[1] != self.varies.size:
            raise ArtistTransferError(f"values of shape {values.shape} do not have {self.varies.size} columns")
        references = np.linspace(0.0, 1.0, len(self.quantiles))
        margin = 0.5 / self.n_rows
        out = np.empty((len(values), self.quantiles.shape[1]), dtype=np.float32)
        for i, column in enumerate(_columns(self.varies, "normalise")):
            known = self.quantiles[:, i]
            x = np.asarray(values[:, column], dtype=np.float64)
            # Interpolation takes the last of equal quantiles, and the first when turned round: the mean is the middle.
            upper = np.interp(x, known, references)
            lower = 1.0 - np.interp(-x, -known[::-1], references)
            out[:, i] = ndtri(np.clip(0.5 * (upper + lower), margin, 1.0 - margin))
        return out

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return what `from_arrays` needs, ready for npz without pickle.

        Returns
        -------
        dict
            Names to arrays.
        """
        return {"quantiles": self.quantiles, "varies": self.varies, "n_rows": np.array(self.n_rows)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> QuantileNormaliser:
        """Make the normaliser that `to_arrays` was asked for.

        Parameters
        ----------
        arrays : mapping
            Names to arrays.

        Returns
        -------
        QuantileNormaliser
            It transforms exactly as the other one.
        """
        return cls(np.asarray(arrays["quantiles"]), np.asarray(arrays["varies"]), int(arrays["n_rows"]))


def _columns(varies: np.ndarray, label: str) -> Iterable[int]:
    """Go through the columns that vary, with a bar if that takes long."""
    columns = np.flatnonzero(varies)
    return tqdm(columns, desc=label, unit="descriptor", leave=False, delay=1.0)


def fit_quantiles(values: np.ndarray, *, max_quantiles: int = 1000) -> QuantileNormaliser:
    """Fit the normaliser on training rows.

    All rows are used, and nothing is drawn: there is no seed.

    Parameters
    ----------
    values : np.ndarray [shape=(row, column)], finite
        Training rows.
    max_quantiles : int > 1
        Points at which the distribution function is kept; never more than rows.

    Returns
    -------
    QuantileNormaliser
        The normaliser; `QuantileNormaliser.n_constant` says how many columns are left out.

    Raises
    ------
    ArtistTransferError
        If there are no rows or a value is not finite.
    NothingToFit
        If every column is constant.
    """
    values = np.asarray(values)
    if values.ndim != 2 or not len(values):
        raise ArtistTransferError(f"quantile normalisation needs training rows; found shape {values.shape}")
    if not np.isfinite(values).all():
        raise ArtistTransferError("quantile normalisation needs finite values; drop incomplete descriptors")
    varies = values.max(axis=0) > values.min(axis=0)
    if not varies.any():
        raise NothingToFit(f"all {varies.size} descriptors are constant over the {len(values)} training rows")
    places = np.linspace(0.0, 1.0, max(2, min(max_quantiles, len(values))))
    quantiles = np.empty((len(places), int(varies.sum())))
    for i, column in enumerate(_columns(varies, "quantiles")):
        quantiles[:, i] = np.quantile(values[:, column].astype(np.float64), places)
    # Interpolation between equal values can differ in the last bit, and the order has to hold.
    return QuantileNormaliser(np.maximum.accumulate(quantiles, axis=0), varies, len(values))
