"""One feature set on the way from frames to groups: where its features are, and its stages by fold."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.errors import NothingToFit
from artist_transfer.pipelines.group_factors.params import FactorsBlock

if TYPE_CHECKING:
    from artist_transfer.factors.bag_of_words import ArtistBags
    from artist_transfer.factors.group_factors import FactorParams
    from artist_transfer.factors.words import Source

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """One feature set with all that its stages need."""

    kind: str
    usable_table: pd.DataFrame
    split_table: pd.DataFrame
    source: Source
    params: FactorParams
    cache_root: Path

    def by_fold(self, before: dict[str, Any], make: Callable[[int, pd.DataFrame], dict[str, Any]]) -> dict[str, Any]:
        """Make something of every fold; one with nothing to fit on says why and is passed over from then on."""
        folds: dict[str, Any] = {}
        for fold, tracks in self.folds():
            if before.get(str(fold), {}).get("skipped"):
                folds[str(fold)] = before[str(fold)]
                continue
            try:
                folds[str(fold)] = make(fold, tracks)
            except NothingToFit as error:
                log.warning("Task %s is left out of fold %d: %s", self.kind, fold, error)
                folds[str(fold)] = {"skipped": str(error)}
        reasons = [facts.get("skipped") for facts in folds.values()]
        return {"skipped": reasons[0] if all(reasons) else None, "folds": folds}

    def folds(self) -> Iterator[tuple[int, pd.DataFrame]]:
        """Give the tracks of each fold that something is fitted on."""
        from artist_transfer.factors.group_factors import fit_tracks

        for fold in sorted(self.split_table["fold"].unique()):
            yield int(fold), fit_tracks(self.usable_table, self.split_table, fold=fold, fit_on=self.params.fit_on)

    def vocabulary(self, tracks: pd.DataFrame) -> Any:
        """Return the dictionary of some tracks."""
        from artist_transfer.factors.group_factors import fit_dictionary_for

        return fit_dictionary_for(self.kind, tracks, source=self.source, params=self.params, cache_root=self.cache_root)

    def bags(self, tracks: pd.DataFrame) -> ArtistBags:
        """Return the bags of the artists of some tracks."""
        from artist_transfer.factors.group_factors import artist_bags_for

        return artist_bags_for(
            self.kind,
            tracks,
            vocabulary=self.vocabulary(tracks),
            source=self.source,
            params=self.params,
            cache_root=self.cache_root,
        )

    def groups(self, fold: int, tracks: pd.DataFrame) -> Any:
        """Return the groups of the artists of some tracks."""
        from artist_transfer.factors.group_factors import factors_for

        return factors_for(
            self.kind,
            self.bags(tracks),
            vocabulary=self.vocabulary(tracks),
            params=self.params,
            track_table=tracks,
            fold=fold,
            cache_root=self.cache_root,
        )


def make_work(
    kind: str,
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    features_manifest: dict[str, Any],
    factors: FactorsBlock,
    fit_on: str,
    seed: int,
    cache_root: str,
) -> Work:
    """Gather what the stages of a feature set need.

    Parameters
    ----------
    kind : str
        m, d, e or s.
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    features_manifest : dict
        Spectrograms (m, d, s) or Essentia's shards (e).
    factors : FactorsBlock
        Sizes.
    fit_on : str
        train or all.
    seed : int
        Of all random choices.
    cache_root : str
        Where everything is kept.

    Returns
    -------
    Work
        All of it.
    """
    source = _source(kind, features_manifest, usable_table, cache_root)
    params = _factor_params(kind, factors, fit_on, seed)
    return Work(kind, usable_table, split_table, source, params, Path(cache_root))


def first_bags(
    kind: str,
    usable_table: pd.DataFrame,
    split_table: pd.DataFrame,
    features_manifest: dict[str, Any],
    factors: FactorsBlock,
    fit_on: str,
    seed: int,
    cache_root: str,
) -> ArtistBags:
    """Return the artists' bags of the first fold, from the cache where they are.

    Parameters
    ----------
    kind : str
        m, d, e or s.
    usable_table, split_table : pd.DataFrame
        Tracks and their sides.
    features_manifest : dict
        Spectrograms (m, d, s) or Essentia's shards (e).
    factors : FactorsBlock
        Sizes.
    fit_on : str
        train or all.
    seed : int
        Of the dictionary.
    cache_root : str
        Where bags are.

    Returns
    -------
    ArtistBags
        Of its training artists.
    """
    work = make_work(kind, usable_table, split_table, features_manifest, factors, fit_on, seed, cache_root)
    _, tracks = next(work.folds())
    return work.bags(tracks)


def essentia_folder(cache_root: str) -> Path:
    """Return where Essentia's shards are."""
    return Path(cache_root) / "essentia"


def _source(kind: str, manifest: dict[str, Any], usable_table: pd.DataFrame, cache_root: str) -> Source:
    from artist_transfer.audio.store import MelStore
    from artist_transfer.factors.words import DescriptorSource, FrameSource

    if kind == "s":
        return None
    if kind == "e":
        return DescriptorSource(manifest, essentia_folder(cache_root))
    return FrameSource(MelStore(manifest, usable_table), manifest["front_end"])


def _factor_params(kind: str, factors: FactorsBlock, fit_on: str, seed: int) -> FactorParams:
    from artist_transfer.factors.group_factors import FactorParams

    return FactorParams(
        **factors.latent_dirichlet.model_dump(),
        **factors.dictionary.model_dump(),
        n_mfcc=factors.mfcc_coefficients,
        divide=kind in factors.divide,
        uniformity_limit=factors.uniform_warning,
        fit_on=fit_on,
        seed=seed,
    )
