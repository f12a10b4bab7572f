"""A map of artists: their mean features in two dimensions.

References
----------
van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 9, 2008; Poličar, Stražar, Zupan, "openTSNE", 2024.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.segments import SegmentFeatures

PERPLEXITY = 30.0
FEWEST = 4  # artists below which neighbourhoods mean nothing, and principal components are shown
COLUMNS = ["artist_id", "artist", "genre", "x", "y", "n_tracks"]


def artist_map(
    features: SegmentFeatures, track_table: pd.DataFrame, *, perplexity: float = PERPLEXITY, seed: int = 0
) -> pd.DataFrame:
    """Place artists in the plane by the mean of their tracks' mean features.

    Parameters
    ----------
    features : SegmentFeatures
    track_table : pd.DataFrame [columns: track_id, artist_id, artist, genre_top]
        Tracks without artist are not on the map; nor are tracks without features.
    perplexity : float > 1
        Lowered to a third of the other artists where there are few.
    seed : int >= 0

    Returns
    -------
    pd.DataFrame [columns: artist_id, artist, genre, x, y, n_tracks]
        Sorted by artist_id; genre is the most frequent of the artist's tracks (the alphabetically first of equals),
        None if none has one. Fewer than 4 artists are placed by principal components.

    Raises
    ------
    ArtistTransferError
        If no track with features has an artist.
    """
    vectors, facts = _artists(features, track_table)
    places = in_the_plane(vectors, perplexity=perplexity, seed=seed)
    facts["x"], facts["y"] = places[:, 0], places[:, 1]
    return facts[COLUMNS]


def in_the_plane(vectors: np.ndarray, *, perplexity: float = PERPLEXITY, seed: int = 0) -> np.ndarray:
    """Place vectors in the plane by t-SNE, or by principal components where there are too few for neighbourhoods.

    Parameters
    ----------
    vectors : np.ndarray [shape=(n, width)]
    perplexity : float > 1
        Lowered to a third of the others where there are few.
    seed : int >= 0

    Returns
    -------
    np.ndarray [shape=(n, 2)]
    """
    return _principal(vectors) if len(vectors) < FEWEST else _tsne(vectors, perplexity, seed)


def _artists(features: SegmentFeatures, track_table: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    means = features.track_means()
    row_of = {x: k for k, x in enumerate(features.track_ids) if np.isfinite(means[k]).all()}
    table = track_table[track_table["artist_id"].notna() & track_table["track_id"].isin(list(row_of))]
    if not len(table):
        raise ArtistTransferError("no track with features has an artist_id, so there is no map of artists")
    vectors, rows = [], []
    for artist_id, tracks in table.sort_values("track_id").groupby("artist_id", sort=True):
        vectors.append(means[[row_of[x] for x in tracks["track_id"]]].mean(axis=0, dtype=np.float64))
        names = tracks["artist"].dropna() if "artist" in tracks else pd.Series(dtype=object)
        rows.append(
            {
                "artist_id": artist_id,
                "artist": names.iloc[0] if len(names) else str(artist_id),
                "genre": _majority(tracks["genre_top"].dropna().tolist()) if "genre_top" in tracks else None,
                "n_tracks": len(tracks),
            }
        )
    facts = {name: pd.Series([row[name] for row in rows], dtype=object) for name in ("artist_id", "artist", "genre")}
    return np.stack(vectors), pd.DataFrame(facts | {"n_tracks": [row["n_tracks"] for row in rows]})


def _majority(genres: list[str]) -> str | None:
    counts = Counter(genres)
    return min(counts, key=lambda genre: (-counts[genre], genre)) if counts else None


def _principal(vectors: np.ndarray) -> np.ndarray:
    centred = vectors - vectors.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    scores = (left * singular)[:, :2]
    # the sign of a component is arbitrary: its largest score is made positive
    signs = np.sign(scores[np.abs(scores).argmax(axis=0), np.arange(scores.shape[1])])
    scores = scores * np.where(signs == 0, 1.0, signs)
    return np.pad(scores, ((0, 0), (0, 2 - scores.shape[1])))


def _tsne(vectors: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    from openTSNE import TSNE  # slow to import, and a few artists do without

    lowered = min(perplexity, (len(vectors) - 1) / 3)
    embedding = TSNE(perplexity=lowered, initialization="pca", random_state=seed, n_jobs=1).fit(vectors)
    return np.asarray(embedding, dtype=np.float64)
