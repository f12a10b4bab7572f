"""The whole way from features to factors, on a corpus whose groups are known."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artist_transfer.errors import ArtistTransferError, ArtistTransferWarning, NothingToFit
from artist_transfer.factors import group_factors
from artist_transfer.factors.group_factors import (
    FactorParams,
    FactorResult,
    artist_bags_for,
    factors_for,
    fit_dictionary_for,
    fit_tracks,
)
from artist_transfer.factors.reading import factor_columns
from artist_transfer.factors.words import DescriptorSource, FrameSource, load_vocabulary
from artist_transfer.features.essentia_shards import Failure, write_shard
from artist_transfer.features.mfcc import mfcc

pytestmark = pytest.mark.filterwarnings("ignore::artist_transfer.errors.ArtistTransferWarning")

N_ARTISTS, TRACKS_EACH, N_GROUPS = 12, 4, 3
GROUP = {f"artist{i:02d}": i % N_GROUPS for i in range(N_ARTISTS)}
PARAMS = FactorParams(passes=10, max_centres=16, max_rows=4000)


def make_factors(
    kind: str, usable: pd.DataFrame, split: pd.DataFrame, *, params: FactorParams, fold: int, source, cache_root=None
) -> FactorResult:
    """The three stages, one after another, as a pipeline calls them."""
    shared = {"params": params, "cache_root": cache_root}
    tracks = fit_tracks(usable, split, fold=fold, fit_on=params.fit_on)
    vocabulary = fit_dictionary_for(kind, tracks, source=source, **shared)
    bags = artist_bags_for(kind, tracks, vocabulary=vocabulary, source=source, **shared)
    return factors_for(kind, bags, vocabulary=vocabulary, track_table=tracks, fold=fold, **shared)


class Store:
    """Frames by track: each group of artists has three spectra of its own, in an order of its own for dMFCC."""

    def __init__(self, usable: pd.DataFrame) -> None:
        self.usable = usable.set_index("track_id")
        self.asked: list[str] = []
        shapes = np.random.default_rng(0).standard_normal((N_GROUPS, 3, 128)) * 8
        self.shapes = np.cumsum(shapes, axis=2) - 40

    def frames(self, track_id: str) -> np.ndarray:
        self.asked.append(track_id)
        row = self.usable.loc[track_id]
        rng = np.random.default_rng(int(track_id))
        group = GROUP.get(row["artist_id"], 0)
        spectra = self.shapes[group][rng.integers(3, size=row["n_frames"])]
        return (spectra + rng.standard_normal(spectra.shape)).astype(np.float16)


@pytest.fixture
def usable() -> pd.DataFrame:
    rows = [
        {
            "track_id": f"{i:03d}",
            "artist_id": f"artist{i // TRACKS_EACH:02d}" if i < N_ARTISTS * TRACKS_EACH else None,
            "artist": f"Artist {i // TRACKS_EACH}",
            "genre_top": f"genre {i // TRACKS_EACH % N_GROUPS}",
            "genres": [f"word {i // TRACKS_EACH % N_GROUPS}", f"other {i // TRACKS_EACH % N_GROUPS}"],
            "audio_hash": f"hash {i}",
            "n_frames": 60 + i,
        }
        for i in range(N_ARTISTS * TRACKS_EACH + 2)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def split(usable: pd.DataFrame) -> pd.DataFrame:
    sides = ["train", "train", "train", "test"] * (N_ARTISTS - 1) + ["test"] * 4 + ["train", "unused"]
    return pd.DataFrame({"track_id": usable["track_id"], "fold": 0, "side": sides})


@pytest.fixture
def sources(usable: pd.DataFrame, tmp_path: Path) -> dict:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((N_GROUPS, 30))
    results = []
    for i, artist_id in enumerate(usable["artist_id"]):
        values = (rng.standard_normal(30) + 4 * centres[GROUP.get(artist_id, 0)]).astype(np.float32)
        values[29] = 1.0  # says nothing
        if i == 3:
            values[28] = np.nan  # of a test track
        if i == 5:
            values[27] = np.inf  # of a training track
        failed = Failure("took longer than 120 s", "timed out", 120.0) if i == 8 else None
        results.append((f"{i:03d}", [f"d{j:02d}" for j in range(30)], values, failed))
    write_shard(tmp_path / "essentia" / "shard", results)
    manifest = {"extractor": {"version": "1"}, "failed": {"008": "took"}, "shards": [{"name": "shard"}]}
    frames = FrameSource(Store(usable), {"name": "agf"})
    return {"m": frames, "d": frames, "e": DescriptorSource(manifest, tmp_path / "essentia"), "s": None}


@pytest.mark.parametrize("kind", ["m", "d", "e", "s"])
def test_every_feature_set_finds_the_groups(kind: str, usable, split, sources) -> None:
    result = make_factors(kind, usable, split, fold=0, source=sources[kind], params=PARAMS)
    table = result.table
    columns = factor_columns(table)
    assert list(table.columns) == ["fold", "artist_id", *[f"f{i:02d}" for i in range(11)]]
    assert table["artist_id"].tolist() == sorted(GROUP)[:-1]  # the last one has no training track
    np.testing.assert_allclose(table[columns].sum(axis=1), 1.0)
    heaviest = table[columns].to_numpy().argmax(axis=1)
    groups = np.array([GROUP[artist_id] for artist_id in table["artist_id"]])
    for factor in np.unique(heaviest):  # artists that share a factor are of one planted group
        assert len(np.unique(groups[heaviest == factor])) == 1
    assert result.facts["uniformity"] < 0.5
    assert result.facts["distinctness"] > 0.2
    assert len(result.reading) == result.facts["n_groups"] == 11
    json.dumps(result.facts)
    assert result.facts["n_artists"] == 11
    assert result.facts["n_artist_tracks"] == 33 - (kind == "e")


@pytest.mark.parametrize("kind", ["m", "d", "e", "s"])
def test_test_tracks_change_nothing(kind: str, usable, split, sources) -> None:
    before = make_factors(kind, usable, split, fold=0, source=sources[kind], params=PARAMS)
    train = usable["track_id"].isin(split.loc[split["side"] == "train", "track_id"])
    alone = make_factors(kind, usable[train], split, fold=0, source=sources[kind], params=PARAMS)
    pd.testing.assert_frame_equal(before.table, alone.table, check_exact=True)
    shuffled = usable.sample(frac=1, random_state=0)
    again = make_factors(kind, shuffled, split[::-1], fold=0, source=sources[kind], params=PARAMS)
    pd.testing.assert_frame_equal(before.table, again.table, check_exact=True)
    everything = dataclasses.replace(PARAMS, fit_on="all")
    all_of_it = make_factors(kind, usable, split, fold=0, source=sources[kind], params=everything)
    assert all_of_it.table["artist_id"].tolist() == sorted(GROUP)
    assert all_of_it.facts["fit_on"] == "all"


def test_frames_of_test_tracks_are_not_even_read(usable, split, sources) -> None:
    make_factors("m", usable, split, fold=0, source=sources["m"], params=PARAMS)
    asked = set(sources["m"].store.asked)
    assert asked == set(split.loc[split["side"] == "train", "track_id"])


def test_bags_sum_to_the_frames(usable, split, sources) -> None:
    tracks = fit_tracks(usable, split, fold=0)
    for kind, fewer in (("m", 0), ("d", 1)):
        vocabulary = fit_dictionary_for(kind, tracks, source=sources[kind], params=PARAMS)
        bags = artist_bags_for(kind, tracks, vocabulary=vocabulary, source=sources[kind], params=PARAMS)
        frames = tracks[tracks["artist_id"].notna()].groupby("artist_id")["n_frames"]
        np.testing.assert_allclose(bags.counts.sum(axis=1), frames.mean() - fewer)
    plain = dataclasses.replace(PARAMS, divide=False)
    bags = artist_bags_for("d", tracks, vocabulary=vocabulary, source=sources["d"], params=plain)
    np.testing.assert_allclose(bags.counts.sum(axis=1), frames.sum() - 3)


def test_words_are_nearest_centres_of_each_tracks_frames(usable, split, sources) -> None:
    tracks = fit_tracks(usable, split, fold=0)
    vocabulary = fit_dictionary_for("m", tracks, source=sources["m"], params=PARAMS)
    one = tracks.iloc[[5]]
    rows = mfcc(sources["m"].store.frames(one["track_id"].iloc[0]))
    distance = ((rows[:, None].astype(np.float64) - vocabulary.dictionary.centres[None]) ** 2).sum(axis=2)
    bags = artist_bags_for("m", one, vocabulary=vocabulary, source=sources["m"], params=PARAMS)
    np.testing.assert_array_equal(bags.counts[0], np.bincount(distance.argmin(axis=1), minlength=vocabulary.size))


def test_essentia_counts_what_it_leaves_out(usable, split, sources) -> None:
    result = make_factors("e", usable, split, fold=0, source=sources["e"], params=PARAMS)
    facts = result.facts["dictionary"]
    assert facts["dropped_descriptors"] == ["d27"]  # d28 is missing for a test track only, and stays
    assert facts["n_descriptors"] == 29
    assert facts["n_constant_descriptors"] == 1
    assert facts["failed_tracks"] == ["008"]
    assert result.facts["divided"] is False


def test_artists_without_subgenres_are_named(usable, split, sources) -> None:
    usable["genres"] = [[] if a in ("artist02", "artist05") else g for a, g in usable[["artist_id", "genres"]].values]
    result = make_factors("s", usable, split, fold=0, source=None, params=PARAMS)
    assert result.facts["artists_left_out"] == ["artist02", "artist05"]
    assert not set(result.table["artist_id"]) & {"artist02", "artist05"}
    assert "word 0" in " ".join(result.reading["words"])
    usable["genres"] = [[]] * len(usable)
    with pytest.raises(NothingToFit, match=r"^none of the 34 training tracks has subgenres"):
        make_factors("s", usable, split, fold=0, source=None, params=PARAMS)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([8], "none of the 1 training tracks has Essentia descriptors"),
        ([0], "all 30 descriptors are constant over the 1 training rows"),
        ([50], "no Essentia descriptor is complete for all 1 training tracks that have any"),
    ],
)
def test_tracks_without_descriptors_that_vary_have_nothing_to_fit(usable, tmp_path, sources, rows, words) -> None:
    lost = [("050", ["d00"], np.array([np.nan], np.float32), None)]
    write_shard(tmp_path / "essentia" / "lost", lost)
    source = sources["e"]
    source.manifest["shards"].append({"name": "lost"})
    tracks = pd.concat([usable, usable.tail(1).assign(track_id="050")], ignore_index=True).iloc[rows]
    with pytest.raises(NothingToFit, match=f"^{words}$"):
        fit_dictionary_for("e", tracks, source=source, params=PARAMS, cache_root=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("kind", ["m", "d", "e", "s"])
def test_cache_gives_the_same_without_work(kind: str, usable, split, sources, tmp_path, monkeypatch) -> None:
    options = {"fold": 0, "source": sources[kind], "params": PARAMS}
    fresh = make_factors(kind, usable, split, **options)
    first = make_factors(kind, usable, split, cache_root=tmp_path / "cache", **options)
    files = {p: p.read_bytes() for p in (tmp_path / "cache").rglob("*") if p.is_file()}
    make_factors(kind, usable, split, cache_root=tmp_path / "other", **options)
    assert sorted(p.read_bytes() for p in (tmp_path / "other").rglob("*") if p.is_file()) == sorted(files.values())

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the work was done again")

    for name in ("fit_frame_vocabulary", "fit_descriptor_vocabulary", "track_words", "fit_groups"):
        monkeypatch.setattr(group_factors, name, refuse)
    with pytest.warns(ArtistTransferWarning, match="11 groups instead of 40"):
        second = make_factors(kind, usable, split, cache_root=tmp_path / "cache", **options)
    for other in (first, second):
        pd.testing.assert_frame_equal(other.table, fresh.table, check_exact=True)
        pd.testing.assert_frame_equal(other.reading, fresh.reading, check_exact=True)
        assert other.facts == fresh.facts
    assert {p: p.read_bytes() for p in files} == files


def test_a_damaged_artifact_is_made_again(usable, split, sources, tmp_path) -> None:
    options = {"fold": 0, "source": sources["m"], "params": PARAMS, "cache_root": tmp_path / "cache"}
    first = make_factors("m", usable, split, **options)
    files = {p: p.read_bytes() for p in (tmp_path / "cache").rglob("*.npz")}
    assert len(files) == 3
    for path, data in files.items():
        path.write_bytes(data[:-7])
    with pytest.warns(ArtistTransferWarning, match="damaged"):
        again = make_factors("m", usable, split, **options)
    pd.testing.assert_frame_equal(first.table, again.table, check_exact=True)
    assert {p: p.read_bytes() for p in files} == files


def test_nothing_shares_a_place_that_differs(usable, split, sources, tmp_path) -> None:
    tracks = fit_tracks(usable, split, fold=0)
    options = {"params": PARAMS, "cache_root": tmp_path}

    def key(kind: str = "m", table: pd.DataFrame = tracks, **changes) -> str:
        return fit_dictionary_for(kind, table, **{"source": sources[kind], **options, **changes}).facts["key"]

    other_audio = tracks.assign(audio_hash=["changed", *tracks["audio_hash"][1:]])
    other_end = FrameSource(sources["m"].store, {"name": "another"})
    keys = [
        key(),
        key("d"),
        key(table=tracks[1:]),
        key(table=other_audio),
        key(source=other_end),
        key(params=dataclasses.replace(PARAMS, seed=1)),
        key(params=dataclasses.replace(PARAMS, n_mfcc=13)),
        key(params=dataclasses.replace(PARAMS, max_centres=8)),
    ]
    assert len(set(keys)) == len(keys)
    assert key(params=dataclasses.replace(PARAMS, groups=3)) == keys[0]
    assert key(table=tracks.assign(path="elsewhere")) == keys[0]
    assert load_vocabulary(tmp_path / "dictionaries" / keys[0]).size == 16


def test_unknown_kind_fold_and_source_are_refused(usable, split, sources) -> None:
    with pytest.raises(ArtistTransferError, match="allowed: s, e, d, m"):
        make_factors("g", usable, split, fold=0, source=None, params=PARAMS)
    with pytest.raises(ArtistTransferError, match="fold 3"):
        make_factors("s", usable, split, fold=3, source=None, params=PARAMS)
    with pytest.raises(ArtistTransferError, match="FrameSource"):
        make_factors("m", usable, split, fold=0, source=sources["e"], params=PARAMS)
    with pytest.raises(ArtistTransferError, match="fit_on"):
        fit_tracks(usable, split, fold=0, fit_on="test")
