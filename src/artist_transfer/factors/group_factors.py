"""Artist group factors of one feature set and one fold: dictionary, artist bags, latent groups.

Park et al. 2018, figure 1. Three stages, each of which a pipeline can call by itself; each is kept under the
cache's root in a folder named by what it was made of (tracks and hashes of their audio, artists, front end,
parameters, seed), so that a killed run goes on where it was and two corpora never meet.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from artist_transfer.artifacts import fingerprint, open_folder
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.factors.bag_of_words import ArtistBags, artist_bags, load_bags, save_bags
from artist_transfer.factors.latent_dirichlet import LatentDirichlet, fit_groups, load_groups, save_groups
from artist_transfer.factors.reading import read_factors
from artist_transfer.factors.words import (
    KINDS,
    DescriptorSource,
    FrameSource,
    Source,
    Vocabulary,
    fit_descriptor_vocabulary,
    fit_frame_vocabulary,
    fit_subgenre_vocabulary,
    load_vocabulary,
    save_vocabulary,
    track_words,
)

FIT_ON = ("train", "all")
DIVIDED = frozenset("md")

Artifact = TypeVar("Artifact")


@dataclass(frozen=True)
class FactorParams:
    """Parameters of the factors; the defaults are the paper's.

    Attributes
    ----------
    groups : int
        Latent groups of artists.
    passes, iterations, restarts : int
        Of the latent Dirichlet allocation: passes over the artists, steps of one artist's inference at most, fits of
        which the best is taken.
    max_centres, rows_per_centre : int
        Size of the dictionary: ``min(max_centres, rows // rows_per_centre)``.
    max_rows : int
        Frames that the dictionary of m and of d is fitted on, a seeded sample.
    n_mfcc : int
        Coefficients of a frame.
    divide : bool or None
        Divide the bags by the number of the artist's tracks; None divides those of m and d only.
    uniformity_limit : float
        Above this mean entropy a factor table is said to say nothing.
    fit_on : {'train', 'all'}
        Tracks that everything is fitted on; 'all' is the paper's released code, and lets test tracks in.
    seed : int
        Of every random choice.
    """

    groups: int = 40
    passes: int = 20
    iterations: int = 100
    restarts: int = 3
    max_centres: int = 2048
    rows_per_centre: int = 10
    max_rows: int = 500_000
    n_mfcc: int = 25
    divide: bool | None = None
    uniformity_limit: float = 0.95
    fit_on: str = "train"
    seed: int = 0

    def divides(self, kind: str) -> bool:
        """Tell whether a feature set's bags are divided by the number of the artist's tracks."""
        return kind in DIVIDED if self.divide is None else self.divide


@dataclass(frozen=True)
class FactorResult:
    """Factors of one feature set and one fold.

    Attributes
    ----------
    table : pd.DataFrame
        ``fold``, ``artist_id``, ``f00`` … (rows sum to 1; fewer than 40 where there are fewer artists).
    facts : dict
        Counts, sizes, notes and who was left out, as JSON.
    reading : pd.DataFrame
        What each factor is about, see `read_factors`.
    topics : np.ndarray [shape=(group, word)], rows sum to 1
        Distribution of each group over the words.
    """

    table: pd.DataFrame
    facts: dict[str, Any]
    reading: pd.DataFrame
    topics: np.ndarray


def fit_tracks(
    usable_table: pd.DataFrame, split_table: pd.DataFrame, *, fold: int, fit_on: str = "train"
) -> pd.DataFrame:
    """Return the tracks that a fold's factors are fitted on.

    Parameters
    ----------
    usable_table : pd.DataFrame
        Usable tracks.
    split_table : pd.DataFrame
        ``track_id``, ``fold``, ``side``.
    fold : int
        The fold.
    fit_on : {'train', 'all'}
        Training tracks, or all tracks that take part in the fold.

    Returns
    -------
    pd.DataFrame
        Rows of `usable_table`, sorted by track.

    Raises
    ------
    ArtistTransferError
        If there is no such fold or `fit_on` is something else.
    """
    if fit_on not in FIT_ON:
        raise ArtistTransferError(f"fit_on is {fit_on!r}; allowed: {', '.join(FIT_ON)}")
    rows = split_table[split_table["fold"] == fold]
    rows = rows[rows["side"] == "train"] if fit_on == "train" else rows[rows["side"] != "unused"]
    tracks = usable_table[usable_table["track_id"].isin(rows["track_id"])].sort_values("track_id")
    if tracks.empty:
        raise ArtistTransferError(f"fold {fold} of the split has no tracks to fit factors on (fit_on={fit_on!r})")
    return tracks.reset_index(drop=True)


def fit_dictionary_for(
    kind: str,
    tracks: pd.DataFrame,
    *,
    source: Source,
    params: FactorParams,
    cache_root: str | Path | None = None,
) -> Vocabulary:
    """Fit the vocabulary of a feature set on tracks, or take it from the cache.

    Parameters
    ----------
    kind : {'m', 'd', 'e', 's'}
        The feature set.
    tracks : pd.DataFrame
        Tracks to fit on, see `fit_tracks`; those without artist serve the dictionary too.
    source : FrameSource (m, d), DescriptorSource (e) or None (s)
        Their features.
    params : FactorParams
        Parameters.
    cache_root : str, Path or None
        Root of the cache; None keeps nothing.

    Returns
    -------
    Vocabulary
        Its ``facts`` have ``key``, the name in ``<cache_root>/dictionaries/``.

    Raises
    ------
    ArtistTransferError
        If the feature set is unknown or its source is of another kind.
    NothingToFit
        If the tracks have nothing to make words of.
    """
    _check_source(kind, source)
    sizes = {
        "max_centres": params.max_centres,
        "rows_per_centre": params.rows_per_centre,
        "seed": params.seed,
    }
    if kind == "s":
        content: list[object] = [list(genres) for genres in tracks["genres"]]
        sizes = {}
    else:
        assert source is not None
        content = [source.key, tracks["n_frames"].tolist()] if kind in "md" else [source.key]
        if kind in "md":
            sizes |= {"max_rows": params.max_rows, "n_mfcc": params.n_mfcc}
    key = fingerprint("vocabulary", kind, tracks["track_id"].tolist(), tracks["audio_hash"].tolist(), content, sizes)

    def make() -> Vocabulary:
        if isinstance(source, FrameSource):
            made = fit_frame_vocabulary(kind, tracks, source=source, **sizes)
        elif isinstance(source, DescriptorSource):
            made = fit_descriptor_vocabulary(tracks, source=source, **sizes)
        else:
            made = fit_subgenre_vocabulary(tracks)
        made.facts["key"] = key
        return made

    folder = None if cache_root is None else Path(cache_root) / "dictionaries" / key
    return _cached(folder, make, save_vocabulary, load_vocabulary, lambda made: made.facts["notes"], "Dictionary of ")


def artist_bags_for(
    kind: str,
    tracks: pd.DataFrame,
    *,
    vocabulary: Vocabulary,
    source: Source,
    params: FactorParams,
    cache_root: str | Path | None = None,
) -> ArtistBags:
    """Count the words of each artist, or take the counts from the cache.

    Parameters
    ----------
    kind : {'m', 'd', 'e', 's'}
        The feature set.
    tracks : pd.DataFrame
        The tracks that the vocabulary was fitted on.
    vocabulary : Vocabulary
        See `fit_dictionary_for`.
    source : FrameSource (m, d), DescriptorSource (e) or None (s)
        Their features.
    params : FactorParams
        Parameters.
    cache_root : str, Path or None
        Root of the cache; None keeps nothing.

    Returns
    -------
    ArtistBags
        One row an artist.

    Raises
    ------
    NothingToFit
        If no track has an artist, or no artist has a word.
    """
    _check_source(kind, source)
    divide = params.divides(kind)
    named = tracks[tracks["artist_id"].notna()]
    artists = dict(zip(named["track_id"].tolist(), named["artist_id"].tolist(), strict=True))
    key = fingerprint("artist bags", vocabulary.facts["key"], artists, divide)

    def make() -> ArtistBags:
        # All tracks, not only those with an artist: which descriptors are complete depends on the tracks.
        words = track_words(vocabulary, tracks, source=source, n_mfcc=params.n_mfcc)
        return artist_bags(words, artists, vocabulary.size, divide_by_tracks=divide)

    folder = None if cache_root is None else Path(cache_root) / "artist_bags" / key
    return _cached(folder, make, save_bags, load_bags)


def factors_for(
    kind: str,
    bags: ArtistBags,
    *,
    vocabulary: Vocabulary,
    params: FactorParams,
    track_table: pd.DataFrame,
    fold: int = 0,
    cache_root: str | Path | None = None,
) -> FactorResult:
    """Fit the latent groups, and describe them.

    Parameters
    ----------
    kind : {'m', 'd', 'e', 's'}
        The feature set.
    bags : ArtistBags
        See `artist_bags_for`.
    vocabulary : Vocabulary
        See `fit_dictionary_for`.
    params : FactorParams
        Parameters.
    track_table : pd.DataFrame
        Tracks whose artists' names and genres describe the factors.
    fold : int
        Number of the fold, for the table.
    cache_root : str, Path or None
        Root of the cache; None keeps nothing.

    Returns
    -------
    FactorResult
        Table, facts and reading.
    """
    label = f"{KINDS[kind]} factors"
    settings = {name: getattr(params, name) for name in ("groups", "passes", "iterations", "restarts", "seed")}
    settings["uniformity_limit"] = params.uniformity_limit
    key = fingerprint("latent groups", list(bags.artist_ids), bags.counts, settings)
    folder = None if cache_root is None else Path(cache_root) / "factors" / key

    def make() -> LatentDirichlet:
        return fit_groups(bags.counts, label=label, **settings)

    model = _cached(folder, make, save_groups, load_groups, lambda made: made.notes, f"{label}: ")
    columns = [f"f{i:02d}" for i in range(model.theta.shape[1])]
    table = pd.DataFrame(model.theta, columns=columns)
    table.insert(0, "artist_id", list(bags.artist_ids))
    table.insert(0, "fold", fold)
    facts = _facts(kind, bags, vocabulary, model, params) | {"fold": fold}
    reading = read_factors(table, track_table, topics=model.topics, words=vocabulary.words)
    return FactorResult(table, facts, reading, model.topics)


def _check_source(kind: str, source: Source) -> None:
    if kind not in KINDS:
        raise ArtistTransferError(f"feature set {kind!r} is unknown; allowed: {', '.join(KINDS)}")
    needed = {"m": FrameSource, "d": FrameSource, "e": DescriptorSource}.get(kind)
    if needed is not None and not isinstance(source, needed):
        raise ArtistTransferError(f"feature set {kind!r} needs a {needed.__name__}; found {type(source).__name__}")


def _cached(
    folder: Path | None,
    make: Callable[[], Artifact],
    save: Callable[[Path, Artifact], None],
    load: Callable[[Path], Artifact],
    notes_of: Callable[[Artifact], Any] = lambda _: (),
    said_before: str = "",
) -> Artifact:
    """Load what is done, else make and save it. Notes are said again: a warning once a cache is none."""
    if folder is None or open_folder(folder) is None:
        made = make()
        if folder is not None:
            save(folder, made)
        return made
    loaded = load(folder)
    for note in notes_of(loaded):
        warnings.warn(f"{said_before}{note}.", ArtistTransferWarning, stacklevel=3)
    return loaded


def _facts(
    kind: str, bags: ArtistBags, vocabulary: Vocabulary, model: LatentDirichlet, params: FactorParams
) -> dict[str, Any]:
    return {
        "task": kind,
        "feature_set": KINDS[kind],
        "fit_on": params.fit_on,
        "divided": params.divides(kind),
        "dictionary": vocabulary.facts,
        "n_words": vocabulary.size,
        "n_artists": len(bags.artist_ids),
        "n_artist_tracks": int(bags.n_tracks.sum()),
        "artists_left_out": list(bags.left_out),
        "n_groups": model.theta.shape[1],
        "uniformity": model.uniformity,
        "distinctness": model.distinctness,
        "mean_peak": float(model.theta.max(axis=1).mean()),
        "notes": [*vocabulary.facts["notes"], *model.notes],
    }
