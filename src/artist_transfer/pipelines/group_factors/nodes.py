"""Nodes of the artist group factors: for one feature set, its dictionary, its artist bags and its latent groups.

The three nodes of a feature set go through the folds themselves. Between them a manifest is handed on: what it names
lies in the cache, and is made again if it is not whole.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import pandas as pd

from artist_transfer.pipelines.cluster import ClusterBlock, executor_factory
from artist_transfer.pipelines.group_factors.params import FactorsBlock
from artist_transfer.pipelines.group_factors.work import essentia_folder, make_work
from artist_transfer.processes import cpu_count

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
    root, folder = corpus_facts["root"], essentia_folder(cache_root)
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
        work = make_work(self.kind, usable_table, split_table, features_manifest, factors, fit_on, seed, cache_root)
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
        work = make_work(self.kind, usable_table, split_table, features_manifest, factors, fit_on, seed, cache_root)

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
        work = make_work(self.kind, usable_table, split_table, features_manifest, factors, fit_on, seed, cache_root)
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


def _nothing() -> tuple[pd.DataFrame, pd.DataFrame]:
    factors = pd.DataFrame({"fold": pd.Series(dtype=int), "artist_id": pd.Series(dtype=str)})
    return factors, pd.DataFrame({"fold": pd.Series(dtype=int), "factor": pd.Series(dtype=str)})


def _not_wanted(kind: str, tasks: str, embeddings: str | None) -> str | None:
    if embeddings is not None:
        return f"embeddings={embeddings} are evaluated instead"
    return None if kind in tasks else f"task {kind} is not asked for (tasks={tasks})"
