"""The main job by the real command: equal bytes, killed runs, bad audio, every kind of corpus."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from tests.pipelines.conftest import Project

pytestmark = pytest.mark.slow

JOB = "--pipeline=agf_multitask"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run of all five tasks, which no test changes."""
    project = Project.copy(tmp_path_factory.mktemp("finished"))
    project.run(JOB)
    return project


def copy_of(project: Project, to: Path) -> Project:
    shutil.copytree(project.path, to, symlinks=True)
    return Project(to)


def test_the_job_leaves_what_it_promises(finished: Project) -> None:
    counts = json.loads((finished.path / "data/02_intermediate/count_facts.json").read_text())
    track, usable, quarantine = (finished.table(f"{name}_table") for name in ("track", "usable", "quarantine"))
    assert len(track) == len(usable) + len(quarantine) == counts["tracks"]
    assert sorted(reason.split(":")[0] for reason in quarantine["reason"]) == ["empty file", "truncated", "unreadable"]
    metrics = json.loads((finished.path / "data/08_reporting/transfer_metrics.json").read_text())
    for system in ("transfer", "baseline.prior", "baseline.stn_g", "baseline.mfcc_logreg"):
        for score in ("log_loss", "f1_macro", "accuracy"):
            low, value, high = (metrics[f"{system}.{score}{end}"] for end in ("_low", "", "_high"))
            assert low <= value <= high
    for name in ("mfcc", "dmfcc", "essentia", "subgenres"):
        factors = finished.table(f"{name}_factor_table").drop(columns=["fold", "artist_id"])
        np.testing.assert_allclose(factors.sum(axis=1), 1, atol=1e-6)
    page = (finished.path / "data/08_reporting/agf_multitask.html").read_text()
    loaded = re.findall(r"<(?:script|img|iframe|link)[^>]*(?:src|href)\s*=\s*[\"']?(?!data:)[^>]*>", page)
    assert not loaded, "the page must load nothing from elsewhere"


def test_test_artists_are_not_fitted_on(finished: Project) -> None:
    split, usable = finished.table("split_table"), finished.table("usable_table")
    sides = usable.merge(split, on="track_id").dropna(subset=["artist_id"])
    train, test = (set(sides.loc[sides["side"] == side, "artist_id"]) for side in ("train", "test"))
    assert train
    assert test
    assert not train & test
    for name in ("mfcc", "dmfcc", "essentia", "subgenres"):
        assert set(finished.table(f"{name}_factor_table")["artist_id"]) <= train
    predictions = finished.table("transfer_predictions_table")
    assert set(predictions["track_id"]) <= set(split.loc[split["side"] == "test", "track_id"])


def test_a_second_clean_run_has_equal_hashes(finished: Project, project: Project) -> None:
    project.run(JOB, workers=2)  # neither the place nor the number of workers matters
    other = project.outputs()
    mine = finished.outputs()
    stamps = {name for name in mine if name.endswith(".json") and "/mel/" in name}  # dates of the audio files
    differ = sorted(name for name in mine.keys() | other.keys() if mine.get(name) != other.get(name))
    assert not set(differ) - stamps - {"data/08_reporting/agf_multitask.html"}


def test_the_same_command_again_does_nothing_twice(finished: Project, tmp_path: Path) -> None:
    again = copy_of(finished, tmp_path / "again")
    cached = [path for path in (again.path / "data" / "cache").rglob("*") if path.is_file() and path.name != ".lock"]
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in cached}
    again.run(JOB)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in cached} == before
    assert again.outputs() == finished.outputs()


KILLED_AFTER = {
    "half of the corpus": "data/01_raw/synthetic/*/fma_small/001/001002.mp3",
    "a mel shard": "data/cache/mel/**/*.npy",
    "an Essentia shard": "data/cache/essentia/*/manifest.json",
    "a dictionary": "data/cache/dictionaries/*/manifest.json",
    "a checkpoint": "data/cache/nets/*/checkpoint-*.json",
    "a net": "data/cache/nets/*/manifest.json",
    "a probe": "data/cache/probes/*/manifest.json",
}


