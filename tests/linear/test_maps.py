"""Steps in a row are one map, which computes what they compute one by one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocuda_hw.linear.maps import Kind, Map, identity
from neurocuda_hw.linear.steps import (
    Convolution,
    Pair,
    Pool,
    Product,
    Reshape,
    Scale,
    Shape,
    Step,
    channels,
    windows,
)

SHAPE = (4, 9, 8)


def draw(*shape: int) -> torch.Tensor:
    """Whole numbers: sums of them are the same in any order."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randint(-4, 5, shape, generator=generator).double()


def convolution(
    outputs: int, inputs: int, kernel: Pair, groups: int = 1, **options: Pair
) -> Convolution:
    """With a bias, which no map holds."""
    weight = draw(outputs, inputs // groups, *kernel)
    return Convolution(weight=weight, bias=draw(outputs), groups=groups, **options)


def one_by_one(steps: list[Step], x: torch.Tensor) -> torch.Tensor:
    """What the steps compute, without their biases."""
    for step in steps:
        shape = step.output(tuple(x.shape[1:]))
        x = step.linear.apply(x)
        assert tuple(x.shape[1:]) == shape
    return x


def joined(steps: list[Step], shape: Shape) -> Map | None:
    """The single map, if there is one."""
    found: Map | None = identity(shape)
    for step in steps:
        found = None if found is None else found.then(step)
    return found


def agrees(found: Map, steps: list[Step], shape: Shape) -> bool:
    """Whether a map computes what the steps compute."""
    x = draw(3, *shape)
    wanted = one_by_one(steps, x)
    assert found.gives == tuple(wanted.shape[1:])
    got = found.deliver(x.reshape(3, *found.takes))
    return torch.allclose(got.flatten(1), wanted.flatten(1), rtol=1e-12, atol=1e-12)


WIDE = convolution(6, 4, (3, 2), stride=(2, 1), padding=(1, 1))
POINT = convolution(6, 4, (1, 1))
APART = convolution(4, 4, (3, 3), groups=4, dilation=(2, 1))
GROUPED = convolution(6, 4, (2, 2), groups=2)

ONE = {
    "two convolutions": ([WIDE, convolution(3, 6, (2, 3))], Kind.CONV),
    "two that stride and dilate": (
        [WIDE, convolution(3, 6, (2, 2), stride=(1, 2), dilation=(2, 3))],
        Kind.CONV,
    ),
    "1 x 1, then one that pads": ([POINT, convolution(3, 6, (3, 3), padding=(1, 2))], Kind.CONV),
    "rows taken, then one that pads": (
        [windows(4, stride=(2, 1)), convolution(3, 4, (3, 3), padding=(1, 1))],
        Kind.CONV,
    ),
    "zeros around, then a convolution": ([windows(4, padding=(2, 1)), WIDE], Kind.CONV),
    "depthwise, then grouped": ([APART, GROUPED], Kind.CONV),
    "grouped, then grouped": ([GROUPED, convolution(6, 6, (2, 1), groups=3)], Kind.CONV),
    "grouped, then depthwise": ([GROUPED, convolution(6, 6, (2, 2), groups=6)], Kind.CONV),
    "a convolution, then a mean": ([WIDE, Pool(kernel=(2, 2), stride=(1, 2))], Kind.CONV),
    "1 x 1, then a sum": ([POINT, Pool(kernel=(2, 3), stride=(2, 3), mean=False)], Kind.CONV),
    "1 x 1, then a sum that pads": (
        [POINT, Pool(kernel=(2, 3), stride=(2, 3), padding=(1, 2), mean=False)],
        Kind.CONV,
    ),
    "factors and means": (
        [
            Scale(factor=draw(4).reshape(4, 1, 1)),
            Pool(kernel=(2, 2), stride=(2, 2)),
            Pool(kernel=(2, 1), stride=(1, 2)),
        ],
        Kind.GAIN,
    ),
    "means that overlap": (
        [Pool(kernel=(3, 3), stride=(2, 2)), Pool(kernel=(2, 2), stride=(1, 1))],
        Kind.CONV,
    ),
    "a mean, then a convolution": ([Pool(kernel=(2, 2), stride=(2, 2)), WIDE], Kind.CONV),
    "factors on both sides": (
        [
            Scale(factor=draw(4).reshape(4, 1, 1)),
            GROUPED,
            Scale(factor=draw(6).reshape(6, 1, 1)),
        ],
        Kind.CONV,
    ),
    "channels chosen": ([channels(torch.eye(4)[[3, 1, 1]]), convolution(2, 3, (2, 2))], Kind.CONV),
    "flattened, then a product": (
        [Scale(factor=draw(*SHAPE)), Reshape(shape=(288,)), Product(weight=draw(5, 288))],
        Kind.MATRIX,
    ),
    "products and what follows": (
        [
            Reshape(shape=(288,)),
            Product(weight=draw(24, 288), bias=draw(24)),
            Reshape(shape=(2, 3, 4)),
            convolution(3, 2, (2, 2), padding=(1, 1)),
            Scale(factor=draw(3, 4, 5)),
            Pool(kernel=(2, 2), stride=(1, 1)),
        ],
        Kind.MATRIX,
    ),
}


@pytest.mark.parametrize("name", ONE)
def test_they_are_one_map(name: str) -> None:
    steps, kind = ONE[name]
    found = joined(steps, SHAPE)
    assert found is not None
    assert found.kind is kind
    assert agrees(found, steps, SHAPE)


@pytest.mark.parametrize(
    "steps",
    [
        [WIDE, convolution(3, 6, (3, 3), padding=(1, 0))],
        [WIDE, Scale(factor=draw(6, 5, 9))],
        [Scale(factor=draw(*SHAPE)), WIDE],
        [WIDE, Reshape(shape=(270,)), Product(weight=draw(3, 270))],
        [Reshape(shape=(8, 9, 4)), convolution(3, 8, (2, 2))],
        [WIDE, Pool(kernel=(2, 2), stride=(2, 2), padding=(1, 1))],
    ],
)
def test_what_is_no_single_map_is_a_matrix(steps: list[Step]) -> None:
    assert joined(steps, SHAPE) is None
    before = joined(steps[:-1], SHAPE)
    assert before is not None
    for whole in (False, True):
        found = before.matrix(steps[-1], whole=whole)
        assert found.kind is Kind.MATRIX
        assert agrees(found, steps, SHAPE)


def test_a_matrix_stands_behind_the_pool_or_for_it() -> None:
    steps: list[Step] = [Pool(kernel=(3, 2), stride=(3, 2))]
    pooled = joined(steps, SHAPE)
    assert pooled is not None
    behind, whole = pooled.matrix(), pooled.matrix(whole=True)
    assert (behind.weight.shape, behind.pool) == ((48, 48), (3, 2))
    assert (whole.weight.shape, whole.pool) == ((48, 288), None)
    assert agrees(behind, steps, SHAPE)
    assert agrees(whole, steps, SHAPE)


def test_signals_are_feature_maps_of_height_1() -> None:
    steps: list[Step] = [
        Pool(kernel=(1, 2), stride=(1, 2)),
        convolution(3, 2, (1, 3), padding=(0, 1), dilation=(1, 2)),
        Reshape(shape=(12,)),
    ]
    found = joined(steps, (2, 12))
    assert found is not None
    assert (found.takes, found.plain, found.gives) == ((2, 1, 12), (3, 1, 4), (12,))
    assert agrees(found, steps, (2, 12))


def test_sums_of_one_geometry() -> None:
    first, second = joined([WIDE], SHAPE), joined([Scale(factor=draw(1)), WIDE], SHAPE)
    assert first is not None
    assert second is not None
    both = first.plus(second)
    assert both is not None
    assert torch.equal(both.weight, first.weight + second.weight)
    assert first.plus(identity(SHAPE)) is None
    other = joined(
        [convolution(6, 4, (3, 2), stride=(2, 1), padding=(1, 1), dilation=(1, 1))], SHAPE
    )
    taller = joined([convolution(6, 4, (3, 4), stride=(2, 1), padding=(1, 2))], SHAPE)
    assert other is not None
    assert first.plus(other) is not None
    assert taller is not None
    assert first.plus(taller) is None
    twice = identity(SHAPE).plus(identity(SHAPE))
    assert twice is not None
    assert torch.equal(twice.factors, torch.full(SHAPE, 2.0, dtype=torch.float64))


@st.composite
def rows(place: st.DrawFn) -> list[Step]:
    """Steps on `SHAPE`, each of which fits behind the one before."""
    shape: Shape = SHAPE
    steps: list[Step] = []
    for _ in range(place(st.integers(1, 4))):
        kernel = (place(st.integers(1, 3)), place(st.integers(1, 3)))
        stride = (place(st.integers(1, 2)), place(st.integers(1, 3)))
        padding = (place(st.integers(0, 2)), place(st.integers(0, 1)))
        kind = place(st.sampled_from(["convolution", "pool", "scale"]))
        step: Step = Scale(factor=draw(shape[0]).reshape(-1, 1, 1))
        if kind == "pool":
            step = Pool(kernel=kernel, stride=stride, padding=padding, mean=False)
        elif kind == "convolution":
            groups = place(st.sampled_from([g for g in (1, 2, 3, 4) if shape[0] % g == 0]))
            outputs = groups * place(st.integers(1, 2))
            dilation = (place(st.integers(1, 2)), place(st.integers(1, 2)))
            step = convolution(
                outputs,
                shape[0],
                kernel,
                groups,
                stride=stride,
                padding=padding,
                dilation=dilation,
            )
        if min(step.output(shape)) < 1:
            break
        shape = step.output(shape)
        steps.append(step)
    return steps


@settings(max_examples=80, deadline=None)
@given(rows())
def test_whatever_is_one_map_computes_the_same(steps: list[Step]) -> None:
    found = joined(steps, SHAPE)
    if found is not None:
        assert agrees(found, steps, SHAPE)
        assert agrees(found.matrix(whole=True), steps, SHAPE)
