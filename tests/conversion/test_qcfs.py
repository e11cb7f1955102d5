"""The quantised ANN in training: its forward pass is the integers', its gradients flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conversion.models import Mixed, Plain, Residual, settle
from torch import nn

from neurocuda_hw.conversion import spiking
from neurocuda_hw.conversion.calibrate import clip_values, input_range
from neurocuda_hw.conversion.capture import capture
from neurocuda_hw.conversion.qcfs import QcfsModel, Settings
from neurocuda_hw.conversion.quantize import Code, IntegerLayer, QuantizedAnn, silence, to_network
from neurocuda_hw.conversion.rounding import round_through
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.reference.reference import Reference

pytestmark = pytest.mark.slow


def module(
    model: nn.Module, x: torch.Tensor, code: Code, levels: int = 5, bits: int = 8
) -> QcfsModel:
    """The module of a model, calibrated on `x`."""
    graph = capture(model, x)
    low, high = input_range([x])
    settings = Settings(
        code=code,
        levels=levels,
        weight_bits=(bits,) * len(graph.layers),
        signed=low < 0,
        input_scale=max(high, -low) / 127,
    )
    clips, _ = clip_values(graph, [x], levels, channel_wise=True, seed=0)
    return QcfsModel(graph, settings, clips)


def draw(shape: tuple[int, ...], count: int = 32) -> torch.Tensor:
    """Real inputs of both signs."""
    return torch.randn((count, *shape), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("code", list(Code))
@pytest.mark.parametrize(
    ("model", "shape"), [(Plain(), (1, 8, 8)), (Residual(), (3, 8, 8)), (Mixed(), (2, 8, 8))]
)
def test_the_forward_pass_is_the_quantised_ann(
    model: nn.Module, shape: tuple[int, ...], code: Code
) -> None:
    x = draw(shape)
    trained = module(settle(model), x, code)
    quantized = trained.quantized()
    payload = quantized.quantise(x)
    assert np.array_equal(trained.payload(x).numpy(), payload)
    wanted = quantized.logits(payload).double() * float(quantized.layers[-1].scale)
    assert torch.allclose(trained(x).double(), wanted, rtol=1e-6)


def test_spiking_forward_is_the_rate_coded_network() -> None:
    x = draw((3, 8, 8))
    trained = module(settle(Residual()), x, Code.RATE)
    quantized = trained.quantized()
    outputs = Reference(to_network(quantized)).run(quantized.quantise(x)).outputs
    wanted = outputs.double() * float(quantized.layers[-1].scale)
    assert torch.allclose(spiking.run(trained, x).double(), wanted, rtol=1e-6)
    assert not torch.allclose(trained(x), spiking.run(trained, x))  # neurons fire too early


@pytest.mark.parametrize("forward", [QcfsModel.forward, spiking.run])
def test_every_trained_parameter_gets_a_gradient(forward: object) -> None:
    assert callable(forward)
    trained = module(settle(Residual()), draw((3, 8, 8)), Code.RATE)
    forward(trained, draw((3, 8, 8))).square().sum().backward()
    for name, parameter in trained.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert bool(parameter.grad.any()), name
    fixed = [n for n, p in trained.named_parameters() if not p.requires_grad]
    assert fixed == ["weights.3", "weights.6"]  # the two shortcuts


def test_levels_round_and_pass_gradients_within_the_clip() -> None:
    from neurocuda_hw.conversion.rounding import Levels

    total = torch.tensor([-9.0, -4, 3, 4, 10, 35, 100], requires_grad=True)
    threshold = torch.tensor([9.0], requires_grad=True)
    counts = Levels.apply(total, threshold, 4)  # type: ignore[no-untyped-call]
    assert counts.tolist() == [0, 0, 0, 0, 1, 4, 4]
    counts.sum().backward()
    assert total.grad is not None
    assert total.grad.tolist() == pytest.approx([0, 0, 1 / 9, 1 / 9, 1 / 9, 1 / 9, 0])


def test_rounding_passes_gradients_straight_through() -> None:
    x = torch.tensor([0.4, 0.5, 1.5, -2.6], requires_grad=True)
    y = round_through(x)
    assert y.tolist() == [0, 0, 2, -3]
    (y * torch.arange(4.0)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 2, 3]


def test_clip_values_fit_the_activations() -> None:
    x = draw((1, 8, 8), 256)
    graph = capture(settle(Plain()), x)
    fine, _ = clip_values(graph, [x], 255, channel_wise=True, seed=0)
    coarse, _ = clip_values(graph, [x], 3, channel_wise=True, seed=0)
    one, _ = clip_values(graph, [x], 3, channel_wise=False, seed=0)
    assert [len(c) for c in fine] == [4, 6, 9]
    for few, many, same in zip(coarse, fine, one, strict=True):
        assert float(few.sum()) < float(many.sum())  # few levels cut rare large values off
        assert float(few.min()) > 0
        assert len(set(same.tolist())) == 1


def test_an_input_range_needs_inputs() -> None:
    assert input_range([torch.tensor([-2.0, 1]), torch.tensor([5.0])]) == (-2, 5)
    with pytest.raises(
        DataError, match=r"^calibration data must hold at least one batch, not none$"
    ):
        input_range([])


@pytest.mark.parametrize("code", list(Code))
def test_only_channels_that_cannot_fire_are_silenced(code: Code) -> None:
    model, x = settle(Residual()), draw((3, 8, 8))
    with torch.no_grad():
        model.get_submodule("bn1").bias[1] = -1e4
        model.get_submodule("layers.1.bn1").bias[3] = -1e4
        # on the verge: it fires for some input, so it must stay
        model.get_submodule("layers.0.bn1").bias[0] = -0.5
    plain = module(model, x, code).quantized()
    cleared = silence(plain)
    payload = plain.quantise(10 * draw((3, 8, 8), 64))
    for a, b in zip(plain.counts(payload), cleared.counts(payload), strict=True):
        assert torch.equal(a, b)
    found = [
        np.flatnonzero(b.threshold != a.threshold).tolist()
        for a, b in zip(plain.layers, cleared.layers, strict=True)
        if a.threshold is not None and b.threshold is not None
    ]
    assert found == [[1], [], [], [3], []]


@pytest.mark.parametrize("code", list(Code))
def test_silence_knows_the_least_drive_that_fires(code: Code) -> None:
    # four spikes of weight 2 and half the threshold: 18 of 20; with bias 2 (4 x 0.5): 20 of 20
    weight, bias = np.array([[2, -9], [3, -9], [2, -9]]), np.array([0, 0, 2])
    if code is Code.RATE:
        weight, bias = np.array([[2, -9], [3, -9], [1, -9]]), np.array([0, 0, 2])
    first = IntegerLayer(
        name="first",
        shape=(2,),
        terms=((0, Dense(weight=np.eye(2, dtype=np.int64))),),
        threshold=np.array([1, 1]),
        bias=np.zeros(2, np.int64),
        scale=np.array(1.0),
    )
    second = replace(
        first,
        name="second",
        shape=(3,),
        terms=((1, Dense(weight=weight)),),
        threshold=np.array([20, 20, 20]),
        bias=bias,
    )
    ann = QuantizedAnn(
        code=code,
        levels=4,
        input_shape=(2,),
        payload_bits=8,
        signed=False,
        input_scale=1.0,
        layers=(first, second),
    )
    found = silence(ann).layers[1]
    assert found.threshold is not None
    assert found.threshold.tolist() == [1, 20, 20]
    assert found.terms[0][1].weight.tolist() == [[0, 0], *weight[1:].tolist()]
    counts = ann.counts(np.array([[9, 0]]))[1]
    assert counts.tolist() == silence(ann).counts(np.array([[9, 0]]))[1].tolist() == [[0, 1, 1]]
