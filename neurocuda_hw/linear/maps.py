"""Steps in a row as one map of one synapse, where that is exact.

    y = W (sum pool of x)         W: a factor per neuron, a convolution, or a matrix

A pool behind a convolution is a convolution with a longer kernel and stride; so are two
convolutions of which the second does not pad, or the first is 1 x 1; a factor per channel goes into
either. What is none of these is a matrix, which anything can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from math import prod
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F

from neurocuda_hw.linear.recognise import as_convolution
from neurocuda_hw.linear.steps import (
    Convolution,
    Pair,
    Pool,
    Product,
    Reshape,
    Scale,
    Shape,
    Step,
    image_shape,
    per_channel,
    slid,
    windows,
)
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool, Synapse


class Kind(Enum):
    """What the weight of a map is: factors, a convolution kernel, or a matrix."""

    GAIN = "gain"
    CONV = "conv"
    MATRIX = "matrix"


M = TypeVar("M", bound="Map")

# weights of the largest matrix that stands for what is no convolution
LARGEST_MATRIX = 2**22


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Map:
    """One linear map, optionally behind a sum pool.

    Parameters
    ----------
    takes : tuple of int
        Shape of what it is applied to, as a population has it: ``(N,)`` or ``(C, H, W)``.
    gives : tuple of int
        Shape of what it gives, as its model has it.
    kind : Kind
    weight : tensor
        GAIN: broadcasts against the pooled shape, or is ``(C,)``. CONV: ``(C_out, C_in / groups,
        kh, kw)``. MATRIX: ``(outputs, inputs behind the pool)``.
    pool, pool_stride : pair of int, optional
        What it takes is first summed (not averaged) over windows.
    stride, padding, dilation, groups
        Of a CONV, as in PyTorch.
    later : tuple of Step
        What follows and is no single map with it yet; `single` makes one of all.
    """

    takes: Shape
    gives: Shape
    kind: Kind
    weight: torch.Tensor
    pool: Pair | None = None
    pool_stride: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    later: tuple[Step, ...] = ()

    @property
    def pooled(self) -> Shape:
        """Shape behind the sum pool."""
        if self.pool is None:
            return self.takes
        return (self.takes[0], *slid(self.takes[1:], self.pool, self.pool_stride))

    @property
    def plain(self) -> Shape:
        """Shape of what its kind gives, before any reshaping."""
        if self.kind is Kind.MATRIX:
            return (self.weight.shape[0],)
        if self.kind is Kind.GAIN:
            return self.pooled
        sizes, kernel = self.pooled[1:], self.weight.shape[2:]
        return (
            self.weight.shape[0],
            *slid(sizes, kernel, self.stride, self.padding, self.dilation),
        )

    @property
    def is_image(self) -> bool:
        """Whether it gives feature maps as its kind does."""
        return len(self.plain) == 3 and image_shape(self.gives) == self.plain

    @property
    def factors(self) -> torch.Tensor:
        """The weight of a GAIN for each neuron, of the pooled shape."""
        return per_channel(self.weight, len(self.pooled)).expand(self.pooled)

    @property
    def gains(self) -> torch.Tensor | None:
        """The factors of a GAIN, if they are the same for all neurons of a channel: ``(C,)``."""
        return uniform(self.factors)

    def deliver(self, x: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        """The map of ``x`` (B, *takes), with `weight` in the place of its own, if given."""
        if self.pool is not None:
            x = F.avg_pool2d(x, self.pool, self.pool_stride, divisor_override=1)
        return self._behind_pool(x, self.weight if weight is None else weight)

    def _behind_pool(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        if self.kind is Kind.MATRIX:
            return F.linear(x.flatten(1), weight)
        if self.kind is Kind.GAIN:
            return x * per_channel(weight, x.ndim - 1)
        return F.conv2d(x, weight, None, self.stride, self.padding, self.dilation, self.groups)

    def then(self: M, step: Step) -> M | None:
        """This map and then `step` (without its bias); None where that is no single map of its
        kind, or one without weights of its own: `matrix` is there for all."""
        if self.later or type(step) not in _AFTER:
            return self.matrix(step) if self.kind is Kind.MATRIX and not self.later else None
        if self.kind is Kind.MATRIX and not isinstance(step, Reshape):
            return self.matrix(step)
        found = _AFTER[type(step)](self, step)
        return None if found is None else replace(found, gives=step.output(self.gives))

    def followed(self: M, step: Step) -> M:
        """This map and then `step` (without its bias), whatever that comes to."""
        before = self.later or (Reshape(shape=self.gives),)
        return replace(self, later=(*before, step.linear), gives=step.output(self.gives))

    def single(self: M) -> M | None:
        """The same map without steps that follow: a convolution if it is one, else a matrix; None
        where that would have more than `LARGEST_MATRIX` weights."""
        if not self.later:
            return self
        shape = image_shape(self.gives)
        if len(self.pooled) == 3 == len(shape):
            found = as_convolution(self._followed, self.pooled, shape)
            if found is not None:
                return self._convolving(found)
        if prod(self.gives) * prod(self.pooled) > LARGEST_MATRIX:
            return None
        weight = _rows(lambda x: self._followed(x).flatten(1), self.pooled, prod(self.gives))
        return replace(self, kind=Kind.MATRIX, weight=weight, later=(), **_CONVOLVES_NOT)

    def _convolving(self: M, step: Convolution) -> M:
        """A map of the same ends behind the pool, as a convolution, or factors if it is those."""
        geometry = {name: getattr(step, name) for name in _CONVOLVES_NOT}
        weight, alone = step.weight, geometry == {**_CONVOLVES_NOT, "groups": self.pooled[0]}
        if alone and weight.shape == (self.pooled[0], 1, 1, 1):
            same = replace(self, kind=Kind.GAIN, weight=weight.flatten(), later=())
            return replace(same, **_CONVOLVES_NOT)
        return replace(self, kind=Kind.CONV, weight=weight, later=(), **geometry)

    def _followed(self, x: torch.Tensor) -> torch.Tensor:
        """All of the map behind the pool."""
        y = self._behind_pool(x, self.weight)
        for step in self.later:
            y = step.apply(y)
        return y.reshape(-1, *image_shape(self.gives))

    def matrix(self: M, step: Step | None = None, *, whole: bool = False) -> M:
        """The same map, and then `step` (without its bias), as a matrix behind the pool.

        Parameters
        ----------
        whole : bool
            The matrix stands for the pool too.
        """
        gives = self.gives if step is None else step.output(self.gives)

        def run(x: torch.Tensor) -> torch.Tensor:
            y = self.deliver(x) if whole else self._behind_pool(x, self.weight)
            y = y.reshape(-1, *self.gives)
            return (y if step is None else step.linear.apply(y)).flatten(1)

        if self.kind is Kind.MATRIX and step is not None and not whole:
            columns = self.weight.t().reshape(-1, *self.gives)
            weight = step.linear.apply(columns).flatten(1).t().contiguous()
        else:
            weight = _rows(run, self.takes if whole else self.pooled, prod(gives))
        alone = {**_CONVOLVES_NOT, **(_POOLS_NOT if whole else {})}
        return replace(self, kind=Kind.MATRIX, weight=weight, gives=gives, **alone)

    def plus(self: M, other: Map) -> M | None:
        """The sum of two maps of one source and one geometry; None for others."""
        if any(getattr(self, name) != getattr(other, name) for name in _GEOMETRY):
            return None
        if self.kind is Kind.GAIN:
            return replace(self, weight=self.factors + other.factors)
        if self.weight.shape != other.weight.shape:
            return None
        return replace(self, weight=self.weight + other.weight)

    def by_input(self, weight: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """A weight of this geometry, what each channel of `takes` delivers times its factor."""
        if self.kind is Kind.CONV:
            return scale_inputs(weight, self.groups, factors)
        if self.kind is Kind.GAIN:
            return weight * per_channel(factors, weight.ndim)
        return weight * factors.repeat_interleave(prod(self.pooled[1:]))

    def by_output(self, weight: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        """A weight of this geometry, each channel of the target times its factor."""
        rows = factors.repeat_interleave(len(weight) // len(factors))  # of a matrix into maps
        return weight * per_channel(rows, weight.ndim)

    def same(self, other: Map) -> bool:
        """Whether it is the same map, of the same steps."""
        alike = all(getattr(self, name) == getattr(other, name) for name in _GEOMETRY)
        return alike and self.later == other.later and torch.equal(self.weight, other.weight)

    def synapse(self, weight: np.ndarray) -> Synapse:
        """The synapse of this geometry with integers in the place of its weights."""
        pool = None if self.pool is None else SumPool(kernel=self.pool, stride=self.pool_stride)
        if self.kind is Kind.MATRIX:
            return Dense(weight=weight, pool=pool)
        if self.kind is Kind.GAIN:
            return Diagonal(weight=weight, pool=pool)
        return Conv2d(
            weight=weight,
            pool=pool,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )


_CONVOLVES_NOT: dict[str, Any] = {
    "stride": (1, 1),
    "padding": (0, 0),
    "dilation": (1, 1),
    "groups": 1,
}
_POOLS_NOT: dict[str, Any] = {"pool": None, "pool_stride": (1, 1)}
_GEOMETRY = ("takes", "gives", "kind", *_POOLS_NOT, *_CONVOLVES_NOT)


def identity(shape: Shape) -> Map:
    """The map that delivers values of `shape` as they are."""
    takes = image_shape(shape)
    return Map(takes=takes, gives=shape, kind=Kind.GAIN, weight=torch.ones(takes).double())


def uniform(values: torch.Tensor) -> torch.Tensor | None:
    """``(C, ...)`` as ``(C,)`` if all neurons of a channel have the same value, else None."""
    flat = values.reshape(values.shape[0], -1)
    first = flat[:, 0]
    return first.clone() if torch.equal(flat, first[:, None].expand_as(flat)) else None


def scale_inputs(weight: torch.Tensor, groups: int, gains: torch.Tensor) -> torch.Tensor:
    """A kernel ``(C_out, C_in / groups, kh, kw)``, each input channel times its factor."""
    outputs, inputs = weight.shape[:2]
    per_group = gains.reshape(groups, 1, inputs).expand(-1, outputs // groups, -1)
    return weight * per_group.reshape(outputs, inputs, 1, 1)


def _inputs(weight: torch.Tensor, groups: int) -> torch.Tensor:
    """The input channel of each weight: ``(C_out, C_in / groups)``."""
    outputs, inputs = weight.shape[:2]
    numbers = torch.arange(groups * inputs, device=weight.device).reshape(groups, 1, inputs)
    return numbers.expand(-1, outputs // groups, -1).reshape(outputs, inputs)


def _rows(run: Callable[[torch.Tensor], torch.Tensor], takes: Shape, rows: int) -> torch.Tensor:
    """The matrix of a linear `run` of ``(B, *takes)`` to ``(B, rows)``, from its gradients."""
    with torch.enable_grad():
        x = torch.zeros(rows, *takes, dtype=torch.float64, requires_grad=True)
        (found,) = torch.autograd.grad(run(x), x, torch.eye(rows, dtype=torch.float64))
    return found.flatten(1)


def _reshaped(path: M, step: Reshape) -> M:
    return path


def _scaled(path: M, step: Scale) -> M | None:
    factor = step.factor.expand(path.gives).reshape(path.plain)
    if path.kind is Kind.GAIN:
        return replace(path, weight=path.factors * factor)
    gains = uniform(factor)
    return None if gains is None else replace(path, weight=path.weight * gains.reshape(-1, 1, 1, 1))


def _multiplied(path: M, step: Product) -> M | None:
    if path.kind is Kind.CONV:
        return None
    return replace(path, kind=Kind.MATRIX, weight=step.weight * path.factors.reshape(1, -1))


def _convolved(path: M, step: Convolution) -> M | None:
    if not path.is_image:
        return None
    if path.kind is Kind.CONV:
        return _two_convolutions(path, step)
    gains = path.gains
    if gains is None:
        return None
    return replace(
        path,
        kind=Kind.CONV,
        weight=scale_inputs(step.weight, step.groups, gains),
        stride=step.stride,
        padding=step.padding,
        dilation=step.dilation,
        groups=step.groups,
    )


def _two_convolutions(first: M, second: Convolution) -> M | None:
    """Shifted copies of the first kernel, one for each cell of the second."""
    (kh, kw), (rows, columns) = first.weight.shape[2:], second.weight.shape[2:]
    if any(p and k > 1 for p, k in zip(second.padding, (kh, kw), strict=True)):
        return None  # zeros around the maps between are not what the first makes of zeros
    (height, down, below, tall), (width, right, beside, wide) = (
        _axis(first, second, axis) for axis in (0, 1)
    )
    weight: torch.Tensor | None = None
    for y in range(rows):
        for x in range(columns):
            part = _mixed(first, second, y, x)
            if weight is None:
                weight = part.new_zeros((*part.shape[:2], height, width))
            top, left = y * down, x * right
            weight[
                :,
                :,
                top : top + (kh - 1) * below + 1 : below,
                left : left + (kw - 1) * beside + 1 : beside,
            ] += part
    assert weight is not None
    paddings = zip(first.padding, first.stride, second.padding, strict=True)
    top_left = [before + stride * padding for before, stride, padding in paddings]
    return replace(
        first,
        weight=weight,
        stride=_times(first.stride, second.stride),
        padding=(top_left[0], top_left[1]),
        dilation=(tall, wide),
        groups=_groups(first, second),
    )


def _axis(first: Map, second: Convolution, axis: int) -> tuple[int, int, int, int]:
    """Size of the joint kernel, cells between copies, cells within a copy, and its dilation."""
    inner, outer = first.weight.shape[2 + axis], second.weight.shape[2 + axis]
    apart = second.dilation[axis] * first.stride[axis]
    if outer == 1:
        return inner, 1, 1, first.dilation[axis]
    if inner == 1:
        return outer, 1, 1, apart
    within = first.dilation[axis]
    return (outer - 1) * apart + (inner - 1) * within + 1, apart, within, 1


def _mixed(first: Map, second: Convolution, y: int, x: int) -> torch.Tensor:
    """The first kernel's channels, mixed by one cell of the second."""
    if _is_depthwise(first):
        cell = second.weight[:, :, y, x, None, None]
        return cell * first.weight[_inputs(second.weight, second.groups), 0]
    if _is_depthwise(second):
        return second.weight[:, :, y, x, None, None] * first.weight
    return torch.einsum("om,mikl->oikl", _dense(second)[:, :, y, x], _dense(first))


