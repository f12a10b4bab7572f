"""Predictions of the cases: whose they are, what is left on disk, what a failure leaves of the others."""

from __future__ import annotations

import errno
import logging
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from artist_transfer.errors import ArtistTransferError, DeviceLost, DiskFull, NothingToFit
from artist_transfer.pipelines.agf_study import grid, open_choices, predictions, scratch, trials
from artist_transfer.pipelines.agf_study import nets as nets_module
from artist_transfer.pipelines.agf_study.params import AblationBlock, StudyBlock
from artist_transfer.pipelines.feature_learning import learning
from artist_transfer.pipelines.feature_learning.params import TrainingBlock
from artist_transfer.pipelines.group_factors.params import FactorsBlock
from artist_transfer.pipelines.splitting.params import SplittingBlock
from artist_transfer.pipelines.transfer_evaluation import features, probing
from artist_transfer.pipelines.transfer_evaluation.features import FeatureSource
from artist_transfer.pipelines.transfer_evaluation.params import TransferBlock
from artist_transfer.reporting.study_views import groups
from artist_transfer.study.cases import parse_cases
from artist_transfer.training.checkpoints import only_one

TRACKS = [f"t{k:02d}" for k in range(12)]
FOLDS = pd.DataFrame({"fold": [0], "split_seed": [0], "fold_of_split": [0]})


def usable(**changed: Any) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "track_id": TRACKS,
            "recording_id": TRACKS,
            "artist_id": [f"a{k // 2}" for k in range(12)],
            "genre_top": ["rock" if k // 2 % 2 else "folk" for k in range(12)],
            "audio_hash": TRACKS,
            "n_frames": 100,
        }
    )
    return table.assign(**changed)


SIDES = pd.DataFrame({"track_id": TRACKS, "fold": 0, "side": ["train"] * 8 + ["test"] * 4})


def setting(root: Path, table: pd.DataFrame | None = None) -> predictions.ProbeSetting:
    table = usable() if table is None else table
    source: Any = FeatureSource(table, SimpleNamespace(), {"name": "none"}, 22, torch.device("cpu"), root)
    return predictions.ProbeSetting(SIDES, source, TransferBlock())


