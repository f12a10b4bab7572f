"""What a split promises: everything once, nothing parted, the share kept, the same everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings

from artist_transfer.corpora.leakage import LEAKS, leakage_report
from artist_transfer.corpora.splits import GENRE_COVER, SIDES, BalancedParams, make_split, split_hash
from artist_transfer.corpora.table import read_table
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

GOLDEN = {
    "stratified": "fddcd36331c43009a540fc31913239edb07280a86ea955f479c86ab842592706",
    "artist_disjoint": "2b86dd505dac29317c6c8128be32ebff311553599c4d2609c72f50d92e90b352",
    "folds": "47490a8747248cb6dabf3386b86c6030c00a0d92795ebb06e17cb2a2dae60d17",
    "official": "f921413c4c509395d6bfeb2a96b0d7c5fb23e1c4375d8c27a8490d9a6916b2ff",
    "balanced": "b28a2fd5e534032226f539ee5ea453f79b88ee9684b5a74ff3c3ec7b3b6f9d26",
}
OFFICIAL = ["training", "validation", "test"]


def usable(columns: dict[str, list[object]]) -> pd.DataFrame:
    """Give a usable table with the columns that a split reads."""
    count = len(columns["track_id"])
    empty: dict[str, list[object]] = {
        name: [None] * count for name in ("artist_id", "album_id", "genre_top", "official_split")
    }
    own = {"recording_id": columns["track_id"], "audio_hash": [f"hash {i}" for i in columns["track_id"]]}
    table = pd.DataFrame(empty | own | columns)
    return table.astype(dict.fromkeys(table.columns, "str"))


def artists(sizes: dict[str, list[int]], **more: list[object]) -> pd.DataFrame:
    """Give a table with one artist of each size in each genre."""
    rows = [
        (f"{genre}-{n}-{i:02d}", f"{genre}-{n}", genre)
        for genre, counts in sizes.items()
        for n, count in enumerate(counts)
        for i in range(count)
    ]
    ids, names, genres = (list(column) for column in zip(*rows, strict=True))
    return usable({"track_id": ids, "artist_id": names, "genre_top": genres, **more})


def reference() -> pd.DataFrame:
    """Give the table of the golden hashes: sixty tracks of eight artists with every kind of gap and tie."""
    ids = range(60)
    return usable(
        {
            "track_id": [f"{i:06d}" for i in ids],
            "artist_id": [None if i % 17 == 3 else f"artist {i % 8}" for i in ids],
            "album_id": [f"album {i // 6}" if i % 2 else None for i in ids],
            "genre_top": [None if i % 19 == 5 else f"genre {i % 8 % 3}" for i in ids],
            "recording_id": [f"{i % 8 if i < 16 else i:06d}" for i in ids],
            "audio_hash": [None if i == 7 else f"h{41 if i == 48 else i}" for i in ids],
            "official_split": [OFFICIAL[i // 2 % 7 // 5 + (i % 11 == 0)] for i in ids],
        }
    )


@st.composite
def tables(draw: Callable[..., object]) -> pd.DataFrame:
    """Draw corpora with missing genres, artists and albums, recordings of several clips and duplicates."""
    count = draw(st.integers(2, 40))

    def column(values: int, missing: bool) -> list[object]:
        cell = st.integers(0, values - 1).map(str)
        return draw(st.lists(st.none() | cell if missing else cell, min_size=count, max_size=count))

    return usable(
        {
            "track_id": [f"{i:03d}" for i in range(count)],
            "artist_id": column(draw(st.integers(1, 12)), True),
            "album_id": column(6, True),
            "genre_top": column(draw(st.integers(1, 4)), True),
            "recording_id": column(draw(st.integers(2, 80)), False),
            "audio_hash": column(draw(st.integers(2, 200)), True),
            "official_split": draw(st.lists(st.none() | st.sampled_from(OFFICIAL), min_size=count, max_size=count)),
        }
    )


KINDS = st.sampled_from([("stratified", 1), ("artist_disjoint", 1), ("artist_disjoint", 3), ("official", 1)])
PROPERTY = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def split_or_skip(table: pd.DataFrame, kind: tuple[str, int], seed: int = 0, share: float = 0.15) -> pd.DataFrame:
    """Split, or give the example up where the corpus is too small for the kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ArtistTransferWarning)
        try:
            return make_split(table, kind=kind[0], folds=kind[1], seed=seed, test_share=share)
        except ArtistTransferError:
            assume(False)
            raise