@pytest.mark.parametrize("stage", KILLED_AFTER)
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(stage: str, finished: Project, project: Project) -> None:
    # shards and checkpoints change no result, but make more places to be killed at
    params = {"mel__shard_size": 8, "factors__essentia__shard_size": 8, "training__checkpoint_every_s": 0.001}
    process = project.start(JOB, **params)
    deadline = time.monotonic() + 240
    while not list(project.path.glob(KILLED_AFTER[stage])):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, f"{stage} never came"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (project.path / "data/08_reporting/agf_multitask.html").exists()
    done = {path: path.stat().st_mtime_ns for path in finished_files(project)}
    project.run(JOB, **params)
    assert {path: path.stat().st_mtime_ns for path in done} == done, "finished work was done again"
    for name in ("transfer_predictions_table", "baseline_predictions_table", "track_vector_table"):
        pd.testing.assert_frame_equal(project.table(name), finished.table(name), check_exact=True)
    for name in ("transfer_metrics.json", "score_plot.json", "artist_map_plot.json"):
        path = f"data/08_reporting/{name}"
        assert (project.path / path).read_bytes() == (finished.path / path).read_bytes()


def finished_files(project: Project) -> list[Path]:
    """Files of the cache that a manifest or a shard's sidecar declares done."""
    cache = project.path / "data" / "cache"
    folders = [path.parent for path in cache.glob("*/*/manifest.json")]
    shards = [path.with_suffix(".npy") for path in (cache / "mel").rglob("*.json") if ".stat" not in path.name]
    return [path for folder in folders for path in folder.iterdir() if path.name != ".lock"] + shards


def write_table_corpus(source: Project, to: Path, *, bad: bool, genres: bool = True) -> int:
    """Write the good tracks of the embedded corpus as a CSV corpus; return the number of bad files added."""
    usable = source.table("usable_table")
    facts = json.loads((source.path / "data/02_intermediate/corpus_facts.json").read_text())
    shutil.copytree(source.path / facts["root"], to, ignore=shutil.ignore_patterns("*.json", "*.csv"))
    rows = usable[["track_id", "artist_id", "genre_top", "path"]].assign(
        subgenres=[str(list(words)) for words in usable["genres"]]
    )
    if not genres:
        rows = rows.drop(columns=["genre_top", "subgenres"])
    artist = str(usable["artist_id"].dropna().iloc[0])  # whose other tracks are good
    extra = write_bad_files(to, artist) if bad else []
    table = pd.concat([rows, pd.DataFrame(extra)], ignore_index=True) if extra else rows
    table.to_csv(to / "tracks.csv", index=False)
    return len(extra)


def write_bad_files(folder: Path, artist: str = "") -> list[dict[str, str]]:
    rate = 22050
    noise = np.random.default_rng(0).normal(0, 0.1, rate * 3).astype(np.float32)
    contents = {
        "silent.wav": np.zeros(rate * 3, dtype=np.float32),
        "nan.wav": np.full(rate * 3, np.nan, dtype=np.float32),
        "huge.wav": np.concatenate([noise, np.float32([1e25])]),  # finite, but its power is not
        "short.wav": noise[:100],
        "one.wav": noise[:1],
    }
    for name, samples in contents.items():
        sf.write(folder / name, samples, rate, subtype="FLOAT")
    (folder / "empty.mp3").touch()
    (folder / "text.mp3").write_text("not music")
    sf.write(folder / "whole.flac", noise, rate)
    (folder / "cut.flac").write_bytes((folder / "whole.flac").read_bytes()[:20000])
    names = [*contents, "empty.mp3", "text.mp3", "cut.flac", "not there.mp3"]
    # ids that sort before, between and after the good ones
    return [
        {
            "track_id": f"{('0', '0010', 'z')[i % 3]}bad{i}",
            "path": name,
            "genre_top": "bad",
            "artist_id": artist,
            "subgenres": "['House', 'only on bad tracks']",
        }
        for i, name in enumerate(names)
    ]


FACTOR_TABLES = tuple(f"{kind}_factor_table" for kind in ("mfcc", "dmfcc", "essentia", "subgenres"))


def test_bad_audio_changes_nothing_for_good_tracks(finished: Project, new_project: Callable[[], Project]) -> None:
    outcomes = []
    for bad in (False, True):
        project = new_project()
        n_bad = write_table_corpus(finished, project.path / "corpus", bad=bad)
        project.run(JOB, "--env=table", corpus_root="corpus")
        outcomes.append(
            {
                name: project.table(name)
                for name in ("split_table", "transfer_predictions_table", "track_vector_table", *FACTOR_TABLES)
            }
        )
        assert len(project.table("quarantine_table")) == n_bad
        if bad:
            print(f"tried {n_bad} bad files")
            assert project.table("quarantine_table")["reason"].notna().all()
    for name, table in outcomes[0].items():
        pd.testing.assert_frame_equal(table, outcomes[1][name], check_exact=True)


