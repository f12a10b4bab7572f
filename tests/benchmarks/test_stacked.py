"""Stacked nets are the nets that were stacked, so that the benchmark compares like with like."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from benchmarks.stacked import StackedNets

from artist_transfer.models.dcnn import DcnnConfig, MultiTaskNet
from artist_transfer.training.losses import make_optimisers, update

CONFIG = DcnnConfig(outputs=(("g", 3),), width=0.125, n_mels=32, crop=16)


def make_nets(n: int) -> list[MultiTaskNet]:
    return [MultiTaskNet(CONFIG, seed=seed).double().train() for seed in range(n)]


def make_batches(steps: int, nets: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (
            torch.randn(nets, 6, 1, 32, 16, generator=generator, dtype=torch.float64),
            torch.softmax(torch.randn(nets, 6, 3, generator=generator, dtype=torch.float64), dim=2),
        )
        for _ in range(steps)
    ]


def test_stacked_nets_are_plain_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(F, "dropout", lambda x, *_args, **_kwargs: x)
    nets, batches = make_nets(3), make_batches(10, 3)
    stacked = StackedNets(nets, learning_rate=1e-3, l2=1e-3)
    optimisers = [make_optimisers(net, learning_rate=1e-3, l2=1e-3)["g"] for net in nets]
    for crops, soft in batches:
        losses = stacked.update(crops, soft)
        for i, net in enumerate(nets):
            alone = update(net, optimisers[i], crops[i], soft[i], task="g", precision="float32")
            assert float(losses[i]) == pytest.approx(float(alone), abs=1e-10)
    # a bias that the next batch norm makes idle has rounding errors for a gradient, and Adam divides them by its 1e-8
    tolerance, checked = 1e-9, 0
    for i, (net, optimiser) in enumerate(zip(nets, optimisers, strict=True)):
        for name, value in net.state_dict().items():
            mine = {**stacked.params, **stacked.buffers}[name][i].detach()
            torch.testing.assert_close(mine, value, rtol=0, atol=tolerance, msg=name)
        for name, parameter in net.named_parameters():
            moments = stacked.optimiser.state[stacked.params[name]]
            for key in ("exp_avg", "exp_avg_sq"):
                torch.testing.assert_close(moments[key][i], optimiser.state[parameter][key], rtol=0, atol=1e-10)
                checked += 1
    assert checked == 3 * 2 * 24
    assert not torch.equal(nets[0].towers["g"].out.weight, nets[1].towers["g"].out.weight)


def test_every_net_has_masks_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nets of equal weights, with equal batches, differ by dropout alone."""
    crops, soft = make_batches(1, 1)[0]
    batch = crops.expand(4, -1, -1, -1, -1), soft.expand(4, -1, -1)
    nets = [MultiTaskNet(CONFIG, seed=0).double().train() for _ in range(4)]
    assert len(set(StackedNets(nets, learning_rate=1e-3, l2=0).update(*batch).tolist())) == 4
    monkeypatch.setattr(F, "dropout", lambda x, *_args, **_kwargs: x)
    losses = StackedNets(nets, learning_rate=1e-3, l2=0).update(*batch)
    assert float(losses.max() - losses.min()) < 1e-12


def test_nets_of_different_tasks_cannot_be_stacked() -> None:
    other = MultiTaskNet(DcnnConfig(outputs=(("m", 3),), width=0.125, n_mels=32, crop=16))
    with pytest.raises(ValueError):
        StackedNets([make_nets(1)[0], other], learning_rate=1e-3, l2=0)
