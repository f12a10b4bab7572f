"""Baselines as vectors: fitted on the named tracks only, the same whatever other tracks there are."""

from __future__ import annotations

import numpy as np
import pytest

from artist_transfer.errors import ArtistTransferError
from artist_transfer.evaluation.embedding_baselines import (
    common_tracks,
    mfcc_embeddings,
    random_embeddings,
    standardised,
)
from artist_transfer.evaluation.embeddings import Embeddings
from artist_transfer.evaluation.retrieval import average_precisions
from artist_transfer.features.mfcc import mfcc_statistics

IDS = [f"t{k:02d}" for k in range(30)]


class Noise:
    """Two kinds of noise: the odd tracks are louder at the top."""

    def frames(self, track_id: str, /) -> np.ndarray:
        k = int(track_id[1:])
        frames = np.random.default_rng(k).normal(size=(20 + k, 32)).astype(np.float16)
        frames[:, 16:] += 2 * (k % 2)
        return frames


def test_statistics_are_standardised_by_the_named_tracks() -> None:
    found = mfcc_embeddings(Noise(), IDS, fit_ids=IDS[:20], n=5)
    assert found.width == 45 and found.vectors.dtype == np.float32
    plain = np.stack([mfcc_statistics(Noise().frames(x), 5) for x in IDS]).astype(float)
    expected = (plain - plain[:20].mean(axis=0)) / plain[:20].std(axis=0)
    np.testing.assert_allclose(found.vectors, expected, atol=1e-4)


def test_they_find_what_sounds_alike() -> None:
    found = mfcc_embeddings(Noise(), IDS, fit_ids=IDS, n=5)
    labels = {x: str(int(x[1:]) % 2) for x in IDS}
    retrieved = average_precisions(found, labels)
    assert retrieved.mean > 0.9 > retrieved.table["chance"].mean()


def test_other_tracks_change_nothing() -> None:
    whole = mfcc_embeddings(Noise(), IDS, fit_ids=IDS[:10], n=5)
    part = mfcc_embeddings(Noise(), IDS[:15], fit_ids=IDS[:10], n=5)
    np.testing.assert_array_equal(part.vectors, whole.vectors[:15])


def test_a_constant_column_is_centred_only() -> None:
    vectors = np.array([[1.0, 5], [3, 5], [9, 7]], dtype=np.float32)
    found = standardised(Embeddings(("a", "b", "c"), vectors), ["a", "b"]).vectors
    np.testing.assert_allclose(found, [[-1, 0], [1, 0], [7, 2]])


def test_random_vectors_belong_to_their_track() -> None:
    found = random_embeddings(IDS, width=64, seed=1)
    again = random_embeddings(IDS[::-1], width=64, seed=1)
    np.testing.assert_array_equal(found.vectors, again.vectors[::-1])
    assert not np.array_equal(found.vectors, random_embeddings(IDS, width=64, seed=2).vectors)
    assert abs(found.vectors.mean()) < 0.1 and found.vectors.std() == pytest.approx(1, abs=0.1)
    labels = {x: str(k % 3) for k, x in enumerate(IDS)}
    retrieved = average_precisions(found, labels)
    assert retrieved.mean == pytest.approx(retrieved.table["chance"].mean(), abs=0.05)


def test_only_common_tracks_can_be_compared() -> None:
    first, second = random_embeddings(IDS), random_embeddings([*IDS[5:], "more"])
    assert common_tracks({"a": first, "b": second}) == (IDS[5:], {"a": 5, "b": 1})
    with pytest.raises(ArtistTransferError, match="all of 'a', 'b'"):
        common_tracks({"a": first, "b": random_embeddings(["x"])})


def test_errors() -> None:
    embeddings = random_embeddings(IDS)
    with pytest.raises(ArtistTransferError, match="no track to take mean"):
        standardised(embeddings, [])
    with pytest.raises(ArtistTransferError, match="no vector of 1 tracks, the first is 'x'"):
        standardised(embeddings, ["x", *IDS])
    with pytest.raises(ArtistTransferError, match="at least 1"):
        random_embeddings(IDS, width=0)
