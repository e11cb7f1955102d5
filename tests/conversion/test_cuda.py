"""What is trained and run on a GPU: the same spikes, counts and logits as on the CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from conversion.converted import converted, samples
from conversion.models import Mixed, OneDimensional, Plain, Residual, settle
from conversion.neuron_nets import NEURONS, Make, images, net, recordings
from torch import nn

import neurocuda_hw as nc
from neurocuda_hw.conversion import OverTime, convert
from neurocuda_hw.reference.reference import Reference

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

MODELS: list[tuple[type[nn.Module], tuple[int, ...]]] = [
    (Plain, (1, 8, 8)),
    (Residual, (3, 8, 8)),
    (Mixed, (2, 8, 8)),
    (OneDimensional, (2, 16)),
]


def same_on_both(snn: nc.SpikingNetwork, x: torch.Tensor) -> None:
    """Spikes, membranes and outputs, population by population and step by step."""
    inputs = snn.quantise(x)
    wanted = Reference(snn.network).trace(inputs, membranes=True)
    for stepwise in (False, True):
        found = Reference(snn.network, "cuda", stepwise=stepwise).trace(inputs, membranes=True)
        assert found.to_bytes() == wanted.to_bytes()
    assert torch.equal(snn.to("cuda")(x).cpu(), snn.to("cpu")(x))


@pytest.mark.parametrize("code", ["exact", "rate"])
@pytest.mark.parametrize(("make", "shape"), MODELS)
def test_trained_there_and_equal_here(
    make: type[nn.Module], shape: tuple[int, ...], code: str
) -> None:
    x = samples(shape, 48)
    model = settle(make())
    with torch.no_grad():
        y = model(x).argmax(1)
    options: dict[str, Any] = {"strategy": "exact" if code == "exact" else "qcfs_if_ft"}
    options |= {"levels": 4, "timesteps": 4, "qcfs_epochs": 2, "if_epochs": 2, "batch": 16}
    c = converted(
        model, (x.cuda(), y.cuda()), test_loader=(x.cuda(), y.cuda()), device="cuda", **options
    )
    assert c.snn.device.type == "cuda"
    assert c.stats.integer_accuracy is not None
    if code == "exact":
        assert c.stats.unequal == 0
    same_on_both(c.snn, x)
    payload = torch.from_numpy(c.quantise(x))
    for there, here in zip(
        c.quantized.counts(payload.cuda()), c.quantized.counts(payload), strict=True
    ):
        assert there.device.type == "cuda"
        assert torch.equal(there.cpu(), here)


@pytest.mark.parametrize(("name", "make"), NEURONS)
@pytest.mark.parametrize("static", [False, True])
def test_models_of_neurons(name: str, make: Make, static: bool) -> None:
    x = images() if static else recordings()
    model = OverTime(net(make), 4) if static else OverTime(net(make))
    y = torch.arange(len(x)) % 2
    snn, _ = convert(
        model, (x, y), strategy="qcfs_if_ft", if_epochs=2, device="cuda", verbose=False
    )
    same_on_both(snn, x)


def test_the_gpu_is_no_other_network() -> None:
    """Prove that the comparison can fail: one weight changed."""
    x = samples((1, 8, 8), 16)
    network = converted(settle(Plain()), x, levels=4).network
    wanted = Reference(network).trace(converted(settle(Plain()), x, levels=4).quantise(x))
    network.projections[0].synapse.weight.setflags(write=True)
    network.projections[0].synapse.weight[0] += 9
    found = Reference(network, "cuda").trace(wanted.inputs)
    assert found.to_bytes() != wanted.to_bytes()
