"""Correction of p values for the number of questions asked.

References
----------
Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6(2), 1979: the adjusted p values
keep the chance of any false finding in the family under the level, however the tests depend on each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from artist_transfer.errors import ArtistTransferError


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust p values for the size of their family.

    Parameters
    ----------
    p_values : sequence of float in [0, 1] [shape=(n,)]
        NaN for a test that could not be made: it stays NaN and does not count in the family.

    Returns
    -------
    np.ndarray [shape=(n,)], in [0, 1] or NaN
        Never less than the p value; in the same order of size.

    Raises
    ------
    ArtistTransferError
        If a value lies outside [0, 1] or the values are not a plain sequence.
    """
    values = np.array(p_values, dtype=np.float64)
    if values.ndim != 1:
        raise ArtistTransferError(f"holm: p values must be a plain sequence; found the shape {values.shape}")
    made = np.flatnonzero(~np.isnan(values))
    outside = values[made][(values[made] < 0) | (values[made] > 1)]
    if len(outside):
        raise ArtistTransferError(f"holm: p values must lie in [0, 1]; found {outside[0]:g}")
    order = made[np.argsort(values[made], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    values[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return values