def test_a_corpus_without_genres_gets_factors_nets_and_a_map(finished: Project, project: Project) -> None:
    write_table_corpus(finished, project.path / "corpus", bad=False, genres=False)
    done = project.run(JOB, "--env=table", corpus_root="corpus", tasks="gsm")
    assert "no track of this corpus has a genre" in done.stdout + done.stderr
    page = (project.path / "data/08_reporting/agf_multitask.html").read_text()
    assert "no track of this corpus has a genre" in page
    assert len(project.table("mfcc_factor_table"))
    assert len(project.table("artist_map_table")) == finished.table("usable_table")["artist_id"].nunique()
    nets = json.loads((project.path / "data/06_models/nets_weights.json").read_text())
    assert nets["tasks"] == "m"
    assert set(nets["left_out"]) == {"g", "s"}
    failed = project.run("--pipeline=predict", audio="corpus", check=False)
    assert failed.returncode == 1
    assert "no run has trained a genre model yet" in failed.stderr


def test_a_corpus_without_artists_serves_genre(finished: Project, project: Project) -> None:
    write_table_corpus(finished, project.path / "corpus", bad=False)
    table = pd.read_csv(project.path / "corpus" / "tracks.csv", dtype=str)
    table.drop(columns="artist_id").to_csv(project.path / "corpus" / "tracks.csv", index=False)
    done = project.run(JOB, "--env=table", corpus_root="corpus", split="stratified", tasks="gsm")
    nets = json.loads((project.path / "data/06_models/nets_weights.json").read_text())
    assert nets["tasks"] == "g"
    assert set(nets["left_out"]) == {"s", "m"}
    assert "artist" in nets["left_out"]["m"]
    assert len(project.table("artist_map_table")) == 0
    metrics = json.loads((project.path / "data/08_reporting/transfer_metrics.json").read_text())
    assert metrics["transfer.n_units"] == metrics["transfer.n_tracks"] - n_duplicates(project)
    assert "Task m is left out" in done.stdout + done.stderr


def n_duplicates(project: Project) -> int:
    """Tested clips that are no unit of their own, for want of an artist."""
    tested = set(project.table("transfer_predictions_table")["track_id"])
    usable = project.table("usable_table")
    return int(usable[usable["track_id"].isin(tested)]["recording_id"].duplicated().sum())


def test_a_fold_without_subgenres_loses_task_s_only(finished: Project, project: Project) -> None:
    write_table_corpus(finished, project.path / "corpus", bad=False)
    table = pd.read_csv(project.path / "corpus" / "tracks.csv", dtype=str)
    one = table["artist_id"].dropna().iloc[0]
    table.loc[table["artist_id"] != one, "subgenres"] = "[]"
    table.to_csv(project.path / "corpus" / "tracks.csv", index=False)
    project.run(JOB, "--env=table", corpus_root="corpus", folds=3, tasks="gsm")
    nets = json.loads((project.path / "data/06_models/nets_weights.json").read_text())["folds"]
    learnt = {fold: "".join(net["tasks"] for net in found) for fold, found in nets.items()}
    assert all("m" in tasks for tasks in learnt.values())
    assert any("s" not in tasks for tasks in learnt.values())
    assert len(project.table("transfer_predictions_table"))


