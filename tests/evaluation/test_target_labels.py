"""Sides of labelled tracks: nothing lost, nothing leaked, every odd label named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.target_labels import classified, hold_out, labelled_split, prior_vote

IDS = [f"t{k:03d}" for k in range(60)]
LABELS: dict[str, str | None] = {x: "abc"[k % 3] for k, x in enumerate(IDS)}
TRACKS = pd.DataFrame({"track_id": IDS, "artist_id": [f"artist{k // 4}" for k in range(60)]})


def test_every_track_is_somewhere() -> None:
    labels = LABELS | {IDS[0]: None, IDS[41]: float("nan"), IDS[50]: "only here", IDS[1]: "only there", IDS[32]: "new"}
    split = labelled_split(labels, train_ids=IDS[:30], validation_ids=IDS[30:40], test_ids=IDS[40:])
    assert split.counts == {
        "n_train": 29,
        "n_validation": 9,
        "n_test": 19,
        "n_train_without_label": 1,
        "n_validation_without_label": 0,
        "n_test_without_label": 1,
        "n_validation_unknown_label": 1,
    }
    assert split.only_in_train == {"only there": 1}
    assert split.only_in_test == {"only here": 1}
    assert split.classes == ("a", "b", "c", "only there")
    assert split.codes([IDS[50]]).tolist() == [-1]
    assert sum(value for name, value in split.counts.items()) == 60


def test_what_cannot_be_split_is_named() -> None:
    with pytest.raises(ArtistTransferError, match="both train and test tracks: 't003'"):
        labelled_split(LABELS, train_ids=IDS[:30], test_ids=[IDS[3], *IDS[40:]])
    with pytest.raises(ArtistTransferError, match="both validation and test"):
        labelled_split(LABELS, train_ids=IDS[:30], validation_ids=IDS[30:41], test_ids=IDS[40:])
    with pytest.raises(ArtistTransferError, match="at least two labels; found 'a'"):
        labelled_split(LABELS, train_ids=IDS[:1], test_ids=IDS[40:])
    with pytest.raises(ArtistTransferError, match="none of 2 test tracks"):
        labelled_split(LABELS, train_ids=IDS[:30], test_ids=["x", "y"])


def test_held_out_are_whole_artists_of_every_label() -> None:
    split = labelled_split(LABELS, train_ids=IDS[:48], test_ids=IDS[48:])
    held = hold_out(split, TRACKS, share=0.2, seed=1)
    assert set(held.train) | set(held.validation) == set(split.train)
    artist = dict(zip(TRACKS["track_id"], TRACKS["artist_id"]))
    assert not {artist[x] for x in held.train} & {artist[x] for x in held.validation}
    for label in "abc":
        share = sum(held.labels[x] == label for x in held.validation) / 16
        assert 0.2 <= share < 0.5
    assert held.counts["n_train"] + held.counts["n_validation"] == 48
    again = hold_out(split, TRACKS.sample(frac=1, random_state=0), share=0.2, seed=1)
    assert again.validation == held.validation
    assert hold_out(split, TRACKS, share=0.2, seed=2).validation != held.validation


def test_held_out_tracks_do_not_depend_on_the_test_labels() -> None:
    split = labelled_split(LABELS, train_ids=IDS[:48], test_ids=IDS[48:])
    other = labelled_split(LABELS | dict.fromkeys(IDS[48:], "z"), train_ids=IDS[:48], test_ids=IDS[48:])
    first, second = (hold_out(x, TRACKS, share=0.2, seed=1) for x in (split, other))
    assert (first.train, first.validation) == (second.train, second.validation)


def test_a_label_never_loses_its_last_artist() -> None:
    labels = {x: "rare" if k < 4 else "ab"[k % 2] for k, x in enumerate(IDS)}  # rare: artist0 alone
    split = labelled_split(labels, train_ids=IDS[:48], test_ids=IDS[48:])
    for seed in range(10):
        assert set(IDS[:4]) <= set(hold_out(split, TRACKS, share=0.3, seed=seed).train)


def test_recordings_stay_whole_where_no_artist_is_known() -> None:
    tracks = pd.DataFrame({"track_id": IDS, "artist_id": None, "recording_id": [f"r{k // 5}" for k in range(60)]})
    labels = {x: "ab"[(k // 5) % 2] for k, x in enumerate(IDS)}
    held = hold_out(labelled_split(labels, train_ids=IDS[:50], test_ids=IDS[50:]), tracks, share=0.2, seed=0)
    assert held.validation
    assert not {int(x[1:]) // 5 for x in held.train} & {int(x[1:]) // 5 for x in held.validation}


def test_official_validation_tracks_are_kept() -> None:
    split = labelled_split(LABELS, train_ids=IDS[:30], validation_ids=IDS[30:40], test_ids=IDS[40:])
    assert hold_out(split, TRACKS, share=0.2, seed=0) is split


def test_nothing_to_hold_out_is_an_error() -> None:
    tracks = TRACKS.assign(artist_id=[LABELS[x] for x in IDS])  # one artist a label
    split = labelled_split(LABELS, train_ids=IDS[:48], test_ids=IDS[48:])
    with pytest.raises(ArtistTransferError, match="one training artist only"):
        hold_out(split, tracks, share=0.2, seed=0)
    with pytest.raises(ArtistTransferError, match="between 0 and 1"):
        hold_out(split, TRACKS, share=1.5, seed=0)
    with pytest.raises(ArtistTransferError, match="not in the track table: 't000'"):
        hold_out(split, TRACKS.iloc[1:], share=0.2, seed=0)


def test_accuracy_is_the_mean_over_trials() -> None:
    split = labelled_split(LABELS, train_ids=IDS[:40], test_ids=IDS[57:])  # a, b, c
    found = classified(split, np.array([[0, 1, 2], [0, 0, 0]]), n_trials=2)
    assert found.table["correct"].tolist() == [True, True, True, True, False, False]
    assert found.accuracy == pytest.approx((1 + 1 / 3) / 2)
    assert found.counts["n_trials"] == 2


def test_the_prior_is_the_majority_of_the_training_tracks() -> None:
    labels = LABELS | {IDS[0]: "c"}
    found = prior_vote(labelled_split(labels, train_ids=IDS[:9], test_ids=IDS[30:]))
    assert set(found.table["label_predicted"]) == {"c"}
    assert found.accuracy == pytest.approx(1 / 3)
    even = prior_vote(labelled_split(LABELS, train_ids=IDS[:9], test_ids=IDS[30:]))
    assert set(even.table["label_predicted"]) == {"a"}  # of equals the first
