"""Nodes of the artist-label nets: the sets they learn from, and the nets."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipelines.agf_study.failures import FAILURES, reason_of
from artist_transfer.pipelines.agf_study.params import read_numbers
from artist_transfer.pipelines.artist_learning import nets, sets
from artist_transfer.pipelines.artist_learning.listed import as_artist_list, find_listed
from artist_transfer.pipelines.artist_learning.params import (
    ArtistStudyBlock,
    ArtistTrainingBlock,
    SetsBlock,
    read_kinds,
)
from artist_transfer.pipelines.feature_learning.targets import tracks_of

log = logging.getLogger(__name__)

HISTORY_COLUMNS = ["fold", "net", "epoch", "loss", "validation_loss", "learning_rate"]


@dataclass(frozen=True)
class ArtistNets:
    """The two nodes, for given kinds of net or for those that the study names.

    Parameters
    ----------
    kinds : tuple of str
        basic, siamese, tag; empty: `artist_study.kinds` and `artist_study.seeds`.
    """

    kinds: tuple[str, ...] = ()

    def choose_sets(
        self,
        usable_table: pd.DataFrame,
        split_table: pd.DataFrame,
        list_name_table: pd.DataFrame,
        sets_block: SetsBlock,
        study: ArtistStudyBlock,
        seed: int,
    ) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
        """Draw the sets of artists that the nets of every fold learn, or take them from a list.

        Parameters
        ----------
        usable_table, split_table : pd.DataFrame
            Tracks and their sides; artists of the test side are in no set.
        list_name_table : pd.DataFrame
            What an artist list calls the songs.
        sets_block : SetsBlock
            Sizes and songs, and the list if there is one.
        study : ArtistStudyBlock
            Kinds of net, where the job has none of its own.
        seed : int
            Of the draw, and without a study of the nets.

        Returns
        -------
        artist_set_table : pd.DataFrame
            fold, kind (artist, tag), set, artist_id, track_id, position, side.
        artist_list_table : pd.DataFrame
            The sets of the first fold in the form of the ISMIR paper's list.
        artist_set_facts : dict
            ``kinds``, ``sizes``, ``seeds``, ``skipped``, and what was left out by fold.

        Raises
        ------
        ArtistTransferError
            If there are too few artists with enough songs, or no tags for a tag-label net that was asked for.
        """
        kinds = self.kinds or read_kinds(study.kinds)
        seeds = [seed] if self.kinds else list(read_numbers(study.seeds))
        skipped: dict[str, str] = {}
        if "tag" in kinds and not usable_table["genres"].map(len).any():
            skipped["tag"] = "no track of this corpus has tags (genres)"
            kinds = tuple(kind for kind in kinds if kind != "tag")
            if not kinds:
                raise ArtistTransferError(f"a tag-label net cannot be trained: {skipped['tag']}")
        usable_table, short = nets.without_short(usable_table)
        for track in short["tracks"]:
            log.warning("In no set: %s is shorter than a crop of %d frames (3 s)", track, short["frames"])
        folds = sorted(int(fold) for fold in split_table["fold"].unique())
        tracks = {fold: tracks_of(usable_table, split_table, fold=fold, side="train") for fold in folds}
        listed = None if sets_block.artist_list is None else find_listed(sets_block.artist_list, list_name_table)
        if sets_block.sizes is None:
            most = min(sets.available(own, sets_block, seed=seed, listed=listed) for own in tracks.values())
            sizes = [most] if self.kinds else sets.study_sizes(most)
        else:
            sizes = sorted(read_numbers(sets_block.sizes, least=2))
        tables, facts = [], {}
        for fold, own in tracks.items():
            table, facts[str(fold)] = sets.sets_of_fold(
                own, sets_block, kinds=kinds, sizes=sizes, seed=seed, listed=listed
            )
            tables.append(table.assign(fold=fold))
        log.info("Sets of %s artists with %d songs, %d folds", sizes, sets_block.songs, len(folds))
        told = {"kinds": list(kinds), "sizes": sizes, "seeds": seeds, "skipped": skipped, "folds": facts}
        chosen = pd.concat(tables, ignore_index=True)[sets.COLUMNS]
        written, reason = as_artist_list(chosen, list_name_table)
        told["shorter than a crop"] = short
        told["list"] = {"read": None if listed is None else listed.facts, "not_written": reason}
        return chosen, written, told

    def learn_nets(
        self,
        artist_set_table: pd.DataFrame,
        artist_set_facts: dict[str, Any],
        usable_table: pd.DataFrame,
        mel_manifest: dict[str, Any],
        training: ArtistTrainingBlock,
        device: str,
        threads: int | None,
        cache_root: str,
    ) -> tuple[dict[str, Any], pd.DataFrame]:
        """Train the nets of every fold, size and seed.

        Parameters
        ----------
        artist_set_table : pd.DataFrame
            What they learn from.
        artist_set_facts : dict
            Kinds, sizes, seeds, tags.
        usable_table : pd.DataFrame
            Where the frames are.
        mel_manifest : dict
            Spectrograms of the ismir front end.
        training : ArtistTrainingBlock
            How.
        device : str
            auto, cpu or cuda.
        threads : int or None
            Of torch on a CPU; None for all cores.
        cache_root : str
            Where finished nets are.

        Returns
        -------
        artist_nets_manifest : dict
            ``nets``: where each is, of the systems all of whose nets could be trained; ``failed``: the nets that could
            not, each with its ``reason``; ``device`` and ``threads``.
        artist_net_table : pd.DataFrame
            Losses by fold, net and epoch.

        Raises
        ------
        ArtistTransferError
            If every system has a net that could not be trained.
        """
        from artist_transfer.training.devices import pin_threads, resolve_device

        where, pinned = resolve_device(device), pin_threads(threads)
        rows: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        curves: list[pd.DataFrame] = []
        for (fold, size), chosen in artist_set_table.groupby(["fold", "set"], sort=True):
            for kind in artist_set_facts["kinds"]:
                of_kind = chosen[chosen["kind"] == ("tag" if kind == "tag" else "artist")]
                facts = artist_set_facts["folds"][str(fold)]
                tags = facts[f"tag {size}"]["tags"] if kind == "tag" else []
                songs = nets.songs_of(kind, of_kind, usable_table, tags)
                for seed in artist_set_facts["seeds"]:
                    name = f"{kind}-{size}"
                    row = {"system": name, "kind": kind, "artists": int(size), "fold": int(fold), "seed": seed}
                    label = f"{name}, fold {fold}, seed {seed}"
                    try:
                        trained = nets.train_net(
                            kind,
                            songs,
                            usable_table,
                            mel_manifest,
                            training,
                            device=where,
                            threads=pinned,
                            seed=seed,
                            cache_root=cache_root,
                            label=label,
                        )
                    except FAILURES as error:
                        log.warning("Net %s failed: %s", label, reason_of(error))
                        failed.append(row | {"reason": reason_of(error)})
                        continue
                    rows.append(row | {"folder": trained.folder.as_posix(), "details": trained.details})
                    curves.append(_curve(trained.history, name, int(fold), seed))
        rows = nets.complete(rows, failed)
        for kind in dict.fromkeys(row["kind"] for row in rows):  # of the first fold, the largest set, the first seed
            last = max((row for row in rows if row["kind"] == kind), key=lambda row: (-row["fold"], row["artists"]))
            nets.register(cache_root, kind, last)
        made = {"device": str(where), "threads": pinned, "nets": rows, "failed": failed}
        return made, pd.concat(curves, ignore_index=True)


def _curve(history: Sequence[dict[str, Any]], name: str, fold: int, seed: int) -> pd.DataFrame:
    return pd.DataFrame(history).assign(fold=fold, net=name if not seed else f"{name} seed {seed}")
