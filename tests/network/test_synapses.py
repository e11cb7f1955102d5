"""Shapes that synapses join, and what they refuse."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool, Synapse


def ones(*shape: int) -> np.ndarray:
    """Weights of one."""
    return np.ones(shape, dtype=np.int64)


def refuses(message: str, make: object) -> None:
    """Asserts that calling `make` raises this whole message."""
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        make()  # type: ignore[operator]


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_convolution_has_the_shape_of_pytorchs(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    synapse = Conv2d(weight=ones(2, 1, *kernel), stride=stride, padding=padding, dilation=dilation)
    layer = torch.nn.functional.conv2d
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    if any(n + 2 * p < s for n, p, s in zip(size, padding, spans, strict=True)):
        with pytest.raises(ModelError, match="does not fit into"):
            synapse.output((1, *size))
        return
    want = layer(
        torch.ones(1, 1, *size), torch.ones(2, 1, *kernel), None, stride, padding, dilation
    )
    assert synapse.output((1, *size)) == tuple(want.shape[1:])


@pytest.mark.parametrize(
    ("pool", "shape", "want"),
    [
        (SumPool(kernel=2), (3, 4, 6), (3, 2, 3)),
        (SumPool(kernel=2), (3, 5, 7), (3, 2, 3)),
        (SumPool(kernel=(1, 3), stride=1), (3, 4, 6), (3, 4, 4)),
        (SumPool(kernel=3, stride=(2, 1)), (1, 3, 3), (1, 1, 1)),
    ],
)
def test_sum_pool(pool: SumPool, shape: tuple[int, ...], want: tuple[int, ...]) -> None:
    assert pool.output(shape) == want


def test_sum_pool_cells() -> None:
    assert SumPool(kernel=(2, 3)).cells == 6
    assert SumPool(kernel=(2, 3)).stride == (2, 3)


@pytest.mark.parametrize(
    ("weight", "bits"), [([[0]], 1), ([[1]], 2), ([[-1]], 1), ([[127, -128]], 8), ([[128]], 9)]
)
def test_weight_bits(weight: list[list[int]], bits: int) -> None:
    assert Dense(weight=np.array(weight)).weight_bits == bits


def test_magnitude_adds_every_weight_of_a_neuron_and_every_cell_of_its_pool() -> None:
    assert Dense(weight=np.array([[3, -4], [5, 1]])).magnitude == 7
    assert Diagonal(weight=np.array([-2, 1]), pool=SumPool(kernel=(2, 3))).magnitude == 2 * 6


def test_weights_are_copied_and_read_only() -> None:
    given_ = ones(2, 3).astype(np.int8)
    synapse = Dense(weight=given_)
    given_[0, 0] = 9
    assert synapse.weight[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        synapse.weight[0, 0] = 2


@pytest.mark.parametrize(
    ("synapse", "source", "target"),
    [
        (Dense(weight=ones(6, 4)), (4,), (1, 2, 3)),
        (Dense(weight=ones(6, 2), pool=SumPool(kernel=2)), (2, 2, 3), (6,)),
        (Conv2d(weight=ones(4, 1, 3, 3), groups=2), (2, 3, 5), (4, 1, 3)),
        (Diagonal(weight=ones(4)), (4,), (4,)),
        (Diagonal(weight=ones(2), pool=SumPool(kernel=2)), (2, 4, 4), (2, 2, 2)),
    ],
)
def test_joins(synapse: Synapse, source: tuple[int, ...], target: tuple[int, ...]) -> None:
    synapse.check(source, target, "a -> b")


@pytest.mark.parametrize(
    ("synapse", "source", "target", "message"),
    [
        (
            Dense(weight=ones(6, 4)),
            (5,),
            (6,),
            "dense weight must have the shape (6, 5), not (6, 4)",
        ),
        (
            Dense(weight=ones(6, 4), pool=SumPool(kernel=2)),
            (4,),
            (6,),
            "a sum pool needs a source (C, H, W), not (4,)",
        ),
        (
            Conv2d(weight=ones(1, 4, 1, 1)),
            (4,),
            (1, 1, 1),
            "a convolution needs (C, H, W), not (4,)",
        ),
        (
            Conv2d(weight=ones(2, 2, 1, 1), groups=2),
            (3, 2, 2),
            (2, 2, 2),
            "convolution must take 4 channels, not 3",
        ),
        (
            Conv2d(weight=ones(2, 3, 3, 3), stride=2),
            (3, 7, 7),
            (2, 4, 4),
            "convolution gives (2, 3, 3), not (2, 4, 4)",
        ),
        (
            Diagonal(weight=ones(3)),
            (3, 2, 2),
            (3, 1, 1),
            "a diagonal needs equal shapes and one weight per channel, not (3, 2, 2) -> (3, 1, 1) "
            "with (3,)",
        ),
        (
            Diagonal(weight=ones(2)),
            (3,),
            (3,),
            "a diagonal needs equal shapes and one weight per channel, not (3,) -> (3,) with (2,)",
        ),
    ],
)
def test_refuses_to_join(
    synapse: Synapse, source: tuple[int, ...], target: tuple[int, ...], message: str
) -> None:
    refuses(f"projection a -> b: {message}", lambda: synapse.check(source, target, "a -> b"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(weight=np.ones((2, 2))), "Dense weight must be integers, not float64"),
        (lambda: Dense(weight=[[np.nan]]), "Dense weight must be integers, not float64"),
        (
            lambda: Dense(weight=[[2**63]]),
            "Dense weight must be at most 2^47 in magnitude, not 9223372036854775808",
        ),
        (
            lambda: Dense(weight=[[2**50]]),
            "Dense weight must be at most 2^47 in magnitude, not 1125899906842624",
        ),
        (
            lambda: Dense(weight=np.zeros((0, 3), int)),
            "Dense weight must not be empty: (0, 3)",
        ),
        (lambda: Conv2d(weight=ones(2, 2)), "Conv2d weight must have 4 dimensions, not 2"),
        (
            lambda: Conv2d(weight=ones(3, 1, 1, 1), groups=2),
            "groups must divide the 3 output channels, not 2",
        ),
        (
            lambda: Conv2d(weight=ones(1, 1, 1, 1), stride=0),
            "stride must be one or two integers of at least 1, not 0",
        ),
        (
            lambda: Conv2d(weight=ones(1, 1, 1, 1), padding=(1, -1)),
            "padding must be one or two integers of at least 0, not (1, -1)",
        ),
        (lambda: SumPool(kernel=(2, 1.5)), "sum pool kernel must be an integer, not 1.5"),
        (lambda: Conv2d(weight=ones(1, 1, 1, 1), stride="2"), "stride must be an integer, not '2'"),
        (
            lambda: SumPool(kernel=(2, 2, 2)),
            "sum pool kernel must be one or two integers of at least 1, not (2, 2, 2)",
        ),
        (
            lambda: SumPool(kernel=3).output((1, 2, 9)),
            "sum pool (3, 3) does not fit into 2 x 9",
        ),
    ],
)
def test_refuses(make: object, message: str) -> None:
    refuses(message, make)
