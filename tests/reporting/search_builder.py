"""A folder of sounds with an index, to search in and to hear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from tests.reporting.page_checks import EVIL

from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.search.index import Encoder, SearchIndex, build_index

N = 24


def track_table() -> pd.DataFrame:
    """Twenty-four songs of four artists, one with an awkward name."""
    names = (EVIL, "Nina", 'a "quoted" & more', "Bach, J. S.")
    return pd.DataFrame(
        {
            "track_id": [f"{k:06d}" for k in range(N)],
            "recording_id": [f"{k:06d}" for k in range(N)],
            "artist_id": [f"a{k % 4}" for k in range(N)],
            "artist": [names[k % 4] for k in range(N)],
            "title": [f"Song {EVIL} {k}" if k % 5 == 0 else f"Song {k}" for k in range(N)],
            "genre_top": [None if k % 4 == 2 else f"genre {k % 4}" for k in range(N)],
            "path": [f"mu sic/#{k}%.ogg" for k in range(N)],
        }
    )


def write_sounds(corpus: Path, *, seconds: float = 2.0) -> None:
    """Write a tone for each song."""
    (corpus / "mu sic").mkdir(parents=True)
    time = np.arange(int(22_050 * seconds)) / 22_050
    for k, path in enumerate(track_table()["path"]):
        soundfile.write(corpus / path, 0.3 * np.sin(2 * np.pi * (200 + 50 * k) * time), 22_050)


def index(folder: Path) -> SearchIndex:
    """Index the songs; each artist has a corner of its own."""
    draw = np.random.default_rng([0, 31])
    vectors = np.eye(4, 8)[np.arange(N) % 4] + draw.uniform(0, 0.4, (N, 8))
    table = track_table()
    return build_index(
        folder, Embeddings(tuple(table["track_id"]), vectors), table, Encoder("siamese", 8, "ismir", "ab" * 32)
    )
