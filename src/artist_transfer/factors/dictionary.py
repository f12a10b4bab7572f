"""Dictionary of features by K-means: a row of features becomes a word, the number of its nearest centre.

Park et al. 2018, section 3.1 and 3.2: one universal dictionary over all training frames, 2048 centres, hard
assignment. Rows are not standardised (the paper does not; the first coefficients then weigh most, as in every
Euclidean distance of MFCCs).
"""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from artist_transfer.artifacts import atomic_path
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning, NothingToFit

CHUNK = 1024  # rows: with 2048 centres a chunk's distances stay in the processor's cache


@dataclass(frozen=True)
class Dictionary:
    """Centres of the words.

    Attributes
    ----------
    centres : np.ndarray [shape=(word, feature)], float32
        The centres.
    inertia : float >= 0
        Mean squared distance of the fitted rows to their centres.
    n_rows : int
        Rows it was fitted on.
    notes : tuple of str
        What a reader has to know, for instance that there are fewer centres than asked for.
    """

    centres: np.ndarray
    inertia: float
    n_rows: int
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of words."""
        return len(self.centres)

    def assign(self, rows: np.ndarray, *, label: str | None = None) -> np.ndarray:
        """Give each row the number of its nearest centre, the first one of equals.

        Parameters
        ----------
        rows : np.ndarray [shape=(n, feature)], finite
            Features; memory beyond them and the answer stays the same however many there are.
        label : str or None
            What a progress bar calls it; None shows none.

        Returns
        -------
        np.ndarray [shape=(n,)], int32, 0 … words - 1
            The words.

        Raises
        ------
        ArtistTransferError
            If the number of features is another one.
        """
        return _assign(self.centres, rows, label=label)[0]


def save_dictionary(path: str | Path, dictionary: Dictionary) -> None:
    """Write a dictionary as npz without pickle, equal bytes for equal dictionaries.

    Parameters
    ----------
    path : str or Path
        Where it goes.
    dictionary : Dictionary
        What is written.
    """
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez(
            stream,
            centres=dictionary.centres,
            inertia=np.float64(dictionary.inertia),
            n_rows=np.int64(dictionary.n_rows),
            notes=np.array(dictionary.notes, dtype=np.str_),
        )


def load_dictionary(path: str | Path) -> Dictionary:
    """Read a dictionary.

    Parameters
    ----------
    path : str or Path
        A file by `save_dictionary`.

    Returns
    -------
    Dictionary
        As it was written.
    """
    with np.load(path, allow_pickle=False) as stored:
        notes = tuple(str(note) for note in stored["notes"])
        return Dictionary(stored["centres"], float(stored["inertia"]), int(stored["n_rows"]), notes)


def fit_dictionary(
    rows: np.ndarray,
    *,
    max_centres: int = 2048,
    rows_per_centre: int = 10,
    seed: int = 0,
    batch_size: int = 1024,
    min_steps: int = 100,
    label: str = "dictionary",
) -> Dictionary:
    """Fit the centres by mini-batch K-means.

    One pass over the rows; more where a pass has fewer than `min_steps` batches, as for a few hundred songs.

    Parameters
    ----------
    rows : np.ndarray [shape=(n, feature)], finite
        Training rows, see `sample_rows`.
    max_centres : int > 0
        Centres at most.
    rows_per_centre : int > 0
        A centre needs that many rows on average; with fewer rows there are fewer centres.
    seed : int
        Of the initial centres and of the batches.
    batch_size : int > 0
        Rows a step.
    min_steps : int > 0
        Steps at least.
    label : str
        What the progress bars call it.

    Returns
    -------
    Dictionary
        The same for every number of threads.

    Raises
    ------
    ArtistTransferError
        If there are no rows, a value is not finite or a parameter is out of its bounds.
    """
    rows = _checked(rows)
    for name, value in {"max_centres": max_centres, "rows_per_centre": rows_per_centre}.items():
        if value < 1:
            raise ArtistTransferError(f"{name} is {value}; it has to be 1 or more")
    n_centres = max(1, min(max_centres, len(rows) // rows_per_centre))
    notes = []
    if n_centres < max_centres:
        notes.append(f"{n_centres} centres instead of {max_centres}: {len(rows)} rows ÷ {rows_per_centre}")
    n_distinct = _count_distinct(rows, n_centres)
    if n_distinct < n_centres:
        notes.append(f"{n_distinct} centres instead of {n_centres}: there are no more distinct rows")
        n_centres = n_distinct
    passes = max(1, math.ceil(min_steps * min(batch_size, len(rows)) / len(rows)))
    centres = _k_means(rows, n_centres, passes=passes, batch_size=batch_size, seed=seed, label=f"{label}: k-means")
    _, distances = _assign(centres, rows, label=f"{label}: distances")
    for note in notes:
        warnings.warn(f"Dictionary of {note}.", ArtistTransferWarning, stacklevel=2)
    return Dictionary(centres, float(distances.mean()), len(rows), tuple(notes))


def _k_means(rows: np.ndarray, n_centres: int, *, passes: int, batch_size: int, seed: int, label: str) -> np.ndarray:
    """Run scikit-learn's mini-batch K-means with a bar over its steps."""
    from sklearn.cluster import MiniBatchKMeans

    n_steps = passes * len(rows) // min(batch_size, len(rows))

    class Counted(MiniBatchKMeans):
        def _mini_batch_convergence(self, *args: object, **kwargs: object) -> bool:
            # What `fit` asks after each step. Should a release no longer ask it, the bar stands still and no more.
            bar.update(1)
            return bool(super()._mini_batch_convergence(*args, **kwargs))

    model = Counted(
        n_clusters=n_centres,
        n_init=1,
        max_iter=passes,
        batch_size=batch_size,
        max_no_improvement=None,
        compute_labels=False,
        random_state=seed,
    )
    bar = tqdm(total=n_steps, desc=label, unit="step", leave=False)
    with bar, threadpool_limits(1, user_api="blas"):  # a product's last bits depend on the number of threads
        return np.asarray(model.fit(rows).cluster_centers_, dtype=np.float32)


