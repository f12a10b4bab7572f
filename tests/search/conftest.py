"""A small corpus with vectors: five artists in their corners, one song in three clips, names that are awkward."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.search.index import Encoder, SearchIndex, build_index

WIDTH = 16
NAMES = ("Bach, Johann Sebastian", "Händel", "<script>alert('x')</script>", "Nina", "nina")


@pytest.fixture
def encoder() -> Encoder:
    """What made the vectors."""
    return Encoder("ismir2018_siamese", WIDTH, "ismir", "ab" * 32)


@pytest.fixture
def track_table() -> pd.DataFrame:
    """Five artists with six songs each; the song r000 has three clips; one track has no artist."""
    rows = []
    for k in range(30):
        artist = k % 5
        rows.append(
            {
                "track_id": f"{k:06d}",
                "recording_id": f"{k:06d}",
                "artist_id": f"a{artist}",
                "artist": NAMES[artist],
                "title": f"Song {k}",
                "genre_top": ("baroque", "baroque", None, "soul", "soul")[artist],
                "path": f"audio/a{artist}/{k:06d}.ogg",
            }
        )
    for clip in range(3):
        rows.append(rows[0] | {"track_id": f"x.{clip}", "recording_id": "x", "title": "In clips"})
        rows[-1]["path"] = f"audio/x.{clip}.ogg"
    rows.append(dict.fromkeys(rows[0]) | {"track_id": "y", "recording_id": "y", "path": "y.ogg", "title": "Song 3"})
    return pd.DataFrame(rows)


@pytest.fixture
def embeddings(track_table: pd.DataFrame) -> Embeddings:
    """Vectors near a corner for each artist, of any length."""
    draw = np.random.default_rng([0, 11])
    corners = np.eye(6, WIDTH)
    artists = [5 if pd.isna(each) else int(each[1]) for each in track_table["artist_id"]]
    vectors = corners[artists] + draw.uniform(0, 0.2, (len(track_table), WIDTH))
    vectors *= draw.uniform(0.1, 9, (len(track_table), 1))
    return Embeddings(tuple(track_table["track_id"]), vectors.astype(np.float32))


@pytest.fixture
def index(tmp_path: Path, embeddings: Embeddings, track_table: pd.DataFrame, encoder: Encoder) -> SearchIndex:
    """Its index."""
    return build_index(tmp_path / "index", embeddings, track_table, encoder)
