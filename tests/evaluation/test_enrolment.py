"""Artists enrolled by average: new ones without training, a song never helps to find itself."""

from __future__ import annotations

import numpy as np
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.enrolment import enrol, identify, leave_one_out

N = 80
IDS = tuple(f"t{k:03d}" for k in range(N))
ENROL, TEST = [x for k, x in enumerate(IDS) if k % 4], [x for k, x in enumerate(IDS) if k % 4 == 0]


def corpus(seed: int = 0, *, noise: float = 1.0) -> tuple[Embeddings, dict[str, str | None]]:
    draw = np.random.default_rng(seed)
    artist = np.arange(N) // 8
    vectors = draw.normal(size=(10, 16))[artist] + noise * draw.normal(size=(N, 16))
    scale = draw.uniform(0.1, 10, size=(N, 1))  # of vectors only the direction counts
    return Embeddings(IDS, (scale * vectors).astype(np.float32)), {x: f"artist{k}" for x, k in zip(IDS, artist)}


def units(embeddings: Embeddings) -> np.ndarray:
    return embeddings.vectors / np.linalg.norm(embeddings.vectors.astype(float), axis=1, keepdims=True)


def test_models_are_averages_of_directions() -> None:
    embeddings, artists = corpus()
    models = enrol(embeddings, artists | {IDS[1]: None}, ENROL)
    assert models.artists == tuple(f"artist{k}" for k in range(10))
    assert models.n_songs == (5, *[6] * 9) and models.n_without_artist == 1
    mean = units(embeddings)[[k for k in range(8, 16) if k % 4]].mean(axis=0)
    np.testing.assert_allclose(models.vectors[1], mean / np.linalg.norm(mean), atol=1e-12)


def test_identification_is_the_nearest_model() -> None:
    embeddings, artists = corpus(noise=2.0)
    models = enrol(embeddings, artists, ENROL)
    found = identify(models, embeddings, artists, TEST)
    cosines = units(embeddings)[::4] @ models.vectors.T
    truth = np.arange(20) // 2
    rank = 1 + (cosines > cosines[np.arange(20), truth][:, None]).sum(axis=1)
    np.testing.assert_array_equal(found.table["rank"], rank)
    assert found.table["artist_predicted"].tolist() == [f"artist{k}" for k in cosines.argmax(axis=1)]
    np.testing.assert_allclose(found.table["similarity"], cosines.max(axis=1), atol=1e-8)
    np.testing.assert_array_equal(found.table["top1"], rank <= 1)
    np.testing.assert_array_equal(found.table["top5"], rank <= 5)
    np.testing.assert_allclose(found.table["reciprocal_rank"], 1 / rank)
    assert 0.2 < found.table["top1"].mean() < found.table["top5"].mean()  # neither trivial nor hopeless
    assert found.counts == {"n_tracks": 20, "n_artists": 10, "n_without_artist": 0, "n_not_enrolled": 0}


def test_a_new_artist_is_added_without_training() -> None:
    embeddings, artists = corpus(noise=0.5)
    old = [x for x in ENROL if artists[x] != "artist3"]
    models = enrol(embeddings, artists, old)
    before = identify(models, embeddings, artists, TEST)
    assert before.not_enrolled == {"artist3": 2} and before.counts["n_tracks"] == 18
    songs = [x for x in ENROL if artists[x] == "artist3"]
    more = models.add("artist3", Embeddings(tuple(songs), embeddings.of(songs)))
    whole = enrol(embeddings, artists, ENROL)
    assert more.artists == whole.artists and more.n_songs == whole.n_songs and more.enrolled == whole.enrolled
    np.testing.assert_array_equal(more.vectors, whole.vectors)
    after = identify(more, embeddings, artists, TEST).table.set_index("track_id")
    assert after.loc[[x for x in TEST if artists[x] == "artist3"], "top1"].all()
    # the others rank among one more, by the same cosines
    rest = before.table.set_index("track_id")
    assert (after.loc[rest.index, "rank"] - rest["rank"]).isin([0, 1]).all()
    with pytest.raises(ArtistTransferError, match="'artist3' is enrolled already"):
        more.add("artist3", Embeddings(("new",), np.ones((1, 16), np.float32)))
    with pytest.raises(ArtistTransferError, match="enrolled already: 't001'"):
        more.add("another", Embeddings(("t001",), np.ones((1, 16), np.float32)))
    with pytest.raises(ArtistTransferError, match="width 16, found 3"):
        more.add("another", Embeddings(("new",), np.ones((1, 3), np.float32)))


def test_one_song_is_enough() -> None:
    embeddings, artists = corpus()
    models = enrol(embeddings, artists, [IDS[0], IDS[8]])
    np.testing.assert_allclose(models.vectors, units(embeddings)[[0, 8]], atol=1e-12)


