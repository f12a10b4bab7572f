"""Odd cases of scoring a target: they are named and counted, and the rest goes on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from artist_transfer.corpora.leakage import leakage_report
from artist_transfer.corpora.splits import make_split
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.retrieval import average_precisions
from artist_transfer.pipelines.artist_evaluation.items import CHANCE, PRIOR, Heard, Items
from artist_transfer.pipelines.artist_evaluation.nodes import target_facts
from artist_transfer.pipelines.artist_evaluation.params import ArtistEvaluationBlock
from artist_transfer.pipelines.artist_evaluation.scoring import TOO_SHORT, ZERO, evaluate, score_tables
from artist_transfer.pipelines.artist_evaluation.targets import Target, own_split
from artist_transfer.pipelines.artist_evaluation.told import alarms

BLOCK = ArtistEvaluationBlock(trials=1, max_epochs=5, hidden=None, logistic_c=None, resamples=100)
WIDTH = 8


def corpus(*, artists: int = 12, genres: int = 2, songs: int = 4, clips: int = 1) -> pd.DataFrame:
    """Artists of one genre each, with songs of one or several clips."""
    rows = [
        (f"{a:03d}{s}{c}", f"a{a}", f"{a:03d}{s}", f"g{a % genres}")
        for a in range(artists)
        for s in range(songs)
        for c in range(clips)
    ]
    table = pd.DataFrame(rows, columns=["track_id", "artist_id", "recording_id", "genre_top"])
    return table.assign(genres=[[] for _ in rows], official_split=None, audio_hash=table["track_id"], album_id=None)


def target_of(table: pd.DataFrame, *, folds: int = 2) -> Target:
    split, official = own_split(table, folds=folds, seed=0)
    return Target("other", table, {}, split, own=False, official=official)


def noise(table: pd.DataFrame, seed: int = 0) -> Embeddings:
    return Embeddings(tuple(table["track_id"]), np.random.default_rng(seed).normal(size=(len(table), WIDTH)))


def scored(target: Target, **systems: Embeddings) -> tuple[Items, pd.DataFrame]:
    items = evaluate(target, [Heard(name, None, 0, lambda _, own=own: own) for name, own in systems.items()], BLOCK)
    names = {name: {"net": name} for name in (*systems, CHANCE, PRIOR)}
    return items, score_tables(items, target, names, BLOCK)[0]


def value(table: pd.DataFrame, metric: str, system: str) -> float:
    rows = table[(table["metric"] == metric) & (table["system"] == system) & table["of"].isin(["overall", "macro"])]
    return float(rows["value"].item())


def test_genre_and_tags_are_scored_both() -> None:
    table = corpus()
    table["genres"] = [["slow"] if k % 3 else ["fast", "loud"] for k in range(len(table))]
    items, scores = scored(target_of(table), net=noise(table))
    assert {"map", "knn_accuracy", "softmax_accuracy", "auc", "ap", "artist_map"} <= set(scores["metric"])
    assert not {"genre", "tags"} & set(items.skipped)
    only = evaluate(
        target_of(table), [Heard("net", None, 0, lambda _: noise(table))], BLOCK.model_copy(update={"tags": False})
    )
    assert not only.tags and "artist_evaluation.tags" in only.skipped["tags"]


def test_what_a_corpus_has_not_is_said() -> None:
    table = corpus().assign(genre_top=None)
    table["genres"] = [["slow"] if k % 3 else ["fast"] for k in range(len(table))]
    items, scores = scored(target_of(table), net=noise(table))
    assert "genre" in items.skipped and "map" not in set(scores["metric"]) and "auc" in set(scores["metric"])
    items, _ = scored(target_of(corpus()), net=noise(corpus()))
    assert "tags" in items.skipped


def test_other_clips_of_a_recording_are_no_hits_for_its_genre() -> None:
    table = corpus(clips=3)
    draw, recordings = np.random.default_rng(0), table["recording_id"]
    of_recording = {name: draw.normal(size=WIDTH) for name in recordings.unique()}
    vectors = Embeddings(tuple(table["track_id"]), np.stack([of_recording[name] for name in recordings]))
    target = target_of(table)
    items, scores = scored(target, net=vectors)
    assert value(scores, "map", "net") == pytest.approx(value(scores, "map", CHANCE), abs=0.06)  # with them 0.2 above
    genres, own = target.labels("genre_top"), target.labels("recording_id")
    tested = Embeddings(tuple(ids := target.sides(0)["test"]), vectors.of(ids))
    expected = average_precisions(tested, genres, leave_out=[own]).table.set_index("track_id")["ap"]
    found = items.of("map")["net"].set_index("track_id")["value"].loc[ids]
    np.testing.assert_allclose(found, expected.loc[ids])


def test_tracks_with_a_zero_vector_are_left_out_of_all_systems_by_name() -> None:
    table = corpus()
    good, bad = noise(table), noise(table, 1)
    bad.vectors[3] = 0
    items, scores = scored(target_of(table), good=good, bad=bad)
    assert items.tracks == {ZERO: {table["track_id"][3]}} and items.counts[ZERO] == 1
    whole = scores[scores["of"] == "overall"]
    assert set(whole["n_items"]) == {len(table) - 1} and {"good", "bad"} <= set(whole["system"])


def test_a_dead_net_is_left_out_and_the_others_are_not() -> None:
    table = corpus()
    dead = Embeddings(tuple(table["track_id"]), np.zeros((len(table), WIDTH)))
    items, scores = scored(target_of(table), good=noise(table), dead=dead)
    assert "dead net" in items.skipped["dead"] and "dead" not in set(scores["system"])
    assert set(scores[scores["of"] == "overall"]["n_items"]) == {len(table)}


def test_tracks_that_some_system_cannot_hear_are_scored_by_none() -> None:
    table = corpus()
    part = Embeddings(tuple(table["track_id"][2:]), noise(table).vectors[2:])
    items, scores = scored(target_of(table), all=noise(table), part=part)
    assert items.tracks == {TOO_SHORT: set(table["track_id"][:2])}
    assert set(scores[scores["of"] == "overall"]["n_items"]) == {len(table) - 2}


def test_labels_of_one_artist_each_end_no_run() -> None:
    table = corpus(artists=10, genres=10)
    _, scores = scored(target_of(table), net=noise(table))
    assert "artist_map" in set(scores["metric"])


def test_tags_that_every_track_has_end_no_run() -> None:
    table = corpus().assign(genre_top=None)
    table["genres"] = [["music"]] * len(table)
    items, scores = scored(target_of(table), net=noise(table))
    assert "artist_map" in set(scores["metric"]) and "auc" not in set(scores["metric"])
    assert any("none of 1 can be learned" in reason for reason in items.skipped.values())
    # learnt in training, had by no test track: none of the tags has both
    sides = ["training"] * 32 + ["test"] * 16
    table = table.assign(official_split=sides, genres=[["slow"] if k % 3 and k < 32 else [] for k in range(48)])
    items, scores = scored(target_of(table), net=noise(table))
    assert "both positive and negative" in items.skipped["tags"] and "artist_map" in set(scores["metric"])
    assert items.told_tags([0])["not scored"] == {"slow": "no test track has it"}


def test_counts_are_sums_over_the_folds_and_not_over_systems() -> None:
    table = corpus(artists=12)
    table.loc[table["track_id"].str.endswith("00"), "genre_top"] = None  # a song of every artist
    items, _ = scored(target_of(table, folds=3), one=noise(table), two=noise(table, 1))
    assert items.counts["test tracks without a genre"] == 12


def test_tags_that_are_not_scored_are_named_with_the_fold() -> None:
    table = corpus().assign(genre_top=None)
    tested = set(target_of(table).sides(0)["test"])
    rare = sorted(tested)[:3]
    table["genres"] = [
        ["slow" if k % 3 else "fast", *(["rare"] if track in rare else [])] for k, track in enumerate(table["track_id"])
    ]
    target = target_of(table)
    items, _ = scored(target, net=noise(table))
    told = target_facts(target, items)["tags"]
    assert told["test tracks of tags that training lacks"] == {"rare": 3}
    assert "no training track has it (fold 0)" in told["not scored"]["rare"]
    assert "no test track has it (fold 1)" in told["not scored"]["rare"]


@pytest.mark.parametrize(("kind", "told"), [("stratified", 1), ("artist_disjoint", 0)])
def test_artists_on_both_sides_of_the_split_are_told_in_the_report(kind: str, told: int) -> None:
    table = corpus()
    found = alarms(leakage_report(table, make_split(table, kind=kind, seed=0, test_share=0.25)), {})
    assert len(found) == told
    assert all("artists stand both in training and in test" in each and "optimistic" in each for each in found)