def predicted(**columns: Any) -> pd.DataFrame:
    table = pd.DataFrame({"track_id": TRACKS[8:], "artist_id": "long ago", "fold": 0, "genre_true": "folk"})
    return table.assign(genre_predicted="rock", p_folk=0.25, p_rock=0.75, **columns)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Features and probes that write what the real ones write; the list says what the probe did."""
    probed: list[str] = []

    def of_nets(source: FeatureSource, nets: Any) -> str:
        assert source.dtype in ("float32", "float16")
        for net in nets:
            place = source.cache_root / "segments" / net["net"]
            place.mkdir(parents=True, exist_ok=True)
            (place / "features.npy").write_bytes(b"large")
        if len(nets) > 1:
            assert source.joined_root is not None
            joined = source.joined_root / "segments" / "joined"
            joined.mkdir(parents=True)
            (joined / "features.npy").write_bytes(b"large")
        return "+".join(net["net"] for net in nets)

    def probe_fold(found: str, *_: Any, **__: Any) -> tuple[pd.DataFrame, str]:
        probed.append(found)
        return predicted(), ""

    monkeypatch.setattr(FeatureSource, "of_nets", of_nets)
    monkeypatch.setattr(probing, "probe_fold", probe_fold)
    return probed


def net(name: str, **changed: Any) -> dict[str, Any]:
    facts = {"fold": 0, "seed": 0, "net": name, "tasks": name.partition("-")[0], "folder": f"nets/{name}"}
    return facts | {"reason": None, "width": 1.0, "n_parameters": 9, "epochs": 1, "loss": {}} | changed


NETS = [net(name) for name in ("g-stn", "m-stn", "gm-mtn", "g-wstn2")]


def test_only_the_features_of_single_task_nets_outlive_their_case(kept: list[str], tmp_path: Path) -> None:
    here = setting(tmp_path)
    with scratch.features_of_fold(tmp_path, "key", fold=0, seed=0) as folder:
        for case in parse_cases("g+gm+g-wstn2"):
            predictions.predict(case, here, NETS, fold=0, seed=0, scratch=folder)
            left = sorted(path.parent.name for path in folder.rglob("features.npy"))
            assert left == (["g-stn"] if case.name == "g-stn" else ["g-stn", "m-stn"]), case.name
    assert kept == ["g-stn", "g-stn+m-stn", "gm-mtn", "g-wstn2"]
    assert not folder.exists()


def test_what_a_killed_case_left_goes_when_its_predictions_are_found(kept: list[str], tmp_path: Path) -> None:
    here, (case,) = setting(tmp_path), parse_cases("gm-mtn")
    folder = tmp_path / "scratch"
    predictions.predict(case, here, NETS, fold=0, seed=0, scratch=folder)
    (folder / "gm-mtn" / "segments" / "left").mkdir(parents=True)  # killed between the predictions and the removal
    predictions.predict(case, here, NETS, fold=0, seed=0, scratch=folder)
    assert kept == ["gm-mtn"]
    assert not list(folder.iterdir())


def test_a_corrected_artist_reaches_predictions_that_were_found_again(kept: list[str], tmp_path: Path) -> None:
    cases = parse_cases("g+gm-mtn")
    first, _ = predictions.predict_all(cases, setting(tmp_path), NETS, [0])
    corrected = usable(artist_id="corrected")
    again, _ = predictions.predict_all(cases, setting(tmp_path, corrected), NETS, [0])
    assert kept == ["g-stn", "gm-mtn"], "the predictions were not found again"
    old = predicted(case="prior", seed=0)  # a table that says itself who the artists are
    for tables, table, artists in ((first, usable(), {"a4", "a5"}), (again, corrected, {"corrected"})):
        found = predictions.joined([*tables, old], FOLDS, table)
        assert set(found["artist_id"]) == artists
        assert len(found) == 3 * 4


def test_a_case_that_fails_says_what_kind_of_failure_it_was(
    kept: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nets = [*NETS[:1], net("m-stn", reason="OutOfMemoryError: the card was full", folder=None), *NETS[2:]]
    original = probing.probe_fold

    def broken(found: Any, *args: Any, **kwargs: Any) -> Any:
        if found == "g-wstn2":
            raise KeyError("p_rock")
        return original(found, *args, **kwargs)

    monkeypatch.setattr(probing, "probe_fold", broken)
    tables, failed = predictions.predict_all(parse_cases("g+gm+g-wstn2"), setting(tmp_path), nets, [0])
    assert failed == {
        "gm-stn": "fold 0, seed 0: net m-stn: OutOfMemoryError: the card was full",
        "g-wstn2": "fold 0, seed 0: KeyError: 'p_rock'",
    }
    assert [table["case"].iloc[0] for table in tables] == ["g-stn", "gm-mtn"]
    monkeypatch.setattr(probing, "probe_fold", lambda *_, **__: (predicted().iloc[:0], ""))
    (empty,), _ = predictions.predict_all(parse_cases("g-wstn2"), setting(tmp_path), nets, [0])
    assert len(empty) == 0  # and no bare error
    assert not list((tmp_path / "study" / "features").glob("*"))


def test_a_lost_gpu_ends_the_study_and_fails_no_case(
    kept: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any, **__: Any) -> Any:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(probing, "probe_fold", lost)
    with pytest.raises(DeviceLost, match="illegal memory access"):
        predictions.predict_all(parse_cases("g"), setting(tmp_path), NETS, [0])


def evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nets: list[dict[str, Any]], cases: list[str]) -> Any:
    monkeypatch.setattr(probing, "feature_source", lambda *_: setting(tmp_path).source)
    facts = {"cases": cases, "seeds": [0]}
    rest = (FOLDS, usable(), SIDES, {}, TransferBlock(), "cpu", 1, 0, str(tmp_path))
    return grid.evaluate_study(facts, {"nets": nets}, *rest)


def test_a_baseline_that_fails_is_a_row_with_its_reason(
    kept: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> pd.DataFrame:
        raise MemoryError("no room for the statistics")

    monkeypatch.setattr(probing, "mfcc_statistics_of", broken)
    table, cases = evaluate(tmp_path, monkeypatch, NETS, ["g-stn"])
    rows = cases.set_index("case")
    assert rows["status"].to_dict() == {"g-stn": "done", "prior": "done", "mfcc_logreg": "failed"}
    assert rows.loc["mfcc_logreg", "reason"] == "MemoryError: no room for the statistics"
    assert set(table["case"]) == {"g-stn", "prior"}


def test_a_study_without_a_case_that_is_done_says_so_whatever_the_baselines_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "predict_baselines", lambda *_, **__: ([predicted(case="prior", seed=0)], {}))
    nets = [net(f"{task}-stn", reason=f"boom {task}", folder=None) for task in "gsedm"]
    with pytest.raises(ArtistTransferError) as caught:
        evaluate(tmp_path, monkeypatch, nets, [f"{task}-stn" for task in "gsedm"])
    assert str(caught.value) == (
        "all 5 cases of the study failed, so there is nothing to compare. g-stn: fold 0, seed 0: net g-stn: boom g; "
        "s-stn: fold 0, seed 0: net s-stn: boom s; e-stn: fold 0, seed 0: net e-stn: boom e; 2 more, by the warnings "
        "above"
    )


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_in_other_words(*_: Any, **__: Any) -> Any:
    raise ArtistTransferError("rank 1 failed: I/O error: No space left on device (os error 28)")


def full_while_something_is_written(*_: Any, **__: Any) -> Any:
    try:
        raise OSError(errno.EDQUOT, "out of room")
    except OSError as error:
        raise ArtistTransferError("the checkpoint cannot be written") from error


@pytest.mark.parametrize("way", [full, full_in_other_words, full_while_something_is_written])
def test_a_full_disk_ends_the_study_and_fails_no_case(
    way: Any, kept: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "mfcc_statistics_of", way)
    with pytest.raises(DiskFull, match=r"a disk is full \(.*Make room and run the same command again"):
        evaluate(tmp_path, monkeypatch, NETS, ["g-stn"])  # a baseline
    monkeypatch.setattr(probing, "probe_fold", way)
    with pytest.raises(DiskFull, match="a disk is full"):
        predictions.predict_all(parse_cases("gm-mtn"), setting(tmp_path), NETS, [0])
    around = SimpleNamespace(training=TrainingBlock.model_validate({"distributed": {"processes": 2}}))
    monkeypatch.setattr(learning, "train_one", way)
    job: Any = SimpleNamespace(label="g", config=None, targets=None, params=None)
    with pytest.raises(DiskFull, match="a disk is full"):
        nets_module._train_all([job, job], SimpleNamespace(around=around), usable(), print)  # type: ignore[arg-type]


def test_features_have_one_precision_in_all_folds_and_for_any_number_of_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = usable()  # 12 tracks of 4 segments: 48 x 256 x 4 bytes
    monkeypatch.setattr(features, "LARGE", 48 * 1024)
    assert features.feature_dtype(table, 22) == "float32"
    monkeypatch.setattr(features, "LARGE", 48 * 1024 - 1)
    assert features.feature_dtype(table, 22) == "float16"
    few = pd.concat([SIDES, SIDES.assign(fold=1, side=["train"] * 2 + ["unused"] * 8 + ["test"] * 2)])
    here = predictions.ProbeSetting(few, setting(tmp_path).source, TransferBlock())
    assert len(here.of_fold(1).usable_table) == 4
    assert {here.of_fold(fold).dtype for fold in (0, 1)} == {"float16"}
    asked: list[str] = []
    monkeypatch.setattr(features, "load_nets", lambda nets, _: dict.fromkeys(nets))
    monkeypatch.setattr(
        "artist_transfer.evaluation.segments.segment_features", lambda *_, dtype, **__: asked.append(dtype)
    )
    for nets in ("g", "gsedm"):
        setting(tmp_path, table).source.of_nets(nets)  # type: ignore[arg-type]  # the names are enough here
    assert asked == ["float16", "float16"]


def test_what_killed_studies_left_is_removed_unless_it_is_in_use_or_of_use(tmp_path: Path) -> None:
    root = tmp_path / "study" / "features"
    for name in ("mine-0-0", "mine-1-0", "mine-0-7", "other-0-0", "held-0-0"):
        (root / name).mkdir(parents=True)
    with only_one(tmp_path / "study" / "locks" / "held-0-0"):
        removed = scratch.drop_leftovers(tmp_path, "mine", [0, 1])
    assert sorted(path.name for path in removed) == ["mine-0-7", "other-0-0"]
    assert sorted(path.name for path in root.iterdir()) == ["held-0-0", "mine-0-0", "mine-1-0"]
    assert scratch.drop_leftovers(tmp_path / "new", "mine", [0]) == []


def test_a_second_study_says_what_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scratch, "SILENT_S", 0.3)
    done = threading.Event()

    def wait() -> None:
        with scratch.features_of_fold(tmp_path, "key", fold=0, seed=0):
            done.set()

    with caplog.at_level(logging.WARNING), scratch.features_of_fold(tmp_path, "key", fold=0, seed=0) as folder:
        other = threading.Thread(target=wait)
        other.start()
        assert not done.wait(1.2)
    other.join(timeout=10)
    assert done.is_set()
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"Waiting for another study that works in {folder}"]


def test_each_ablation_says_what_came_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fold = {"skipped": None, "task": "m", "n_groups": 9, "n_artists": 9, "n_words": 100}
    monkeypatch.setattr(trials, "factors_of", lambda *_, **__: ({}, {"m": {"folds": {"0": fold}}}))

    def predict(_: Any, variant: Any, *__: Any) -> Any:
        if variant.value == "2":
            raise RuntimeError("no convergence")
        return [predicted(case="gm-mtn", seed=0)], {"gm-mtn": "boom"} if variant.value == "4" else {}

    monkeypatch.setattr(trials.Trials, "_predicted", predict)
    monkeypatch.setattr(probing, "feature_source", lambda *_: setting(tmp_path).source)
    facts = {"ablated_case": "gm-mtn", "seeds": [0], "split_seeds": [0]}
    study = StudyBlock(ablations=AblationBlock(choices="groups", groups="2+4+8+10"))
    blocks = (FactorsBlock(), study, TrainingBlock(), TransferBlock())
    rest = ("stratified", SplittingBlock(), 1, "train", "cpu", 1, 0, str(tmp_path))
    table = open_choices.ablate(facts, {"level": 0.95, "resamples": 100}, usable(), {}, {}, *blocks, *rest)
    reasons = [None if pd.isna(reason) else reason for reason in table["reason"]]
    found = dict(zip(table["value"], zip(table["status"], reasons, strict=True), strict=True))
    assert found == {
        "2": ("failed", "RuntimeError: no convergence"),
        "4": ("failed", "boom"),
        "8": ("done", None),
        "10": ("skipped", "task m, fold 0: the corpus carries 9 groups, as many as artists"),
        "40": ("done", "the corpus carries 9 groups, as many as artists"),
    }
    assert table.loc[table["status"] == "done", "log_loss"].notna().all()


def choose(choices: str, tmp_path: Path) -> pd.DataFrame:
    study = StudyBlock(ablations=AblationBlock(choices=choices, groups="2+4"))
    manifests: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    rest = (FactorsBlock(), study, "train", 0, str(tmp_path))
    return open_choices.choose_group_number("gsm", usable(), SIDES, *manifests, *rest)


def test_a_number_of_groups_that_fails_is_a_row_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bags(task: str, *_: Any) -> Any:
        raise NothingToFit("no artist") if task == "s" else OSError("the shard is gone")

    monkeypatch.setattr("artist_transfer.pipelines.group_factors.work.first_bags", bags)
    table = choose("groups+draw", tmp_path)
    assert table["groups"].tolist() == [2, 4, 40] * 2
    assert len(groups(table).rows) == 6  # the page can show it
    found = table.groupby("feature_set")[["status", "reason"]].first().to_dict("index")
    assert found == {
        "m": {"status": "failed", "reason": "OSError: the shard is gone"},
        "s": {"status": "skipped", "reason": "no artist"},
    }


@pytest.mark.parametrize("choices", ["none", "draw", "dictionary+targets"])
def test_numbers_of_groups_are_measured_only_where_they_are_asked_for(
    choices: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artist_transfer.pipelines.group_factors.work.first_bags", None)
    table = choose(choices, tmp_path)
    assert len(table) == 0
    assert {"feature_set", "groups"} <= set(table.columns)
