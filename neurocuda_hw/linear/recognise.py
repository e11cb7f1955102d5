"""Whether a linear map of feature maps is one convolution, found by asking it.

The rows of its matrix for one line and one column of outputs say how far it reaches, in which
strides it moves, and its kernel; random inputs then say whether that is all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import gcd

import torch

from neurocuda_hw.linear.steps import Convolution, Pair, Shape, slid

Linear = Callable[[torch.Tensor], torch.Tensor]

_CLOSE = 1e-9


def as_convolution(run: Linear, takes: Shape, gives: Shape) -> Convolution | None:
    """The convolution that `run` is, of feature maps ``(B, *takes)`` to ``(B, *gives)`` in float64;
    None if it is none."""
    centre = (gives[1] // 2, gives[2] // 2)
    generator = torch.Generator().manual_seed(0)
    mixed = torch.rand(gives[0], generator=generator, dtype=torch.float64) + 0.5
    axes = []
    for axis in (0, 1):
        reaches = [
            _reach(_gradient(run, takes, gives, mixed, at).abs().amax((0, 2 - axis)))
            for at in _line(centre, gives, axis)
        ]
        found = _slide(reaches, takes[1 + axis], gives[1 + axis])
        if found is None:
            return None
        axes.append(found)
    (height, down, above, y), (width, right, beside, x) = axes
    kernel = torch.zeros(gives[0], takes[0], height, width, dtype=torch.float64)
    top, left = y * down - above, x * right - beside
    rows, columns = _within(top, height, takes[1]), _within(left, width, takes[2])
    for channel in range(gives[0]):
        only = torch.zeros(gives[0], dtype=torch.float64)
        only[channel] = 1
        row = _gradient(run, takes, gives, only, (y, x))
        part = row[:, rows.start : rows.stop, columns.start : columns.stop]
        kernel[
            channel,
            :,
            rows.start - top : rows.stop - top,
            columns.start - left : columns.stop - left,
        ] = part
    one = _compact(kernel, (down, right), (above, beside))
    return one if _same(run, one, takes, generator) else None


def _line(centre: Pair, gives: Shape, axis: int) -> Iterator[Pair]:
    for place in range(gives[1 + axis]):
        yield (place, centre[1]) if axis == 0 else (centre[0], place)


def _within(start: int, count: int, size: int) -> range:
    """Of `count` places from `start` on those that there are."""
    return range(max(0, start), min(size, start + count))


def _gradient(
    run: Linear, takes: Shape, gives: Shape, channels: torch.Tensor, place: Pair
) -> torch.Tensor:
    """What each input adds to a sum of channels at one place of the output, ``(C, H, W)``."""
    with torch.enable_grad():
        x = torch.zeros(1, *takes, dtype=torch.float64, requires_grad=True)
        y = (run(x).reshape(1, *gives)[0, :, place[0], place[1]] * channels).sum()
        (found,) = torch.autograd.grad(y, x, allow_unused=True)
    return torch.zeros(takes, dtype=torch.float64) if found is None else found[0]


def _reach(row: torch.Tensor) -> Pair | None:
    """First and last place that is not 0."""
    places = row.nonzero().flatten()
    return None if not len(places) else (int(places[0]), int(places[-1]))


def _slide(reaches: list[Pair | None], size: int, outputs: int) -> tuple[int, int, int, int] | None:
    """Kernel, stride and padding along an axis, and an output that sees all of the kernel."""
    known = [(at, reach) for at, reach in enumerate(reaches) if reach is not None]
    if not known:
        return None
    at, (first, last) = max(known, key=lambda one: one[1][1] - one[1][0])
    for whole in (True, False):  # a dilated kernel does not end where the input does
        for stride in range(1, size + 1):
            start = next((n * stride - a for n, (a, _) in known if a > 0), known[-1][0] * stride)
            end = next((b - n * stride for n, (_, b) in known if b < size - 1), None)
            end = size - 1 - known[0][0] * stride if end is None else end
            padding, kernel = start, end + start + 1
            if not whole:
                padding, kernel = at * stride - first, last - first + 1
            if kernel < 1 or not all(
                _fits(n * stride - padding, kernel, size, reach, whole) for n, reach in known
            ):
                continue
            if padding < 0:  # what is cropped in front are zeros of the kernel
                kernel, padding = kernel - padding, 0
            while (size + 2 * padding - kernel) // stride + 1 < outputs:  # padded more behind
                kernel, padding = kernel + 1, padding + 1
            while (size + 2 * padding - kernel) // stride + 1 > outputs:  # cropped behind
                kernel += 1
            return kernel, stride, padding, at
    return None


def _fits(low: int, kernel: int, size: int, reach: Pair, whole: bool) -> bool:
    """Whether a kernel from `low` on reaches so far: exactly, or of a dilated one within it."""
    ends = max(0, low), min(size - 1, low + kernel - 1)
    inside = low >= 0 and low + kernel <= size
    return ends == reach if whole or inside else ends[0] <= reach[0] and reach[1] <= ends[1]


def _compact(kernel: torch.Tensor, stride: Pair, padding: Pair) -> Convolution:
    """The same with the groups and the dilation that the kernel's zeros allow."""
    dilation = []
    for axis in (2, 3):
        used = kernel.abs().amax([n for n in range(4) if n != axis]).nonzero().flatten().tolist()
        size = kernel.shape[axis]
        step = gcd(size - 1, *used) if size > 1 else 1
        dilation.append(max(1, step))
        kernel = kernel.index_select(axis, torch.arange(0, size, dilation[-1]))
    outputs, inputs = kernel.shape[:2]
    for groups in range(gcd(outputs, inputs), 0, -1):
        if outputs % groups or inputs % groups:
            continue
        blocks = kernel.reshape(groups, outputs // groups, groups, inputs // groups, -1)
        own = torch.stack([blocks[n, :, n] for n in range(groups)])
        if bool(blocks.count_nonzero() == own.count_nonzero()):
            shape = (outputs, inputs // groups, *kernel.shape[2:])
            kernel = own.reshape(shape)
            break
    return Convolution(
        weight=kernel.contiguous(),
        stride=stride,
        padding=padding,
        dilation=(dilation[0], dilation[1]),
        groups=groups,
    )


def _same(run: Linear, found: Convolution, takes: Shape, generator: torch.Generator) -> bool:
    """Whether both give the same for random inputs."""
    x = torch.randn((2, *takes), generator=generator, dtype=torch.float64)
    wanted = run(x)
    sizes = slid(takes[1:], found.weight.shape[2:], found.stride, found.padding, found.dilation)
    if (found.weight.shape[0], *sizes) != tuple(wanted.shape[1:]):
        return False
    largest = max(1e-30, float(wanted.abs().max()))
    return float((found.apply(x) - wanted).abs().max()) <= _CLOSE * largest