def components(table: pd.DataFrame, columns: list[str]) -> list[int]:
    """Label what must stay together, by brute force."""
    labels = list(range(len(table)))
    changed = True
    while changed:
        changed = False
        for column in columns:
            for rows in table.reset_index(drop=True).groupby(column).indices.values():
                low = min(labels[row] for row in rows)
                changed |= any(labels[row] != low for row in rows)
                for row in rows:
                    labels[row] = low
    return labels


@PROPERTY
@given(tables(), KINDS, st.integers(0, 3))
def test_every_track_once_in_every_fold_and_no_unit_parted(
    table: pd.DataFrame, kind: tuple[str, int], seed: int
) -> None:
    split = split_or_skip(table, kind, seed)
    assert split.columns.tolist() == ["track_id", "fold", "side"]
    assert set(split["side"]) <= set(SIDES)
    assert split["fold"].tolist() == sorted(list(range(kind[1])) * len(table))
    keys = ["recording_id", "audio_hash"] + ["artist_id"] * (kind[0] == "artist_disjoint")
    for _, fold in split.groupby("fold"):
        assert fold["track_id"].tolist() == table["track_id"].tolist()
        assert {"train", "test"} <= set(fold["side"])
        sides = pd.Series(fold["side"].to_numpy()).groupby(components(table, keys)).nunique()
        assert (sides == 1).all()


@PROPERTY
@given(tables(), KINDS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(table: pd.DataFrame, kind: tuple[str, int], random: object) -> None:
    order = list(range(len(table)))
    random.shuffle(order)  # type: ignore[attr-defined]
    one = split_or_skip(table, kind)
    other = split_or_skip(table.iloc[order], kind)
    pd.testing.assert_frame_equal(one, other)
    assert split_hash(one) == split_hash(other.iloc[::-1])


@PROPERTY
@given(tables(), st.floats(0.05, 0.6))
def test_stratified_keeps_the_share_of_every_genre_within_one_unit(table: pd.DataFrame, share: float) -> None:
    table["genre_top"] = (
        table["genre_top"].groupby(components(table, ["recording_id", "audio_hash"])).transform("first")
    )  # a unit of one genre, so that the share of each genre is well defined
    units = pd.Series(components(table, ["recording_id", "audio_hash"]))
    split = split_or_skip(table, ("stratified", 1), share=share)
    tested = split["side"] == "test"
    genres = table["genre_top"].fillna("none")
    for genre in genres.unique():
        own = genres == genre
        sizes = units[own].value_counts()
        if len(sizes) > 1 and tested.sum() > sizes.min():
            assert abs(tested[own].sum() - share * own.sum()) <= sizes.max() + 1e-9


@given(st.lists(st.integers(2, 40), min_size=1, max_size=5), st.floats(0.1, 0.5), st.integers(0, 9))
@PROPERTY
def test_stratified_is_exact_to_rounding_where_tracks_are_single(sizes: list[int], share: float, seed: int) -> None:
    genres = [f"g{n}" for n, size in enumerate(sizes) for _ in range(size)]
    count = len(genres)
    assume(share * count >= 1)
    table = usable({"track_id": [f"{i:03d}" for i in range(count)], "genre_top": genres})
    tested = make_split(table, kind="stratified", seed=seed, test_share=share)["side"] == "test"
    assert tested.sum() == np.floor(share * count + 0.5)
    for n, size in enumerate(sizes):
        assert abs(tested[table["genre_top"] == f"g{n}"].sum() - share * size) < 1


@PROPERTY
@given(tables(), st.integers(2, 6))
def test_every_artist_is_tested_exactly_once(table: pd.DataFrame, folds: int) -> None:
    split = split_or_skip(table, ("artist_disjoint", folds))
    tested = split[split["side"] == "test"]
    assert sorted(tested["track_id"]) == table["track_id"].tolist()
    artists = tested.merge(table, on="track_id").groupby("artist_id")["fold"].nunique()
    assert (artists == 1).all()
    assert tested.merge(table, on="track_id").dropna(subset="artist_id")["fold"].nunique() == folds


@PROPERTY
@given(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1, max_size=4),
    st.floats(0.1, 0.4),
    st.integers(0, 5),
)
def test_artist_disjoint_keeps_the_share_and_covers_the_genres(sizes: list[list[int]], share: float, seed: int) -> None:
    assume(sum(map(len, sizes)) >= 2 and any(len(own) > 1 for own in sizes))
    table = artists({f"g{n}": own for n, own in enumerate(sizes)})
    split = make_split(table, kind="artist_disjoint", seed=seed, test_share=share)
    tested = split["side"] == "test"
    biggest = max(map(max, sizes))
    assert tested.sum() <= (share + GENRE_COVER) * len(table) + biggest
    covered = set(table["genre_top"][tested])
    trained = set(table["genre_top"][~tested])
    assert trained == {f"g{n}" for n in range(len(sizes))}
    if tested.sum() + biggest <= (share + GENRE_COVER) * len(table):
        assert covered == {f"g{n}" for n, own in enumerate(sizes) if len(own) > 1}
    if len(sizes) == 1 and len(sizes[0]) > 1:
        assert abs(tested.sum() - share * len(table)) <= biggest


