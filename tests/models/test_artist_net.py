"""The one-dimensional nets: shapes, counts, padding, batch norm and initial weights by the paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.artist_net import ArtistNet, ArtistNetConfig
from artist_transfer.models.dcnn import count_parameters

torch.set_num_threads(1)
TOWER = 3 * (4 * 128 * 128 + 128) + (2 * 128 * 128 + 128) + (128 * 256 + 256) + 2 * (4 * 128 + 256)


def moved(net: ArtistNet, *, steps: int = 3) -> ArtistNet:
    """Give batch norms statistics and weights of their own, some of them negative."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for block in net.blocks:
            block.norm.weight.copy_(torch.randn(block.norm.weight.shape, generator=generator))
            block.norm.bias.copy_(torch.randn(block.norm.bias.shape, generator=generator))
        net.train()
        for _ in range(steps):
            net(torch.randn(8, net.config.crop, net.config.n_mels, generator=generator))
    return net.eval()


def plainly(net: ArtistNet, x: Tensor) -> Tensor:
    """Compute the features in the order of the paper, with torch's 1-D layers."""
    x = x.transpose(1, 2)  # (batch, band, frame)
    for block, kernel, pool in zip(net.blocks, (4, 4, 4, 2, 1), (4, 4, 4, 2, 1), strict=True):
        x = F.conv1d(F.pad(x, ((kernel - 1) // 2, kernel // 2)), block.conv.weight, block.conv.bias)
        norm = block.norm
        x = (x - norm.running_mean[:, None]) / torch.sqrt(norm.running_var[:, None] + 1e-3)
        x = F.relu(x * norm.weight[:, None] + norm.bias[:, None])
        x = F.max_pool1d(x, pool)
    return x.mean(dim=2)


def test_frames_and_filters_of_every_layer() -> None:
    net = ArtistNet(ArtistNetConfig("basic", 1000)).eval()
    convolved: list[tuple[int, ...]] = []
    for block in net.blocks:
        block.norm.register_forward_hook(lambda _m, _i, output: convolved.append(tuple(output.shape)))
    outputs = net.block_outputs(torch.zeros(3, 129, 128))
    assert [tuple(x.shape) for x in outputs] == [
        (3, 32, 128),
        (3, 8, 128),
        (3, 2, 128),
        (3, 1, 128),
        (3, 1, 256),
    ]
    assert [(shape[1], shape[3]) for shape in convolved] == [(128, 129), (128, 32), (128, 8), (128, 2), (256, 1)]
    assert [tuple(block.conv.weight.shape) for block in net.blocks] == [
        (128, 128, 4),
        (128, 128, 4),
        (128, 128, 4),
        (128, 128, 2),
        (256, 128, 1),
    ]
    x = torch.randn(2, 129, 128)
    assert net.encode(x).shape == (2, 256) and net(x).shape == (2, 1000)
    assert all(block.norm.eps == 1e-3 and block.norm.momentum == pytest.approx(0.01) for block in net.blocks)


@pytest.mark.parametrize(("kind", "n"), [("basic", 500), ("siamese", 0), ("tag", 50)])
def test_number_of_parameters(kind: str, n: int) -> None:
    assert TOWER == 264_448
    assert count_parameters(ArtistNet(ArtistNetConfig(kind, n))) == TOWER + (257 * n)


def test_a_siamese_net_returns_its_features() -> None:
    net = moved(ArtistNet(ArtistNetConfig("siamese", n_mels=6, width=0.125)))
    x = torch.randn(4, 129, 6)
    assert torch.equal(net(x), net.encode(x)) and net.config.features == 32
    assert (net.encode(x) >= 0).all() and (net.encode(x) > 0).any()


def test_it_is_the_plain_net_of_the_paper() -> None:
    """Pooling before the ReLU and 2-D convolutions of height one change nothing, also with negative weights."""
    for crop in (129, 300):  # 300: more than one frame is left to average
        net = moved(ArtistNet(ArtistNetConfig("siamese", n_mels=9, crop=crop, width=0.25), seed=3))
        x = torch.randn(5, crop, 9)
        with torch.no_grad():
            torch.testing.assert_close(net.encode(x), plainly(net, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("layer", "left", "right"), [(0, 1, 2), (3, 0, 1), (4, 0, 0)])
def test_the_odd_frame_of_padding_is_on_the_right(layer: int, left: int, right: int) -> None:
    """An impulse in frame t is seen by the outputs from t - right to t + left, and by no others."""
    net = ArtistNet(ArtistNetConfig("siamese"))
    block, seen = net.blocks[layer].eval(), []
    block.norm.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0][0].detach()))
    frames = 16
    for t in (0, 7, frames - 1):
        x = torch.zeros(1, frames, block.conv.weight.shape[1])
        x[0, t] = 1
        block(x)
        hit = np.flatnonzero(seen.pop()[:, 0].abs().sum(dim=0).numpy() > 1e-6)
        np.testing.assert_array_equal(hit, np.arange(max(0, t - right), min(frames, t + left + 1)))


def test_dropout_is_between_the_last_activation_and_the_output() -> None:
    net = ArtistNet(ArtistNetConfig("siamese", n_mels=8, dropout=0.5), seed=2)
    with torch.no_grad():
        for block in net.blocks:
            block.norm.momentum = 1.0
            block.norm.bias.fill_(10.0)  # so that no feature is zero by itself
        x = torch.randn(64, 129, 8)
        net.train()
        net(x)
        net.eval()
        kept = net.encode(x)
        for block in net.blocks:
            block.norm.eval()
        net.training = True
        dropped = net(x)
    assert (kept > 0).all()
    zero = dropped == 0
    assert 0.45 < float(zero.float().mean()) < 0.55
    torch.testing.assert_close(dropped[~zero], 2 * kept[~zero])
    net.train()
    assert (net.encode(x) > 0).float().mean() > 0.99  # the features that are transferred are not dropped


def test_no_dropout_where_none_is_wanted() -> None:
    net = ArtistNet(ArtistNetConfig("siamese", n_mels=8, width=0.25, dropout=0.0)).train()
    x = torch.randn(8, 129, 8)
    assert torch.equal(net(x), net.encode(x))


def test_initial_weights_are_he_uniform_and_the_output_glorot() -> None:
    net = ArtistNet(ArtistNetConfig("basic", 1000), seed=1)
    for block in net.blocks:
        weight = block.conv.weight.detach()
        bound = math.sqrt(6 / (weight.shape[1] * weight.shape[2]))
        assert 0.99 * bound < float(weight.abs().max()) <= bound
        assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)
        assert not block.conv.bias.any()
    assert net.head is not None and not net.head.bias.any()
    bound = math.sqrt(6 / (256 + 1000))
    assert 0.99 * bound < float(net.head.weight.detach().abs().max()) <= bound


