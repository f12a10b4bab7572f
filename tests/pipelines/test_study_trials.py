"""What an ablation hands on to factors, nets and probe: each choice changes its own thing, and nothing is dropped.

Splits, dictionaries, groups and targets are the real ones, of a few small spectrograms; nets and probe are not run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from artist_transfer.artifacts import sha256_of
from artist_transfer.corpora.splits import make_split, split_hash
from artist_transfer.pipelines.agf_study import ablations, nets, trials
from artist_transfer.pipelines.agf_study.params import ABLATIONS, AblationBlock
from artist_transfer.pipelines.feature_learning.params import TrainingBlock
from artist_transfer.pipelines.group_factors.params import DictionaryBlock, FactorsBlock, LatentDirichletBlock
from artist_transfer.pipelines.splitting.params import SplittingBlock
from artist_transfer.pipelines.transfer_evaluation.features import FeatureSource
from artist_transfer.pipelines.transfer_evaluation.params import TransferBlock
from artist_transfer.study.cases import Case, parse_cases

N_ARTISTS, TRACKS_EACH, FRAMES, BANDS = 8, 4, 40, 128
ARTISTS = tuple(f"a{k:02d}" for k in range(N_ARTISTS))
FRONT_END = {"name": "agf", "n_mels": BANDS}
SPLIT_SEED, SHARE = 3, 0.25
PER_CENTRE = 40  # a training set of some 900 frames then has some 20 centres


def factors(centres: int = 16, groups: int = 4) -> FactorsBlock:
    return FactorsBlock(
        dictionary=DictionaryBlock(max_centres=centres, rows_per_centre=PER_CENTRE),
        latent_dirichlet=LatentDirichletBlock(groups=groups, passes=1, restarts=1),
    )


OWN = ablations.Choice(factors=factors(), fit_on="train", split="artist_disjoint", draw="batch")


@dataclass(frozen=True)
class Seen:
    """What arrives: number of words, outputs of task m, whether its targets are one-hot, whose factors are known."""

    words: int
    groups: int
    hard: bool
    artists: tuple[str, ...]
    split: str
    draw: str


@pytest.fixture
def usable(tmp_path: Path) -> pd.DataFrame:
    """Tracks of 8 artists in one shard; three artists after another sound each like another."""
    n = N_ARTISTS * TRACKS_EACH
    ids, artists = [f"t{k:02d}" for k in range(n)], [ARTISTS[k // TRACKS_EACH] for k in range(n)]
    draw = np.random.default_rng(0)
    spectra = 8 * np.cumsum(draw.standard_normal((3, 3, BANDS)), axis=2) - 40
    of_track = [spectra[k // TRACKS_EACH % 3][draw.integers(3, size=FRAMES)] for k in range(n)]
    frames = np.concatenate(of_track) + draw.standard_normal((n * FRAMES, BANDS))
    np.save(tmp_path / "one.npy", frames.astype(np.float16))
    table = pd.DataFrame({"track_id": ids, "recording_id": ids, "artist_id": artists, "audio_hash": ids})
    genres = ["rock" if k // TRACKS_EACH % 2 else "folk" for k in range(n)]
    places = {"shard": "one", "offset": np.arange(n) * FRAMES, "n_frames": FRAMES}
    return table.assign(genre_top=genres, album_id=None, artist=artists, genres=[["x"]] * n, **places)


def of_case(case: str, usable: pd.DataFrame, root: Path, *, own: ablations.Choice = OWN) -> trials.Trials:
    manifest = {"folder": str(root), "front_end": FRONT_END}
    digest = sha256_of(root / "one.npy") if len(usable) else ""
    manifest |= {"shards": [{"name": "one", "n_frames": len(usable) * FRAMES, "sha256": digest}]}
    store: Any = SimpleNamespace()
    return trials.Trials(
        case=parse_cases(case)[0],
        source=FeatureSource(usable, store, FRONT_END, 22, torch.device("cpu"), root / "cache"),
        mel_manifest=manifest,
        essentia_manifest={},
        seeds=[0],
        split_seeds=[SPLIT_SEED],
        splitting=SplittingBlock(test_share=SHARE),
        folds=1,
        training=TrainingBlock(draw=own.draw),  # type: ignore[arg-type]  # batch or epoch
        transfer=TransferBlock(),
        at_once=1,
        threads=None,
        seed=0,
    )


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
    """Note what factors, nets and probe get; the nets are not trained, and the probe always says folk."""
    found: list[Seen] = []
    known: dict[str, Any] = {}
    original: Callable[..., Any] = ablations.factors_of

    def noted(*args: Any, **kwargs: Any) -> Any:
        tables, facts = original(*args, **kwargs)
        known["words"] = facts["m"]["folds"]["0"]["dictionary"]["n_words"]
        return tables, facts

    def trained(jobs: Any, setting: nets.NetSetting, tracks: pd.DataFrame, _: Any) -> list[Any]:
        (job,) = jobs
        soft, rows = job.targets["m"].soft, setting.factor_tables["m"]
        is_train = setting.split_table["side"] == "train"
        assert sorted(tracks["track_id"]) == sorted(setting.split_table["track_id"][is_train])
        known.update(groups=job.targets["m"].n_out, hard=bool(np.isin(soft, (0, 1)).all()), draw=job.params.draw)
        known.update(artists=tuple(sorted(rows["artist_id"])), trained_on=split_hash(setting.split_table))
        assert job.targets["g"].n_out == 2
        return [RuntimeError("not trained")]

    def predicted(cases: list[Case], probe: Any, _: Any, seeds: list[int]) -> Any:
        digest = split_hash(probe.split_table)
        assert digest == known.pop("trained_on"), "nets and probe have different splits"
        found.append(Seen(split=digest, **known))
        tested = probe.split_table["track_id"][probe.split_table["side"] == "test"]
        table = pd.DataFrame({"track_id": tested, "case": cases[0].name, "seed": seeds[0], "fold": 0})
        return [table.assign(genre_true="folk", genre_predicted="folk", p_folk=0.6, p_rock=0.4)], {}

    monkeypatch.setattr(trials, "factors_of", noted)
    monkeypatch.setattr(nets, "_train_all", trained)
    monkeypatch.setattr(trials, "predict_all", predicted)
    return found


def split_of(kind: str, usable: pd.DataFrame) -> pd.DataFrame:
    return make_split(usable, kind=kind, seed=SPLIT_SEED, test_share=SHARE, folds=1)


def artists_of(split: pd.DataFrame, usable: pd.DataFrame, side: str) -> tuple[str, ...]:
    tracks = split["track_id"][split["side"] == side]
    return tuple(sorted(set(usable["artist_id"][usable["track_id"].isin(tracks)])))


def test_each_choice_reaches_what_it_is_about_and_nothing_else(
    seen: list[Seen], usable: pd.DataFrame, tmp_path: Path
) -> None:
    disjoint, mixed = (split_of(kind, usable) for kind in ("artist_disjoint", "stratified"))
    known = artists_of(disjoint, usable, "train")
    assert set(known) < set(ARTISTS)
    assert artists_of(mixed, usable, "train") == ARTISTS
    own = Seen(words=16, groups=4, hard=False, artists=known, split=split_hash(disjoint), draw="batch")
    expected = {
        ("dictionary", "8"): replace(own, words=8),
        ("groups", "2"): replace(own, groups=2),
        ("targets", "hard"): replace(own, hard=True),
        ("fit_on", "all"): replace(own, artists=ARTISTS),
        ("split", "stratified"): replace(own, artists=ARTISTS, split=split_hash(mixed)),
        ("draw", "epoch"): replace(own, draw="epoch"),
    }
    assert {ablation for ablation, _ in expected} == set(ABLATIONS)
    each = of_case("gm-mtn", usable, tmp_path)
    tried: set[tuple[str, str]] = set()
    for variant in ablations.variants(AblationBlock(dictionary="8", groups="2"), OWN, artists_known=True):
        found = each.outcome(variant)
        name = (variant.ablation, variant.value)
        assert (found.status, found.reason) == ("done", None), name
        tried |= set() if variant.is_default else {name}
        wanted = own if variant.is_default else expected[name]
        differing = [part.name for part in fields(Seen) if getattr(seen[-1], part.name) != getattr(wanted, part.name)]
        assert not differing, f"{name}: {differing}"
        assert found.predictions is not None
        tested = mixed if name == ("split", "stratified") else disjoint
        assert set(found.predictions["artist_id"]) == set(artists_of(tested, usable, "test"))
    assert tried == set(expected)


def test_one_dictionary_or_number_of_groups_is_not_tried_under_two_names(
    seen: list[Seen], usable: pd.DataFrame, tmp_path: Path
) -> None:
    train = split_of("artist_disjoint", usable)
    n_artists = len(artists_of(train, usable, "train"))
    centres = int((train["side"] == "train").sum()) * FRAMES // PER_CENTRE
    own = replace(OWN, factors=factors(centres=4096, groups=40))
    block = AblationBlock(
        choices="dictionary+groups",
        dictionary=f"8+{centres}+{centres + 1}+8192",
        groups=f"2+{n_artists}+{n_artists + 1}+80",
    )
    each = of_case("gm-mtn", usable, tmp_path, own=own)
    found = {v.value: each.outcome(v) for v in ablations.variants(block, own, artists_known=True)}
    frames = f"{centres} centres, for the frames there are"
    groups = f"{n_artists} groups, as many as artists"
    assert {value: (outcome.status, outcome.reason) for value, outcome in found.items()} == {
        "8": ("done", None),
        str(centres): ("skipped", f"the same as 4096: the corpus carries {frames}"),
        str(centres + 1): ("skipped", f"task m, fold 0: the corpus carries {frames}"),
        "4096": ("done", f"the corpus carries {frames}"),
        "8192": ("skipped", f"task m, fold 0: the corpus carries {frames}"),
        "2": ("done", None),
        str(n_artists): ("skipped", f"the same as 40: the corpus carries {groups}"),
        str(n_artists + 1): ("skipped", f"task m, fold 0: the corpus carries {groups}"),
        "40": ("done", f"the corpus carries {groups}"),
        "80": ("skipped", f"task m, fold 0: the corpus carries {groups}"),
    }
    made = [(8, n_artists), (centres, n_artists), (centres, 2), (centres, n_artists)]
    assert [(x.words, x.groups) for x in seen] == made


NO_FACTORS = dict.fromkeys(("dictionary", "groups", "targets", "fit_on"), "the case {} has no factor task")
NO_DRAW = {"draw": "each net of {} has one task, so none is drawn"}


@pytest.mark.parametrize(
    ("case", "idle"),
    [
        ("gm-mtn", {}),
        ("gM-mtn", {}),
        ("gs-mtn", {"dictionary": "task s has no dictionary"}),
        ("gsd-mtn", {}),
        ("gs-stn", {"dictionary": "task s has no dictionary"} | NO_DRAW),
        ("ga-mtn", NO_FACTORS),
        ("g-stn", NO_FACTORS | NO_DRAW),
        ("g-wstn3", NO_FACTORS | NO_DRAW),
    ],
)
def test_a_choice_that_changes_nothing_is_skipped_before_any_work(
    case: str, idle: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def worked(*_: Any, **__: Any) -> Any:
        raise OSError("work was begun")

    monkeypatch.setattr(trials, "split_by_seeds", worked)
    each = of_case(case, pd.DataFrame(), tmp_path)
    for variant in ablations.variants(AblationBlock(), OWN, artists_known=True):
        found = each.outcome(variant)
        reason = idle.get(variant.ablation)
        said = ("skipped", reason.format(case)) if reason else ("failed", "OSError: work was begun")
        assert (found.status, found.reason) == said, variant.ablation
        assert found.predictions is None
