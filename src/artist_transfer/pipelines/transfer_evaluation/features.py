"""Features of a fold: those of the nets, segment by segment, or somebody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.pipelines.feature_learning.learning import source_key

if TYPE_CHECKING:
    import torch

    from artist_transfer.audio.store import MelStore
    from artist_transfer.evaluation.segments import SegmentFeatures

WIDTH = 256  # columns that a task's features have
LARGE = 2**30  # bytes of one task's features above which half precision is kept


@dataclass(frozen=True)
class FeatureSource:
    """Where the features of a run come from.

    Parameters
    ----------
    usable_table : pd.DataFrame
        The tracks, all of which are embedded.
    store : MelStore
        Their spectrograms.
    front_end : mapping
        How these were made.
    hop : int
        Frames between segments.
    device : torch.device
        Where the nets run.
    cache_root : Path
        Where finished features are.
    joined_root : Path or None
        Where the features of several nets are joined if they are too large for the memory; None is `cache_root`.
    dtype : str or None
        How features are kept; None is what `feature_dtype` says of these tracks.
    """

    usable_table: pd.DataFrame
    store: MelStore
    front_end: Mapping[str, Any]
    hop: int
    device: torch.device
    cache_root: Path
    joined_root: Path | None = None
    dtype: str | None = None

    def of_nets(self, nets: Sequence[Mapping[str, Any]]) -> SegmentFeatures:
        """Pass every segment of every track through the nets of a fold.

        Parameters
        ----------
        nets : sequence of mapping
            ``tasks`` and ``folder`` of each net, as feature learning describes them.

        Returns
        -------
        SegmentFeatures
            Column-wise in the order of the tasks.
        """
        from artist_transfer.evaluation.segments import segment_features

        return segment_features(
            load_nets(nets, self.device),
            self.store,
            self.usable_table["track_id"].tolist(),
            hop=self.hop,
            device=self.device,
            dtype=self.dtype or feature_dtype(self.usable_table, self.hop),
            cache_root=self.cache_root,
            joined_root=self.joined_root,
            store_key=source_key(self.usable_table, self.front_end),
        )

    def of_file(self, path: str) -> SegmentFeatures:
        """Read somebody else's features of these tracks.

        Parameters
        ----------
        path : str
            The file.

        Returns
        -------
        SegmentFeatures
            One row a track, or as many as the file has.
        """
        from artist_transfer.evaluation.embeddings_file import read_embeddings

        return read_embeddings(path, track_ids=self.usable_table["track_id"].tolist()).segments


def feature_dtype(usable_table: pd.DataFrame, hop: int) -> str:
    """Choose the precision of all features of a corpus: the same for one task as for five.

    What is compared must not differ in precision, so this goes by the number of segments of the corpus and the width
    of one task's features, not by the number of tasks of a net or a case.

    Parameters
    ----------
    usable_table : pd.DataFrame
        The tracks.
    hop : int
        Frames between segments.

    Returns
    -------
    {"float32", "float16"}
        Half precision from about a million segments on.
    """
    n_segments = int((usable_table["n_frames"].astype(int) // hop).sum())
    return "float16" if n_segments * WIDTH * 4 > LARGE else "float32"


def load_nets(nets: Sequence[Mapping[str, Any]], device: torch.device) -> dict[str, Any]:
    """Read nets from their folders.

    Parameters
    ----------
    nets : sequence of mapping
        ``tasks`` and ``folder`` of each.
    device : torch.device
        Where they are to live.

    Returns
    -------
    dict of str to MultiTaskNet
        By task letter; a multi-task net stands under each of its letters.
    """
    from artist_transfer.models.files import load_net

    by_task: dict[str, Any] = {}
    for described in nets:
        net = load_net(described["folder"], device)
        by_task |= dict.fromkeys(described["tasks"], net)
    return by_task
