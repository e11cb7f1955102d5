"""Max pooling: the largest activation of each window.

In spikes it is the OR of the window's neurons. Under the exact code that is the maximum itself;
under the rate code spikes of different steps add up, so the pooled rate is at least the maximum.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.fx import Node

from neurocuda_hw.conversion import compose
from neurocuda_hw.conversion.compose import CannotCompose
from neurocuda_hw.conversion.graph import Graph, Kind, Pair, Shape, Term
from neurocuda_hw.conversion.value import Value, image_shape, pair

if TYPE_CHECKING:
    from neurocuda_hw.conversion.walk import Walker

_CLIPS = {f"aten.{name}" for name in ["relu", "relu_", "clamp_min", "clamp_min_"]}


def max_pool(
    walker: Walker,
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

    def wide(number: Any, lowest: int) -> Pair:
        return (lowest, number) if flat and isinstance(number, int) else pair(number, lowest)

    window = wide(kernel, 1)
    step = wide(stride, 1) if stride else window
    shape = image_shape(x.shape)
    if len(shape) != 3:
        raise CannotCompose(f"it needs feature maps (C, H, W) or (C, L), not {x.shape}")
    term = _term(shape[0], window, step, wide(padding, 0), wide(dilation, 1))
    if term.target(shape) != image_shape(walker.static(node)):
        raise CannotCompose("ceil_mode must be False: windows over the border would be cut off")
    return _pooled(walker, node, x, term)


def max_pool_with_indices(walker: Walker, node: Node, *arguments: Any, **rest: Any) -> tuple[Value]:
    """The same; its indices are never asked for (asking for them fails in the getitem)."""
    return (max_pool(walker, node, *arguments, **rest),)


def adaptive_max_pool(walker: Walker, node: Node, x: Value, size: Any) -> tuple[Value]:
    """Max pooling to a given size that divides the input's."""
    shape, out = image_shape(x.shape), image_shape(walker.static_first(node))
    if len(shape) != 3 or any(n % m for n, m in zip(shape[1:], out[1:], strict=True)):
        raise CannotCompose(
            f"its output size {out[1:]} must divide its input size {shape[1:]}: use MaxPool2d"
        )
    window = (shape[1] // out[1], shape[2] // out[2])
    return (_pooled(walker, node, x, _term(shape[0], window, window, (0, 0), (1, 1))),)


def amax(walker: Walker, node: Node, x: Value, axes: Any = (), keepdim: bool = False) -> Value:
    """The maximum over height and width."""
    rank = len(x.shape) + 1
    if rank < 3 or sorted(axis % rank for axis in axes) != list(range(2, rank)):
        raise CannotCompose("a maximum must be over all of height and width")
    shape = image_shape(x.shape)
    window = (shape[1], shape[2])
    return _pooled(walker, node, x, _term(shape[0], window, window, (0, 0), (1, 1)))


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


def _term(channels: int, window: Pair, step: Pair, padding: Pair, dilation: Pair) -> Term:
    if padding == (0, 0) and dilation == (1, 1):
        ones = torch.ones(channels, dtype=torch.float64)
        return Term(source=0, kind=Kind.GAIN, weight=ones, pool=window, pool_stride=step)
    conv = compose.depthwise(channels, window, stride=step, padding=padding, value=1.0)
    return replace(conv, dilation=dilation)


def _pooled(walker: Walker, node: Node, x: Value, term: Term) -> Value:
    gain = _gain(walker, x)
    if gain is None and _only_clipped(node):
        # max(relu(x)) = relu(max(x)): the activation behind the pooling may as well be before it
        x = walker.activation(node, x)
        gain = _gain(walker, x)
    constant = compose.uniform(x.constant)
    if gain is None or constant is None:
        raise CannotCompose(
            "put an activation (ReLU) right before the max pooling, or right behind it: the two may"
            " be exchanged"
        )
    source = walker.maximum(node, replace(term, source=x.terms[0].source))
    shape = walker.shapes[source]
    wide = (-1, *[1] * (len(shape) - 1))
    return replace(
        x,
        terms=(compose.gain_after(compose.identity(source, shape), _full(gain, shape), shape),),
        constant=(constant.reshape(wide) * torch.ones(shape, dtype=torch.float64)).reshape(
            walker.static_first(node)
        ),
    )


def _full(gain: torch.Tensor, shape: Shape) -> torch.Tensor:
    return gain.reshape(-1, *[1] * (len(shape) - 1)).expand(shape)


def _gain(walker: Walker, x: Value) -> torch.Tensor | None:
    """The positive factors ``(C,)`` of a value that is one spiking layer times them, else None."""
    if len(x.terms) != 1:
        return None
    term = x.terms[0]
    if term.kind is not Kind.GAIN or term.pool is not None or term.source == 0:
        return None
    gain = compose.uniform(term.weight)
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
