"""What the nets of a study learn, how wide they are, and what is refused before any is trained."""

from __future__ import annotations

import gc
import re
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.dcnn import DcnnConfig
from artist_transfer.models.width import parameters_of
from artist_transfer.pipelines.agf_study import grid, nets
from artist_transfer.pipelines.agf_study.params import StudyBlock
from artist_transfer.pipelines.feature_learning import learning, targets
from artist_transfer.pipelines.feature_learning.params import TrainingBlock
from artist_transfer.pipelines.feature_learning.targets import fold_targets, label_target
from artist_transfer.pipelines.group_factors.params import FactorsBlock
from artist_transfer.study.cases import parse_cases

ARTISTS = [f"a{k}" for k in range(12)]
FRONT_END = {"name": "none"}


def usable() -> pd.DataFrame:
    artists = [artist for artist in ARTISTS for _ in range(3)]
    ids = [f"t{k:02d}" for k in range(len(artists))]
    return pd.DataFrame(
        {
            "track_id": ids,
            "artist_id": artists,
            "genre_top": ["rock" if k % 2 else "folk" for k in range(len(ids))],
            "audio_hash": ids,
        }
    )


def sides(n_folds: int = 1) -> pd.DataFrame:
    """In every fold other two artists are tested."""
    table = usable()
    return pd.concat(
        table[["track_id"]].assign(
            fold=fold,
            side=["test" if a in ARTISTS[2 * fold : 2 * fold + 2] else "train" for a in table["artist_id"]],
        )
        for fold in range(n_folds)
    )


def factors(n_folds: int = 1, *, seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed).dirichlet(np.ones(3), size=len(ARTISTS) * n_folds)
    table = pd.DataFrame(draw, columns=["f00", "f01", "f02"])
    return table.assign(fold=np.repeat(np.arange(n_folds), len(ARTISTS)), artist_id=ARTISTS * n_folds)


def setting(n_folds: int = 1, **changed: Any) -> nets.NetSetting:
    around = SimpleNamespace(training=TrainingBlock(), front_end=FRONT_END)
    known: dict[str, Any] = {
        "usable_table": usable(),
        "split_table": sides(n_folds),
        "factor_tables": {task: factors(n_folds, seed=k) for k, task in enumerate("sedm")},
        "around": around,
        "groups": 40,
    }
    return nets.NetSetting(**known | changed)


def by_artist(target: Any, tracks: pd.DataFrame) -> dict[str, tuple[float, ...]]:
    artists = tracks["artist_id"].to_numpy()[target.rows]
    found: dict[str, set[tuple[float, ...]]] = {}
    for artist, row in zip(artists, target.soft.tolist(), strict=True):
        found.setdefault(artist, set()).add(tuple(row))
    assert all(len(rows) == 1 for rows in found.values()), "the tracks of an artist differ"
    return {artist: next(iter(rows)) for artist, rows in found.items()}


def test_shuffled_factors_are_the_same_ones_dealt_out_among_the_artists_by_the_seed() -> None:
    everybody = sides().assign(side="train")  # so that all factors that are dealt out are among the targets
    here = setting(split_table=everybody)
    tracks = here.training_tracks(0)
    found = nets.targets_of(parse_cases("gm+gM"), here, fold=0, seeds=[0, 1])
    true = by_artist(found[0]["m"], tracks)
    dealt = {seed: by_artist(found[seed]["M"], tracks) for seed in (0, 1)}
    assert set(true) == set(ARTISTS)
    for of_seed in dealt.values():
        assert sorted(of_seed.values()) == sorted(true.values())
        assert sum(of_seed[artist] == true[artist] for artist in ARTISTS) < len(ARTISTS) / 3
    assert dealt[0] != dealt[1]


def test_targets_that_do_not_depend_on_the_seed_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    original = label_target
    monkeypatch.setattr(targets, "label_target", lambda task, tracks: made.append(task) or original(task, tracks))
    found = nets.targets_of(parse_cases("ga+gM"), setting(hard=True), fold=0, seeds=[0, 1, 2])
    assert sorted(made) == ["a", "g"]
    for task in "ga":
        assert len({id(of_seed[task]) for of_seed in found.values()}) == 1
    assert len({of_seed["M"].soft.tobytes() for of_seed in found.values()}) == 3
    assert all(set(np.unique(of_seed["M"].soft)) == {0.0, 1.0} for of_seed in found.values())


