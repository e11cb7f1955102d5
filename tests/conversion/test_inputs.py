"""Scales of inputs, what is said of odd ones, and channels of odd size."""

from __future__ import annotations

import copy

import pytest
import torch
from conversion.converted import converted
from conversion.models import row, settle
from torch import nn

from neurocuda_hw.conversion.capture import capture
from neurocuda_hw.conversion.graph import evaluate
from neurocuda_hw.conversion.inputs import centre, coarse, payload_of
from neurocuda_hw.conversion.prepare import Prepared
from neurocuda_hw.ground.errors import DataError, ModelError

G = torch.Generator().manual_seed(0)
X = torch.rand((600, 4), generator=G) + 0.01


def test_channels_far_apart_have_a_scale_each() -> None:
    x = X * torch.tensor([1.0, 10.0, 100.0, 1000.0])
    bits, scale, notes = payload_of(None, x, 8, (4,))
    assert isinstance(scale, tuple)
    assert (bits, notes) == (8, [])
    assert scale == pytest.approx((x.amax(0) / 255).tolist())
    assert isinstance(payload_of(None, X, 8, (4,))[1], float)
    model = settle(row(nn.BatchNorm1d(4), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
    found = converted(model, (x, torch.arange(600) % 3), test_loader=(x, torch.arange(600) % 3))
    assert found.stats.unequal == 0
    assert found.network.input.scale is not None
    assert found.network.input.scale.shape == (4,)


def test_outliers_do_not_take_the_range() -> None:
    x = X.clone()
    x[0, 0] = 200.0
    _, scale, notes = payload_of(None, x, 8, (4,))
    assert scale == pytest.approx(1.01 / 255, rel=0.01)
    assert notes == [
        "1 of 2,400 input values lie far beyond all others (up to 200) and are clipped, so that "
        "the others keep their codes"
    ]


def test_few_codes_are_warned_of() -> None:
    assert coarse(X, 1 / 255, (0, 255), (4,), "test data") == []
    (told,) = coarse(X + 100, 101 / 255, (0, 255), (4,), "test data")
    assert told.startswith("WARNING: typical values of the test data use few of the input's")
    assert len(coarse(X / 255, 1 / 255, (0, 255), (4,), "test data")) == 1
    binary = (X > 0.5).float()
    assert coarse(binary, 1 / 255, (0, 255), (4,), "test data") == []


def test_a_model_at_chance_is_warned_of() -> None:
    y = torch.arange(600) % 3
    model = settle(row(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
    notes = converted(model, (X, y), test_loader=(X, y)).stats.notes
    assert any(n.startswith("WARNING: the trained model gets") for n in notes)
    known = model(X).argmax(1)
    notes = converted(model, (X, known), test_loader=(X, known)).stats.notes
    assert not any(n.startswith("WARNING: the trained model gets") for n in notes)


def test_only_a_mean_far_from_0_is_a_centre() -> None:
    assert centre(X, (4,)).tolist() == [0, 0, 0, 0]
    assert centre(X + 50, (4,)).tolist() == pytest.approx((X + 50).double().mean(0).tolist())


def test_preparation_is_absorbed() -> None:
    model = settle(row(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)))
    x = torch.rand((16, 3, 4, 4), generator=G)
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
    wide = [torch.tensor(part).reshape(1, 3, 1, 1) for part in (mean, std)]
    with torch.no_grad():
        wanted = model((255 * x - wide[0]) / wide[1])
    prepared = Prepared(model, mean=mean, std=std, scale=255.0)
    got = evaluate(capture(prepared, x), x)[-1].flatten(1).float()
    assert torch.allclose(got, wanted, rtol=1e-4, atol=1e-3)
    program = torch.export.export(model, (x,))
    with torch.no_grad():
        assert torch.allclose(Prepared(program, mean=mean, std=std, scale=255.0)(x), wanted)
    with pytest.raises(DataError, match="std and scale must be positive"):
        Prepared(model, std=[0.0])


@pytest.mark.parametrize("factor", [1e-3, 1e-4, 1e3])
def test_a_channel_of_another_size_is_the_same_function(factor: float) -> None:
    model = settle(row(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)))
    other = copy.deepcopy(model)
    with torch.no_grad():
        other[0].weight[::3] *= factor
        other[0].bias[::3] *= factor
        other[2].weight[:, ::3] /= factor
        wanted = model(X)
    errors = [
        float((converted(one, X, levels=32).snn(X) - wanted).abs().mean()) for one in (model, other)
    ]
    assert errors[1] < 1.5 * errors[0]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize(
    "wrap",
    [nn.DataParallel, torch.compile, lambda m: m.double(), lambda m: m.half()],
)
def test_wrapped_models_convert(wrap: object) -> None:
    model = settle(row(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
    assert converted(wrap(copy.deepcopy(model)).eval(), X).stats.strategy == "exact"  # type: ignore[operator]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_models_without_values_are_named() -> None:
    model = row(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    with pytest.raises(ModelError, match=r"^the model must be a plain torch.nn.Module, not TorchS"):
        converted(torch.jit.script(model), X)
    with pytest.raises(ModelError, match=r"^parameter '0.weight' must hold values, but it is on"):
        converted(copy.deepcopy(model).to("meta"), X)
    norm = row(nn.Linear(4, 8), nn.BatchNorm1d(8, track_running_stats=False), nn.ReLU())
    with pytest.raises(ModelError, match="keeps no statistics"):
        converted(norm, X)
