"""Scoring of systems on a target: floors, identification, tags of all folds, discriminants; without a net or audio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.pipelines.artist_evaluation.items import CHANCE, PRIOR, Heard
from artist_transfer.pipelines.artist_evaluation.nodes import flat_scores
from artist_transfer.pipelines.artist_evaluation.params import ArtistEvaluationBlock
from artist_transfer.pipelines.artist_evaluation.scoring import evaluate, score_tables
from artist_transfer.pipelines.artist_evaluation.systems import System, projected_systems
from artist_transfer.pipelines.artist_evaluation.targets import Target

ARTISTS, SONGS, FOLDS = 24, 4, 2
BLOCK = ArtistEvaluationBlock(trials=1, max_epochs=30, hidden="8", resamples=100)


def corpus(*, tags: bool = False) -> Target:
    """Artists of three genres, the halves tested in turn; song k of all artists is clip of a recording of its own."""
    rows = [(f"t{a:02d}{k}", f"a{a:02d}", f"genre {a % 3}", a % FOLDS) for a in range(ARTISTS) for k in range(SONGS)]
    table = pd.DataFrame(rows, columns=["track_id", "artist_id", "genre_top", "half"])
    table["recording_id"] = table["track_id"]
    table["genres"] = [[g, *(["odd"] if k % 2 else [])] if tags else [] for k, g in enumerate(table["genre_top"])]
    split = pd.concat(
        table[["track_id"]].assign(fold=fold, side=np.where(table["half"] == fold, "test", "train"))
        for fold in range(FOLDS)
    )
    if tags:
        table["genre_top"] = None
    return Target("self", table.drop(columns="half"), {}, split, own=True)


def vectors_of(target: Target, *, skill: float, seed: int = 0) -> Embeddings:
    """A direction for each artist and, less so, its genre, with noise."""
    draw = np.random.default_rng(seed)
    artists, genres = draw.normal(size=(ARTISTS, 16)), draw.normal(size=(3, 16))
    place = np.arange(ARTISTS).repeat(SONGS)
    x = skill * (artists[place] + genres[place % 3]) + draw.normal(size=(len(place), 16))
    return Embeddings(tuple(target.usable_table["track_id"]), x.astype(np.float32))


def heard(target: Target, name: str, skill: float, fold: int | None = None, trial: int = 0) -> Heard:
    return Heard(name, fold, trial, lambda _: vectors_of(target, skill=skill, seed=trial))


def scores_of(target: Target, systems: list[Heard]) -> pd.DataFrame:
    items = evaluate(target, systems, BLOCK)
    names = {one.system: {"net": one.system} for one in systems} | {name: {"net": name} for name in (CHANCE, PRIOR)}
    table, comparisons = score_tables(items, target, names, BLOCK)
    assert set(comparisons["metric"]) == set(table["metric"])
    return table


def test_every_score_stands_beside_chance_or_prior_on_the_same_tracks() -> None:
    target = corpus()
    table = scores_of(target, [heard(target, "deaf", 0.0), heard(target, "keen", 3.0)])
    whole = table[table["of"] == "overall"].set_index(["metric", "system"])
    floors = {
        "map": CHANCE, "artist_map": CHANCE, "artist_top1": CHANCE, "artist_top5": CHANCE, "knn_accuracy": PRIOR,
        "softmax_accuracy": PRIOR, "logistic_accuracy": PRIOR, "neural_accuracy": PRIOR,
    }  # fmt: skip
    assert set(whole.index) == {(m, s) for m, floor in floors.items() for s in ("deaf", "keen", floor)}
    assert whole["n_items"].nunique() == 1 and set(whole["unit"]) == {"artist"}
    for metric, floor in floors.items():
        assert whole.loc[(metric, "keen"), "low"] > whole.loc[(metric, floor), "value"]
    candidates = ARTISTS // FOLDS
    assert whole.loc[("artist_top1", CHANCE), "value"] == pytest.approx(1 / candidates)
    assert whole.loc[("artist_top5", CHANCE), "value"] == pytest.approx(5 / candidates)
    assert whole.loc[("knn_accuracy", PRIOR), "value"] == pytest.approx(1 / 3)
    assert whole.loc[("artist_top1", "keen"), "value"] <= whole.loc[("artist_top5", "keen"), "value"]


def test_a_discriminant_is_compared_with_its_net_and_a_net_with_all_others_and_the_floor() -> None:
    target = corpus()
    names = ["a", "b", "a + discriminant", "b + discriminant"]
    items = evaluate(target, [heard(target, name, 1.0, trial=k) for k, name in enumerate(names)], BLOCK)
    _, table = score_tables(items, target, {name: {"net": name} for name in (*names, CHANCE, PRIOR)}, BLOCK)
    pairs = [*zip(table["first"], table["second"], strict=True)]
    floor = {"map": CHANCE, "knn_accuracy": PRIOR}
    for metric in floor:
        assert {pair for pair, of in zip(pairs, table["metric"], strict=True) if of == metric} == {
            ("a", "b"), ("a + discriminant", "a"), ("b + discriminant", "b"),
            ("a", floor[metric]), ("b", floor[metric]),
        }  # fmt: skip


def test_identification_leaves_the_song_out_of_its_own_average() -> None:
    target = corpus()
    ids = tuple(target.usable_table["track_id"])
    alone = Embeddings(ids, np.eye(len(ids), dtype=np.float32))  # every song is like itself and nothing else
    items = evaluate(target, [Heard("alone", None, 0, lambda _: alone)], BLOCK)
    found = items.of("artist_top1")["alone"].set_index("track_id")["value"]
    # all cosines are 0 but those with averages that hold the song, and its own does not: only the first by id is right
    assert found[found == 1].index.str.slice(1, 3).unique().tolist() == ["00", "01"]


def test_of_few_artists_the_first_five_are_not_scored() -> None:
    target = corpus()
    few = target.usable_table["artist_id"].isin(["a00", "a02", "a04", "a01", "a03"])
    kept = target.usable_table[few]
    small = Target(
        "self", kept, {}, target.split_table[target.split_table["track_id"].isin(kept["track_id"])], own=True
    )
    x = vectors_of(target, skill=1.0)
    part = Embeddings(tuple(kept["track_id"]), x.of(list(kept["track_id"])))
    items = evaluate(small, [Heard("net", None, 0, lambda _: part)], BLOCK)
    assert "artist_top5" not in items.values
    assert "one training artist only" in items.skipped["softmax_accuracy of net"]  # named, and the rest goes on
    assert {name for name in items.skipped if "top5" in name} == {"artist_top5, fold 0", "artist_top5, fold 1"}


def test_tags_of_all_folds_and_nets_are_scored_by_both_probes() -> None:
    target = corpus(tags=True)
    systems = [heard(target, "net", 3.0, fold, trial) for fold in range(FOLDS) for trial in range(2)]
    items = evaluate(target, systems, BLOCK)
    for prefix in ("", "neural_"):
        folds = items.tags_of(prefix)["net"]
        assert [len(fold.scores) for fold in folds] == [2, 2]
        assert sorted(x for fold in folds for x in fold.track_ids) == target.usable_table["track_id"].tolist()
    table = scores_of(target, systems)
    whole = table[table["of"] == "macro"].set_index(["metric", "system"])["value"]
    for metric in ("auc", "neural_auc"):
        assert whole[metric, PRIOR] == pytest.approx(0.5)
        assert whole[metric, "net"] > 0.7


@dataclass(frozen=True)
class Given:
    """Vectors that need no net."""

    found: Embeddings

    def vectors(self, named: object, target: Target) -> Embeddings:
        return self.found


def test_the_discriminant_is_fitted_on_the_songs_of_the_net_and_stands_beside_it() -> None:
    target = corpus()
    embeddings = vectors_of(target, skill=1.0)
    sets = target.usable_table.assign(kind="artist", set=12, side="train", position=1)
    sets = pd.concat(
        sets[sets["artist_id"].isin(own)].assign(fold=f) for f, own in enumerate((["a01", "a03"], ["a00"]))
    )
    block = BLOCK.model_copy(update={"discriminant": 1})
    plain = System("basic-12", None, "basic", 12, 0, 0)  # type: ignore[arg-type]
    (one,), skipped = projected_systems([plain], target, sets, block, Given(embeddings))  # type: ignore[arg-type]
    assert (one.name, one.kind, one.artists, one.fold) == ("basic-12 + discriminant", "basic + discriminant", 12, 0)
    assert not skipped
    assert one.discriminant is not None
    assert (one.discriminant.card["n_artists"], one.discriminant.card["n_tracks"]) == (2, 2 * SONGS)
    learned = [track for track in embeddings.track_ids if track[:3] in ("t01", "t03")]
    np.testing.assert_allclose(one.discriminant.mean, embeddings.of(learned).mean(axis=0), atol=1e-6)
    released = System("released", None, "released", 10_000, None, 0)  # type: ignore[arg-type]
    both, _ = projected_systems([released], target, sets, block, Given(embeddings))  # type: ignore[arg-type]
    assert [(each.fold, each.discriminant.card["n_artists"]) for each in both if each.discriminant] == [
        (0, 12),
        (1, 12),
    ]


def test_a_discriminant_that_cannot_be_fitted_is_named() -> None:
    target = corpus()
    sets = target.usable_table.assign(kind="artist", set=1, side="train", fold=0)
    sets = sets[sets["artist_id"] == "a01"]
    block = BLOCK.model_copy(update={"discriminant": 1})
    plain = System("basic-1", None, "basic", 1, 0, 0)  # type: ignore[arg-type]
    found, skipped = projected_systems([plain], target, sets, block, Given(vectors_of(target, skill=1.0)))  # type: ignore[arg-type]
    assert not found
    assert "at least two artists" in skipped["basic-1 + discriminant"]


def test_names_of_metrics_are_such_as_mlflow_takes() -> None:
    row = {"target": "self", "system": "tag-3 + discriminant", "metric": "map", "of": "overall"}
    found = flat_scores(pd.DataFrame([row | {"value": 0.5, "low": 0.4, "high": 0.6}]))
    assert found == {
        "self.tag-3-with-discriminant.map": 0.5,
        "self.tag-3-with-discriminant.map_low": 0.4,
        "self.tag-3-with-discriminant.map_high": 0.6,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden": "512+0"},
        {"hidden": "wide"},
        {"logistic_c": 0},
        {"discriminant_shrinkage": 0.1},
        {"discriminant_solver": "eigen", "discriminant_shrinkage": 1.5},
    ],
)
def test_impossible_probes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ArtistEvaluationBlock(**wrong)  # type: ignore[arg-type]