def test_targets_of_one_fold_at_a_time_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Any]] = []
    original = fold_targets

    def noted(*args: Any, **kwargs: Any) -> Any:
        targets, without = original(*args, **kwargs)
        made.extend(weakref.ref(target) for target in targets.values())
        return targets, without

    alive: list[int] = []

    def trained(jobs: Any, *_: Any) -> list[Any]:
        gc.collect()
        alive.append(len([ref for ref in made if ref() is not None]))
        return [RuntimeError("not trained") for _ in jobs]

    monkeypatch.setattr(nets, "fold_targets", noted)
    monkeypatch.setattr(nets, "_train_all", trained)
    monkeypatch.setattr(learning, "train_params", lambda *_, **__: SimpleNamespace(epochs=1))
    here, cases = setting(3), parse_cases("ga-mtn")
    nets.check_targets(cases, here, seeds=[0, 1])
    gc.collect()
    assert not [ref for ref in made if ref() is not None]
    assert len(list(nets.all_nets(cases, here, [0, 1]))) == 6
    assert alive == [2, 2, 2]  # g and a


def widths(cases: str, monkeypatch: pytest.MonkeyPatch, **changed: Any) -> dict[str, float]:
    monkeypatch.setattr(nets, "_train_all", lambda jobs, *_: [RuntimeError("not trained") for _ in jobs])
    monkeypatch.setattr(learning, "train_params", lambda *_, **__: SimpleNamespace(epochs=1))
    made = nets.all_nets(parse_cases(cases), setting(**changed), [0])
    return {net["net"]: net["width"] for net in made if "wstn" in net["net"]}


def test_a_wide_net_is_the_same_whatever_other_cases_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = widths("g-wstn2+g-wstn5", monkeypatch)
    assert alone == widths("g+gm+gsedm+g-wstn2+g-wstn5", monkeypatch)
    # 10 of the 12 artists are trained on, so no factor task could have the 40 groups that are asked for
    genre, factor = (parameters_of(DcnnConfig(outputs=((task, n),), shared=False)) for task, n in (("g", 2), ("m", 10)))
    for n in (2, 5):
        wide = DcnnConfig(outputs=(("g", 2),), shared=False, width=alone[f"g-wstn{n}"])
        assert parameters_of(wide) == pytest.approx(genre + (n - 1) * factor, rel=0.01)
    unknown = widths("g-wstn2", monkeypatch, usable_table=usable().assign(artist_id=None))
    assert unknown["g-wstn2"] > alone["g-wstn2"]  # 40 groups, which no number of artists bounds


def test_a_corpus_without_artists_is_told_how_to_leave_the_controls_out() -> None:
    here = setting(usable_table=usable().assign(artist_id=None))
    with pytest.raises(ArtistTransferError) as caught:
        nets.targets_of(parse_cases("all", tasks="g"), here, fold=0, seeds=[0])
    said = str(caught.value)
    assert "study.cases: " in said
    assert "task a: the training tracks have 0 artist(s)" in said
    assert "--params study.cases=grid+wide leaves" in said  # tasks=g it is already
    nets.targets_of(parse_cases("grid+wide", tasks="g"), here, fold=0, seeds=[0])


@pytest.mark.parametrize(
    ("cases", "words"),
    [("all", "--params tasks=gsed,study.cases=grid+wide leaves"), ("grid", "--params tasks=gsed leaves")],
)
def test_a_feature_set_without_factors_is_told_what_is_left(cases: str, words: str) -> None:
    empty = factors().iloc[:0][["fold", "artist_id"]]
    here = setting(factor_tables={task: factors() for task in "sed"} | {"m": empty})
    with pytest.raises(ArtistTransferError, match="no artist has a factor") as caught:
        nets.targets_of(parse_cases(cases), here, fold=0, seeds=[0])
    assert words in str(caught.value)