def test_folds_are_balanced_over_genres_and_tracks() -> None:
    table = artists({"a": [4] * 10, "b": [4] * 5})
    split = make_split(table, kind="artist_disjoint", seed=1, folds=5)
    tested = split[split["side"] == "test"].merge(table, on="track_id")
    assert tested.groupby(["fold", "genre_top"]).size().unstack().to_numpy().tolist() == [[8, 4]] * 5


def test_tracks_without_artist_follow_their_album() -> None:
    table = usable(
        {
            "track_id": list("abcdefgh"),
            "artist_id": ["1", None, "2", "3", None, None, None, "4"],
            "album_id": ["x", "x", "y", "y", "y", "y", None, None],
        }
    )
    for seed in range(20):
        split = make_split(table, kind="artist_disjoint", seed=seed, folds=4)
        fold = split[split["side"] == "test"].set_index("track_id")["fold"]
        assert fold["a"] == fold["b"]  # the one artist of album x
        assert fold["e"] == fold["f"]  # nobody knows whose, but of one album
        assert fold[["a", "c", "d", "h"]].nunique() == 4  # and album y, of several artists, joins none


def test_seeds_differ() -> None:
    table = artists({"a": [5, 4, 6, 5, 4], "b": [4, 4, 5]})
    for kind, folds in (("stratified", 1), ("artist_disjoint", 1), ("artist_disjoint", 2)):
        hashes = {split_hash(make_split(table, kind=kind, seed=seed, folds=folds)) for seed in range(8)}
        assert len(hashes) > 1


def golden_splits() -> dict[str, str]:
    """Hash one split of each kind."""
    table = reference()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ArtistTransferWarning)
        return {
            "stratified": split_hash(make_split(table, kind="stratified", seed=0)),
            "artist_disjoint": split_hash(make_split(table, kind="artist_disjoint", seed=0)),
            "folds": split_hash(make_split(table, kind="artist_disjoint", seed=0, folds=3)),
            "official": split_hash(make_split(table, kind="official", seed=0)),
            "balanced": split_hash(
                make_split(
                    table,
                    kind="balanced",
                    seed=0,
                    balanced=BalancedParams(3, unseen_artists=1, songs=4, train=2, validation=1, test=1),
                )
            ),
        }


def test_the_same_hash_on_every_machine() -> None:
    assert golden_splits() == GOLDEN