def _count_distinct(rows: np.ndarray, enough: int) -> int:
    """Count distinct rows, up to as many as are enough: k-means would place equal centres without a word."""
    seen: set[bytes] = set()
    for row in rows:
        seen.add(row.tobytes())
        if len(seen) == enough:
            break
    return len(seen)


def _checked(rows: np.ndarray) -> np.ndarray:
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    if rows.ndim != 2 or not len(rows):
        raise ArtistTransferError(f"a dictionary needs at least one row of features; found shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise ArtistTransferError("a dictionary needs finite features; found NaN or infinity")
    return rows


def _assign(centres: np.ndarray, rows: np.ndarray, *, label: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest centre and the squared distance to it, in float64, for every row."""
    if rows.ndim != 2 or rows.shape[1] != centres.shape[1]:
        raise ArtistTransferError(f"rows of shape {rows.shape} do not have {centres.shape[1]} features")
    words = np.empty(len(rows), dtype=np.int32)
    distances = np.empty(len(rows), dtype=np.float64)
    twice = np.ascontiguousarray(-2.0 * centres.T)  # (feature, word)
    norms = np.einsum("wf,wf->w", centres, centres)
    bar = tqdm(total=len(rows), desc=label, unit="row", leave=False, disable=label is None)
    with bar, threadpool_limits(1, user_api="blas"):
        for start in range(0, len(rows), CHUNK):
            chunk = np.asarray(rows[start : start + CHUNK], dtype=np.float32)
            scores = chunk @ twice  # |c|² - 2xc: the row's own norm does not change which one is least
            scores += norms
            nearest = scores.argmin(axis=1)
            words[start : start + CHUNK] = nearest
            offsets = chunk.astype(np.float64) - centres[nearest]
            distances[start : start + CHUNK] = np.einsum("rf,rf->r", offsets, offsets)
            bar.update(len(chunk))
    return words, distances


def sample_rows(
    track_ids: Iterable[str],
    *,
    rows_of: Callable[[str], np.ndarray],
    n_rows: dict[str, int],
    max_rows: int = 500_000,
    seed: int = 0,
) -> np.ndarray:
    """Draw rows of all tracks, from each in proportion to its length.

    Which rows of a track are drawn depends on the seed and on the track's name alone, not on the order of the
    tracks.

    Parameters
    ----------
    track_ids : iterable of str
        The tracks, in any order.
    rows_of : callable
        Track to its rows [shape=(n, feature)].
    n_rows : dict
        Track to its number of rows, about: it decides the share.
    max_rows : int > 0
        Rows in all; every track that has a row gives at least one, so it may be passed by the number of
        tracks.
    seed : int
        Of the draw.

    Returns
    -------
    np.ndarray [shape=(n, feature)], float32
        Rows, in the order of the sorted tracks and of time.

    Raises
    ------
    ArtistTransferError
        If `max_rows` is below 1.
    NothingToFit
        If no track has a row.
    """
    if max_rows < 1:
        raise ArtistTransferError(f"max_rows is {max_rows}; it has to be 1 or more")
    order = sorted(track_ids)
    share = min(1.0, max_rows / max(1, sum(n_rows[track_id] for track_id in order)))
    parts = []
    for track_id in order:
        rows = np.asarray(rows_of(track_id))
        quota = len(rows) if share >= 1.0 else min(len(rows), max(1, math.floor(share * n_rows[track_id])))
        if quota < len(rows):
            rng = np.random.default_rng([seed, zlib.crc32(track_id.encode("utf-8"))])
            rows = rows[np.sort(rng.choice(len(rows), size=quota, replace=False))]
        if len(rows):
            parts.append(rows.astype(np.float32))
    if not parts:
        raise NothingToFit(f"none of the {len(order)} training tracks has a frame for the dictionary")
    return np.concatenate(parts)
