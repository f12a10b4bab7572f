"""Table 2 of AGF, layer by layer, and what a multi-task net shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from artist_transfer.errors import ArtistTransferError
from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet, count_parameters

torch.set_num_threads(1)
GENRE = DcnnConfig(outputs=(("g", 16),))
SMALL = DcnnConfig(outputs={"m": 5, "g": 3}, width=0.25, n_mels=32, crop=16)

# AGF, table 2, "output shape" as (frequency, time, channels), before each pooling
TABLE_2 = {
    "conv1": (128, 43, 16),
    "conv2": (64, 43, 32),
    "conv3": (32, 21, 64),
    "conv4": (16, 10, 64),
    "conv5": (8, 5, 128),
    "conv6": (4, 2, 256),
    "conv7": (4, 2, 256),
}
KERNELS = {"conv1": 5, "conv2": 3, "conv3": 3, "conv4": 3, "conv5": 3, "conv6": 3, "conv7": 1}


def test_genre_net_has_the_papers_parameter_count() -> None:
    assert count_parameters(MultiTaskNet(GENRE)) == 566_320


def test_every_layer_has_the_shape_of_table_2() -> None:
    net = MultiTaskNet(GENRE).eval()
    seen: dict[str, tuple[int, ...]] = {}

    def note(name: str):
        def hook(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
            seen[name] = tuple(output.shape)

        return hook

    for name, module in net.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)):
            module.register_forward_hook(note(name.split(".")[-1]))
    logits = net(torch.zeros(2, 1, 128, 43), "g")
    for name, (band, frame, channels) in TABLE_2.items():
        assert seen[name] == (2, channels, band, frame), name
    assert seen["norm2"] == seen["conv2"] and seen["norm4"] == seen["conv4"] and seen["norm7"] == seen["conv7"]
    assert seen["norm_pooled"] == seen["dense"] == seen["norm_dense"] == (2, 256)
    assert seen["out"] == tuple(logits.shape) == (2, 16)
    assert net.trunks["shared"](torch.zeros(2, 1, 128, 43)).shape == (2, 16, 64, 43)


def test_kernels_and_biases() -> None:
    net = MultiTaskNet(GENRE)
    modules = {name.split(".")[-1]: module for name, module in net.named_modules()}
    for name, size in KERNELS.items():
        assert modules[name].kernel_size == (size, size)
    without = {name for name in [*KERNELS, "dense", "out"] if modules[name].bias is None}
    assert without == {"conv2", "conv4", "conv7", "dense"}  # exactly those that a batch norm follows


def test_pooling_before_the_elu_is_the_papers_order_in_numbers() -> None:
    net = MultiTaskNet(SMALL, seed=3).eval()
    tower, x = net.towers["g"], torch.randn(4, 1, 32, 16)
    y = F.max_pool2d(F.elu(net.trunks["shared"].conv1(x)), (2, 1))
    y = F.max_pool2d(F.elu(tower.norm2(tower.conv2(y))), 2)
    y = F.max_pool2d(F.elu(tower.conv3(y)), 2)
    y = F.max_pool2d(F.elu(tower.norm4(tower.conv4(y))), 2)
    y = F.max_pool2d(F.elu(tower.conv5(y)), 2)
    y = F.elu(tower.norm7(tower.conv7(F.elu(tower.conv6(y)))))
    y = F.elu(tower.norm_dense(tower.dense(tower.norm_pooled(y.mean(dim=(2, 3))))))
    torch.testing.assert_close(net.features(x, "g"), y, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(net(x, "g"), tower.out(y), rtol=1e-6, atol=1e-7)


def test_dropout_rates() -> None:
    net = MultiTaskNet(GENRE).train()
    rates: list[float] = []
    original = F.dropout

    def spy(x: torch.Tensor, p: float, training: bool) -> torch.Tensor:
        rates.append(p)
        assert training
        return original(x, p, training)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "dropout", spy)
        net.features(torch.zeros(2, 1, 128, 43), "g")
        assert rates == [0.1, 0.1]  # features are taken before the last dropout
        net(torch.zeros(2, 1, 128, 43), "g")
    assert rates[2:] == [0.1, 0.1, 0.5]


def test_shared_trunk_counts_once_and_all_features_agree_with_each() -> None:
    outputs = {"g": 16, "s": 40, "e": 40, "d": 40, "m": 40}
    single = {task: count_parameters(MultiTaskNet(DcnnConfig(outputs={task: n}))) for task, n in outputs.items()}
    shared, apart = (MultiTaskNet(DcnnConfig(outputs=outputs, shared=flag)) for flag in (True, False))
    assert count_parameters(apart) == sum(single.values())
    assert count_parameters(shared) == sum(single.values()) - 4 * (5 * 5 * 16 + 16)
    for net in (MultiTaskNet(SMALL).eval(), MultiTaskNet(DcnnConfig({"g": 3, "m": 5}, 0.25, False, 32, 16)).eval()):
        x = torch.randn(3, 1, 32, 16)
        features = net.features_all(x)
        assert list(features) == ["g", "m"]
        for task in "gm":
            assert features[task].shape == (3, 64)
            torch.testing.assert_close(features[task], net.features(x, task), rtol=0, atol=0)


def test_raw_log_mel_goes_in() -> None:
    net = MultiTaskNet(SMALL).eval()
    rng = np.random.default_rng(0)
    mean, std = rng.normal(-40, 10, 32), rng.uniform(5, 20, 32)
    x = torch.randn(3, 1, 32, 16)
    plain = net(x, "g")
    net.set_band_statistics(mean, std)
    raw = x * torch.tensor(std)[:, None] + torch.tensor(mean)[:, None]
    torch.testing.assert_close(net(raw, "g"), plain, rtol=1e-4, atol=1e-4)
    assert net(raw.half(), "g").dtype == torch.float32
    with pytest.raises(ArtistTransferError, match="32 values"):
        net.set_band_statistics(mean[:-1], std)
    with pytest.raises(ArtistTransferError, match="above 0"):
        net.set_band_statistics(mean, 0 * std)


def test_initial_weights_are_glorot_and_depend_on_seed_and_name_alone() -> None:
    state = torch.get_rng_state()
    net, again, other = MultiTaskNet(GENRE, seed=1), MultiTaskNet(GENRE, seed=1), MultiTaskNet(GENRE, seed=2)
    assert torch.equal(state, torch.get_rng_state())
    many = MultiTaskNet(DcnnConfig(outputs={"s": 40, "g": 16}), seed=1)
    for name, parameter in net.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name))
        assert torch.equal(parameter, many.get_parameter(name))
        if parameter.dim() > 1:
            assert not torch.equal(parameter, other.get_parameter(name))
            area = parameter[0, 0].numel()
            limit = (6 / (area * (parameter.shape[0] + parameter.shape[1]))) ** 0.5
            assert 0.9 * limit < float(parameter.detach().abs().max()) <= limit
        else:
            assert bool((parameter == (0 if name.endswith("bias") else 1)).all()), name
    assert not torch.equal(many.towers["s"].conv2.weight, many.towers["g"].conv2.weight)


def test_width_multiplies_all_channels() -> None:
    net = MultiTaskNet(DcnnConfig(outputs={"g": 16}, width=2.0))
    assert net.config.channels == (32, 64, 128, 128, 256, 512, 512) and net.config.features == 512
    assert net.towers["g"].conv6.weight.shape == (512, 256, 3, 3)
    assert 3.9 < count_parameters(net) / 566_320 < 4.0


def test_canonical_order_and_bad_configurations() -> None:
    assert DcnnConfig(outputs={"m": 2, "a": 9, "d": 2, "g": 2, "e": 2, "s": 2}).tasks == tuple("gsedma")
    bad = [{"outputs": {}}, {"outputs": (("g", 2), ("g", 3))}, {"outputs": {"g": 1}}, {"outputs": {"g": 2}, "width": 0}]
    for values in [*bad, {"outputs": {"g": 2}, "n_mels": 31}, {"outputs": {"g": 2}, "crop": 15}]:
        with pytest.raises(ArtistTransferError):
            DcnnConfig(**values)
