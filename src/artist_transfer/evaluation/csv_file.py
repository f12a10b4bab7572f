"""CSV files that others wrote, as they are: no cell moves into another column."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, TextIO

import pandas as pd


def read_csv_strictly(source: Path | TextIO, **how: Any) -> pd.DataFrame:
    """Read a CSV whose rows have no more cells than its header.

    Of surplus cells in every row pandas would make an index, and each cell would stand one column further left.

    Parameters
    ----------
    source : Path or text stream
    **how
        What `pandas.read_csv` takes.

    Returns
    -------
    pd.DataFrame

    Raises
    ------
    pandas.errors.ParserError
        If a row has more cells than the header; a comma at the end of every row is passed over if
        pandas looks for missing values.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(source, index_col=False, **how)
        except pd.errors.ParserWarning as error:
            raise pd.errors.ParserError("rows have more cells than the header has columns") from error
