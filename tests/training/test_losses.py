"""Soft cross-entropy against its formula and torch, the L2 penalty against autograd, one update."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from artist_transfer.models.dcnn import MultiTaskNet
from artist_transfer.training.losses import make_optimisers, soft_cross_entropy, update


def test_formula() -> None:
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(0, 3, (7, 5)), rng.dirichlet(np.ones(5), 7)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.mean([-sum(targets[i, j] * np.log(p[i, j]) for j in range(5)) for i in range(7)])
    assert float(soft_cross_entropy(torch.tensor(logits), torch.tensor(targets))) == pytest.approx(expected, abs=1e-12)


def test_one_hot_is_the_usual_cross_entropy() -> None:
    logits, labels = torch.randn(9, 4, dtype=torch.float64), torch.randint(4, (9,))
    soft = F.one_hot(labels, 4).double()
    torch.testing.assert_close(soft_cross_entropy(logits, soft), F.cross_entropy(logits, labels), rtol=0, atol=1e-14)


def test_least_loss_is_the_entropy_and_half_precision_is_lifted() -> None:
    targets = torch.tensor([[0.7, 0.2, 0.1]])
    entropy = -(targets * targets.log()).sum()
    torch.testing.assert_close(soft_cross_entropy(targets.log(), targets), entropy)
    assert soft_cross_entropy(targets.log().bfloat16(), targets).dtype == torch.float32


def batch_of(problem: ModuleType, n_out: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    crops = torch.randn(8, 1, problem.BANDS, problem.CROP, generator=generator)
    return crops, torch.softmax(torch.randn(8, n_out, generator=generator), dim=1)


@pytest.mark.parametrize("kind", ["shared", "per_task"])
def test_tasks_that_were_not_drawn_stay_bit_unchanged(problem: ModuleType, kind: str) -> None:
    net = MultiTaskNet(problem.make_config(), seed=0).train()
    optimisers = make_optimisers(net, learning_rate=1e-3, l2=1e-2, kind=kind)
    assert (optimisers["g"] is optimisers["m"]) == (kind == "shared")
    update(net, optimisers["m"], *batch_of(problem, 5), task="m", precision="float32")  # now m has moments
    before = {name: value.clone() for name, value in net.state_dict().items()}
    moments = {p: {k: v.clone() for k, v in s.items()} for p, s in optimisers["m"].state.items()}
    for _ in range(3):
        update(net, optimisers["g"], *batch_of(problem, 3), task="g", precision="float32")
    for name, value in net.state_dict().items():
        if name.startswith("band_"):
            continue
        assert torch.equal(value, before[name]) == name.startswith("towers.m."), name
    for parameter in net.towers["m"].parameters():
        assert parameter.grad is None
        for key, value in optimisers["m"].state[parameter].items():
            assert torch.equal(value, moments[parameter][key])
    trunk = net.trunks["shared"].conv1.weight
    assert float(optimisers["m"].state[trunk]["step"]) == (4 if kind == "shared" else 1)


def test_first_adam_step_is_that_of_loss_plus_l2_over_kernels(problem: ModuleType) -> None:
    """Adam's first step is -lr * g / (|g| + eps): compare with autograd's g of the loss with the penalty in it."""
    l2, rate = 0.3, 1e-3
    config = problem.make_config("g")
    net, copy = (MultiTaskNet(config, seed=0).double().eval() for _ in range(2))  # eval: no dropout to tell them apart
    crops, soft = batch_of(problem, 3)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    loss = update(
        net, make_optimisers(net, learning_rate=rate, l2=l2)["g"], crops, soft.double(), task="g", precision="float32"
    )
    plain = soft_cross_entropy(copy(crops, "g"), soft.double())
    kernels = [p for name, p in copy.named_parameters() if "conv" in name or "dense" in name or ".out." in name]
    (plain + l2 * sum(p.square().sum() for p in kernels if p.dim() > 1)).backward()
    torch.testing.assert_close(loss, plain.detach())  # what is reported is the cross-entropy alone
    checked = 0
    for name, parameter in net.named_parameters():
        gradient = copy.get_parameter(name).grad
        expected = before[name] - rate * gradient / (gradient.abs() + 1e-8)
        torch.testing.assert_close(parameter.detach(), expected, rtol=0, atol=1e-9)
        checked += "norm" in name
    assert checked == 10  # norms are among the parameters without penalty


def test_bfloat16_stays_near_float32(problem: ModuleType) -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        net = MultiTaskNet(problem.make_config("g"), seed=0).eval()
        optimiser = make_optimisers(net, learning_rate=1e-3, l2=0)["g"]
        losses.append(float(update(net, optimiser, *batch_of(problem, 3), task="g", precision=precision)))
        assert all(p.dtype == torch.float32 for p in net.parameters())
    assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], rel=0.05)
