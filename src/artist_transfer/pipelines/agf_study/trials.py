"""One row of the table of ablations: its splits, factors, nets and predictions, made as the study makes its own."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import pandas as pd

from artist_transfer.pipelines.agf_study.ablations import (
    Variant,
    factors_of,
    same_as_own,
    too_large,
    what_is_carried,
    without_effect,
)
from artist_transfer.pipelines.agf_study.failures import DONE, FAILED, FAILURES, SKIPPED, reason_of
from artist_transfer.pipelines.agf_study.nets import ABLATED, NetSetting, all_nets, check_targets
from artist_transfer.pipelines.agf_study.plan import split_by_seeds
from artist_transfer.pipelines.agf_study.predictions import ProbeSetting, joined, predict_all
from artist_transfer.pipelines.feature_learning import learning
from artist_transfer.pipelines.feature_learning.params import TrainingBlock
from artist_transfer.pipelines.splitting.params import SplittingBlock
from artist_transfer.pipelines.transfer_evaluation.features import FeatureSource
from artist_transfer.pipelines.transfer_evaluation.params import TransferBlock
from artist_transfer.study.cases import Case, tasks_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What came of a variant.

    Attributes
    ----------
    status : str
        done, failed or skipped.
    reason : str or None
        Why not; of a variant that is done what it really was.
    predictions : pd.DataFrame or None
        If it is done.
    """

    status: str
    reason: str | None
    predictions: pd.DataFrame | None = None


@dataclass(frozen=True)
class Trials:
    """What all variants share.

    Attributes
    ----------
    case : Case
        The case that is ablated.
    source : FeatureSource
        All usable tracks, where nets run, and the cache.
    mel_manifest, essentia_manifest : dict
        Spectrograms and Essentia's shards.
    seeds, split_seeds : list of int
        Of the study.
    splitting : SplittingBlock
        Shares of a split.
    folds : int
        Folds of an artist-disjoint split.
    training : TrainingBlock
        How nets are trained.
    transfer : TransferBlock
        Segments and probe.
    at_once : int
        Nets that are trained side by side on a GPU.
    threads : int or None
        Of torch on a CPU; None for all cores.
    seed : int
        Of the factors.
    """

    case: Case
    source: FeatureSource
    mel_manifest: dict[str, Any]
    essentia_manifest: dict[str, Any]
    seeds: list[int]
    split_seeds: list[int]
    splitting: SplittingBlock
    folds: int
    training: TrainingBlock
    transfer: TransferBlock
    at_once: int
    threads: int | None
    seed: int

    def outcome(self, variant: Variant) -> Outcome:
        """Try a variant; if it fails the others go on.

        Parameters
        ----------
        variant : Variant
            What is changed.

        Returns
        -------
        Outcome
            What came of it; skipped before any work if it cannot change anything about the case.
        """
        idle = without_effect(variant.ablation, self.case)
        if idle:
            return Outcome(SKIPPED, idle)
        try:
            return self._tried(variant)
        except FAILURES as error:
            log.warning("Ablation %s=%s failed: %s", variant.ablation, variant.value, reason_of(error))
            return Outcome(FAILED, reason_of(error))

    def _tried(self, variant: Variant) -> Outcome:
        usable_table, choice = self.source.usable_table, variant.choice
        split_table, fold_table, _ = split_by_seeds(
            usable_table,
            self.split_seeds,
            split=choice.split,
            splitting=self.splitting,
            folds=self.folds if choice.split == "artist_disjoint" else 1,
        )
        tables, facts = factors_of(
            tasks_of([self.case]),
            choice,
            usable_table=usable_table,
            split_table=split_table,
            manifests=dict.fromkeys("mds", self.mel_manifest) | {"e": self.essentia_manifest},
            seed=self.seed,
            cache_root=self.source.cache_root.as_posix(),
        )
        reason = None if variant.is_default else too_large(variant, facts) or same_as_own(variant, facts)
        if reason:
            return Outcome(SKIPPED, reason)
        made, failed = self._predicted(variant, split_table, tables)
        if failed:
            return Outcome(FAILED, failed[self.case.name])
        return Outcome(DONE, what_is_carried(variant, facts), joined(made, fold_table, usable_table))

    def _predicted(
        self, variant: Variant, split_table: pd.DataFrame, factor_tables: dict[str, pd.DataFrame]
    ) -> tuple[list[pd.DataFrame], dict[str, str]]:
        choice, source = variant.choice, self.source
        training = self.training.model_copy(update={"draw": choice.draw})
        around = learning.surroundings(
            source.usable_table,
            self.mel_manifest,
            training,
            source.device.type,
            self.threads,
            0,
            source.cache_root.as_posix(),
        )
        setting = NetSetting(
            usable_table=source.usable_table,
            split_table=split_table,
            factor_tables=factor_tables,
            around=around,
            groups=choice.factors.latent_dirichlet.groups,
            at_once=self.at_once,
            hard=choice.hard,
        )
        check_targets([self.case], setting, seeds=self.seeds, key=ABLATED)
        nets = list(all_nets([self.case], setting, self.seeds, key=ABLATED))
        return predict_all([self.case], ProbeSetting(split_table, source, self.transfer), nets, self.seeds)
