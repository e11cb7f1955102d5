"""Linear operations one by one: what each does to a batch of vectors, signals or feature maps.

Shapes have no batch axis: ``(N,)``, ``(C, L)`` or ``(C, H, W)``. A signal ``(C, L)`` is a feature
map of height 1, so there are no operations for signals alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

Pair = tuple[int, int]
Shape = tuple[int, ...]


def image_shape(shape: Shape) -> Shape:
    """``(C, L)`` as ``(C, 1, L)``; other shapes as they are: what a population has."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def per_channel(values: torch.Tensor, axes: int) -> torch.Tensor:
    """One value per channel ``(C,)``, shaped to broadcast over `axes` axes (C first)."""
    return values.reshape(-1, *([1] * (axes - 1))) if values.ndim == 1 else values


def slid(
    sizes: Iterable[int],
    kernel: Iterable[int],
    stride: Iterable[int],
    padding: Iterable[int] = (0, 0),
    dilation: Iterable[int] = (1, 1),
) -> Shape:
    """How often a window fits along each axis: less than 1 where it does not fit at all."""
    axes = zip(sizes, kernel, stride, padding, dilation, strict=True)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One operation; `bias` is what it adds to its linear map, if anything."""

    bias: torch.Tensor | None = None

    @property
    def linear(self) -> Step:
        """The same without its bias."""
        return self if self.bias is None else replace(self, bias=None)

    def output(self, shape: Shape) -> Shape:
        """Shape of what it gives for an input of `shape`."""
        return shape

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, *shape)`` to ``(B, *output(shape))``, in the type of its weights."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reshape(Step):
    """The same values in C order as `shape`."""

    shape: Shape

    def output(self, shape: Shape) -> Shape:
        return self.shape

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(-1, *self.shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Function(Step):
    """Whatever else is affine: `run` does it to ``(B, *shape)``; `shape` is what it gives."""

    run: Callable[[torch.Tensor], torch.Tensor]
    shape: Shape

    @property
    def linear(self) -> Step:
        run = self.run
        return replace(self, run=lambda x: run(x) - run(torch.zeros_like(x[:1])))

    def output(self, shape: Shape) -> Shape:
        return self.shape

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return self.run(x).reshape(-1, *self.shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gather(Step):
    """Values from `places` of the input, counted in C order; -1 is a zero."""

    places: torch.Tensor

    def output(self, shape: Shape) -> Shape:
        return tuple(self.places.shape)

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        flat = F.pad(x.flatten(1), (0, 1))
        return flat[:, self.places.flatten()].reshape(-1, *self.places.shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale(Step):
    """A factor for each value; `factor` broadcasts against the shape."""

    factor: torch.Tensor

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Product(Step):
    """A matrix ``(outputs, inputs)``."""

    weight: torch.Tensor

    def output(self, shape: Shape) -> Shape:
        return (self.weight.shape[0],)

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x.flatten(1), self.weight, self.bias)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Window(Step):
    """What slides over feature maps."""

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)

    def _fitted(self, shape: Shape, channels: int, sizes: Shape) -> Shape:
        """A shape of the rank of `shape`."""
        return (channels, *sizes[3 - len(shape) :])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convolution(_Window):
    """As in PyTorch; `weight` is ``(C_out, C_in / groups, kh, kw)``."""

    weight: torch.Tensor
    dilation: Pair = (1, 1)
    groups: int = 1

    def output(self, shape: Shape) -> Shape:
        kernel = self.weight.shape[2:]
        sizes = image_shape(shape)[1:]
        sizes = slid(sizes, kernel, self.stride, self.padding, self.dilation)
        return self._fitted(shape, self.weight.shape[0], sizes)

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        shape: Shape = tuple(x.shape[1:])
        y = F.conv2d(
            x.reshape(-1, *image_shape(shape)),
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )
        return y.reshape(-1, *self.output(shape))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool(_Window):
    """Sums of windows, or their means; what is padded counts as zeros."""

    kernel: Pair
    mean: bool = True

    @property
    def divisor(self) -> int:
        """What the sum of a window is divided by."""
        return self.kernel[0] * self.kernel[1] if self.mean else 1

    def output(self, shape: Shape) -> Shape:
        sizes = slid(image_shape(shape)[1:], self.kernel, self.stride, self.padding)
        return self._fitted(shape, shape[0], sizes)

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        shape: Shape = tuple(x.shape[1:])
        (top, left), image = self.padding, x.reshape(-1, *image_shape(shape))
        image = F.pad(image, (left, left, top, top))
        y = F.avg_pool2d(image, self.kernel, self.stride, divisor_override=self.divisor)
        return y.reshape(-1, *self.output(shape))


def windows(
    count: int, kernel: Pair = (1, 1), stride: Pair = (1, 1), padding: Pair = (0, 0)
) -> Convolution:
    """Sums of windows of each of `count` channels by itself, as a convolution; by itself it takes
    every n-th row and column, or puts zeros around."""
    weight = torch.ones((count, 1, *kernel), dtype=torch.float64)
    return Convolution(weight=weight, stride=stride, padding=padding, groups=count)


def channels(rows: torch.Tensor) -> Convolution:
    """Channels mixed by a matrix ``(C_out, C_in)``: with rows of the identity, and of zeros, they
    are chosen, put into another order, or joined by silent ones."""
    return Convolution(weight=rows.double()[:, :, None, None])