@pytest.mark.parametrize("rows", [None, 1, 7])
def test_leaving_one_out_is_enrolling_without_it(rows: int | None) -> None:
    embeddings, artists = corpus(noise=2.0)
    found = leave_one_out(embeddings, artists, rows=rows).table.set_index("track_id")
    whole = enrol(embeddings, artists, IDS)
    for k, x in enumerate(IDS):
        without = enrol(embeddings, artists, [y for y in IDS if y != x])
        expected = identify(without, embeddings, artists, [x]).table.iloc[0]
        assert found.loc[x, "rank"] == expected["rank"], x
        assert found.loc[x, "artist_predicted"] == expected["artist_predicted"]
        assert found.loc[x, "similarity"] == pytest.approx(expected["similarity"], abs=1e-8)
        others = [a for a in range(10) if a != k // 8]
        np.testing.assert_array_equal(without.vectors[others], whole.vectors[others])


def test_recordings_and_albums_stay_out_of_the_own_average() -> None:
    embeddings, artists = corpus(noise=2.0)
    recordings = {x: f"r{k // 2}" for k, x in enumerate(IDS)}
    albums = {x: "one" if k in (0, 4) else None for k, x in enumerate(IDS)}
    found = leave_one_out(embeddings, artists, leave_out=[recordings, albums]).table.set_index("track_id")
    for k, x in enumerate(IDS):
        drop = {IDS[k ^ 1], x} | ({IDS[0], IDS[4]} if k in (0, 4) else set())
        expected = identify(enrol(embeddings, artists, set(IDS) - drop), embeddings, artists, [x]).table.iloc[0]
        assert found.loc[x, "rank"] == expected["rank"]


def test_copies_of_a_recording_would_give_it_away() -> None:
    draw = np.random.default_rng(0)
    vectors = np.repeat(draw.normal(size=(40, 16)), 2, axis=0).astype(np.float32)
    embeddings = Embeddings(IDS, vectors)
    artists = {x: f"artist{k // 4}" for k, x in enumerate(IDS)}  # two recordings each, nothing in common
    recordings = {x: f"r{k // 2}" for k, x in enumerate(IDS)}
    assert leave_one_out(embeddings, artists).table["top1"].mean() > 0.5
    assert leave_one_out(embeddings, artists, leave_out=[recordings]).table["top1"].mean() < 0.2


def test_an_artist_of_one_song_is_counted_and_stays_a_candidate() -> None:
    embeddings, artists = corpus()
    artists |= {IDS[5]: "single", IDS[6]: None}
    found = leave_one_out(embeddings, artists)
    assert found.not_enrolled == {"single": 1}
    assert found.counts == {"n_tracks": 78, "n_artists": 11, "n_without_artist": 1, "n_not_enrolled": 1}


def test_equal_artists_are_ordered_by_id() -> None:
    x = np.array([[1.0, 0], [1, 0], [0, 1]], dtype=np.float32)
    embeddings = Embeddings(("a", "b", "c"), x)
    models = enrol(embeddings, {"a": "A", "b": "B", "c": "C"}, ["a", "b", "c"])
    query = Embeddings(("q", "r"), x[:2])
    found = identify(models, query, {"q": "A", "r": "B"}, ["q", "r"]).table
    assert found["rank"].tolist() == [1, 2] and found["artist_predicted"].tolist() == ["A", "A"]


def test_errors() -> None:
    embeddings, artists = corpus()
    models = enrol(embeddings, artists, ENROL)
    with pytest.raises(ArtistTransferError, match="were enrolled themselves: 't001'"):
        identify(models, embeddings, artists, IDS[:2])
    with pytest.raises(ArtistTransferError, match="none of 2 songs is of an enrolled artist"):
        identify(models, embeddings, {TEST[0]: "x", TEST[1]: None}, TEST[:2])
    with pytest.raises(ArtistTransferError, match="none of 80 tracks has an artist"):
        enrol(embeddings, {}, IDS)
    with pytest.raises(ArtistTransferError, match="no artist has a second song"):
        leave_one_out(embeddings, {x: x for x in IDS})
    opposite = Embeddings(("a", "b", "c"), np.array([[1, 1], [-1, -1], [0, 1]], dtype=np.float32))
    with pytest.raises(ArtistTransferError, match="cancel out: 'A'"):
        enrol(opposite, {"a": "A", "b": "A", "c": "C"}, ["a", "b", "c"])
    with pytest.raises(ArtistTransferError, match="zero vector: 'b'"):
        enrol(Embeddings(("a", "b"), np.array([[1, 1], [0, 0]], dtype=np.float32)), {"a": "A", "b": "A"}, ["a", "b"])
