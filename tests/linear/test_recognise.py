"""Linear maps that are one convolution, whatever they are written as; and those that are none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from neurocuda_hw.linear.maps import Kind, Map, identity
from neurocuda_hw.linear.recognise import as_convolution
from neurocuda_hw.linear.steps import Function

G = torch.Generator().manual_seed(0)
K = torch.randn(4, 2, 3, 3, generator=G, dtype=torch.float64)
DEEP = torch.randn(4, 1, 3, 3, generator=G, dtype=torch.float64)
Linear = Callable[[torch.Tensor], torch.Tensor]

CONVOLUTIONS: dict[str, tuple[Linear, int]] = {
    "itself": (lambda x: F.conv2d(x, K, padding=1), 72),
    "strided": (lambda x: F.conv2d(x, K, stride=2, padding=1), 72),
    "dilated": (lambda x: F.conv2d(x, K, dilation=2, padding=2), 72),
    "grouped": (lambda x: F.conv2d(x, DEEP, groups=2), 36),
    "padded behind only": (lambda x: F.conv2d(F.pad(x, (0, 1, 0, 1)), K, stride=2), 128),
    "padded in front only": (lambda x: F.conv2d(F.pad(x, (4, 0, 4, 0)), K, dilation=2), 200),
    "cropped": (lambda x: F.conv2d(x[:, :, 1:-1, 2:], K), 200),
    "every second line": (lambda x: F.conv2d(x, K)[:, :, ::2], 72),
    "one place": (lambda x: x[:, :, 3:4, 2:3], 144),
    "cropped again": (lambda x: F.conv2d(F.conv2d(x, K), torch.flip(K, (0,)).transpose(0, 1)), 100),
    "shuffled": (lambda x: x.flip(1), 4),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_it_is_found(name: str) -> None:
    run, most = CONVOLUTIONS[name]
    x = torch.randn(2, 2, 9, 8, generator=G, dtype=torch.float64)
    wanted = run(x)
    found = as_convolution(run, (2, 9, 8), tuple(wanted.shape[1:]))
    assert found is not None
    assert torch.allclose(found.apply(x), wanted)
    assert found.weight.numel() <= most


@pytest.mark.parametrize(
    "run",
    [
        lambda x: F.interpolate(x, scale_factor=2),
        lambda x: F.conv_transpose2d(x, K.transpose(0, 1), stride=2),
        lambda x: x.flip(2),
        lambda x: F.conv2d(F.conv2d(x, K, padding=1), K.transpose(0, 1), padding=1),
        lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    ],
)
def test_what_is_none_is_a_matrix(run: Linear) -> None:
    x = torch.randn(3, 2, 5, 5, generator=G, dtype=torch.float64)
    wanted = run(x)
    shape = tuple(wanted.shape[1:])
    assert as_convolution(run, (2, 5, 5), shape) is None
    found = identity((2, 5, 5)).followed(Function(run=run, shape=shape)).single()
    assert isinstance(found, Map)
    assert found.kind is Kind.MATRIX
    assert torch.allclose(found.deliver(x), wanted.flatten(1))


def test_a_matrix_that_is_too_large_is_none() -> None:
    wide = identity((4, 32, 32))
    step = Function(run=lambda x: F.interpolate(x, scale_factor=2), shape=(4, 64, 64))
    assert wide.followed(step).single() is None
