"""Targets: how they are split, which lists they have, what of these is missing, and how it is told."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.pipelines.test_artist_odd_cases import corpus, noise, scored

from artist_transfer.corpora.leakage import leakage_report
from artist_transfer.corpora.splits import make_split, split_hash
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning
from artist_transfer.pipelines.artist_evaluation import told
from artist_transfer.pipelines.artist_evaluation.nodes import target_facts
from artist_transfer.pipelines.artist_evaluation.targets import Target, open_targets, own_split, save_target
from artist_transfer.reporting.artist_views import lists_view, missing_note, view_of_nets

LISTS = {"name": "gtzan, fault-filtered", "entries": 930, "sha256": "ab" * 32, "as_published": True}
FACTS: dict[str, Any] = {"corpus": "gtzan", "root": "x", "notes": {}, "lists": LISTS, "left_out": 3, "quarantined": 2}


def listed() -> pd.DataFrame:
    """48 of 930 tracks, 8 of which are on no list."""
    table = corpus()
    sides = ["training"] * 24 + ["validation"] * 4 + ["test"] * 12 + [None] * 8
    return table.assign(official_split=sides)


def opened(cache: Path, *names: str) -> list[Target]:
    return list(open_targets(names, cache_root=str(cache), own=None, folds=3, seed=0))


def test_a_target_is_split_by_its_list_else_by_artist_else_by_genre() -> None:
    split, official = own_split(listed(), folds=3, seed=0)
    assert official and split["side"].value_counts().to_dict() == {
        "train": 24,
        "test": 12,
        "unused": 8,
        "validation": 4,
    }
    split, official = own_split(corpus(), folds=3, seed=0)
    artist = corpus().set_index("track_id")["artist_id"]
    tested = split[split["side"] == "test"]
    assert not official and sorted(tested["track_id"]) == sorted(artist.index)
    for _, rows in split.groupby("fold"):
        of = {side: set(artist[own["track_id"]]) for side, own in rows.groupby("side")}
        assert not of["train"] & of["test"]
    split, official = own_split(corpus().assign(artist_id=None), folds=3, seed=0)
    assert not official and split["fold"].unique().tolist() == [0]
    assert 0.15 < (split["side"] == "test").mean() < 0.35


def test_songs_that_a_list_has_on_two_sides_are_trained_on_and_told(tmp_path: Path) -> None:
    table = listed()
    place = {side: list(table.index[table["official_split"] == side]) for side in ("training", "validation", "test")}
    table.loc[place["test"][0], "audio_hash"] = table.loc[place["training"][0], "audio_hash"]
    table.loc[place["test"][1], "recording_id"] = table.loc[place["validation"][0], "recording_id"]
    table.loc[47, "recording_id"] = table.loc[place["test"][2], "recording_id"]  # on no list
    save_target(str(tmp_path), "gtzan", table, {"front_end": {}}, FACTS)
    with pytest.warns(ArtistTransferWarning, match="target gtzan, official split: 5 tracks moved to training"):
        (target,) = opened(tmp_path, "gtzan")
    shared = leakage_report(table, target.split_table).set_index("kind")
    assert not shared.loc[["recordings", "exact duplicates"], ["shared_test", "shared_validation"]].any(axis=None)
    with pytest.warns(ArtistTransferWarning, match="5 tracks"):
        own = make_split(table, kind="official", seed=0)
    assert dict(zip(own["track_id"], own["side"])) == dict(zip(table["track_id"], target.split_table["side"]))
    items, _ = scored(target, net=noise(table))
    facts = target_facts(target, items)
    assert facts["moved"] == target.moved == 5
    sets = {"skipped": {}, "list": {"read": None, "not_written": None}}
    assert any(
        each.startswith("Target gtzan: 5 tracks are in training")
        for each in told.notes(sets, {"gtzan": facts | {"skipped": {}}})
    )


def test_a_list_without_such_songs_moves_nothing(tmp_path: Path) -> None:
    save_target(str(tmp_path), "gtzan", listed(), {"front_end": {}}, FACTS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (target,) = opened(tmp_path, "gtzan")
    assert target.moved == 0 and not opened_without_list(tmp_path).moved


def opened_without_list(folder: Path) -> Target:
    save_target(str(folder), "other", corpus(), {"front_end": {}}, FACTS)
    return opened(folder, "other")[0]


def test_a_target_keeps_the_hash_of_its_list_and_says_what_is_missing(tmp_path: Path) -> None:
    save_target(str(tmp_path), "gtzan", listed(), {"front_end": {}}, FACTS)
    (target,) = opened(tmp_path, "gtzan")
    assert target.list_facts == {
        "list_hash": "ab" * 32, "split_hash": split_hash(target.split_table), "listed": 930, "missing": 890,
    }  # fmt: skip
    items, scores = scored(target, net=noise(listed()))
    assert set(scores["list_hash"]) == {"ab" * 32} and set(scores["split_hash"]) == {split_hash(target.split_table)}
    facts = target_facts(target, items)
    assert facts["left_out"]["quarantined as unusable"] == 2
    assert facts["left_out"]["named by the corpus and left out by its reader"] == 3
    (row,) = told.lists({"list": {"read": None}}, {"gtzan": facts}, "own")
    assert (row["tracks"], row["missing"], row["published"], row["hash"]) == (930, 890, "yes", "ab" * 32)
    table = lists_view([row])
    assert table is not None and "890" in table.rows[0] and table.marked == {0}
    scores["n_artists_trained"] = float("nan")
    paper = view_of_nets(scores, "map")
    assert paper is not None and any("paper" in cell for cells in paper.rows for cell in cells)
    assert "890 of the 930 tracks of its list are missing here" in paper.note == paper.note.strip()
    assert not missing_note(scores.assign(missing=0.0))


def test_a_split_that_is_not_official_has_no_list(tmp_path: Path) -> None:
    own = (listed(), own_split(corpus(), folds=2, seed=0)[0], {})
    for official in (True, False):
        (target,) = open_targets(
            ("self",), cache_root=str(tmp_path), own=own, folds=2, seed=0, own_facts=FACTS, own_official=official
        )
        assert (target.lists is not None) == official == (target.list_facts["list_hash"] is not None)
    save_target(str(tmp_path), "folder", corpus(), {"front_end": {}}, {**FACTS, "lists": None})
    (target,) = opened(tmp_path, "folder")
    assert target.list_facts["list_hash"] is None and target.missing is None and target.list_facts["split_hash"]


def test_a_name_that_is_taken_by_another_list_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        save_target(str(tmp_path), "gtzan", listed(), {"front_end": {}}, FACTS)
        save_target(str(tmp_path), "gtzan", listed(), {"front_end": {}}, FACTS)
    assert not caplog.records
    other = {**FACTS, "lists": {**LISTS, "sha256": "cd" * 32}}
    with caplog.at_level(logging.WARNING):
        save_target(str(tmp_path), "gtzan", listed(), {"front_end": {}}, other)
    assert "abababababab" in caplog.text and "cdcdcdcdcdcd" in caplog.text and "cannot be compared" in caplog.text
    assert opened(tmp_path, "gtzan")[0].list_facts["list_hash"] == "cd" * 32


def test_what_is_not_embedded_is_refused_and_the_others_are_named(tmp_path: Path) -> None:
    save_target(str(tmp_path), "gtzan", listed(), {"front_end": {}}, FACTS)
    with pytest.raises(ArtistTransferError, match=r"'jamendo' is not there.*self, gtzan"):
        opened(tmp_path, "jamendo")
    for name in ("self", "a b", ""):
        with pytest.raises(ArtistTransferError, match="allowed are letters"):
            save_target(str(tmp_path), name, listed(), {}, FACTS)


def test_the_run_s_own_corpus_has_the_name_that_the_papers_know() -> None:
    table = pd.DataFrame({"target": ["self", "gtzan"]})
    assert told.with_own_name(table, "fma_small", "fma")["target"].tolist() == ["fma_small", "gtzan"]
    assert told.with_own_name(table, None, "fma")["target"].tolist() == ["fma", "gtzan"]
    assert told.with_own_name(table, "gtzan", "gtzan")["target"].tolist() == ["self", "gtzan"]  # two would be one
    assert not len(told.with_own_name(pd.DataFrame(), None, "fma"))


def test_notes_name_tracks_and_tags() -> None:
    tags = {"not scored": {"rare": "no test track has it"}, "not scored in all folds": {}}
    facts = {"skipped": {"genre": "no track has one"}, "named": {"too short": ["1", "2"]}, "tags": tags}
    sets = {"skipped": {}, "list": {"read": None, "not_written": None}}
    assert told.notes(sets, {"gtzan": facts}) == [
        "Target gtzan, genre: no track has one.",
        "Target gtzan, too short: 1, 2.",
        "Target gtzan, tags, not scored: rare (no test track has it).",
    ]
