"""What a corpus cannot carry is refused by its track table, before anything is decoded."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.pipelines.recognition_problem import BLOCK, FRAMES, corpus

from artist_transfer.errors import ArtistTransferError
from artist_transfer.pipeline_registry import pipeline_names
from artist_transfer.pipelines.artist_learning.params import ArtistStudyBlock, SetsBlock
from artist_transfer.pipelines.ingestion.nodes import ArtistCorpus
from artist_transfer.pipelines.ingestion.params import IngestionBlock
from artist_transfer.pipelines.ingestion.tries import SplitParams, try_sets, try_unseen
from artist_transfer.pipelines.recognition.protocols import hold_out_artists
from artist_transfer.pipelines.splitting.params import SplittingBlock

APART = SplitParams("artist_disjoint", SplittingBlock(test_share=0.25), 1)
OFFICIAL = SplitParams("official", SplittingBlock(), 1)
DIVISION = (2, 1, 1)


def tracks(**more: Any) -> pd.DataFrame:
    """A track table of 12 artists with 4 songs each, the last three of them tested."""
    usable, _ = corpus()
    test = usable["artist_id"] > "a08"
    side = test.map({True: "test", False: "training"})
    return usable.drop(columns=["audio_hash", "n_frames"]).assign(official_split=side, **more)


def sets(**more: Any) -> SetsBlock:
    return SetsBlock(**{"songs": 4, "division": DIVISION, **more})


def test_too_many_artists_are_told_with_what_there_is_and_true_keys() -> None:
    with pytest.raises(ArtistTransferError) as caught:
        try_sets(tracks(), APART, sets(sizes="2+13"), ["basic"])
    assert str(caught.value) == (
        "sets.sizes=2+13, but 12 artists of this corpus have sets.songs=4 songs or more, about 9 of them on the "
        "training side of split=artist_disjoint; allowed: sets.sizes up to 9, or null for all of them."
    )


def test_two_artists_are_needed_whatever_the_sizes() -> None:
    with pytest.raises(ArtistTransferError, match=r"two artists or more .* 0 artists .* allowed: fewer sets\.songs"):
        try_sets(tracks(), APART, sets(songs=5, division=(3, 1, 1)), ["siamese"])


@pytest.mark.parametrize(
    ("block", "kinds"),
    [
        (sets(sizes="12"), ["basic"]),  # no file is decoded yet: what cannot be told for certain is not refused
        (sets(), ["basic", "tag"]),
        (sets(sizes="13"), ["tag"]),  # songs of any artists
        (sets(sizes="13", artist_list="list.pkl"), ["basic"]),  # it has artists of its own
    ],
)
def test_sets_that_may_be_are_not_refused(block: SetsBlock, kinds: list[str]) -> None:
    try_sets(tracks(), APART, block, kinds)


def test_clips_of_one_recording_are_one_song() -> None:
    clips = tracks(recording_id=lambda t: t["track_id"].str.replace("-1", "-0"))
    try_sets(clips, APART, sets(songs=3, division=(1, 1, 1)), ["basic"])
    with pytest.raises(ArtistTransferError, match="0 artists of this corpus"):
        try_sets(clips, APART, sets(), ["basic"])


def test_unseen_artists_need_a_split_that_parts_them() -> None:
    try_unseen(tracks(), APART, sets(), BLOCK)
    try_unseen(tracks(), OFFICIAL, sets(), BLOCK)
    shared = tracks()
    shared.loc[0, "artist_id"] = "a10"  # three training songs of a tested artist are needed, and there is one
    try_unseen(shared, OFFICIAL, sets(songs=3, division=(1, 1, 1)), BLOCK)
    for row, artist in enumerate(["a11", "a11", "a11", "a09", "a09", "a09"]):
        shared.loc[row, "artist_id"] = artist
    with pytest.raises(ArtistTransferError) as caught:
        try_unseen(shared, OFFICIAL, sets(songs=3, division=(1, 1, 1)), BLOCK)
    for words in ("split=official: 2 artists", "(a09, a11)", "--params split=artist_disjoint"):
        assert words in str(caught.value)


@pytest.mark.parametrize("kind", ["stratified", "balanced"])
def test_no_split_that_shares_artists_gets_past_the_table(kind: str) -> None:
    balanced = {"artists": 8, "unseen_artists": 2, "songs": 4, "division": DIVISION}
    params = SplitParams(kind, SplittingBlock.model_validate({"balanced": balanced}), 1)
    with pytest.raises(ArtistTransferError, match=rf"split={kind}: .*--params split=artist_disjoint"):
        try_unseen(tracks(), params, sets(songs=2, division=(1, 1, 0)), BLOCK)


def test_too_few_artists_with_enough_songs_to_recognise_are_refused() -> None:
    table, block = tracks(), BLOCK.model_copy(update={"protocol": BLOCK.protocol.model_copy(update={"enrol": 4})})
    with pytest.raises(ArtistTransferError, match=r"protocol\.enrol=4 and recognition\.protocol\.test=1: 0 artists"):
        try_unseen(table, APART, sets(), block)
    few = table[table["artist_id"] < "a04"]
    with pytest.raises(ArtistTransferError, match="4 artists of this corpus have 3 songs or more, and 5 are needed"):
        try_unseen(few, APART, sets(), BLOCK)


@pytest.mark.parametrize(
    ("kinds", "study", "refused"),
    [
        (("basic",), "tag", True),
        (("tag",), "basic", False),
        ((), "basic+tag", True),
        ((), "tag", False),
    ],
)
def test_the_node_tries_the_kinds_of_its_job(kinds: tuple[str, ...], study: str, refused: bool, tmp_path: Path) -> None:
    tracks().to_csv(tmp_path / "tracks.csv", index=False)
    given = ("table", str(tmp_path), IngestionBlock(), 1, "artist_disjoint", SplittingBlock(), 1, None)

    def read() -> tuple[pd.DataFrame, ...]:
        return ArtistCorpus(kinds).read_corpus(*given, sets(sizes="500"), ArtistStudyBlock(kinds=study))

    if refused:
        with pytest.raises(ArtistTransferError, match=r"sets\.sizes=500"):
            read()
    else:
        assert len(read()[0]) == 48


def test_the_node_of_recognition_tries_both(tmp_path: Path) -> None:
    tracks().to_csv(tmp_path / "tracks.csv", index=False)
    given = ("table", str(tmp_path), IngestionBlock(), 1)
    read = ArtistCorpus(("basic",)).read_for_recognition
    rest = (SplittingBlock(), 1, None, sets(songs=2, division=(1, 1, 0)), ArtistStudyBlock(), BLOCK)
    assert len(read(*given, "artist_disjoint", *rest)[0]) == 48
    with pytest.raises(ArtistTransferError, match="split=stratified"):
        read(*given, "stratified", *rest)


@pytest.mark.parametrize("name", pipeline_names())
def test_every_whole_job_tries_what_its_later_nodes_need(name: str) -> None:
    nodes = {node.name: node for node in import_module(f"artist_transfer.pipelines.{name}").create_pipeline().nodes}
    if "read_corpus" in nodes:
        assert ("params:artist_study" in nodes["read_corpus"].inputs) == ("choose_sets" in nodes)
        assert ("params:recognition" in nodes["read_corpus"].inputs) == ("hold_out_artists" in nodes)


def test_after_decoding_too_few_artists_to_hold_out_are_told_by_true_keys() -> None:
    usable, split = corpus(artists=2)
    with pytest.raises(ArtistTransferError, match=r"2 artists .*recognition\.protocol\.enrol=2 .*3 or more are needed"):
        hold_out_artists(usable, split, FRAMES, BLOCK, 0)
