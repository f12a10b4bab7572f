"""Linear discriminant of the artists: a projection 256 → 100 fitted on the training artists.

Between-artist scatter is made large against within-artist scatter. Vectors are centred on the training tracks' mean
whichever solver is used, since a cosine is taken of what comes out.

References
----------
DeepArtistID: Park, Lee, Park, Ha, Nam, "Representation Learning of Music Using Artist Labels", first version,
section 4.1: the transformation is obtained with the data that the net was trained on, and leaves 100 of 256.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.linalg import LinAlgError
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from artist_transfer.arrays_file import load_arrays, save_arrays
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.evaluation.embeddings import Embeddings

SOLVERS = ("svd", "eigen")
WIDTH = 100
WEIGHTS, CARD = "linear_discriminant.safetensors", "linear_discriminant.json"
NEGLIGIBLE = 1e-10  # share of the between-artist variance: below it a direction is rounding


@dataclass(frozen=True)
class LinearDiscriminant:
    """A fitted projection.

    Attributes
    ----------
    mean : np.ndarray [shape=(width,)], float64
        Of the training tracks.
    projection : np.ndarray [shape=(width, n_components)], float64
        The most discriminant direction first.
    variance_share : np.ndarray [shape=(n_components,)]
        Of the between-artist variance.
    card : dict
        ``solver, shrinkage, n_wanted, n_tracks, n_artists, n_tracks_without_artist``.
    """

    mean: np.ndarray
    projection: np.ndarray
    variance_share: np.ndarray
    card: dict[str, object]

    def transform(self, embeddings: Embeddings) -> Embeddings:
        """Project vectors.

        Parameters
        ----------
        embeddings : Embeddings

        Returns
        -------
        Embeddings [width=n_components], float32

        Raises
        ------
        ArtistTransferError
            If the width is not that of the training vectors.
        """
        if embeddings.width != len(self.mean):
            raise ArtistTransferError(
                f"the linear discriminant was fitted on vectors of width {len(self.mean)}, found {embeddings.width}"
            )
        out = np.empty((len(embeddings.track_ids), self.projection.shape[1]), dtype=np.float32)
        for start in range(0, len(out), 8192):
            part = np.asarray(embeddings.vectors[start : start + 8192], dtype=np.float64)
            out[start : start + 8192] = (part - self.mean) @ self.projection
        return Embeddings(embeddings.track_ids, out)

    def save(self, folder: Path) -> None:
        """Write safetensors and JSON, and declare the folder done.

        Parameters
        ----------
        folder : Path
        """
        arrays = {"mean": self.mean, "projection": self.projection, "variance_share": self.variance_share}
        save_arrays(folder, arrays, self.card, name=WEIGHTS, card_name=CARD, details=self.card)

    @classmethod
    def load(cls, folder: Path) -> LinearDiscriminant:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : Path

        Returns
        -------
        LinearDiscriminant

        Raises
        ------
        ArtistTransferError
            If the folder holds no whole one.
        """
        arrays, card = load_arrays(folder, "linear discriminant", name=WEIGHTS, card_name=CARD)
        return cls(**arrays, card=card)


def fit_linear_discriminant(
    embeddings: Embeddings,
    artists: Mapping[str, str | None],
    train_ids: Iterable[str],
    *,
    n_components: int = WIDTH,
    solver: str = "svd",
    shrinkage: float | str | None = None,
) -> LinearDiscriminant:
    """Fit on training tracks; rows and artists of other tracks are not read.

    Parameters
    ----------
    embeddings : Embeddings
    artists : mapping of track id to artist id
        Training tracks without an artist take no part; `card` says how many.
    train_ids : iterable of str
    n_components : int > 0
        At most artists − 1, the width, and what the rank allows; if there are fewer a warning names both numbers.
    solver : {"svd", "eigen"}
    shrinkage : float in [0, 1], "auto" (Ledoit-Wolf) or None
        Of the within-artist covariance; needs ``eigen``.

    Returns
    -------
    LinearDiscriminant

    Raises
    ------
    ArtistTransferError
        If a parameter is impossible, there are fewer than two artists, no artist has two tracks, or the within-artist
        covariance is singular and not shrunk.

    Warns
    -----
    ArtistTransferWarning
        If fewer components come out than were asked for.
    """
    _check(n_components, solver, shrinkage)
    named = sorted(set(train_ids))
    ids = [x for x in named if not pd.isna(artists.get(x))]
    names, codes = np.unique(np.array([str(artists[x]) for x in ids], dtype=str), return_inverse=True)
    if len(names) < 2 or len(names) == len(ids):
        raise ArtistTransferError(
            f"linear discriminant: at least two artists are needed and one of them with two tracks; found {len(names)} "
            f"artists of {len(ids)} training tracks"
        )
    x = embeddings.of(ids).astype(np.float64)
    model = LinearDiscriminantAnalysis(solver=solver, shrinkage=shrinkage)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Variables are collinear")  # the rank is taken into account
            model.fit(x, codes)
    except LinAlgError as error:
        raise ArtistTransferError(
            "linear discriminant: the within-artist covariance is singular (constant or collinear features); give a "
            "shrinkage, or take the solver svd"
        ) from error
    shares = np.asarray(model.explained_variance_ratio_, dtype=np.float64)
    limit = min(len(names) - 1, x.shape[1], model.scalings_.shape[1])
    found = min(n_components, int((shares[:limit] > NEGLIGIBLE).sum()))
    if found < n_components:
        warnings.warn(
            f"linear discriminant: {n_components} components were asked for, {len(names)} artists and the rank of the "
            f"features allow {found}",
            ArtistTransferWarning,
            stacklevel=2,
        )
    card: dict[str, object] = {
        "solver": solver,
        "shrinkage": shrinkage,
        "n_wanted": n_components,
        "n_tracks": len(ids),
        "n_artists": len(names),
        "n_tracks_without_artist": len(named) - len(ids),
    }
    return LinearDiscriminant(x.mean(axis=0), np.array(model.scalings_[:, :found]), shares[:found], card)


def _check(n_components: int, solver: str, shrinkage: float | str | None) -> None:
    if n_components < 1 or solver not in SOLVERS:
        raise ArtistTransferError(
            f"linear discriminant: n_components must be at least 1 (found {n_components}) and the solver one of "
            f"{', '.join(SOLVERS)} (found {solver!r})"
        )
    if shrinkage is None:
        return
    if solver == "svd":
        raise ArtistTransferError("linear discriminant: shrinkage needs the solver eigen")
    if shrinkage != "auto" and not (isinstance(shrinkage, (int, float)) and 0 <= shrinkage <= 1):
        raise ArtistTransferError(
            f"linear discriminant: shrinkage must be auto, none or a number from 0 to 1, found {shrinkage!r}"
        )
