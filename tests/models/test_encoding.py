"""Vectors of songs: which segments, what average, what is left out, and no influence of the neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.artist_net import ArtistNet, ArtistNetConfig
from artist_transfer.models.encoding import encode_songs, segment_starts

torch.set_num_threads(1)
BANDS = 8


class Source(dict[str, np.ndarray]):
    """Songs of given lengths."""

    def frames(self, track_id: str, /) -> np.ndarray:
        return self[track_id]


def make_source(**lengths: int) -> Source:
    return Source(
        {
            name: np.random.default_rng([7, *name.encode()]).gamma(1.0, 0.3, (n, BANDS)).astype(np.float16)
            for name, n in lengths.items()
        }
    )


@pytest.fixture
def net() -> ArtistNet:
    net = ArtistNet(ArtistNetConfig("siamese", n_mels=BANDS, width=0.25), seed=3).train()
    with torch.no_grad():
        for _ in range(200):
            net(torch.randn(8, 129, BANDS))
    net.set_statistics(0.3, 0.3)
    return net


@pytest.mark.parametrize("placement", ["start", "even"])
@pytest.mark.parametrize("n", [0, 1, 128, 129, 257, 258, 1290, 1291, 1292, 5000])
def test_segments_do_not_overlap_and_lie_within_the_song(n: int, placement: str) -> None:
    starts = segment_starts(n, placement=placement)
    assert len(starts) == min(10, n // 129)
    assert (np.diff(starts) >= 129).all()
    if len(starts):
        assert starts[0] == 0 and starts[-1] + 129 <= n


def test_a_clip_of_the_paper_is_cut_from_its_beginning() -> None:
    np.testing.assert_array_equal(segment_starts(1291), 129 * np.arange(10))
    np.testing.assert_array_equal(segment_starts(6000), 129 * np.arange(10))
    np.testing.assert_array_equal(segment_starts(6000, placement="even"), 600 * np.arange(10))
    assert np.abs(segment_starts(1291, placement="even") - segment_starts(1291)).max() <= 1
    for values in ({"segments": 0}, {"crop": 0}, {"placement": "end"}):
        with pytest.raises(ArtistTransferError):
            segment_starts(1000, **values)


def test_a_vector_is_the_mean_over_the_segments(net: ArtistNet) -> None:
    source = make_source(a=1291, b=400)
    vectors, left_out = encode_songs(net, source, ["b", "a"])
    assert vectors.shape == (2, net.config.features) and vectors.dtype == np.float32 and left_out == {}
    assert not net.training
    for row, (name, n) in enumerate([("b", 3), ("a", 10)]):
        pieces = np.stack([source[name][129 * k : 129 * (k + 1)] for k in range(n)]).astype(np.float32)
        with torch.no_grad():
            mean = net.encode(torch.from_numpy((pieces - np.float32(0.3)) / np.float32(0.3))).mean(dim=0)
        np.testing.assert_allclose(vectors[row], mean.numpy(), rtol=1e-4, atol=1e-5)
    assert (vectors >= 0).all() and (vectors > 0).any(axis=1).all()


def test_frames_beyond_the_segments_do_not_count(net: ArtistNet) -> None:
    source = make_source(a=1291)
    before, _ = encode_songs(net, source, ["a"], segments=2)
    source["a"] = source["a"].copy()
    source["a"][258:] = 5
    after, _ = encode_songs(net, source, ["a"], segments=2)
    np.testing.assert_array_equal(before, after)


def test_a_song_does_not_depend_on_its_neighbours(net: ArtistNet) -> None:
    source = make_source(a=1291, b=200, c=129, d=700, e=1291)
    together, _ = encode_songs(net, source, list("abcde"))
    for row, name in enumerate("abcde"):
        alone, _ = encode_songs(net, source, [name])
        np.testing.assert_array_equal(alone[0], together[row])
    backwards, _ = encode_songs(net, source, list("edcba"))
    np.testing.assert_array_equal(backwards[::-1], together)
    for batch in (2, 3, 64):  # several at once: to the rounding of a sum
        batched, _ = encode_songs(net, source, list("abcde"), batch=batch)
        np.testing.assert_allclose(batched, together, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [None, 2])
def test_short_songs_are_left_out_with_their_reason(net: ArtistNet, batch: int | None) -> None:
    source = make_source(a=129, b=128, c=300, d=0)
    vectors, left_out = encode_songs(net, source, list("dabc"), batch=batch)
    assert list(left_out) == ["d", "b"] and left_out["b"] == "too short: 128 frames, 129 are needed"
    kept, _ = encode_songs(net, source, list("ac"))
    np.testing.assert_allclose(vectors, kept, rtol=1e-4, atol=1e-5)
    none, all_out = encode_songs(net, source, list("bd"))
    assert none.shape == (0, net.config.features) and len(all_out) == 2


def test_bad_input_is_named(net: ArtistNet) -> None:
    source = Source({"wide": np.zeros((300, 9), np.float16)})
    with pytest.raises(ArtistTransferError, match=r"track wide.*8 bands"):
        encode_songs(net, source, ["wide"])
    with pytest.raises(ArtistTransferError, match="1 or more"):
        encode_songs(net, source, ["wide"], batch=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_vectors(net: ArtistNet) -> None:
    source = make_source(a=1291, b=200, c=700)
    cpu, _ = encode_songs(net, source, list("abc"))
    gpu, _ = encode_songs(net, source, list("abc"), device=torch.device("cuda"))
    np.testing.assert_allclose(gpu, cpu, rtol=1e-2, atol=1e-3)