def _groups(first: Map, second: Convolution) -> int:
    """Groups of what `_mixed` gives."""
    if _is_depthwise(first):
        return second.groups
    return first.groups if _is_depthwise(second) else 1


def _is_depthwise(one: Map | Convolution) -> bool:
    return one.weight.shape[1] == 1 and one.groups == one.weight.shape[0]


def _dense(one: Map | Convolution) -> torch.Tensor:
    """The kernel without groups: zeros where a group does not look."""
    outputs, inputs = one.weight.shape[:2]
    places = _inputs(one.weight, one.groups)[:, :, None, None].expand_as(one.weight)
    whole = one.weight.new_zeros((outputs, inputs * one.groups, *one.weight.shape[2:]))
    return whole.scatter(1, places, one.weight)


def _pooled(path: M, step: Pool) -> M | None:
    if not path.is_image:
        return None
    before = path.pool or (1, 1)
    if path.kind is Kind.GAIN:
        weight, apart = path.gains, path.pool in (None, path.pool_stride)
    else:  # a 1 x 1 convolution may as well come behind the pool
        weight = path.weight
        still = (path.stride, path.padding) == ((1, 1), (0, 0))
        apart = path.pool is None and weight.shape[2:] == (1, 1) and still
    if weight is not None and apart and step.padding == (0, 0):
        return replace(
            path,
            weight=weight / step.divisor,
            pool=_times(before, step.kernel),
            pool_stride=_times(before, step.stride),
        )
    slides = windows(path.plain[0], step.kernel, step.stride, step.padding)
    found = _convolved(path, slides)
    return None if found is None else replace(found, weight=found.weight / step.divisor)


def _times(a: Pair, b: Pair) -> Pair:
    return (a[0] * b[0], a[1] * b[1])


_AFTER: dict[type[Step], Callable[[Any, Any], Any]] = {
    Reshape: _reshaped,
    Scale: _scaled,
    Product: _multiplied,
    Convolution: _convolved,
    Pool: _pooled,
}