@pytest.mark.parametrize(("width", "failed"), [(0.05, {"g-wstn2", "g-wstn3"}), (4.0, set())])
def test_a_wide_net_that_has_no_size_fails_alone(
    width: float, failed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def train(jobs: Any, *_: Any) -> list[Any]:
        trained.extend(job.label.split(", ")[-1] for job in jobs)
        return [SimpleNamespace(folder=Path("nets"), history=[]) for _ in jobs]

    monkeypatch.setattr(nets, "_train_all", train)
    monkeypatch.setattr(learning, "train_params", lambda *_, **__: SimpleNamespace(epochs=7))
    around = SimpleNamespace(training=TrainingBlock(width=width), front_end=FRONT_END)
    cases = parse_cases("g+g-wstn2+g-wstn3+g-wstn4")
    found = {net["net"]: net for net in nets.all_nets(cases, setting(around=around), [0])}
    assert list(found) == [case.name for case in cases]
    assert {name for name, net in found.items() if net["reason"]} == failed
    assert set(trained) == set(found) - failed
    assert {net["epochs"] for net in found.values()} == {7}
    for name in failed:
        assert re.match(r"training\.width=0\.05: .*no width gives .* Allowed are", found[name]["reason"])
    table = grid._case_table(cases, list(found.values()), dict.fromkeys(failed, "no size")).set_index("case")
    assert set(table.index[table["n_parameters"].isna()]) == failed | {"prior", "mfcc_logreg"}
    assert set(table.index[table["width"].isna()]) == failed | {"prior", "mfcc_logreg"}
    assert table.loc["g-stn", "width"] == width


def test_when_no_net_has_a_size_nothing_is_trained() -> None:
    around = SimpleNamespace(training=TrainingBlock(width=0.05, epochs=1), front_end=FRONT_END, seed=0, threads=1)
    around.device = torch.device("cpu")
    (net,) = nets.all_nets(parse_cases("g-wstn2"), setting(around=around), [0])
    assert net["folder"] is None
    assert "training.width=0.05" in net["reason"]


def learn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, *, ablated: str | None, mfcc: pd.DataFrame, **changed: Any
) -> dict[str, Any]:
    around = SimpleNamespace(training=TrainingBlock(), front_end=FRONT_END, device="cpu", threads=1)
    around.__dict__.update(changed)
    monkeypatch.setattr(learning, "surroundings", lambda *_: around)
    monkeypatch.setattr(nets, "train_nets", lambda *_, **__: [])
    facts = {"cases": ["g-stn"], "ablated_case": ablated, "seeds": [0], "split_seeds": [0]}
    empty, blocks = factors().iloc[:0], (FactorsBlock(), StudyBlock(), TrainingBlock(), "cpu", 1, str(tmp_path))
    manifest = {"front_end": FRONT_END}
    return grid.learn_study_nets(facts, usable(), sides(), manifest, empty, empty, empty, mfcc, *blocks)


def test_the_ablated_case_is_checked_before_any_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    with pytest.raises(ArtistTransferError) as caught:
        learn(monkeypatch, tmp_path, ablated="gm-mtn", mfcc=factors().iloc[:0])
    assert str(caught.value).startswith("study.ablations.case: there is no target in fold 0")
    assert "study.ablations.choices=none" in str(caught.value)
    assert learn(monkeypatch, tmp_path, ablated="gm-mtn", mfcc=factors())["nets"] == []
    assert learn(monkeypatch, tmp_path, ablated=None, mfcc=factors().iloc[:0])["nets"] == []


@pytest.mark.parametrize(
    ("distributed", "words"),
    [
        ({"processes": 4}, r"training\.distributed\.processes = 4, but torch sees 1 GPU"),
        ({"nodes": 2, "rendezvous": "somewhere"}, r"training\.distributed\.rendezvous must be host:port"),
    ],
)
def test_processes_that_cannot_be_had_end_the_study_before_the_first_net(
    distributed: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    table = usable().assign(n_frames=100, shard=0, offset=0)
    monkeypatch.setattr("tests.pipelines.test_study_nets.usable", lambda: table)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(nets, "all_nets", lambda *_, **__: pytest.fail("a net was begun"))
    training = TrainingBlock.model_validate({"epochs": 1, "distributed": distributed})
    changed = {"training": training, "device": torch.device("cuda"), "seed": 0, "mel_manifest": {}}
    with pytest.raises(ArtistTransferError, match=words):
        learn(monkeypatch, tmp_path, ablated=None, mfcc=factors(), **changed)


def test_frames_that_the_fast_engine_cannot_work_on_end_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    far = SimpleNamespace(frames=torch.zeros(1), device=torch.device("cuda"), place="CPU")
    monkeypatch.setattr(learning, "rank_store", lambda *_: far)
    around: Any = SimpleNamespace(training=TrainingBlock(engine="fast"), mel_manifest={}, device=far.device)
    with pytest.raises(ArtistTransferError, match=r"training\.engine: 'fast' needs the frames in the memory"):
        learning.store_for_all(around, usable())
    around.training = TrainingBlock()
    assert learning.store_for_all(around, usable()) is far
