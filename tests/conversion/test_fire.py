"""Neurons through time: spikes and gradients equal those of a plain loop that autograd follows."""

from __future__ import annotations

import math

import pytest
import torch

from neurocuda_hw.conversion.fire import Dynamics, fire
from neurocuda_hw.ground.fixed import decay

RULES = [
    Dynamics(zero=zero, start=start, whole=whole)
    for zero in (False, True)
    for start in (0.5, 0.0, -0.25)
    for whole in (True, False)
]


class Step(torch.autograd.Function):
    """1 where z >= 0; backwards the slope of an arctangent."""

    @staticmethod
    def forward(ctx, z):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(z)
        return (z >= 0).double()

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        (z,) = ctx.saved_tensors
        return gradient / (1 + (torch.pi * z) ** 2)


def through(exact: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """`rounded`, with the gradient of `exact`."""
    return exact + (rounded - exact).detach()


def plain(
    currents: torch.Tensor, threshold: torch.Tensor, keep: torch.Tensor | None, rule: Dynamics
) -> torch.Tensor:
    """The neurons, step by step, as autograd would have it."""
    v = threshold * rule.start
    v = through(v, v.floor()) if rule.whole else v
    spikes = []
    for current in currents:
        if keep is not None:
            left = v * keep
            v = through(left, left.trunc()) if rule.whole else left
        v = v + current
        fired = Step.apply((v - threshold) / threshold)  # type: ignore[no-untyped-call]
        v = v * (1 - fired) if rule.zero else v - threshold * fired
        spikes.append(fired)
    return torch.stack(spikes)


def draw(seed: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Currents (T, B, C, H, W), thresholds and kept shares per channel, weights of the spikes."""
    generator = torch.Generator().manual_seed(seed)
    currents = torch.randint(-20, 40, (6, 3, 4, 2, 2), generator=generator).double()
    threshold = torch.tensor([9.0, 20, 31, 50]).double().reshape(4, 1, 1)
    keep = (1 - torch.tensor([0.0, 409, 2048, 4096]).double() / 4096).reshape(4, 1, 1)
    return currents, threshold, keep, torch.randn(currents.shape, generator=generator).double()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("leaky", [False, True])
def test_spikes_and_gradients(rule: Dynamics, leaky: bool) -> None:
    currents, threshold, share, weight = draw()
    found = []
    for function in (fire, plain):
        c, theta, keep = (a.clone().requires_grad_() for a in (currents, threshold, share))
        spikes = function(c, theta, keep if leaky else None, rule)
        (spikes * weight).sum().backward()
        assert c.grad is not None
        assert theta.grad is not None
        assert (keep.grad is None) is not leaky
        found.append((spikes, c.grad, theta.grad, *([keep.grad] if leaky else [])))
    for got, wanted in zip(*found, strict=True):
        assert torch.allclose(got, wanted, rtol=1e-9)  # type: ignore[arg-type]
    assert 0.1 < float(found[0][0].detach().mean()) < 0.9


def test_the_leak_of_whole_numbers_is_the_hardwares() -> None:
    generator = torch.Generator().manual_seed(1)
    v = torch.randint(-(2**23), 2**23, (2000,), generator=generator)
    lost = torch.randint(0, 4097, (2000,), generator=generator)
    got = Dynamics().leak(v.float(), (1 - lost / 4096).float())
    assert torch.equal(got.long(), torch.from_numpy(decay(v.numpy(), lost.numpy())))


def test_the_slope_is_the_arctangents() -> None:
    """The gradient of a spike is the slope of arctan(pi z) / pi at z = (v - theta) / theta."""
    for z in (-0.5, 0.0, 1.5):
        current = torch.tensor([[2.0 * (1 + z)]], requires_grad=True)
        rule = Dynamics(start=0.0, whole=False)
        fire(current, torch.tensor(2.0), None, rule).sum().backward()
        slope = (math.atan(math.pi * (z + 1e-6)) - math.atan(math.pi * (z - 1e-6))) / 2e-6
        assert current.grad is not None
        assert float(current.grad) == pytest.approx(slope / math.pi / 2, rel=1e-4)
