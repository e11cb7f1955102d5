"""What pooling, padding, slicing and reshaping do to a sum of linear maps."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch.fx import Node

from neurocuda_hw.conversion.frames import FrameValues, unfolded
from neurocuda_hw.conversion.reading import Reading
from neurocuda_hw.conversion.value import CannotCompose, Value, pair
from neurocuda_hw.linear.maps import Kind
from neurocuda_hw.linear.steps import (
    Function,
    Gather,
    Pair,
    Pool,
    Product,
    Shape,
    channels,
    image_shape,
    windows,
)


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
    pool = Pool(kernel=window, stride=step, padding=margin)
    plain = divisor is None and (count_include_pad or not any(margin))
    if not plain or reading.static(node) != pool.output(x.shape):  # each window has its own divisor
        return affine(
            reading, node, x, kernel, stride, padding, ceil_mode, count_include_pad, divisor
        )
    return _averaged(x, pool)


def _averaged(x: Value, pool: Pool) -> Value:
    alone = (pool.kernel, pool.stride, pool.padding) == ((1, 1), (1, 1), (0, 0))
    return x if alone and pool.divisor == 1 else x.through(pool)


def affine(reading: Reading, node: Node, *arguments: Any, **options: Any) -> Value:
    """An operation that is affine in its only value: done to it as PyTorch does it."""
    values = [a for a in arguments if isinstance(a, Value)]
    others = [a for a in arguments if isinstance(a, list | tuple) and _unknown(a)]
    if len(values) != 1 or others or any(type(a) is object for a in arguments):
        raise CannotCompose("it must see one value, and sizes that do not depend on the batch")
    operation: Any = node.target

    def run(x: torch.Tensor) -> torch.Tensor:
        given = [x if isinstance(a, Value) else a for a in arguments]
        found: torch.Tensor = operation(*given, **options)
        return found

    weights = [a for a in arguments if isinstance(a, torch.Tensor) and a.ndim > 1]
    step = Function(run=run, shape=reading.static(node))
    made = reading.made(node) if weights else {}
    return values[0].through(step, trained=bool(weights), **made)


def _unknown(given: Any) -> bool:
    return any(isinstance(a, Value) or type(a) is object for a in given)


def adaptive_window(reading: Reading, node: Node, x: Value, way_out: str) -> Pair:
    """The window of a pooling to a given size, which is also its stride."""
    shape, out = image_shape(x.shape), image_shape(reading.static(node))
    if len(shape) != 3 or any(n % m for n, m in zip(shape[1:], out[1:], strict=True)):
        raise CannotCompose(
            f"its output size {out[1:]} must divide its input size {shape[1:]}: use {way_out}"
        )
    return (shape[1] // out[1], shape[2] // out[2])


def reduced_window(x: Value, axes: Any) -> tuple[Value, Pair] | None:
    """`x` as feature maps, and the height and width of the window that `axes` of it are; None where
    they are no such window."""
    rank = len(x.shape) + 1
    over = sorted({axis % rank for axis in axes or ()})
    if not over or over[0] < 2:
        return None
    if rank == 3:
        plain = _plain(x)
        alike = plain[0] == x.shape[0] and math.prod(plain[1:]) == x.shape[1]
        maps = x.reshaped(plain) if alike and len(plain) == 3 else x
        shape = image_shape(maps.shape)
        return maps, (shape[1], shape[2])
    if rank == 4:
        return x, (x.shape[1] if 2 in over else 1, x.shape[2] if 3 in over else 1)
    return None


def adaptive_average(reading: Reading, node: Node, x: Value, size: Any) -> Value:
    """Average pooling to a given size."""
    shape, out = image_shape(x.shape), image_shape(reading.static(node))
    if any(n % m for n, m in zip(shape[1:], out[1:], strict=True)):
        return affine(reading, node, x, size)
    window = (shape[1] // out[1], shape[2] // out[2])
    return _averaged(x, Pool(kernel=window, stride=window))


def total(
    reading: Reading, node: Node, x: Value, axes: Any = None, keepdim: bool = False, **options: Any
) -> Value:
    """The sum, or the mean, over any axes but the batch."""
    found = reduced_window(x, axes)
    if found is None:
        if axes is None or any(axis % (len(x.shape) + 1) == 0 for axis in axes):
            raise CannotCompose("it must leave the batch axis alone")
        return affine(reading, node, x, axes, keepdim, **options)
    maps, window = found
    mean = "mean" in str(node.target)
    pool = Pool(kernel=window, stride=window, mean=mean)
    return _averaged(maps, pool).reshaped(reading.static(node))


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
    return x.through(windows(x.shape[0], stride=stride))


def pad(
    reading: Reading,
    node: Node,
    x: Value,
    amounts: list[int],
    mode: str | float = "constant",
    value: float | None = None,
) -> Value:
    """Zeros around feature maps, or silent channels; or anything else around anything."""
    filler = value if isinstance(mode, str) else mode
    whole = [*amounts] + [0] * (2 * len(x.shape) - len(amounts))
    if len(x.shape) == 2:
        whole = [*whole[:2], 0, 0, *whole[2:]]
    if (isinstance(mode, str) and mode != "constant") or filler:
        return affine(reading, node, x, amounts, mode, *([] if value is None else [value]))
    if len(whole) != 6 or whole[0] != whole[1] or whole[2] != whole[3] or min(whole) < 0:
        return padded(x, amounts)
    (left, _, top, _, before, after) = whole
    if top or left:
        x = x.through(windows(x.shape[0], padding=(top, left)))
    return among_channels(x, before, after)


def padded(x: Value, amounts: list[int]) -> Value:
    """Zeros around `x`, counted from its last axis on; less than none cuts off."""
    places = torch.arange(math.prod(x.shape)).reshape(x.shape)
    return x.through(Gather(places=F.pad(places, amounts, value=-1)))


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
        return x.through(channels(rows))
    plain = _plain(x)
    if len(plain) == 1 or math.prod(plain[1:]) > 1:
        return x.through(Product(weight=rows))
    return x.reshaped(plain).through(channels(rows)).reshaped((len(rows),))


def _plain(x: Value) -> Shape:
    """The shape of `x` before it was reshaped."""
    kept = [t for t in x.terms if t.kind is not Kind.MATRIX and not t.later]
    return next((t.plain for t in kept), image_shape(x.shape))


def concatenate(reading: Reading, node: Node, parts: list[Any], axis: int = 0) -> Value:
    """Several values, one after the other along any axis but the batch; some may be constants."""
    known = next(part for part in parts if isinstance(part, Value))
    if "stack" in str(node.target):
        axis %= len(known.shape) + 2
        parts = [_with_axis(part, axis) for part in parts]
    axis %= len(reading.static(node)) + 1
    if axis == 0:
        raise CannotCompose("it must leave the batch axis alone")
    whole, before, joined = reading.static(node), 0, []
    constant = torch.zeros(whole, dtype=torch.float64)
    for part in parts:
        shape = part.shape if isinstance(part, Value) else tuple(part.shape[1:])
        size = shape[axis - 1]
        after = whole[axis - 1] - before - size
        if not isinstance(part, Value):
            constant.narrow(axis - 1, before, size).copy_(part[0])
        elif axis == 1 and len(whole) in (1, 2, 3):
            joined.append(among_channels(part, before, after))
        else:
            joined.append(padded(part, [0, 0] * (len(whole) - axis) + [before, after]))
        before += size
    value = sum_of(joined)
    return replace(value, constant=value.constant + constant)


def _with_axis(part: Any, axis: int) -> Any:
    """A part of a stack, with the new axis."""
    if not isinstance(part, Value):
        return part.unsqueeze(axis)
    return part.reshaped((*part.shape[: axis - 1], 1, *part.shape[axis - 1 :]))


def sum_of(parts: list[Value]) -> Value:
    """The sum of values of one shape."""
    return replace(
        max(parts, key=lambda part: part.order),
        terms=sum((part.terms for part in parts), ()),
        constant=sum((part.constant for part in parts), torch.zeros(())),
    )


def broadcast(x: Value, shape: Shape) -> Value:
    """`x` as often as `shape` asks."""
    if x.shape == shape:
        return x
    places = torch.arange(math.prod(x.shape)).reshape(1, *x.shape)
    return _chosen(x, places.expand(1, *shape))


def rearranged(reading: Reading, node: Node, x: Value, *arguments: Any, **options: Any) -> Any:
    """An operation that moves values, repeats some or leaves some out, done to their places."""
    if _unknown(arguments) or any(isinstance(a, list | tuple) and _unknown(a) for a in arguments):
        raise CannotCompose("its sizes must not depend on the batch: say -1 there")
    operation: Any = node.target
    places = torch.arange(math.prod(x.shape)).reshape(1, *x.shape)
    found = operation(places, *arguments, **options)
    if isinstance(found, torch.Tensor):
        return _chosen(x, found)
    return tuple(_chosen(x, part) for part in found)


def _chosen(x: Value, places: torch.Tensor) -> Value:
    if len(places) != 1:
        raise CannotCompose("it must leave the batch axis alone")
    shape, plain = tuple(places.shape[1:]), _plain(x)
    cells = math.prod(plain[1:])
    if torch.equal(places.flatten(), torch.arange(math.prod(x.shape))):
        return x.reshaped(shape)
    rows = places.reshape(-1, cells) if places.numel() % cells == 0 else places.new_ones(1, cells)
    whole = torch.equal(rows, rows[:, :1] + torch.arange(cells))
    if math.prod(plain) == math.prod(x.shape) and whole and not bool((rows[:, 0] % cells).any()):
        chosen = torch.eye(plain[0], dtype=torch.float64)[rows[:, 0] // cells]
        return _mixed(x.reshaped(plain), chosen).reshaped(shape)
    return x.through(Gather(places=places[0]))