def test_a_folder_of_tagged_music(finished: Project, project: Project) -> None:
    import mutagen

    facts = json.loads((finished.path / "data/02_intermediate/corpus_facts.json").read_text())
    usable = finished.table("usable_table")
    for row in usable.itertuples():
        target = project.path / "music" / str(row.artist_id) / Path(row.path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(finished.path / facts["root"] / row.path, target)
        tags = mutagen.File(target, easy=True)
        if tags.tags is None:
            tags.add_tags()
        if row.track_id == usable["track_id"].iloc[0]:
            tags["artist"] = "Various Artists"
        elif isinstance(row.artist, str):
            tags["artist"] = row.artist
        if isinstance(row.genre_top, str):
            tags["genre"] = row.genre_top
        tags.save()
    project.run(JOB, "--env=folder", corpus_root="music", tasks="gm", architecture="stn")
    table = project.table("track_table")
    assert len(table) == len(usable)
    known = usable["artist"].notna() & (usable["track_id"] != usable["track_id"].iloc[0])
    assert table["artist"].notna().sum() == known.sum()
    assert (project.path / "data/08_reporting/agf_multitask.html").is_file()


def test_folds_test_every_artist_once(project: Project) -> None:
    project.run(JOB, folds=3, tasks="gm", architecture="stn")
    usable, predictions = project.table("usable_table"), project.table("transfer_predictions_table")
    labelled = usable[usable["genre_top"].notna()]
    assert sorted(predictions["track_id"]) == sorted(labelled["track_id"])
    assert (predictions.dropna(subset=["artist_id"]).groupby("artist_id")["fold"].nunique() == 1).all()
    baselines = project.table("baseline_predictions_table")
    for _, rows in baselines.groupby("system"):
        assert sorted(rows["track_id"]) == sorted(labelled["track_id"])


def test_somebody_elses_features_get_the_same_treatment(finished: Project, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    usable = project.table("usable_table")
    genres = sorted(usable["genre_top"].dropna().unique())
    generator = np.random.default_rng(0)
    knowing = [np.eye(len(genres))[genres.index(g)] if isinstance(g, str) else np.zeros(3) for g in usable["genre_top"]]
    accuracy = {}
    for name, vectors in {"knowing": knowing, "noise": generator.normal(size=(len(usable), 3))}.items():
        frame = pd.DataFrame({"track_id": usable["track_id"], "embedding": [list(map(float, v)) for v in vectors]})
        frame.to_parquet(project.path / f"{name}.parquet")
        project.run(JOB, embeddings=f"{name}.parquet", transfer__epochs=200)
        metrics = json.loads((project.path / "data/08_reporting/transfer_metrics.json").read_text())
        accuracy[name] = metrics["transfer.accuracy"]
        before = json.loads((finished.path / "data/08_reporting/transfer_metrics.json").read_text())
        assert metrics["baseline.prior.log_loss"] == before["baseline.prior.log_loss"]
    model = "data/06_models/model_weights.json"  # a run that trains no net leaves the last model alone
    assert (project.path / model).read_bytes() == (finished.path / model).read_bytes()
    assert accuracy["knowing"] == 1.0
    assert accuracy["noise"] < 0.8


def test_prediction_of_new_audio(finished: Project, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    write_bad_files(tmp_path / "project")
    audio = project.path / "new"
    audio.mkdir()
    facts = json.loads((project.path / "data/02_intermediate/corpus_facts.json").read_text())
    test = project.table("transfer_predictions_table").iloc[0]
    path = project.table("usable_table").set_index("track_id").loc[test["track_id"], "path"]
    shutil.copy(project.path / facts["root"] / path, audio / "song.mp3")
    shutil.copy(project.path / "text.mp3", audio / "text.mp3")
    done = project.run("--pipeline=predict", audio="new")
    table = pd.read_csv(project.path / "data/07_model_output/audio_predictions.csv", keep_default_na=False)
    assert table["file"].tolist() == ["song.mp3", "text.mp3"]
    assert table.loc[1, "reason"].startswith("unreadable")
    assert "song.mp3" in done.stdout
    columns = [name for name in table.columns if name not in ("file", "genre", "reason")]
    values = table.loc[0, columns].astype(float)
    assert values.sum() == pytest.approx(1)
    for name in columns:  # the same audio gives the same answer as in the evaluation
        assert values[name] == pytest.approx(test[f"p_{name}"], abs=1e-5)
    project.run("--pipeline=predict", audio="new/song.mp3")
    assert len(pd.read_csv(project.path / "data/07_model_output/audio_predictions.csv")) == 1


def test_sigterm_in_training_checkpoints_and_ends_killed(project: Project) -> None:
    params = {"tasks": "g", "architecture": "stn", "training__epochs": 5000, "tracking": "true"}
    process = project.start(JOB, **params, training__checkpoint_every_s=0.5)
    deadline = time.monotonic() + 240
    while not list(project.path.glob("data/cache/nets/*/*.safetensors")):
        assert process.poll() is None, "the run ended before it could be stopped"
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    with sqlite3.connect(project.path / "mlflow.db") as database:
        assert database.execute("select status from runs").fetchall() == [("KILLED",)]


def test_a_net_is_trained_by_two_processes_in_one_run(finished: Project, project: Project) -> None:
    for name in ("01_raw", "cache/mel"):
        shutil.copytree(finished.path / "data" / name, project.path / "data" / name)
    params = {"tasks": "g", "training__distributed__processes": 2}
    project.run(JOB, **params)
    (net,) = json.loads((project.path / "data/06_models/nets_weights.json").read_text())["folds"]["0"]
    alone = json.loads((finished.path / "data/06_models/genre_net_weights.json").read_text())["folds"]["0"]
    assert net["tasks"] == "g"
    assert Path(net["folder"]).name not in {Path(other["folder"]).name for other in alone}
    assert (project.path / net["folder"] / "manifest.json").is_file()
    assert len(project.table("transfer_predictions_table"))


def test_a_batch_that_cannot_be_shared_is_refused(project: Project) -> None:
    done = project.run(JOB, check=False, training__distributed__processes=3)
    said = " ".join(done.stderr.split())
    assert done.returncode == 1
    assert "batch=8 cannot be shared by 3 processes (training.distributed)" in said
