"""The catalogue's datasets: small files, written whole or not at all, that Kedro-Viz can show.

Kedro's own datasets write in place: a run that is killed inside a save leaves a file that exists and cannot be read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kedro.io.core import AbstractDataset, DatasetError
from kedro_datasets._typing import JSONPreview, PlotlyPreview, TablePreview

from artist_transfer.artifacts import atomic_path, read_json, write_json

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

Value = TypeVar("Value")
TEXTS = ("file", "track_id", "artist_id", "artist", "answer")
"""Columns of a CSV that are text, whatever stands in them."""


class _FileDataset(AbstractDataset[Value, Value], Generic[Value]):
    """A local file.

    Parameters
    ----------
    filepath : str
        Where it is, relative to the project.
    metadata : dict, optional
        What Kedro-Viz reads: its layer.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath.as_posix()}

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _require(self) -> Path:
        if not self._filepath.is_file():
            raise DatasetError(f"{self._filepath} is not there: the node that makes it has not run yet")
        return self._filepath


class _RowsDataset(_FileDataset["pd.DataFrame"]):
    """A pandas table in some format."""

    def preview(self, nrows: int = 20) -> TablePreview:
        """Return the first rows for Kedro-Viz.

        Parameters
        ----------
        nrows : int
            How many.

        Returns
        -------
        TablePreview
            The rows in pandas' split format.
        """
        return TablePreview(json.loads(self.load().head(nrows).to_json(orient="split", default_handler=str)))


class TableDataset(_RowsDataset):
    """A pandas table as Parquet."""

    def load(self) -> pd.DataFrame:  # noqa: D102
        import pandas as pd

        return pd.read_parquet(self._require())

    def save(self, data: pd.DataFrame) -> None:  # noqa: D102
        with atomic_path(self._filepath) as temporary:
            data.to_parquet(temporary, index=False)


class CsvDataset(_RowsDataset):
    """A table that a spreadsheet opens; ids such as 000002 stay text."""

    def load(self) -> pd.DataFrame:  # noqa: D102
        import pandas as pd

        return pd.read_csv(self._require(), keep_default_na=False, dtype=dict.fromkeys(TEXTS, str))

    def save(self, data: pd.DataFrame) -> None:  # noqa: D102
        with atomic_path(self._filepath) as temporary:
            data.to_csv(temporary, index=False)


class ArtistListDataset(_FileDataset["pd.DataFrame"]):
    """Artists and songs in the form of the ISMIR paper's ``msd-artist-list.pkl``."""

    def load(self) -> pd.DataFrame:  # noqa: D102
        from artist_transfer.corpora.artist_list import read_artist_list

        return read_artist_list(self._require())

    def save(self, data: pd.DataFrame) -> None:  # noqa: D102
        from artist_transfer.corpora.artist_list import write_artist_list

        write_artist_list(self._filepath, data)


class JsonDataset(_FileDataset[Any]):
    """Numbers and facts as JSON."""

    def load(self) -> Any:  # noqa: D102
        return read_json(self._require())

    def save(self, data: Any) -> None:  # noqa: D102
        write_json(self._filepath, data)

    def preview(self) -> JSONPreview:
        """Return the text for Kedro-Viz.

        Returns
        -------
        JSONPreview
            The JSON text.
        """
        return JSONPreview(json.dumps(self.load()))


class LastModelDataset(JsonDataset):
    """Where the last trained model is: a run that trained none leaves what an earlier one wrote."""

    def save(self, data: Any) -> None:  # noqa: D102
        if data or not self._exists():
            super().save(data)


class PlotDataset(_FileDataset["go.Figure"]):
    """A plotly figure as JSON."""

    def load(self) -> go.Figure:  # noqa: D102
        import plotly.io

        return plotly.io.from_json(self._require().read_text(encoding="utf-8"))

    def save(self, data: go.Figure) -> None:  # noqa: D102
        with atomic_path(self._filepath) as temporary:
            temporary.write_text(data.to_json(), encoding="utf-8")

    def preview(self) -> PlotlyPreview:
        """Return the figure for Kedro-Viz.

        Returns
        -------
        PlotlyPreview
            The figure's JSON.
        """
        return PlotlyPreview(read_json(self._require()))


class TextDataset(_FileDataset[str]):
    """A page or a CSV."""

    def load(self) -> str:  # noqa: D102
        return self._require().read_text(encoding="utf-8")

    def save(self, data: str) -> None:  # noqa: D102
        with atomic_path(self._filepath) as temporary:
            temporary.write_text(data, encoding="utf-8")
