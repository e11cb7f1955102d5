"""Max pooling: the largest activation of each window.

In spikes it is the OR of the window's neurons. Under the exact code that is the maximum itself;
under the rate code spikes of different steps add up, so the pooled rate is at least the maximum.
"""

from __future__ import annotations

import math
import operator
import warnings
from dataclasses import replace
from typing import Any

import torch
from torch.fx import Node

from neurocuda_hw.conversion.graph import Graph
from neurocuda_hw.conversion.reading import Reading, operation
from neurocuda_hw.conversion.spatial import adaptive_window, padded, reduced_window
from neurocuda_hw.conversion.value import CannotCompose, Value, pair
from neurocuda_hw.linear.maps import Kind, uniform
from neurocuda_hw.linear.steps import Pool, Step, image_shape, per_channel, windows

_THROUGH = {f"aten.{name}" for name in ["dropout", "feature_dropout", "clone", "alias"]}


def max_pool(
    reading: Reading,
    node: Node,
    x: Value,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Value:
    """MaxPool1d, MaxPool2d."""
    flat = len(x.shape) == 2
    window = pair(kernel, flat, 1)
    step = pair(stride, flat, 1) if stride else window
    margin, spread = pair(padding, flat, 0), pair(dilation, flat, 1)
    slides: Step = Pool(kernel=window, stride=step, mean=False)
    if (margin, spread) != ((0, 0), (1, 1)):
        slides = replace(windows(x.shape[0], window, step, margin), dilation=spread)
    wanted = image_shape(reading.static(node))[1:]
    sizes = image_shape(x.shape)[1:]
    axes = zip(wanted, sizes, window, step, margin, spread, strict=True)
    beyond = [(n - 1) * s + d * (k - 1) + 1 - size - 2 * m for n, size, k, s, m, d in axes]
    if ceil_mode and max(beyond) > 0:  # windows over the border
        x = _beyond(reading, node, _counts(reading, node, x), beyond)
    return _pooled(reading, node, x, slides)


def adaptive_max_pool(reading: Reading, node: Node, x: Value, size: Any) -> Value:
    """Max pooling to a given size that divides the input's."""
    window = adaptive_window(reading, node, x, "MaxPool2d")
    return _pooled(reading, node, x, Pool(kernel=window, stride=window, mean=False))


def amax(reading: Reading, node: Node, x: Value, axes: Any = (), keepdim: bool = False) -> Value:
    """The maximum over height, width, or both."""
    found = reduced_window(x, axes)
    if found is None:
        raise CannotCompose("a maximum must be over height, width, or both")
    maps, window = found
    return _pooled(reading, node, maps, Pool(kernel=window, stride=window, mean=False))


def maximum(reading: Reading, node: Node, x: Any, y: Any, keepdim: bool = False) -> Any:
    """The larger of a value and 0, which is a ReLU; or the maximum over an axis."""
    if isinstance(y, int):
        return (amax(reading, node, x, [y], keepdim),)
    value, other = (x, y) if isinstance(x, Value) else (y, x)
    if isinstance(other, Value) or bool(torch.as_tensor(other).any()):
        raise CannotCompose("it must be with 0, as in ReLU")
    return reading.activation(node, value)


def warn_of_maxima(graph: Graph) -> None:
    """Warns of what the rate code makes of an ANN's max pooling; spikes are OR'ed anyway."""
    paths = [repr(layer.path) for layer in graph.layers if layer.maximum]
    if paths and graph.steps is None:
        warnings.warn(
            f"max pooling at {', '.join(paths)} becomes an OR of spikes under the rate code: spikes"
            " of a window that come in different steps add up, so it gives more than the maximum, "
            "which costs accuracy that training through time recovers in part; under the exact "
            "code it is the maximum itself",
            stacklevel=3,
        )


def _pooled(reading: Reading, node: Node, x: Value, slides: Step) -> Value:
    """The largest of each window that `slides` sums."""
    x = _counts(reading, node, x)
    gain, constant = _gain(x), uniform(x.constant)
    assert gain is not None
    assert constant is not None
    (term,) = reading.source(x.terms[0].source, x.shape).through(slides).terms
    number, rank = reading.maximum(node, term), len(x.shape)
    value = reading.source(number, slides.output(x.shape)).scaled(per_channel(gain, rank))
    constant = value.constant + per_channel(constant, rank)
    return replace(x, terms=value.terms, constant=constant).reshaped(reading.static(node))


def _counts(reading: Reading, node: Node, x: Value) -> Value:
    """`x` as counts of one layer, times factors: a new one, if it is anything else that is never
    negative, or all that follows is a ReLU."""
    term = x.terms[0] if x.terms else None
    alike = term is not None and term.plain == image_shape(x.shape)
    if _gain(x) is not None and uniform(x.constant) is not None and alike:
        return x
    cap = _clipped_behind(node)
    if cap is None and not reading.never_negative(x):
        raise CannotCompose(
            "put an activation (ReLU) right before the max pooling, or right behind it: the two may"
            " be exchanged"
        )
    # max(relu(x)) = relu(max(x)): the activation behind the pooling may as well be before it
    return reading.population(node, x, cap=cap if cap is None or math.isfinite(cap) else None)


def _beyond(reading: Reading, node: Node, x: Value, extra: list[int]) -> Value:
    """Counts with zeros below and to the right, for windows over the border."""
    flat = len(x.shape) == 2
    amounts = [0, max(0, extra[1]), *([] if flat else [0, max(0, extra[0])])]
    return reading.population(node, padded(x, amounts))


def _gain(x: Value) -> torch.Tensor | None:
    """The positive factors ``(C,)`` of a value that is one spiking layer times them, else None."""
    if len(x.terms) != 1:
        return None
    term = x.terms[0]
    if term.kind is not Kind.GAIN or term.pool is not None or term.source == 0 or term.later:
        return None
    gain = term.gains
    return gain if gain is not None and float(gain.min()) > 0 else None


def _clipped_behind(node: Node) -> float | None:
    """The least upper bound of the clips at 0 that are all that follows (infinity for a ReLU)."""
    caps = []
    for user in node.users:
        if operation(user) in _THROUGH or user.target is operator.getitem:
            caps.append(_clipped_behind(user))
        else:
            caps.append(_cap(user))
    known = [cap for cap in caps if cap is not None]
    return min(known) if known and len(set(caps)) == 1 else None


def _cap(user: Node) -> float | None:
    """Where a ReLU, ReLU6 or clip at 0 clips above; None for anything else."""
    name = operation(user).removesuffix("_")
    if name == "aten.relu6":
        return 6.0
    if name in ("aten.hardtanh", "aten.clamp", "aten.clip", "aten.clamp_min"):
        low, high = [*user.args[1:3], None, None][:2]
        if low != 0 or not isinstance(high, int | float | None):
            return None
        return math.inf if high is None else float(high)
    return math.inf if name == "aten.relu" else None
