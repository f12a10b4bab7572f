"""What is learned does not change when the songs of artists that nothing may learn from are replaced by noise."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.pipelines.conftest import Project
from tests.pipelines.recognition_problem import BLOCK, FRAMES, corpus, drawn, sets_of
from tests.pipelines.test_recognition import SMALL

from artist_transfer.pipelines.recognition import fusions
from artist_transfer.pipelines.recognition.backends import Learned, discriminated, vector_scores
from artist_transfer.pipelines.recognition.fitting import fit_frame_models
from artist_transfer.pipelines.recognition.params import RecognitionBlock
from artist_transfer.pipelines.recognition.protocols import protocols_of
from artist_transfer.pipelines.recognition.reports import shared_with_training

MODELS = BLOCK.model_copy(
    update={
        "ubm": BLOCK.ubm.model_copy(update={"mixtures": 4, "iterations": 3, "coefficients": 6}),
        "ivector": BLOCK.ivector.model_copy(update={"dimension": 3, "iterations": 2}),
        "s_norm": True,
    }
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, set[str]]]:
    """Give sets, songs of the trials, and all tracks by side: train, validation, test."""
    songs, _, _, held = drawn(tmp_path_factory.mktemp("trials"))
    usable, _ = corpus()
    sides = {str(side): set(rows["track_id"]) for side, rows in held.groupby("side")}
    return sets_of(usable, held), songs, sides


class Sounds:
    """Spectrograms of the ismir front end; those of some songs are loud noise instead."""

    def __init__(self, poisoned: Collection[str]) -> None:
        self.poisoned = poisoned

    def frames(self, track_id: str, /) -> np.ndarray:
        own = np.random.default_rng(list(track_id.encode()))
        level = own.uniform(0.2, 1.0, 128) + 0.2 * own.standard_normal((60, 128))
        if track_id in self.poisoned:
            level = 3 + own.standard_normal((90, 128))
        return np.clip(level, 0, None)


def fitted(folder: Path, sets: pd.DataFrame, poisoned: Collection[str]) -> dict[str, str]:
    """Fit the models of frames, and give the hash of every file by its place."""
    from artist_transfer.recognition.frames_file import write_song_frames

    usable, _ = corpus()
    place = folder / "frames"  # of one name, so that only what is in it can make a difference
    write_song_frames(Sounds(poisoned), usable["track_id"], place, coefficients=6, key="poisoned" if poisoned else "")
    frames = {"self": FRAMES["self"] | {"folder": str(place)}}
    manifest, table = fit_frame_models(sets, frames, MODELS, 0, "cpu", 1, str(folder / "cache"))
    (entry,) = manifest["models"]
    assert entry["skipped"] == {} and len(table) >= 5
    return hashes(folder / "cache")


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_models_of_frames_learn_from_training_artists_alone(
    parts: tuple[pd.DataFrame, pd.DataFrame, dict[str, set[str]]], tmp_path: Path
) -> None:
    sets, _, sides = parts
    plain = fitted(tmp_path / "plain", sets, ())
    assert any("ubm" in name for name in plain) and any("total_variability" in name for name in plain)
    for side in ("test", "validation"):
        assert fitted(tmp_path / side, sets, sides[side]) == plain
    one = min(sides["train"])
    assert fitted(tmp_path / "train", sets, {one}) != plain  # a single song that is learned from makes a difference


def scored(
    learned: Learned, poisoned: Collection[str], recognition: RecognitionBlock
) -> Iterator[tuple[str, tuple[str, str], np.ndarray]]:
    """Score vectors in every way that fits something to them."""
    import torch

    from artist_transfer.evaluation.embeddings import Embeddings

    def never(scoring: str, reason: str) -> None:
        raise AssertionError(f"{scoring} was not possible: {reason}")

    usable, _ = corpus()
    ids = tuple(usable["track_id"])
    encoders: dict[str, dict[str, Embeddings]] = {}
    for number, name in enumerate(("net", "ivector")):
        rows = []
        for track in ids:
            of_artist, of_song = (np.random.default_rng([number, *text.encode()]) for text in (track[:3], track))
            row = of_artist.standard_normal(6) + 0.5 * of_song.standard_normal(6)
            rows.append(1e3 * of_song.standard_normal(6) + 1e4 if track in poisoned else row)
        encoders[name] = {"self": Embeddings(ids, np.stack(rows))}
    encoders["early"] = fusions.early(encoders["net"], encoders["ivector"], learned)
    encoders["discriminated"] = discriminated(encoders["net"], learned, 3)
    for name, vectors in encoders.items():
        found = vector_scores(vectors, learned, recognition, device=torch.device("cpu"), skip=never)
        for scoring, cells in found.items():
            for cell, matrix in cells.items():
                yield f"{name}.{scoring}", cell, matrix


@pytest.mark.parametrize(("poisoned", "kept"), [("test", "validation"), ("validation", "test")])
def test_backends_learn_from_training_artists_alone(
    parts: tuple[pd.DataFrame, pd.DataFrame, dict[str, set[str]]], poisoned: str, kept: str
) -> None:
    sets, songs, sides = parts
    artists = dict(zip(sets["track_id"], sets["artist_id"], strict=True))
    cells = {("self", role): protocols_of(songs, "self", role)[0] for role in ("validation", "test")}
    learned = Learned(tuple(sorted(artists)), artists, cells)
    plain = {(system, cell): matrix for system, cell, matrix in scored(learned, (), MODELS)}
    assert len(plain) == 4 * 4 * 2
    for system, cell, matrix in scored(learned, sides[poisoned], MODELS):
        same = np.array_equal(matrix, plain[system, cell])
        assert same == (cell[1] == kept), (system, cell)


def json_of(project: Project, name: str) -> Any:
    (path,) = project.path.glob(f"data/0*/{name}.json")
    return json.loads(path.read_text())


def learned_files(project: Project) -> dict[str, dict[str, str]]:
    """Hash what was fitted, by what it is."""
    found = {}
    for net in json_of(project, "artist_nets_manifest")["nets"]:
        files = hashes(project.path / net["folder"])
        found[f"{net['kind']}, fold {net['fold']}"] = {k: v for k, v in files.items() if k.endswith(".safetensors")}
    for entry in json_of(project, "frame_models_manifest")["models"]:
        for name in ("ubm", "ivector"):
            files = hashes(project.path / entry[name])
            found[f"{name}, fold {entry['fold']}"] = {k: v for k, v in files.items() if k.endswith(".safetensors")}
    return found


@pytest.mark.slow
def test_a_run_whose_unseen_artists_are_noise_learns_the_same(tmp_path: Path) -> None:
    """Nets, mixtures and total variability to the byte; and every validation score, so all that is fitted for it."""
    import soundfile

    from artist_transfer.corpora.synthetic import SyntheticParams, generate

    params = SyntheticParams(genres=3, artists_per_genre=5, tracks_per_artist=4, seconds=4.0, defects=False)
    music, projects = generate(tmp_path / "music", params, n_workers=1), []
    options = {"corpus": "fma", "recognition__s_norm": "true", "recognition__discriminant": 3}
    for name in ("plain", "noise"):
        if name == "noise":
            split, tracks = projects[0].table("split_table"), projects[0].table("usable_table")
            unseen = split.loc[split["side"].isin(["test", "unseen"]), "track_id"]
            shutil.copytree(music, tmp_path / "noise_music")
            music = tmp_path / "noise_music"
            for number, path in enumerate(tracks.loc[tracks["track_id"].isin(unseen), "path"]):
                (file,) = music.rglob(Path(path).name)
                noise = np.random.default_rng(number).uniform(-0.5, 0.5, 4 * 44100)
                soundfile.write(file, noise, 44100, format="MP3")
            assert number > 5
        projects.append(Project.copy(tmp_path / name))
        projects[-1].run("--pipeline=artist_recognition", corpus_root=music, **{**SMALL, **options})
    plain, noise = projects
    assert len(learned_files(plain)) == 3 and all(learned_files(plain).values())
    assert learned_files(noise) == learned_files(plain)
    lists = [json_of(project, "recognition_scores_manifest")["scores"] for project in projects]
    assert len(lists[0]) == len(lists[1]) > 40
    for one, other in zip(*lists, strict=True):
        assert (one["system"], one["role"]) == (other["system"], other["role"])
        own, its = (np.load(project.path / row["file"]) for project, row in ((plain, one), (noise, other)))
        assert np.array_equal(own, its) == (one["role"] == "validation"), one["system"]
    chosen = [json_of(project, "recogniser_manifest") for project in projects]
    facts = [json.loads((p.path / c["folder"] / "recogniser.json").read_text()) for p, c in zip(projects, chosen)]
    assert facts[0]["calibration"] == facts[1]["calibration"]


def test_what_trials_share_with_training_is_said(parts: tuple[pd.DataFrame, pd.DataFrame, dict[str, set[str]]]) -> None:
    sets, songs, sides = parts
    usable, _ = corpus()
    assert shared_with_training(usable, sets, songs) == []
    tested = songs.loc[(songs["role"] == "test") & (songs["part"] == "enrol"), "track_id"].iloc[0]
    learned = usable["track_id"] == min(sides["train"])
    copies = usable.copy()
    copies.loc[copies["track_id"] == tested, "audio_hash"] = usable.loc[learned, "audio_hash"].iloc[0]
    (said,) = shared_with_training(copies, sets, songs)
    assert said.startswith("Fold 0: 1 exact duplicates stand both in training and in the test trials")
    held = songs.loc[songs["role"] == "validation", "track_id"].iloc[0]
    more = pd.concat([sets, sets.iloc[:1].assign(track_id=held)])
    said = " ".join(shared_with_training(usable, more, songs))
    for kind in ("artists", "recordings", "exact duplicates"):
        assert f"1 {kind} stand both in training and in the validation trials" in said
    assert "test trials" not in said
