"""What each PyTorch operation does to a sum of linear maps; the table of what can be converted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch.fx import Node

from neurocuda_hw.convert import compose
from neurocuda_hw.convert.compose import CannotCompose
from neurocuda_hw.convert.graph import Kind, Pair, Shape, Term

if TYPE_CHECKING:
    from neurocuda_hw.convert.walk import Walker

Number = int | float | torch.Tensor

SUPPORTED = (
    "use Linear, Conv1d, Conv2d, BatchNorm, ReLU, ReLU6, Hardtanh(0, x), average pooling, flatten, "
    "addition and dropout only"
)
_NO_RELU = "train with ReLU instead: a spike count is never negative and grows with its input"
_NO_MAX = "replace it by average pooling or by a convolution with stride, and train again"
_NO_NORM = "train with batch normalisation: its factors are fixed after training"
_NO_TRANSPOSE = "use a convolution: there is no event-driven core for transposed ones"
_KINDS_OF_REFUSAL = {
    _NO_RELU: "silu gelu leaky_relu elu celu selu prelu _prelu_kernel sigmoid tanh hardswish "
    "hardsigmoid mish softplus softsign abs",
    _NO_MAX: "max_pool1d max_pool2d max_pool2d_with_indices max_pool1d_with_indices "
    "adaptive_max_pool1d adaptive_max_pool2d amax",
    _NO_NORM: "layer_norm native_layer_norm group_norm native_group_norm instance_norm",
    "add the branches instead of concatenating them": "cat concat stack",
    "take LSTM, GRU and attention out: only feed-forward layers can be converted": "lstm gru "
    "rnn_tanh rnn_relu scaled_dot_product_attention bmm",
    _NO_TRANSPOSE: "conv_transpose1d conv_transpose2d",
}
WAY_OUT = {
    f"aten.{name}": way_out
    for way_out, names in _KINDS_OF_REFUSAL.items()
    for name in names.split()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A sum of linear maps of layers, and a constant; both of `shape` (without the batch).

    `path` is the layer of the model that made it last, `order` the place of that layer.
    """

    terms: tuple[Term, ...]
    constant: torch.Tensor
    shape: Shape
    path: str = ""
    order: int = -1


