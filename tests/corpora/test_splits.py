"""What every split promises: everything once, nothing parted, the same everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import hypothesis.strategies as st
import pandas as pd
import pytest
from hypothesis import given
from tests.corpora.split_tables import KINDS, OFFICIAL, PROPERTY, artists, components, split_or_skip, tables, usable

from artist_transfer.corpora.leakage import LEAKS, leakage_report
from artist_transfer.corpora.splits import SIDES, BalancedParams, make_split, split_hash
from artist_transfer.corpora.table import read_table
from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = {
    "stratified": "fddcd36331c43009a540fc31913239edb07280a86ea955f479c86ab842592706",
    "artist_disjoint": "2b86dd505dac29317c6c8128be32ebff311553599c4d2609c72f50d92e90b352",
    "folds": "47490a8747248cb6dabf3386b86c6030c00a0d92795ebb06e17cb2a2dae60d17",
    "official": "f921413c4c509395d6bfeb2a96b0d7c5fb23e1c4375d8c27a8490d9a6916b2ff",
    "balanced": "b28a2fd5e534032226f539ee5ea453f79b88ee9684b5a74ff3c3ec7b3b6f9d26",
}


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
    code = "from tests.corpora.test_splits import GOLDEN, golden_splits; print(golden_splits() == GOLDEN)"
    environment = os.environ | {"PYTHONHASHSEED": "4711"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "True"


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
