"""Linear maps between neurons: the nodes on a path of a NIR graph, composed into one.

Two convolutions, a convolution and a pool, gains and products compose into one convolution or one
matrix where that is exact at the borders; what does not becomes a matrix, up to a size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import nir
import numpy as np
import torch
import torch.nn.functional as F

from neurocuda_hw.ground.errors import UnsupportedLayerError
from neurocuda_hw.nir.ops import Operation
from neurocuda_hw.nir.shapes import Shape, conv_arguments, pool_arguments

LARGEST_MATRIX = 2**25
Pair = tuple[int, int]


class Kind(Enum):
    """What the weight of a map is."""

    GAIN = "gain"
    CONV = "conv"
    MATRIX = "matrix"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Map:
    """One linear map, from a source's shape to `shape`, optionally behind a sum pool.

    Parameters
    ----------
    source : tuple of int
        Shape of what it is applied to, as `planes` gives it.
    shape : tuple of int
        Shape of what it gives, as NIR has it.
    kind : Kind
    weight : float64 array
        GAIN: of the pooled shape, or broadcasting to it. CONV: ``(C_out, C_in / groups, kh, kw)``.
        MATRIX: ``(outputs, inputs behind the pool)``.
    pool, pool_stride : pair of int, optional
    stride, padding, dilation, groups
        Of a CONV, as in PyTorch.
    """

    source: Shape
    shape: Shape
    kind: Kind
    weight: np.ndarray
    pool: Pair | None = None
    pool_stride: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def pooled(self) -> Shape:
        """Shape of the source behind the pool."""
        if self.pool is None:
            return self.source
        sizes = zip(self.source[1:], self.pool, self.pool_stride, strict=True)
        return (self.source[0], *((n - k) // s + 1 for n, k, s in sizes))

    @property
    def gains(self) -> np.ndarray | None:
        """One gain per channel of the pooled source, where a GAIN is that; else None."""
        full = np.broadcast_to(self.weight, self.pooled).reshape(self.pooled[0], -1)
        return full[:, 0].copy() if (full == full[:, :1]).all() else None

    def scaled(self, factor: float) -> Map:
        """The same map times a number."""
        return replace(self, weight=self.weight * factor)

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, *source)`` to ``(B, outputs)`` in float64."""
        if self.pool is not None:
            x = F.avg_pool2d(x, self.pool, self.pool_stride, divisor_override=1)
        weight = torch.from_numpy(np.array(self.weight))
        if self.kind is Kind.MATRIX:
            return F.linear(x.flatten(1), weight)
        if self.kind is Kind.GAIN:
            return (x * weight).flatten(1)
        x = F.conv2d(x, weight, None, self.stride, self.padding, self.dilation, self.groups)
        return x.flatten(1)


def planes(shape: Shape) -> Shape:
    """A NIR shape as a population has it: ``(N,)`` or ``(C, H, W)``; ``(C, L)`` has height 1."""
    if len(shape) == 2:
        return (shape[0], 1, shape[1])
    return shape


def identity(shape: Shape) -> Map:
    """The map that changes nothing."""
    return Map(source=planes(shape), shape=shape, kind=Kind.GAIN, weight=np.ones(()))


def extend(path: Map, node: nir.NIRNode, shape: Shape, name: str) -> Map:
    """`path` and then `node` (without its bias), which gives `shape`.

    Raises
    ------
    UnsupportedLayerError
        If it has to become a matrix beyond `LARGEST_MATRIX` values.
    """
    found: Map | None = None
    if isinstance(node, nir.Flatten | nir.Input | nir.Output | nir.Delay):
        return replace(path, shape=shape)
    if isinstance(node, nir.Scale):
        found = _scale(path, np.asarray(node.scale, dtype=np.float64))
    elif isinstance(node, nir.Affine | nir.Linear):
        found = _product(path, np.asarray(node.weight, dtype=np.float64))
    elif isinstance(node, nir.Conv1d | nir.Conv2d):
        stride, padding, dilation, groups = conv_arguments(node, name)
        weight = np.asarray(node.weight, dtype=np.float64)
        if isinstance(node, nir.Conv1d):
            weight = weight[:, :, None, :]
            stride, padding, dilation = (1, *stride), (0, *padding), (1, *dilation)
        found = _convolution(path, weight, _two(stride), _two(padding), _two(dilation), groups)
    elif isinstance(node, nir.SumPool2d | nir.AvgPool2d):
        kernel, stride, padding = (_two(v) for v in pool_arguments(node, name))
        found = _pool(path, kernel, stride, padding)
        if found is not None and isinstance(node, nir.AvgPool2d):
            found = found.scaled(1 / (kernel[0] * kernel[1]))
    if found is not None:
        return replace(found, shape=shape)
    return _matrix(path, node, shape, name)


def as_matrix(path: Map, name: str) -> Map:
    """The same map as one matrix over the whole source."""
    return _matrix(path, None, path.shape, name)


def _two(values: Shape) -> Pair:
    return (values[0], values[1])


