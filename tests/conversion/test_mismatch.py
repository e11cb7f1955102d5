"""The mismatch tracer: both sides in one unit, layer by layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conversion.converted import converted, samples
from torch import nn

from neurocuda_hw import SpikingNetwork
from neurocuda_hw.conversion.mismatch import LayerMismatch, mismatch
from neurocuda_hw.ground.errors import ModelError


def model() -> nn.Module:
    """Convolution, average pooling, two linear layers."""
    torch.manual_seed(2)
    return nn.Sequential(
        *(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(3 * 3 * 3, 8), nn.ReLU(), nn.Linear(8, 4)),
    ).eval()


@pytest.mark.parametrize("code", ["exact", "rate"])
def test_each_side_is_what_its_network_computes(code: str) -> None:
    ann, x = model(), samples((1, 6, 6), 40)
    made = converted(ann, x, code=code)
    layers = mismatch(made.snn, x[:5])
    assert [a.name for a in layers] == [p.name for p in made.network.targets]
    with torch.no_grad():
        hidden, logits = ann[:2](x[:5]), ann(x[:5])  # type: ignore[index]
    assert layers[0].ann == pytest.approx(hidden.numpy(), abs=1e-5)
    assert layers[-1].ann == pytest.approx(logits.numpy(), abs=1e-5)
    assert layers[-1].snn == pytest.approx(made.snn(x[:5]).numpy())
    first = made.network.targets[0]
    assert first.scale is not None
    counts = made.snn.trace(x[:5]).bits(first.name).sum(axis=1).reshape(5, *first.shape)
    assert layers[0].snn == pytest.approx(counts * first.each(first.scale))
    assert all(0 < a.error < 0.5 for a in layers)


def test_more_levels_match_better() -> None:
    ann, x = model(), samples((1, 6, 6), 64)
    few, many = (mismatch(converted(ann, x, levels=n).snn, x) for n in (2, 64))
    assert all(a.error < 0.5 * b.error for a, b in zip(many, few, strict=True))


def test_error_and_drift_are_relative() -> None:
    ann = np.array([[3.0, -4.0], [0.0, 5.0]])
    off = LayerMismatch(name="a", ann=ann, snn=ann + 1)
    size = np.sqrt((9 + 16 + 25) / 4)
    assert (off.error, off.drift) == pytest.approx((1 / size, 1 / size))
    silent = LayerMismatch(name="a", ann=ann * 0, snn=ann * 0)
    assert (silent.error, silent.drift) == (0.0, 0.0)
    assert LayerMismatch(name="a", ann=ann * 0, snn=ann).error == float("inf")
    assert (
        repr(silent)
        == "LayerMismatch(name='a', ann=float64[2, 2] 0 to 0, snn=float64[2, 2] 0 to 0)"
    )


def test_a_network_from_a_file_has_no_trained_model() -> None:
    x = samples((1, 6, 6), 16)
    read = SpikingNetwork(converted(model(), x).network)
    with pytest.raises(ModelError, match=r"^the network must be what convert\(\) returned: "):
        mismatch(read, x)
