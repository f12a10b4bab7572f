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

LARGE = 4 * 2**30  # bytes of features above which half precision is kept


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
    """

    usable_table: pd.DataFrame
    store: MelStore
    front_end: Mapping[str, Any]
    hop: int
    device: torch.device
    cache_root: Path

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

        by_task = load_nets(nets, self.device)
        n_segments = (self.usable_table["n_frames"].astype(int) // self.hop).sum()
        dtype = "float16" if n_segments * 256 * len(by_task) * 4 > LARGE else "float32"
        return segment_features(
            by_task,
            self.store,
            self.usable_table["track_id"].tolist(),
            hop=self.hop,
            device=self.device,
            dtype=dtype,
            cache_root=self.cache_root,
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