def _spatial(path: Map) -> bool:
    """Whether what `path` gives still has the axes that its own kind implies."""
    if path.kind is Kind.MATRIX:
        return False
    return len(path.shape) > 1 and len(path.source) == 3


def _scale(path: Map, scale: np.ndarray) -> Map | None:
    shape = planes(path.shape)
    if scale.ndim == 1 and len(shape) == 3 and scale.size > 1:
        scale = scale.reshape(-1, 1, 1)
    elif scale.ndim == 2 and len(shape) == 3:
        scale = scale[:, None, :]
    full = np.broadcast_to(scale, shape)
    if path.kind is Kind.MATRIX:
        return replace(path, weight=path.weight * full.reshape(-1, 1))
    if path.kind is Kind.GAIN:
        weight = np.broadcast_to(path.weight, path.pooled) * full.reshape(path.pooled)
        return replace(path, weight=weight)
    channels = full.reshape(shape[0], -1)
    if len(shape) != 3 or not (channels == channels[:, :1]).all():
        return None
    return replace(path, weight=path.weight * channels[:, 0].reshape(-1, 1, 1, 1))


def _product(path: Map, weight: np.ndarray) -> Map | None:
    if path.kind is Kind.GAIN:
        columns = np.broadcast_to(path.weight, path.pooled).reshape(1, -1)
        return replace(path, kind=Kind.MATRIX, weight=weight * columns)
    if path.kind is Kind.MATRIX:
        return replace(path, weight=weight @ path.weight)
    return None


def _convolution(
    path: Map, weight: np.ndarray, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Map | None:
    if not _spatial(path):
        return None
    if path.kind is Kind.GAIN:
        gains = path.gains
        if gains is None:
            return None
        per_group = weight.shape[0] // groups
        columns = gains.reshape(groups, 1, -1).repeat(per_group, axis=1)
        columns = columns.reshape(weight.shape[0], -1)
        return replace(
            path,
            kind=Kind.CONV,
            weight=weight * columns[:, :, None, None],
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
        )
    if padding != (0, 0) or groups != 1 or path.groups != 1:
        return None
    if dilation != (1, 1) or path.dilation != (1, 1):
        return None
    return replace(
        path,
        weight=_compose(path.weight, weight, path.stride),
        stride=(path.stride[0] * stride[0], path.stride[1] * stride[1]),
    )


def _compose(first: np.ndarray, second: np.ndarray, stride: Pair) -> np.ndarray:
    """The kernel of two convolutions in a row, the second without padding."""
    (kh, kw), (ph, pw) = first.shape[2:], second.shape[2:]
    size = ((ph - 1) * stride[0] + kh, (pw - 1) * stride[1] + kw)
    kernel = np.zeros((second.shape[0], first.shape[1], *size))
    for y in range(ph):
        for x in range(pw):
            top, left = y * stride[0], x * stride[1]
            part = np.einsum("om,mihw->oihw", second[:, :, y, x], first)
            kernel[:, :, top : top + kh, left : left + kw] += part
    return kernel


def _pool(path: Map, kernel: Pair, stride: Pair, padding: Pair) -> Map | None:
    if not _spatial(path):
        return None
    if path.kind is Kind.GAIN and path.gains is not None and padding == (0, 0):
        gains = path.gains.reshape(-1, 1, 1)
        if path.pool is None:
            return replace(path, weight=gains, pool=kernel, pool_stride=stride)
        if path.pool == path.pool_stride:
            return replace(
                path,
                weight=gains,
                pool=(path.pool[0] * kernel[0], path.pool[1] * kernel[1]),
                pool_stride=(path.pool[0] * stride[0], path.pool[1] * stride[1]),
            )
    channels = planes(path.shape)[0]
    if path.kind is Kind.GAIN:
        ones = np.ones((channels, 1, *kernel))
        return _convolution(path, ones, stride, padding, (1, 1), channels)
    each = np.eye(channels)[:, :, None, None] * np.ones((1, 1, *kernel))
    return _convolution(path, each, stride, padding, (1, 1), 1)


def _matrix(path: Map, node: nir.NIRNode | None, shape: Shape, name: str) -> Map:
    size = int(np.prod(path.source))
    rows = int(np.prod(shape))
    if size * max(rows, int(np.prod(path.shape))) > LARGEST_MATRIX:
        raise UnsupportedLayerError(
            path=name,
            kind=type(node).__name__ if node is not None else "Flatten",
            way_out="what leads to it from the last neurons does not compose into one convolution "
            f"and is too large for a matrix ({rows} x {size}); put neurons between",
        )
    x = path.apply(torch.eye(size, dtype=torch.float64).reshape(size, *path.source))
    if node is not None:
        operation = Operation(node, shape, name, torch.float64)
        operation.bias = None
        x = operation(x.reshape(size, *path.shape))
    return Map(
        source=path.source,
        shape=shape,
        kind=Kind.MATRIX,
        weight=x.reshape(size, rows).T.numpy().copy(),
    )