def test_initial_weights_depend_on_the_seed_alone() -> None:
    state = torch.get_rng_state()
    nets = [ArtistNet(ArtistNetConfig(kind, n), seed=4) for kind, n in (("basic", 5), ("siamese", 0), ("tag", 9))]
    assert torch.equal(state, torch.get_rng_state())
    for net in nets[1:]:
        for mine, first in zip(net.blocks, nets[0].blocks, strict=True):
            assert torch.equal(mine.conv.weight, first.conv.weight)
    other = ArtistNet(ArtistNetConfig("basic", 5), seed=5)
    assert not torch.equal(other.blocks[0].conv.weight, nets[0].blocks[0].conv.weight)
    first, second = (nets[0].blocks[i].conv.weight.flatten() for i in (1, 2))
    assert not torch.equal(first, second)


def test_the_width_multiplies_filters_and_features() -> None:
    assert ArtistNetConfig("siamese", width=0.5).filters == (64, 64, 64, 64, 128)
    assert ArtistNetConfig("siamese", width=1e-9).filters == (1, 1, 1, 1, 1)
    assert ArtistNetConfig("siamese").filters == (128, 128, 128, 128, 256)


def test_standardising_takes_one_mean_and_one_deviation() -> None:
    net = ArtistNet(ArtistNetConfig("siamese", n_mels=4))
    net.set_statistics(0.25, 0.5)
    x = torch.tensor([0.25, 0.75, -0.75], dtype=torch.float16)
    assert net.standardise(x).tolist() == [0.0, 1.0, -2.0] and net.standardise(x).dtype == torch.float32
    assert net.mean.shape == net.std.shape == ()
    assert {"mean", "std"} <= net.state_dict().keys()
    for mean, std in ((float("nan"), 1.0), (0.0, 0.0), (0.0, -1.0), (0.0, float("inf"))):
        with pytest.raises(ArtistTransferError, match="std > 0"):
            net.set_statistics(mean, std)


def test_the_penalty_is_on_the_kernels_of_the_convolutions() -> None:
    net = ArtistNet(ArtistNetConfig("basic", 7))
    kernels = net.kernels()
    assert [k is m.weight for k, m in zip(kernels, (m for m in net.modules() if isinstance(m, nn.Conv1d)))] == [
        True
    ] * 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "triplet"}, "basic, siamese, tag"),
        ({"kind": "basic", "n_outputs": 1}, "2 or more"),
        ({"kind": "tag", "n_outputs": 0}, "1 or more"),
        ({"kind": "siamese", "n_outputs": 3}, "none"),
        ({"kind": "siamese", "crop": 127}, "128 frames"),
        ({"kind": "siamese", "n_mels": 0}, "0 bands"),
        ({"kind": "siamese", "width": 0.0}, "width"),
        ({"kind": "siamese", "dropout": 1.0}, "dropout"),
    ],
)
def test_impossible_configurations_are_errors(values: dict[str, object], message: str) -> None:
    with pytest.raises(ArtistTransferError, match=message):
        ArtistNetConfig(**values)


@pytest.mark.parametrize("shape", [(129, 8), (2, 127, 8), (2, 129, 9), (2, 8, 129)])
def test_crops_of_another_shape_are_an_error(shape: tuple[int, ...]) -> None:
    net = ArtistNet(ArtistNetConfig("siamese", n_mels=8, width=0.1)).eval()
    with pytest.raises(ArtistTransferError, match="8 bands"):
        net.encode(torch.zeros(shape))
