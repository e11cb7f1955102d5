"""What pooling, padding, slicing and reshaping do to a sum of linear maps."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch.fx import Node

from neurocuda_hw.conversion import compose
from neurocuda_hw.conversion.compose import CannotCompose
from neurocuda_hw.conversion.graph import Pair
from neurocuda_hw.conversion.recording import Recording, unfolded
from neurocuda_hw.conversion.value import Value, image_shape, images, pair

if TYPE_CHECKING:
    from neurocuda_hw.conversion.walk import Walker


def average(
    walker: Walker,
    node: Node,
    x: Value,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Value:
    """Average pooling."""
    flat = len(x.shape) == 2
    window = (1, kernel) if flat and isinstance(kernel, int) else pair(kernel, 1)
    step = pair(stride, 1) if stride else window
    margin = (0, padding) if flat and isinstance(padding, int) else pair(padding, 0)
    if divisor is not None:
        raise CannotCompose("its divisor must be the size of its window")
    if any(margin) and not count_include_pad:
        raise CannotCompose("count_include_pad must be True where it pads")
    shape = image_shape(x.shape)
    sizes = zip(shape[1:], margin, window, step, strict=True)
    out = (shape[0], *((n + 2 * p - k) // s + 1 for n, p, k, s in sizes))
    if image_shape(walker.static(node)) != out:
        raise CannotCompose("ceil_mode must be False: windows over the border have another divisor")
    terms = images(walker, x)
    if any(margin):
        value = 1 / math.prod(window)
        conv = compose.depthwise(shape[0], window, stride=step, padding=margin, value=value)
        pooled = tuple(compose.conv_after(t, conv) for t in terms)
    else:
        pooled = tuple(compose.average_after(t, window, step, shape) for t in terms)
    constant = _pool_constant(x.constant, window, step, margin)
    return replace(x, terms=pooled, constant=constant.reshape(walker.static(node)))


def _pool_constant(constant: torch.Tensor, window: Pair, step: Pair, margin: Pair) -> torch.Tensor:
    image = constant.reshape(1, *image_shape(tuple(constant.shape)))
    return F.avg_pool2d(image, window, step, margin)[0]


def adaptive_average(walker: Walker, node: Node, x: Value, size: Any) -> Value:
    """Average pooling to a given size."""
    shape, out = image_shape(x.shape), image_shape(walker.static(node))
    if len(shape) != 3 or any(n % m for n, m in zip(shape[1:], out[1:], strict=True)):
        raise CannotCompose(
            f"its output size {out[1:]} must divide its input size {shape[1:]}: use AvgPool2d"
        )
    kernel = [n // m for n, m in zip(shape[1:], out[1:], strict=True)]
    return average(walker, node, x, kernel)


def mean(walker: Walker, node: Node, x: Value, axes: Any, keepdim: bool = False) -> Value:
    """The mean over height and width."""
    rank = len(x.shape) + 1
    spatial = sorted(axis % rank for axis in axes)
    if rank < 3 or spatial != list(range(2, rank)):
        raise CannotCompose("a mean must be over all of height and width")
    shape = image_shape(x.shape)
    kernel = (shape[1], shape[2])
    terms = tuple(compose.average_after(t, kernel, kernel, shape) for t in images(walker, x))
    constant = _pool_constant(x.constant, kernel, kernel, (0, 0))
    return replace(x, terms=terms, constant=constant.reshape(walker.static(node)))


def reshape(walker: Walker, node: Node, x: Value, *_: Any) -> Value | Recording:
    """Any change of shape that keeps the order of the neurons."""
    source: Any = node.args[0]
    if str(node.meta["val"].shape[0]) != str(source.meta["val"].shape[0]):
        answers = unfolded(walker, node, x)
        if answers is not None:
            return answers
        raise CannotCompose("it must leave the batch axis alone; use flatten(1)")
    return replace(x, constant=x.constant.reshape(walker.static(node)))


def slice_op(
    walker: Walker,
    node: Node,
    x: Value,
    axis: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Value:
    """Every n-th row or column."""
    rank = len(x.shape) + 1
    axis %= rank
    whole = not start and (end is None or axis == 0 or end >= x.shape[axis - 1])
    if whole and step == 1 and (axis > 0 or end is None or end >= 2**31):
        return x
    if not whole or axis < 2:
        raise CannotCompose("only every n-th row and column, from the first on, can be taken")
    stride = (step, 1) if rank == 4 and axis == 2 else (1, step)
    shape = image_shape(x.shape)
    conv = compose.depthwise(shape[0], (1, 1), stride=stride, padding=(0, 0), value=1.0)
    taken = [slice(None)] * len(x.shape)
    taken[axis - 1] = slice(None, None, step)
    return replace(
        x,
        terms=tuple(compose.conv_after(t, conv) for t in images(walker, x)),
        constant=x.constant[tuple(taken)],
    )


def pad(
    walker: Walker,
    node: Node,
    x: Value,
    amounts: list[int],
    mode: str | float = "constant",
    value: float | None = None,
) -> Value:
    """Zeros around feature maps, or silent channels."""
    filler = value if isinstance(mode, str) else mode
    if (isinstance(mode, str) and mode != "constant") or filler:
        raise CannotCompose("its padding must be with zeros")
    shape = image_shape(x.shape)
    whole = [*amounts] + [0] * (2 * len(x.shape) - len(amounts))
    if len(x.shape) == 2:
        whole = [*whole[:2], 0, 0, *whole[2:]]
    if len(shape) != 3 or len(whole) != 6:
        raise CannotCompose("only feature maps can be padded")
    (left, right, top, bottom, before, after) = whole
    if left != right or top != bottom or min(whole) < 0:
        raise CannotCompose("it must pad by the same amount left and right, top and bottom")
    terms = images(walker, x)
    if top or left:
        conv = compose.depthwise(shape[0], (1, 1), stride=(1, 1), padding=(top, left), value=1.0)
        terms = tuple(compose.conv_after(t, conv) for t in terms)
    if before or after:
        terms = tuple(compose.pad_channels(t, before, after) for t in terms)
    constant = F.pad(x.constant, amounts)
    return replace(x, terms=terms, constant=constant)
