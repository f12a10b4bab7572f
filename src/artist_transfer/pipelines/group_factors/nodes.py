"""Nodes of the artist group factors: for one feature set, its dictionary, its artist bags and its latent groups.

The three nodes of a feature set go through the folds themselves. Between them a manifest is handed on: what it names
lies in the cache, and is made again if it is not whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from artist_transfer.errors import NothingToFit
from artist_transfer.pipelines.cluster import ClusterBlock, executor_factory
from artist_transfer.pipelines.group_factors.params import FactorsBlock
from artist_transfer.processes import cpu_count

if TYPE_CHECKING:
    from artist_transfer.factors.bag_of_words import ArtistBags
    from artist_transfer.factors.group_factors import FactorParams
    from artist_transfer.factors.words import Source

log = logging.getLogger(__name__)

NAMES = {"m": "mfcc", "d": "dmfcc", "e": "essentia", "s": "subgenres"}


def extract_essentia(
    usable_table: pd.DataFrame,
    corpus_facts: dict[str, Any],
    factors: FactorsBlock,
    tasks: str,
    embeddings: str | None,
    workers: int | None,
    cache_root: str,
    cluster: ClusterBlock,
) -> dict[str, Any]:
    """Run Essentia's extractor over all tracks, if task e is asked for.

    Parameters
    ----------
    usable_table : pd.DataFrame
        The tracks.
    corpus_facts : dict
        Where they are.
    factors : FactorsBlock
        Its block ``essentia``.
    tasks : str
        Letters of the tasks.
    embeddings : str or None
        With somebody else's features no factors are needed.
    workers : int or None
        Processes; None for all cores.
    cache_root : str
        Where the shards are.
    cluster : ClusterBlock
        Other machines to work on.

    Returns
    -------
    dict
        The manifest of the shards, or ``skipped`` with the reason.
    """
    from artist_transfer.features.essentia_extractor import extract_corpus

    reason = _not_wanted("e", tasks, embeddings)
    if reason:
        return {"skipped": reason}
    root, folder = corpus_facts["root"], _essentia_folder(cache_root)
    manifest = extract_corpus(
        usable_table,
        corpus_root=root,
        folder=folder,
        n_workers=workers or cpu_count(),
        shard_size=factors.essentia.shard_size,
        timeout_s=factors.essentia.time_limit_s,
        executor_factory=executor_factory(cluster, corpus_root=root, folder=folder),
    )
    for track_id, why in manifest["failed"].items():
        log.warning("Essentia failed on %s (it serves the other tasks): %s", track_id, why)
    return manifest


@dataclass(frozen=True)
class FeatureSet:
    """The three nodes of one feature set.

    Parameters
    ----------
    kind : str
        m, d, e or s.
    """

    kind: str

    def fit_dictionary(
        self,
        usable_table: pd.DataFrame,
        split_table: pd.DataFrame,
        features_manifest: dict[str, Any],
        factors: FactorsBlock,
        tasks: str,
        embeddings: str | None,
        fit_on: str,
        seed: int,
        cache_root: str,
    ) -> dict[str, Any]:
        """Fit the dictionary of every fold on its training tracks.

        Parameters
        ----------
        usable_table, split_table : pd.DataFrame
            Tracks and their sides.
        features_manifest : dict
            Spectrograms (m, d, s) or Essentia's shards (e).
        factors : FactorsBlock
            Sizes.
        tasks : str
            Letters of the tasks.
        embeddings : str or None
            With somebody else's features no factors are needed.
        fit_on : str
            train or all.
        seed : int
            Of the sample and the centres.
        cache_root : str
            Where dictionaries are.

        Returns
        -------
        dict
            Facts of each fold's dictionary, or ``skipped`` with the reason.
        """
        reason = _not_wanted(self.kind, tasks, embeddings)
        if self.kind == "s" and not reason and not usable_table["genres"].map(len).any():
            reason = "no track of this corpus has subgenres"
        if reason:
            return {"skipped": reason, "folds": {}}
        work = self.work(usable_table, split_table, features_manifest, factors, fit_on, seed, cache_root)
        return work.by_fold({}, lambda _, tracks: work.vocabulary(tracks).facts)

    def count_words(
        self,
        dictionary_manifest: dict[str, Any],
        usable_table: pd.DataFrame,
        split_table: pd.DataFrame,
        features_manifest: dict[str, Any],
        factors: FactorsBlock,
        fit_on: str,
        seed: int,
        cache_root: str,
    ) -> dict[str, Any]:
        """Count the words of every artist.

        Parameters
        ----------
        dictionary_manifest : dict
            Which dictionaries were fitted.
        usable_table, split_table : pd.DataFrame
            Tracks and their sides.
        features_manifest : dict
            Spectrograms (m, d, s) or Essentia's shards (e).
        factors : FactorsBlock
            Whether counts are divided by the number of tracks.
        fit_on : str
            train or all.
        seed : int
            Of the dictionary.
        cache_root : str
            Where bags are.

        Returns
        -------
        dict
            Sizes of each fold's bags, and the artists left out.
        """
        if dictionary_manifest["skipped"]:
            return dictionary_manifest
        work = self.work(usable_table, split_table, features_manifest, factors, fit_on, seed, cache_root)

        def count(_: int, tracks: pd.DataFrame) -> dict[str, Any]:
            bags = work.bags(tracks)
            return {
                "n_artists": len(bags.artist_ids),
                "n_words": int(bags.counts.shape[1]),
                "mass": round(float(bags.counts.sum()), 6),
                "artists_left_out": list(bags.left_out),
            }

        return work.by_fold(dictionary_manifest["folds"], count)

    def find_groups(
        self,
        bag_manifest: dict[str, Any],
        usable_table: pd.DataFrame,
        split_table: pd.DataFrame,
        features_manifest: dict[str, Any],
        factors: FactorsBlock,
        fit_on: str,
        seed: int,
        cache_root: str,
    ) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
        """Find the latent groups of the artists.

        Parameters
        ----------
        bag_manifest : dict
            Which bags were counted.
        usable_table, split_table : pd.DataFrame
            Tracks and their sides.
        features_manifest : dict
            Spectrograms (m, d, s) or Essentia's shards (e).
        factors : FactorsBlock
            Number of groups.
        fit_on : str
            train or all.
        seed : int
            Of the topic model.
        cache_root : str
            Where groups are.

        Returns
        -------
        factor_table : pd.DataFrame
            Factors of the artists of every fold; empty where the feature set is skipped.
        reading_table : pd.DataFrame
            What each factor is about.
        factor_facts : dict
            Sizes, notes and who was left out.
        """
        if bag_manifest["skipped"]:
            return *_nothing(), bag_manifest
        work = self.work(usable_table, split_table, features_manifest, factors, fit_on, seed, cache_root)
        results = {}

        def find(fold: int, tracks: pd.DataFrame) -> dict[str, Any]:
            results[fold] = work.groups(fold, tracks)
            return dict(results[fold].facts)

        facts = work.by_fold(bag_manifest["folds"], find)
        if not results:
            return *_nothing(), facts
        table = pd.concat([result.table for result in results.values()], ignore_index=True)
        reading = pd.concat([result.reading.assign(fold=fold) for fold, result in results.items()], ignore_index=True)
        return table, reading, facts

    def work(
        self,
        usable_table: pd.DataFrame,
        split_table: pd.DataFrame,
        features_manifest: dict[str, Any],
        factors: FactorsBlock,
        fit_on: str,
        seed: int,
        cache_root: str,
    ) -> Work:
        """Gather what the stages of this feature set need."""
        source = _source(self.kind, features_manifest, usable_table, cache_root)
        params = _factor_params(self.kind, factors, fit_on, seed)
        return Work(self.kind, usable_table, split_table, source, params, Path(cache_root))


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
    work = FeatureSet(kind).work(usable_table, split_table, features_manifest, factors, fit_on, seed, cache_root)
    _, tracks = next(work.folds())
    return work.bags(tracks)


def _nothing() -> tuple[pd.DataFrame, pd.DataFrame]:
    factors = pd.DataFrame({"fold": pd.Series(dtype=int), "artist_id": pd.Series(dtype=str)})
    return factors, pd.DataFrame({"fold": pd.Series(dtype=int), "factor": pd.Series(dtype=str)})


def _not_wanted(kind: str, tasks: str, embeddings: str | None) -> str | None:
    if embeddings is not None:
        return f"embeddings={embeddings} are evaluated instead"
    return None if kind in tasks else f"task {kind} is not asked for (tasks={tasks})"


def _essentia_folder(cache_root: str) -> Path:
    return Path(cache_root) / "essentia"


def _source(kind: str, manifest: dict[str, Any], usable_table: pd.DataFrame, cache_root: str) -> Source:
    from artist_transfer.audio.store import MelStore
    from artist_transfer.factors.words import DescriptorSource, FrameSource

    if kind == "s":
        return None
    if kind == "e":
        return DescriptorSource(manifest, _essentia_folder(cache_root))
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