def test_the_same_hash_whatever_the_hash_seed_of_python() -> None:
    code = (
        "import importlib.util as u, sys; s = u.spec_from_file_location('t', sys.argv[1]);"
        " m = u.module_from_spec(s); s.loader.exec_module(m); print(m.golden_splits() == m.GOLDEN)"
    )
    environment = os.environ | {"PYTHONHASHSEED": "4711"}
    done = subprocess.run(
        [sys.executable, "-c", code, __file__],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "True"


def test_official_is_followed_and_what_spans_sides_is_trained_on() -> None:
    table = usable(
        {
            "track_id": list("abcdefgh"),
            "official_split": ["training", "training", "validation", "test", "test", None, None, "test"],
            "audio_hash": ["1", "2", "3", "4", "2", "6", "4", "8"],
        }
    )
    with pytest.warns(ArtistTransferWarning, match="3 tracks moved to training"):
        split = make_split(table, kind="official", seed=0)
    expected = ["train", "train", "validation", "train", "train", "unused", "train", "test"]
    assert split["side"].tolist() == expected


@PROPERTY
@given(tables())
def test_official_test_is_a_subset_of_the_corpus_s_own(table: pd.DataFrame) -> None:
    side = split_or_skip(table, ("official", 1))["side"]
    assert set(table["official_split"][side == "test"]) == {"test"}
    assert set(table["official_split"][side == "validation"]) <= {"validation"}


@pytest.mark.parametrize(("params", "division"), [((6,), (15, 3, 2)), ((10_000,), (17, 1, 2))])
def test_the_division_of_the_paper(params: tuple[int], division: tuple[int, int, int]) -> None:
    assert BalancedParams(*params).division == division


def test_balanced_has_as_many_songs_of_every_artist() -> None:
    table = artists({"a": [20, 25, 19, 30], "b": [20, 21, 1]})
    split = make_split(table, kind="balanced", seed=0, balanced=BalancedParams(3, unseen_artists=2))
    counts = split.merge(table, on="track_id").groupby(["artist_id", "side"]).size().unstack(fill_value=0)
    seen = counts[counts["train"] > 0]
    assert seen[["train", "validation", "test", "unseen"]].to_numpy().tolist() == [[15, 3, 2, 0]] * 3
    unseen = counts[counts["unseen"] > 0]
    assert unseen[["train", "validation", "test", "unseen"]].to_numpy().tolist() == [[0, 0, 0, 20]] * 2
    assert set(counts.index) - set(seen.index) - set(unseen.index) == {"a-2", "b-2"}
    assert len(split) == len(table)


def test_a_song_of_several_clips_counts_once() -> None:
    table = artists({"a": [8, 8]})
    table["recording_id"] = table["track_id"].str[:-2] + (table["track_id"].str[-2:].astype(int) // 2).astype(str)
    params = BalancedParams(2, songs=4, train=2, validation=1, test=1)
    split = make_split(table, kind="balanced", seed=0, balanced=params)
    counts = split.merge(table, on="track_id").groupby(["artist_id", "side"]).size().unstack()
    assert counts[["train", "validation", "test"]].to_numpy().tolist() == [[4, 2, 2]] * 2
    with pytest.raises(ArtistTransferError, match=r"balanced.songs=5 .*found 0"):
        make_split(table, kind="balanced", seed=0, balanced=BalancedParams(2, songs=5, train=3, validation=1, test=1))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "random"}, "split='random' is unknown; allowed: stratified"),
        ({"test_share": 0.0}, "splitting.test_share=0.0; allowed"),
        ({"test_share": 1.0}, "splitting.test_share=1.0; allowed"),
        ({"folds": 0}, "folds=0; allowed"),
        ({"folds": 2.0}, "folds=2.0; allowed"),
        ({"folds": 5}, "folds=5 needs split=artist_disjoint"),
        ({"folds": 5, "kind": "artist_disjoint"}, "folds=5 needs at least 5 artists .*found 3"),
        ({"kind": "official"}, "split=official needs .*official_split.* Allowed: stratified"),
        ({"kind": "balanced"}, "splitting.balanced.artists"),
        ({"kind": "balanced", "balanced": BalancedParams(0)}, "splitting.balanced.artists=0; allowed"),
        (
            {"kind": "balanced", "balanced": BalancedParams(2, unseen_artists=-1)},
            "splitting.balanced.unseen_artists=-1",
        ),
        (
            {"kind": "balanced", "balanced": BalancedParams(2, train=16)},
            "splitting.balanced.songs=20, but splitting.balanced.division is 16 . 3 . 2",
        ),
        ({"kind": "balanced", "balanced": BalancedParams(4, 1)}, "need 5 artists .*found 0"),
    ],
)
def test_impossible_parameters_name_the_key(changes: dict[str, object], says: str) -> None:
    table = artists({"a": [3, 3], "b": [3]})
    with pytest.raises(ArtistTransferError, match=says):
        make_split(table, **({"kind": "stratified", "seed": 0} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["stratified", "artist_disjoint"])
def test_corpora_that_are_too_small(kind: str) -> None:
    one = artists({"a": [1]})
    with pytest.raises(ArtistTransferError, match=f"split={kind} needs at least 2 .*found 1"):
        make_split(one, kind=kind, seed=0)
    with pytest.raises(ArtistTransferError, match=f"split={kind} needs usable tracks; found 0"):
        make_split(one.iloc[:0], kind=kind, seed=0)
    with pytest.raises(ArtistTransferError, match="found 0"):
        make_split(usable({"track_id": ["a", "b"]}), kind="artist_disjoint", seed=0)


def test_leakage_is_counted_by_hand() -> None:
    table = usable(
        {
            "track_id": list("abcdef"),
            "artist_id": ["1", "2", "1", "3", None, "2"],
            "album_id": ["x", None, "x", "x", None, None],
            "recording_id": list("abadef"),
            "audio_hash": ["h", "i", "j", "h", None, None],
        }
    )
    split = pd.DataFrame({"track_id": list("abcdef"), "fold": 0})
    split["side"] = ["train", "train", "test", "test", "test", "validation"]
    report = leakage_report(table, split).set_index("kind")
    assert report.index.tolist() == list(LEAKS)
    assert report["shared_test"].tolist() == [1, 1, 1, 1]
    assert report["shared_validation"].tolist() == [1, 0, 0, 0]
    assert report["shared_unseen"].tolist() == [0, 0, 0, 0]
    assert report["test_tracks"].tolist() == [3] * 4
    assert report["test_tracks_affected"].tolist() == [1, 1, 1, 2]
    assert report["test_share_affected"].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 2 / 3])


