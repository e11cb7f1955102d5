"""What pooling, padding, slicing and reshaping do to a sum of linear maps."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch.fx import Node

from neurocuda_hw.conversion.frames import FrameValues, unfolded
from neurocuda_hw.conversion.reading import Reading
from neurocuda_hw.conversion.value import CannotCompose, Value, pair
from neurocuda_hw.linear.maps import Kind
from neurocuda_hw.linear.steps import Pair, Pool, Product, Shape, channels, image_shape, windows


def average(
    reading: Reading,
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
    window = pair(kernel, flat, 1)
    step = pair(stride, flat, 1) if stride else window
    margin = pair(padding, flat, 0)
    if divisor is not None:
        raise CannotCompose("its divisor must be the size of its window")
    if any(margin) and not count_include_pad:
        raise CannotCompose("count_include_pad must be True where it pads")
    pool = Pool(kernel=window, stride=step, padding=margin)
    if reading.static(node) != pool.output(x.images().shape):
        raise CannotCompose("ceil_mode must be False: windows over the border have another divisor")
    return _averaged(x, pool)


def _averaged(x: Value, pool: Pool) -> Value:
    alone = (pool.kernel, pool.stride, pool.padding) == ((1, 1), (1, 1), (0, 0))
    return x if alone else x.images().through(pool)


def adaptive_window(reading: Reading, node: Node, x: Value, way_out: str) -> Pair:
    """The window of a pooling to a given size, which is also its stride."""
    shape, out = image_shape(x.shape), image_shape(reading.static(node))
    if len(shape) != 3 or any(n % m for n, m in zip(shape[1:], out[1:], strict=True)):
        raise CannotCompose(
            f"its output size {out[1:]} must divide its input size {shape[1:]}: use {way_out}"
        )
    return (shape[1] // out[1], shape[2] // out[2])


def whole_window(x: Value, axes: Any, what: str) -> Pair:
    """Height and width, which `axes` must be all of."""
    rank = len(x.shape) + 1
    if rank < 3 or sorted(axis % rank for axis in axes) != list(range(2, rank)):
        raise CannotCompose(f"a {what} must be over all of height and width")
    shape = image_shape(x.shape)
    return (shape[1], shape[2])


def adaptive_average(reading: Reading, node: Node, x: Value, size: Any) -> Value:
    """Average pooling to a given size."""
    window = adaptive_window(reading, node, x, "AvgPool2d")
    return _averaged(x, Pool(kernel=window, stride=window))


def mean(reading: Reading, node: Node, x: Value, axes: Any, keepdim: bool = False) -> Value:
    """The mean over height and width."""
    window = whole_window(x, axes, "mean")
    value = _averaged(x, Pool(kernel=window, stride=window))
    return value.reshaped(reading.static(node))


def reshape(reading: Reading, node: Node, x: Value, *_: Any) -> Value | FrameValues:
    """Any change of shape that keeps the order of the neurons."""
    source: Any = node.args[0]
    if str(node.meta["val"].shape[0]) != str(source.meta["val"].shape[0]):
        answers = unfolded(reading, node, x)
        if answers is not None:
            return answers
        raise CannotCompose("it must leave the batch axis alone; use flatten(1)")
    return x.reshaped(reading.static(node))


def slice_op(
    reading: Reading,
    node: Node,
    x: Value,
    axis: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Value:
    """Every n-th row or column; or channels."""
    rank = len(x.shape) + 1
    axis %= rank
    whole = not start and (end is None or axis == 0 or end >= x.shape[axis - 1])
    if whole and step == 1 and (axis > 0 or end is None or end >= 2**31):
        return x
    if not whole or axis < 2:
        taken: Value = rearranged(reading, node, x, axis, start, end, step)
        return taken
    stride = (step, 1) if rank == 4 and axis == 2 else (1, step)
    return x.images().through(windows(x.shape[0], stride=stride))


def pad(
    reading: Reading,
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
    whole = [*amounts] + [0] * (2 * len(x.shape) - len(amounts))
    if len(x.shape) == 2:
        whole = [*whole[:2], 0, 0, *whole[2:]]
    if len(whole) != 6:
        raise CannotCompose("only feature maps can be padded")
    (left, right, top, bottom, before, after) = whole
    if left != right or top != bottom or min(whole) < 0:
        raise CannotCompose("it must pad by the same amount left and right, top and bottom")
    if top or left:
        x = x.images().through(windows(x.shape[0], padding=(top, left)))
    return among_channels(x, before, after)


def among_channels(x: Value, before: int, after: int) -> Value:
    """`x` with silent channels before and after its own."""
    if not (before or after):
        return x
    plain = _plain(x)
    cells = math.prod(plain[1:])
    if len(x.shape) == 1 < cells and not (before % cells or after % cells):  # flattened maps
        maps = among_channels(x.reshaped(plain), before // cells, after // cells)
        return maps.reshaped((before + x.shape[0] + after,))
    own = torch.eye(x.shape[0], dtype=torch.float64)
    rows = [own.new_zeros(count, x.shape[0]) for count in (before, after)]
    return _mixed(x, torch.cat([rows[0], own, rows[1]]))


def _mixed(x: Value, rows: torch.Tensor) -> Value:
    """The channels (of a vector: the values) of `x`, mixed by a matrix."""
    if len(x.shape) > 1:
        return x.images().through(channels(rows))
    plain = _plain(x)
    if len(plain) == 1 or math.prod(plain[1:]) > 1:
        return x.through(Product(weight=rows))
    return x.reshaped(plain).through(channels(rows)).reshaped((len(rows),))


def _plain(x: Value) -> Shape:
    """The shape of `x` before it was reshaped."""
    return next((t.plain for t in x.terms if t.kind is not Kind.MATRIX), (x.constant.numel(),))


def concatenate(reading: Reading, node: Node, parts: list[Any], axis: int = 0) -> Value:
    """Channels of several values, one after the other."""
    if not all(isinstance(part, Value) for part in parts):
        raise CannotCompose("all of its parts must depend on the input")
    if axis % (len(parts[0].shape) + 1) != 1:
        raise CannotCompose("only channels can be joined: dim=1")
    total, before, joined = reading.static(node)[0], 0, []
    for part in parts:
        joined.append(among_channels(part, before, total - before - part.shape[0]))
        before += part.shape[0]
    return sum_of(joined)


def sum_of(parts: list[Value]) -> Value:
    """The sum of values of one shape."""
    return replace(
        max(parts, key=lambda part: part.order),
        terms=sum((part.terms for part in parts), ()),
        constant=sum((part.constant for part in parts), torch.zeros(())),
    )


def rearranged(reading: Reading, node: Node, x: Value, *arguments: Any, **options: Any) -> Any:
    """An operation that moves values, or leaves some out, done to their places: it must move whole
    channels, or be one of a vector's."""
    operation: Any = node.target
    places = torch.arange(math.prod(x.shape)).reshape(1, *x.shape)
    found = operation(places, *arguments, **options)
    if isinstance(found, torch.Tensor):
        return _chosen(x, found)
    return tuple(_chosen(x, part) for part in found)


def _chosen(x: Value, places: torch.Tensor) -> Value:
    if len(places) != 1:
        raise CannotCompose("it must leave the batch axis alone")
    plain = _plain(x)
    cells = math.prod(plain[1:])
    if places.numel() % cells:
        raise CannotCompose("it must move whole channels")
    rows = places.reshape(-1, cells)
    if not torch.equal(rows, rows[:, :1] + torch.arange(cells)) or bool((rows[:, 0] % cells).any()):
        raise CannotCompose("it must move whole channels")
    chosen = torch.eye(plain[0], dtype=torch.float64)[rows[:, 0] // cells]
    return _mixed(x.reshaped(plain), chosen).reshaped(tuple(places.shape[1:]))
