"""Max pooling: the largest activation of each window.

In spikes it is the OR of the window's neurons. Under the exact code that is the maximum itself;
under the rate code spikes of different steps add up, so the pooled rate is at least the maximum.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import torch
from torch.fx import Node

from neurocuda_hw.conversion.graph import Graph
from neurocuda_hw.conversion.reading import Reading
from neurocuda_hw.conversion.spatial import adaptive_window, whole_window
from neurocuda_hw.conversion.value import CannotCompose, Value, pair
from neurocuda_hw.linear.maps import Kind, uniform
from neurocuda_hw.linear.steps import Pool, Step, per_channel, windows

_CLIPS = {f"aten.{name}" for name in ["relu", "relu_", "clamp_min", "clamp_min_"]}


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
    if slides.output(x.images().shape) != reading.static(node):
        raise CannotCompose("ceil_mode must be False: windows over the border would be cut off")
    return _pooled(reading, node, x, slides)


def adaptive_max_pool(reading: Reading, node: Node, x: Value, size: Any) -> Value:
    """Max pooling to a given size that divides the input's."""
    window = adaptive_window(reading, node, x, "MaxPool2d")
    return _pooled(reading, node, x, Pool(kernel=window, stride=window, mean=False))


def amax(reading: Reading, node: Node, x: Value, axes: Any = (), keepdim: bool = False) -> Value:
    """The maximum over height and width."""
    window = whole_window(x, axes, "maximum")
    return _pooled(reading, node, x, Pool(kernel=window, stride=window, mean=False))


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
    gain = _gain(x)
    if gain is None and _only_clipped(node):
        # max(relu(x)) = relu(max(x)): the activation behind the pooling may as well be before it
        x = reading.activation(node, x)
        gain = _gain(x)
    constant = uniform(x.constant)
    if gain is None or constant is None:
        raise CannotCompose(
            "put an activation (ReLU) right before the max pooling, or right behind it: the two may"
            " be exchanged"
        )
    (term,) = reading.source(x.terms[0].source, x.shape).images().through(slides).terms
    number, rank = reading.maximum(node, term), len(x.shape)
    value = reading.source(number, slides.output(x.shape)).scaled(per_channel(gain, rank))
    constant = value.constant + per_channel(constant, rank)
    return replace(x, terms=value.terms, constant=constant).reshaped(reading.static(node))


def _gain(x: Value) -> torch.Tensor | None:
    """The positive factors ``(C,)`` of a value that is one spiking layer times them, else None."""
    if len(x.terms) != 1:
        return None
    term = x.terms[0]
    if term.kind is not Kind.GAIN or term.pool is not None or term.source == 0:
        return None
    gain = term.gains
    return gain if gain is not None and float(gain.min()) > 0 else None


def _only_clipped(node: Node) -> bool:
    """Whether all that follows is a ReLU."""
    users = list(node.users)
    while users and all(str(user.target) == "<built-in function getitem>" for user in users):
        users = [after for user in users for after in user.users]
    return bool(users) and all(_is_relu(user) for user in users)


def _is_relu(user: Node) -> bool:
    name = ".".join(str(user.target).split(".")[:2])
    if name in ("aten.clamp_min", "aten.clamp_min_"):
        return bool(len(user.args) > 1 and user.args[1] == 0)
    return name in _CLIPS
