"""Vectors of tracks: found by name, in the order asked for."""

from __future__ import annotations

import numpy as np
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings


def test_some_of_the_tracks() -> None:
    whole = Embeddings(("a", "b", "c"), np.arange(6.0).reshape(3, 2))
    some = whole.subset(["c", "a"])
    assert some.track_ids == ("c", "a") and some.vectors.tolist() == [[4, 5], [0, 1]]
    assert whole.subset([]).vectors.shape == (0, 2)
    with pytest.raises(ArtistTransferError, match="no vector of 1 tracks, the first is 'x'"):
        whole.subset(["a", "x"])
    with pytest.raises(ArtistTransferError, match="'a' stands twice"):
        whole.subset(["a", "a"])
