"""A corpus laid out as a Million Song Dataset, and read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artist_transfer.artifacts import sha256_of
from artist_transfer.corpora.artist_list import FILE, read_artist_list, to_artist_sets
from artist_transfer.corpora.msd import load_msd
from artist_transfer.corpora.schema import make_track_table
from artist_transfer.corpora.synthetic_msd import MsdParams, write_msd
from artist_transfer.errors import ArtistTransferError

MsdWriter = Callable[..., Path]


def hashes(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): sha256_of(path) for path in sorted(root.rglob("*")) if path.is_file()}


def test_what_was_written_is_read(write_small_msd: MsdWriter, small_corpus: tuple[Path, pd.DataFrame]) -> None:
    _, original = small_corpus
    root = write_small_msd()
    truth = pd.read_csv(root / "truth.csv", dtype=str).fillna({"planted": ""})
    corpus = load_msd(root, tags="frequent", clip_s=None)
    kept = truth[~truth["planted"].isin(["mismatched", "no preview"])].set_index("track_id")
    table = corpus.track_table.set_index("track_id")
    assert sorted(table.index) == sorted(kept.index)
    want = original.set_index("track_id").loc[kept.loc[table.index, "original"]]
    for name in ("artist", "title", "genre_top"):
        assert table[name].fillna("-").tolist() == want[name].fillna("-").tolist(), name
    assert table["artist_id"].isna().tolist() == want["artist_id"].isna().tolist()
    assert table["artist_id"].nunique() == want["artist_id"].nunique()
    tags = [{word.lower() for word in [top, *words] if isinstance(word, str)} for top, words in
            zip(want["genre_top"], want["genres"], strict=True)]  # fmt: skip
    assert [set(words) for words in table["genres"]] == tags
    out = truth[truth["planted"].isin(["mismatched", "no preview"])]
    assert corpus.exclusions["track_id"].tolist() == sorted(out["track_id"])
    assert not [name for name in corpus.notes if name.startswith("conflicts")]
    assert corpus.songs.loc[kept.index, "track_7digitalid"].tolist() == kept["track_7digitalid"].tolist()


def test_bytes_are_equal_and_a_second_call_writes_nothing(
    write_small_msd: MsdWriter, small_corpus: tuple[Path, pd.DataFrame], tmp_path: Path
) -> None:
    audio_root, table = small_corpus
    root = write_small_msd()
    before = hashes(root)
    shuffled = table.sample(frac=1, random_state=3, ignore_index=True)
    other = write_msd(tmp_path / "other", shuffled, audio_root=audio_root, params=MsdParams(list_songs=4))
    assert hashes(other) == before
    times = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    write_small_msd()
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == times


def test_a_damaged_file_is_made_again(write_small_msd: MsdWriter) -> None:
    root = write_small_msd()
    before = hashes(root)
    victim = root / "AdditionalFiles" / "unique_tracks.txt"
    victim.write_bytes(victim.read_bytes()[:-5])
    with pytest.warns(match=r"unique_tracks\.txt"):
        write_small_msd()
    assert hashes(root) == before


def test_other_input_is_not_written_over(write_small_msd: MsdWriter, tmp_path: Path) -> None:
    root = write_small_msd()
    with pytest.raises(ArtistTransferError, match="holds another corpus"):
        write_small_msd(seed=5)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(ArtistTransferError, match="is not empty"):
        write_small_msd(root=tmp_path / "full")
    assert (root / "truth.csv").is_file() and [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.txt"]


def test_more_cannot_be_planted_than_there_is(write_small_msd: MsdWriter) -> None:
    with pytest.raises(ArtistTransferError, match="cannot be planted"):
        write_small_msd(mismatched=100)


def test_the_artist_list_makes_sets(write_small_msd: MsdWriter) -> None:
    root = write_small_msd(mismatched=3, taken_back=0, without_preview=0)
    truth = pd.read_csv(root / "truth.csv", dtype=str)
    hit = set(truth.loc[truth["planted"].eq("mismatched"), "artist_id"].dropna())
    whole = sorted(set(truth["artist_id"].dropna()) - hit)
    assert 1 <= len(hit) <= 3 and len(whole) == 4 - len(hit), "something was planted among the four named artists"
    corpus = load_msd(root, tags="frequent")
    tracks = corpus.track_table.join(corpus.songs["track_7digitalid"], on="track_id")
    artist_list = read_artist_list(root / "AdditionalFiles" / FILE)
    sets, exclusions, notes = to_artist_sets(artist_list, tracks, sizes=[len(whole)], division=(2, 1, 1))
    assert len(artist_list) == 16 and sorted(set(sets["artist_id"])) == whole and len(sets) == 4 * len(whole)
    assert notes["artists in the list"] == 4 and len(exclusions) == len(hit)


def test_equal_files_and_equal_recordings_are_duplicates(write_small_msd: MsdWriter) -> None:
    root = write_small_msd(mismatched=0, taken_back=0, without_preview=0)
    corpus = load_msd(root, tags="frequent")
    truth = pd.read_csv(root / "truth.csv", dtype=str).set_index("track_id")
    groups = corpus.track_table.groupby("recording_id")["track_id"].agg(list)
    found = {frozenset(truth.loc[ids, "original"]) for ids in groups if len(ids) > 1}
    assert found == {frozenset({"0-0", "1-0"}), frozenset({"2-1", "2-2"})}
    assert all(recording == min(ids) for recording, ids in groups.items())


@pytest.fixture(scope="module")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """Five artists, one of them nameless, of four songs each; files of noise that nobody decodes."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(7)
    rows = []
    for artist in range(5):
        for song in range(4):
            name = f"{artist}-{song}"
            (folder / f"{name}.mp3").write_bytes(b"" if (artist, song) in ((3, 3), (4, 3)) else rng.bytes(200))
            rows.append(
                {
                    "track_id": name,
                    "recording_id": "2-1" if name in ("2-1", "2-2") else name,
                    "artist_id": None if artist == 4 else f"a{artist}",
                    "artist": None if artist == 4 else f"Añejo & {artist}",
                    "album_id": f"{artist}1",
                    "title": f"{song}, \"雨\" – 100%",
                    "genre_top": None if song == 0 else ("Rock", "Jazz")[artist % 2],
                    "genres": ["Folk"] if song == 1 else [],
                    "path": f"{name}.mp3",
                    "declared_s": 30.0,
                }
            )  # fmt: skip
    (folder / "1-0.mp3").write_bytes((folder / "0-0.mp3").read_bytes())
    return folder, make_track_table(pd.DataFrame(rows), source="test")


@pytest.fixture
def write_small_msd(tmp_path: Path, small_corpus: tuple[Path, pd.DataFrame]) -> MsdWriter:
    audio_root, table = small_corpus

    def write(*, root: Path = tmp_path / "msd", **planted: int) -> Path:
        params = MsdParams(**{"list_songs": 4, **planted})
        return write_msd(root, table, audio_root=audio_root, params=params)

    return write
