"""A small corpus of recognition, its trials, and scores of systems on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.pipelines.recognise.recogniser import Recogniser
from artist_transfer.pipelines.recognition.params import RecognitionBlock
from artist_transfer.pipelines.recognition.protocols import draw_trials, hold_out_artists, protocols_of
from artist_transfer.recognition.calibration import Calibration

ENROL, TEST = 2, 1
BLOCK = RecognitionBlock.model_validate(
    {"protocol": {"enrol": ENROL, "test": TEST, "validation_share": 0.4}, "resamples": 100}
)
FRAMES = {"self": {"folder": "", "left_out": {}}}


def corpus(artists: int = 12, songs: int = 4) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = [f"a{k:02d}" for k in range(artists)]
    rows = [(f"{name}-{k}", name) for name in names for k in range(songs)]
    usable = pd.DataFrame(rows, columns=["track_id", "artist_id"]).assign(
        artist=lambda t: t["artist_id"].str.upper(),
        recording_id=lambda t: t["track_id"],
        album_id=None,
        audio_hash=lambda t: "h" + t["track_id"],
        genre_top=None,
        official_split=None,
        path=lambda t: t["track_id"] + ".ogg",
        n_frames=200,
    )
    side = np.where(usable["artist_id"] < "a08", "train", "test")
    return usable, pd.DataFrame({"track_id": usable["track_id"], "fold": 0, "side": side})


def sets_of(usable: pd.DataFrame, split: pd.DataFrame) -> pd.DataFrame:
    train = split.loc[split["side"] == "train", "track_id"]
    rows = usable[usable["track_id"].isin(train)][["artist_id", "track_id"]]
    return rows.assign(fold=0, kind="artist", set=rows["artist_id"].nunique(), position=1, side="train")


def drawn(folder: Path) -> tuple[pd.DataFrame, dict, dict, pd.DataFrame]:
    usable, split = corpus()
    held = hold_out_artists(usable, split, FRAMES, BLOCK, 0)
    songs, lists, facts = draw_trials(usable, held, sets_of(usable, held), FRAMES, BLOCK, 0, str(folder))
    return songs, lists, facts, held


def manifest(folder: Path, systems: dict[tuple[str, str, int], float], songs: pd.DataFrame) -> dict:
    """Write scores whose targets lie so many deviations above the others."""
    rows = []
    for number, ((encoder, scoring, size), gap) in enumerate(systems.items()):
        for role in ("validation", "test"):
            targets = protocols_of(songs, "self", role)[0].targets()
            noise = np.random.default_rng([number, role == "test"]).standard_normal(targets.shape)
            file = folder / f"{number}_{role}.npy"
            np.save(file, noise + gap * targets)
            row = {"system": f"{encoder}.{scoring}" if scoring else encoder, "encoder": encoder, "scoring": scoring}
            rows.append(
                row | {"artists": size, "fold": 0, "trial": None, "target": "self", "role": role, "file": str(file)}
            )
    return {"scores": rows}


def recogniser(known: list[float], unknown: list[float]) -> Recogniser:
    songs = Embeddings(("s0", "s1"), np.eye(2))
    return Recogniser(
        songs=songs,
        enrolments={"a": ["s0"], "b": ["s1"]},
        names={"a": "Anna", "b": "Bert"},
        calibration=Calibration(10.0, -5.0),
        plda=None,
        enrolment="average",
        known=np.array(known),
        unknown=np.array(unknown),
    )