def image_shape(shape: Shape) -> Shape:
    """``(C, L)`` as ``(C, 1, L)``; other shapes as they are."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def _pair(values: int | Sequence[int], lowest: int) -> Pair:
    """An argument of a layer for ``(C, H, W)``; `lowest` along the height of a 1-d layer."""
    if isinstance(values, int):
        return (values, values)
    numbers = list(values)
    return (lowest, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


def _images(walker: Walker, value: Value) -> tuple[Term, ...]:
    """The terms of a value that must be feature maps, for a convolution or a pooling."""
    shape = image_shape(value.shape)
    if len(shape) != 3:
        raise CannotCompose(f"it needs feature maps (C, H, W) or (C, L), not {value.shape}")
    for term in value.terms:
        if term.kind is not Kind.MATRIX and walker.target(term) != shape:
            raise CannotCompose(
                f"it sees {shape}, but its source has the shape {walker.target(term)}: give the "
                "data and the layers the shape that the convolution needs"
            )
    return value.terms


def _scaled(walker: Walker, value: Value, gain: Number) -> tuple[Term, ...]:
    """The terms, multiplied by one factor, or one for each neuron (broadcast over the shape)."""
    factor = torch.as_tensor(gain, dtype=torch.float64)
    if factor.ndim > len(value.shape):
        factor = factor.reshape(factor.shape[factor.ndim - len(value.shape) :])
    spread = factor.expand(value.shape)
    return tuple(compose.gain_after(t, spread, walker.target(t)) for t in value.terms)


def _convolution(
    walker: Walker,
    node: Node,
    x: Value,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    if not isinstance(x, Value) or isinstance(weight, Value):
        raise CannotCompose("its weights must be parameters, not computed from the input")
    flat = weight.ndim == 3
    kernel = weight.unsqueeze(2) if flat else weight
    spread = (1, dilation) if flat and isinstance(dilation, int) else _pair(dilation, 1)
    if isinstance(padding, str):
        same = compose.same_padding(tuple(kernel.shape[2:]), spread)
        margin = same if padding == "same" else (0, 0)
    else:
        margin = (0, padding) if flat and isinstance(padding, int) else _pair(padding, 0)
    conv = Term(
        source=0,
        kind=Kind.CONV,
        weight=kernel,
        stride=(1, stride) if flat and isinstance(stride, int) else _pair(stride, 1),
        padding=margin,
        dilation=spread,
        groups=groups,
        trained=True,
    )
    terms = tuple(compose.conv_after(t, conv) for t in _images(walker, x))
    image = x.constant.reshape(1, *image_shape(x.shape))
    constant = F.conv2d(image, kernel, bias, conv.stride, margin, spread, groups)
    return replace(
        x,
        terms=terms,
        constant=constant.reshape(walker.static(node)),
        path=walker.path(node),
        order=walker.order(node),
    )


def _any_convolution(
    walker: Walker,
    node: Node,
    x: Value,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> Value:
    if transposed:
        raise CannotCompose(_NO_TRANSPOSE)
    return _convolution(walker, node, x, weight, bias, stride, padding, dilation, groups)


def _linear(
    walker: Walker, node: Node, x: Value, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> Value:
    if not isinstance(x, Value) or isinstance(weight, Value):
        raise CannotCompose("its weights must be parameters, not computed from the input")
    if len(x.shape) != 1:
        raise CannotCompose(f"flatten its input first: it sees (B, {', '.join(map(str, x.shape))})")
    constant = weight @ x.constant
    return Value(
        terms=tuple(compose.matrix_after(t, weight) for t in x.terms),
        constant=constant if bias is None else constant + bias,
        shape=x.shape,
        path=walker.path(node),
        order=walker.order(node),
    )


def _matmul(walker: Walker, node: Node, x: Value, weight: torch.Tensor) -> Value:
    if isinstance(weight, Value) or weight.ndim != 2:
        raise CannotCompose("multiply by a parameter (in, out) from the right, or use Linear")
    return _linear(walker, node, x, weight.t())


def _addmm(walker: Walker, node: Node, bias: torch.Tensor, x: Value, weight: torch.Tensor) -> Value:
    if isinstance(bias, Value) or isinstance(weight, Value):
        raise CannotCompose("its weights must be parameters, not computed from the input")
    return _linear(walker, node, x, weight.t(), bias)


def _batch_norm(
    walker: Walker,
    node: Node,
    x: Value,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    mean: torch.Tensor | None,
    variance: torch.Tensor | None,
    eps: float,
) -> Value:
    if mean is None or variance is None:
        raise CannotCompose("it keeps no statistics; train with track_running_stats=True")
    gain = (variance + eps).rsqrt() * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * gain
    wide = (-1, *([1] * (len(x.shape) - 1)))
    gain, shift = gain.reshape(wide), shift.reshape(wide)
    return replace(
        x,
        terms=_scaled(walker, x, gain),
        constant=x.constant * gain + shift,
        path=x.path or walker.path(node),
    )


def _batch_norm_training_ir(
    walker: Walker, node: Node, x: Value, w: Any, b: Any, mean: Any, var: Any, *rest: Any
) -> Value:
    return _batch_norm(walker, node, x, w, b, mean, var, rest[2])


def _batch_norm_functional(
    walker: Walker, node: Node, x: Value, w: Any, b: Any, mean: Any, var: Any, *rest: Any
) -> tuple[Value]:
    return (_batch_norm(walker, node, x, w, b, mean, var, rest[1]),)


def _add(walker: Walker, node: Node, x: Any, y: Any, alpha: Any = 1) -> Value:
    parts = []
    for part, factor in ((x, 1), (y, alpha)):
        if isinstance(part, Value):
            parts.append(part if factor == 1 else _times(walker, part, factor))
    shift = torch.zeros((), dtype=torch.float64)
    if not isinstance(x, Value):
        shift = torch.as_tensor(x, dtype=torch.float64)
    elif not isinstance(y, Value):
        shift = torch.as_tensor(y, dtype=torch.float64) * alpha
    if len(parts) == 2 and parts[0].shape != parts[1].shape:
        raise CannotCompose(
            f"its parts must have the same shape, not {parts[0].shape} and {parts[1].shape}"
        )
    return replace(
        max(parts, key=lambda part: part.order),
        terms=sum((part.terms for part in parts), ()),
        constant=sum((part.constant for part in parts), torch.zeros(())) + shift,
    )


def _times(walker: Walker, value: Value, factor: Number) -> Value:
    return replace(value, terms=_scaled(walker, value, factor), constant=value.constant * factor)


def _subtract(walker: Walker, node: Node, x: Any, y: Any, alpha: Any = 1) -> Value:
    return _add(walker, node, x, y, -alpha)


def _multiply(walker: Walker, node: Node, x: Any, y: Any) -> Value:
    if isinstance(x, Value) and isinstance(y, Value):
        raise CannotCompose("products of activations (gates, attention) cannot be converted")
    value, factor = (x, y) if isinstance(x, Value) else (y, x)
    return _times(walker, value, factor)


def _divide(walker: Walker, node: Node, x: Any, y: Any) -> Value:
    if isinstance(y, Value):
        raise CannotCompose("it divides by an activation")
    return _multiply(walker, node, x, 1 / torch.as_tensor(y, dtype=torch.float64))


def _negate(walker: Walker, node: Node, x: Value) -> Value:
    return _multiply(walker, node, x, -1.0)


def _relu(walker: Walker, node: Node, x: Value) -> Value:
    return _clip(walker, node, x, 0.0, None)


def _clip(walker: Walker, node: Node, x: Value, low: Any = -1.0, high: Any = 1.0) -> Value:
    if low is None or float(low) != 0 or (high is not None and float(high) <= 0):
        raise CannotCompose("its lower bound must be 0, as in ReLU, ReLU6 and Hardtanh(0, x)")
    value: Value = walker.activation(node, x, None if high is None else float(high))
    return value


def _clamp(walker: Walker, node: Node, x: Value, low: Any = None, high: Any = None) -> Value:
    return _clip(walker, node, x, low, high)


def _relu6(walker: Walker, node: Node, x: Value) -> Value:
    return _clip(walker, node, x, 0.0, 6.0)


def _average(
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
    flat = len(x.shape) == 2
    window = (1, kernel) if flat and isinstance(kernel, int) else _pair(kernel, 1)
    step = _pair(stride, 1) if stride else window
    margin = (0, padding) if flat and isinstance(padding, int) else _pair(padding, 0)
    if divisor is not None:
        raise CannotCompose("its divisor must be the size of its window")
    if any(margin) and not count_include_pad:
        raise CannotCompose("count_include_pad must be True where it pads")
    shape = image_shape(x.shape)
    sizes = zip(shape[1:], margin, window, step, strict=True)
    out = (shape[0], *((n + 2 * p - k) // s + 1 for n, p, k, s in sizes))
    if image_shape(walker.static(node)) != out:
        raise CannotCompose("ceil_mode must be False: windows over the border have another divisor")
    terms = _images(walker, x)
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


def _adaptive_average(walker: Walker, node: Node, x: Value, size: Any) -> Value:
    shape, out = image_shape(x.shape), image_shape(walker.static(node))
    if len(shape) != 3 or any(n % m for n, m in zip(shape[1:], out[1:], strict=True)):
        raise CannotCompose(
            f"its output size {out[1:]} must divide its input size {shape[1:]}: use AvgPool2d"
        )
    kernel = [n // m for n, m in zip(shape[1:], out[1:], strict=True)]
    return _average(walker, node, x, kernel)


def _mean(walker: Walker, node: Node, x: Value, axes: Any, keepdim: bool = False) -> Value:
    rank = len(x.shape) + 1
    spatial = sorted(axis % rank for axis in axes)
    if rank < 3 or spatial != list(range(2, rank)):
        raise CannotCompose("a mean must be over all of height and width")
    shape = image_shape(x.shape)
    kernel = (shape[1], shape[2])
    terms = tuple(compose.average_after(t, kernel, kernel, shape) for t in _images(walker, x))
    constant = _pool_constant(x.constant, kernel, kernel, (0, 0))
    return replace(x, terms=terms, constant=constant.reshape(walker.static(node)))


def _reshape(walker: Walker, node: Node, x: Value, *_: Any) -> Value:
    source: Any = node.args[0]
    if str(node.meta["val"].shape[0]) != str(source.meta["val"].shape[0]):
        raise CannotCompose("it must leave the batch axis alone; use flatten(1)")
    return replace(x, constant=x.constant.reshape(walker.static(node)))


def _same(walker: Walker, node: Node, x: Value, *_: Any, **__: Any) -> Value:
    return x


def _slice(
    walker: Walker,
    node: Node,
    x: Value,
    axis: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Value:
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
        terms=tuple(compose.conv_after(t, conv) for t in _images(walker, x)),
        constant=x.constant[tuple(taken)],
    )


def _pad(
    walker: Walker,
    node: Node,
    x: Value,
    amounts: list[int],
    mode: str | float = "constant",
    value: float | None = None,
) -> Value:
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
    terms = _images(walker, x)
    if top or left:
        conv = compose.depthwise(shape[0], (1, 1), stride=(1, 1), padding=(top, left), value=1.0)
        terms = tuple(compose.conv_after(t, conv) for t in terms)
    if before or after:
        terms = tuple(compose.pad_channels(t, before, after) for t in terms)
    constant = F.pad(x.constant, amounts)
    return replace(x, terms=terms, constant=constant)


def _softmax(walker: Walker, node: Node, x: Value, *_: Any) -> Value:
    if any(user.op != "output" for user in node.users):
        raise CannotCompose("only as the very last operation, where it is left to the host")
    walker.notes.append(
        f"the final {node.target} is left to the host: it does not change which class is largest"
    )
    return x


Handler = Callable[..., Any]


def _table(*rows: tuple[str, Handler]) -> dict[str, Handler]:
    return {f"aten.{name}": handler for names, handler in rows for name in names.split()}


HANDLERS = _table(
    ("conv1d conv2d", _convolution),
    ("convolution", _any_convolution),
    ("linear", _linear),
    ("matmul mm", _matmul),
    ("addmm", _addmm),
    ("batch_norm", _batch_norm_training_ir),
    ("_native_batch_norm_legit_no_training", _batch_norm_functional),
    ("add", _add),
    ("sub", _subtract),
    ("mul", _multiply),
    ("div", _divide),
    ("neg", _negate),
    ("relu", _relu),
    ("relu6", _relu6),
    ("hardtanh", _clip),
    ("clamp clamp_min", _clamp),
    ("avg_pool1d avg_pool2d", _average),
    ("adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d", _adaptive_average),
    ("mean", _mean),
    ("flatten view _unsafe_view reshape squeeze unsqueeze", _reshape),
    ("dropout feature_dropout clone contiguous alias detach detach_ lift_fresh", _same),
    ("_to_copy to", _same),
    ("slice", _slice),
    ("pad constant_pad_nd", _pad),
    ("softmax _softmax log_softmax _log_softmax", _softmax),
)