@PROPERTY
@given(tables(), KINDS)
def test_no_kind_leaks_what_it_promises_to_keep(table: pd.DataFrame, kind: tuple[str, int]) -> None:
    report = leakage_report(table, split_or_skip(table, kind))
    assert len(report) == 4 * kind[1]
    kept = ["recordings", "exact duplicates"] + ["artists"] * (kind[0] == "artist_disjoint")
    shared = report[report["kind"].isin(kept)][["shared_validation", "shared_test", "shared_unseen"]]
    assert (shared == 0).all(axis=None)


def test_composers(shared_corpora: Path) -> None:
    table, _ = read_table(shared_corpora / "composers")
    table["audio_hash"] = table["track_id"]
    stratified = make_split(table, kind="stratified", seed=0)
    assert (stratified["side"] == "test").sum() == round(0.15 * 921)
    disjoint = make_split(table, kind="artist_disjoint", seed=0)
    tested = table[disjoint["side"] == "test"]
    assert abs(len(tested) - 0.15 * 921) <= 24
    assert tested["genre_top"].nunique() == 5
    folds = make_split(table, kind="artist_disjoint", seed=0, folds=5)
    sizes = folds[folds["side"] == "test"].groupby("fold").size()
    assert sizes.sum() == 921 and sizes.max() - sizes.min() <= 2 * 24


def test_open_music_without_genres(shared_corpora: Path) -> None:
    columns = {"track_id": "clip_id", "recording_id": "track_id"}
    table, _ = read_table(shared_corpora / "open_music", columns=columns)
    table["audio_hash"] = table["track_id"]
    for kind in ("stratified", "artist_disjoint"):
        split = make_split(table, kind=kind, seed=0)
        assert abs((split["side"] == "test").sum() - 0.15 * 424) <= (3 if kind == "stratified" else 93)
        report = leakage_report(table, split).set_index("kind")
        assert report.loc["recordings", "shared_test"] == 0
