"""What each PyTorch operation does to a sum of linear maps; the table of what can be converted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch.fx import Node

from neurocuda_hw.conversion import maximum, spatial
from neurocuda_hw.conversion.fire import Dynamics
from neurocuda_hw.conversion.graph import Original, Rule, Staircase
from neurocuda_hw.conversion.reading import Reading
from neurocuda_hw.conversion.value import CannotCompose, Value, pair
from neurocuda_hw.linear.steps import Convolution, Product

SUPPORTED = (
    "use Linear, Conv1d, Conv2d, BatchNorm, ReLU, ReLU6, Hardtanh(0, x), average and max pooling, "
    "flatten, addition, concatenation and dropout only"
)
_NO_RELU = "train with ReLU instead: a spike count is never negative and grows with its input"
_NO_NORM = "train with batch normalisation: its factors are fixed after training"
_NO_TRANSPOSE = "use a convolution: there is no event-driven core for transposed ones"
_KINDS_OF_REFUSAL = {
    _NO_RELU: "sigmoid tanh hardsigmoid softsign abs",
    "take its values only, not their indices": "max_pool1d_with_indices",
    _NO_NORM: "layer_norm native_layer_norm group_norm native_group_norm instance_norm",
    "take LSTM, GRU and attention out: only feed-forward layers can be converted": "lstm gru "
    "rnn_tanh rnn_relu scaled_dot_product_attention bmm",
    _NO_TRANSPOSE: "conv_transpose1d conv_transpose2d",
}
WAY_OUT = {
    f"aten.{name}": way_out
    for way_out, names in _KINDS_OF_REFUSAL.items()
    for name in names.split()
}


def _convolution(
    reading: Reading,
    node: Node,
    x: Value,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    _check_parameters(x, weight)
    flat = weight.ndim == 3
    kernel = weight.unsqueeze(2) if flat else weight
    spread = pair(dilation, flat, 1)
    if isinstance(padding, str):
        padding = _same_padding(kernel, spread) if padding == "same" else 0
    convolution = Convolution(
        weight=kernel,
        bias=bias,
        stride=pair(stride, flat, 1),
        padding=pair(padding, flat, 0),
        dilation=spread,
        groups=groups,
    )
    return x.images().through(convolution, trained=True, **reading.made(node))


def _same_padding(kernel: torch.Tensor, dilation: tuple[int, int]) -> list[int]:
    """The padding that keeps the size; only an odd span has one."""
    totals = [d * (k - 1) for k, d in zip(kernel.shape[2:], dilation, strict=True)]
    if any(total % 2 for total in totals):
        raise CannotCompose(
            "padding='same' needs an odd kernel; pad by the same amount on both sides"
        )
    return [total // 2 for total in totals]


def _check_parameters(x: Any, *weights: Any) -> None:
    if not isinstance(x, Value) or any(isinstance(weight, Value) for weight in weights):
        raise CannotCompose("its weights must be parameters, not computed from the input")


def _any_convolution(reading: Reading, node: Node, *arguments: Any) -> Value:
    x, weight, bias, stride, padding, dilation, transposed, _, groups = arguments
    if transposed:
        raise CannotCompose(_NO_TRANSPOSE)
    return _convolution(reading, node, x, weight, bias, stride, padding, dilation, groups)


def _linear(
    reading: Reading, node: Node, x: Value, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> Value:
    _check_parameters(x, weight, bias)
    if len(x.shape) != 1:
        raise CannotCompose(f"flatten its input first: it sees (B, {', '.join(map(str, x.shape))})")
    return x.through(Product(weight=weight, bias=bias), trained=True, **reading.made(node))


def _matmul(reading: Reading, node: Node, x: Value, weight: torch.Tensor) -> Value:
    if isinstance(weight, Value) or weight.ndim != 2:
        raise CannotCompose("multiply by a parameter (in, out) from the right, or use Linear")
    return _linear(reading, node, x, weight.t())


def _addmm(
    reading: Reading, node: Node, bias: torch.Tensor, x: Value, weight: torch.Tensor
) -> Value:
    _check_parameters(x, weight)
    return _linear(reading, node, x, weight.t(), bias)


def _batch_norm(
    reading: Reading,
    node: Node,
    x: Value,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    mean: torch.Tensor | None,
    variance: torch.Tensor | None,
    *rest: Any,
) -> Value:
    if mean is None or variance is None:
        raise CannotCompose("it keeps no statistics; train with track_running_stats=True")
    eps = rest[-2 if len(rest) > 2 else -1]  # batch_norm has a flag of cuDNN behind it
    gain = (variance + eps).rsqrt() * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * gain
    wide = (-1, *([1] * (len(x.shape) - 1)))
    value = x.scaled(gain.reshape(wide))
    constant = value.constant + shift.reshape(wide)
    return replace(value, constant=constant, path=x.path or reading.path(node))


def _add(reading: Reading, node: Node, x: Any, y: Any, alpha: Any = 1) -> Value:
    parts = []
    for part, factor in ((x, 1), (y, alpha)):
        if isinstance(part, Value):
            parts.append(part if factor == 1 else part.scaled(factor))
    shift = torch.zeros((), dtype=torch.float64)
    if not isinstance(x, Value):
        shift = torch.as_tensor(x, dtype=torch.float64)
    elif not isinstance(y, Value):
        shift = torch.as_tensor(y, dtype=torch.float64) * alpha
    if len(parts) == 2 and parts[0].shape != parts[1].shape:
        raise CannotCompose(
            f"its parts must have the same shape, not {parts[0].shape} and {parts[1].shape}"
        )
    total = spatial.sum_of(parts)
    return replace(total, constant=total.constant + shift)


def _multiply(reading: Reading, node: Node, x: Any, y: Any) -> Value:
    if isinstance(x, Value) and isinstance(y, Value):
        raise CannotCompose("products of activations (gates, attention) cannot be converted")
    value, factor = (x, y) if isinstance(x, Value) else (y, x)
    return value.scaled(factor)


def _divide(reading: Reading, node: Node, x: Any, y: Any) -> Value:
    if isinstance(y, Value):
        raise CannotCompose("it divides by an activation")
    return _multiply(reading, node, x, 1 / torch.as_tensor(y, dtype=torch.float64))


def _clip(reading: Reading, node: Node, x: Value, low: Any = None, high: Any = None) -> Value:
    if low is None or float(low) != 0 or (high is not None and float(high) <= 0):
        raise CannotCompose("its lower bound must be 0, as in ReLU, ReLU6 and Hardtanh(0, x)")
    return reading.activation(node, x, cap=None if high is None else float(high))


def _replaced(reading: Reading, node: Node, x: Value, *rest: Any, **options: Any) -> Value:
    """An activation that is much like a ReLU: SiLU, GELU, LeakyReLU and their kin."""
    operation: Any = node.target

    def function(z: torch.Tensor) -> torch.Tensor:
        fitting = [a.to(z) if isinstance(a, torch.Tensor) else a for a in rest]
        result: torch.Tensor = operation(z, *fitting, **options)
        return result

    name = reading.kind(node)
    reading.notes.append(
        f"{name} at {reading.path(node)!r} is replaced by a clipped ReLU, fitted to the "
        "calibration data; fine-tuning recovers what that costs"
    )
    return reading.activation(node, x, original=Original(name=name, function=function))


def _neuron(
    reading: Reading,
    node: Node,
    x: Value,
    threshold: torch.Tensor,
    decay: torch.Tensor,
    start: float,
    zero: bool,
) -> Value:
    """An `IFNeuron` or `LIFNeuron`."""
    leak = decay.double().flatten()
    rule = Rule(
        threshold=threshold.double().flatten(),
        decay=leak if bool(leak.any()) else None,
        dynamics=Dynamics(zero=zero, start=start, whole=False),
    )
    return reading.activation(node, x, rule=rule)


def _staircase(reading: Reading, node: Node, x: Value, clip: torch.Tensor, levels: int) -> Value:
    """A `QCFS`."""
    stairs = Staircase(clip=clip.double().flatten(), levels=levels)
    return reading.activation(node, x, staircase=stairs)


def _same(reading: Reading, node: Node, x: Value, *_: Any, **__: Any) -> Value:
    return x


def _softmax(reading: Reading, node: Node, x: Value, *_: Any) -> Value:
    if any(user.op != "output" for user in node.users):
        raise CannotCompose("only as the very last operation, where it is left to the host")
    reading.softmax = True
    reading.notes.append(
        f"the final {node.target} is left to the host: it does not change which class is largest"
    )
    return x


Handler = Callable[..., Any]


def _first(handler: Handler) -> Handler:
    """Of an operation that gives several values, of which only the first is asked for (asking for
    another fails in the getitem)."""
    return lambda *arguments, **options: (handler(*arguments, **options),)


def _table(*rows: tuple[str, Handler]) -> dict[str, Handler]:
    return {f"aten.{name}": handler for names, handler in rows for name in names.split()}


HANDLERS = _table(
    ("conv1d conv2d", _convolution),
    ("convolution", _any_convolution),
    ("linear", _linear),
    ("matmul mm", _matmul),
    ("addmm", _addmm),
    ("batch_norm", _batch_norm),
    ("_native_batch_norm_legit_no_training", _first(_batch_norm)),
    ("add", _add),
    ("sub", lambda r, n, x, y, alpha=1: _add(r, n, x, y, -alpha)),
    ("mul", _multiply),
    ("div", _divide),
    ("neg", lambda r, n, x: _multiply(r, n, x, -1.0)),
    ("relu", lambda r, n, x: _clip(r, n, x, 0.0)),
    ("relu6", lambda r, n, x: _clip(r, n, x, 0.0, 6.0)),
    ("hardtanh", lambda r, n, x, low=-1.0, high=1.0: _clip(r, n, x, low, high)),
    ("clamp clamp_min", _clip),
    ("silu gelu leaky_relu elu celu selu prelu _prelu_kernel hardswish mish softplus", _replaced),
    ("avg_pool1d avg_pool2d", spatial.average),
    ("adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d", spatial.adaptive_average),
    ("mean", spatial.mean),
    ("max_pool1d max_pool2d", maximum.max_pool),
    ("max_pool2d_with_indices", _first(maximum.max_pool)),
    ("adaptive_max_pool1d adaptive_max_pool2d", _first(maximum.adaptive_max_pool)),
    ("amax", maximum.amax),
    ("flatten view _unsafe_view reshape squeeze unsqueeze unflatten", spatial.reshape),
    ("dropout feature_dropout clone contiguous alias detach detach_ lift_fresh", _same),
    ("_to_copy to", _same),
    ("slice", spatial.slice_op),
    ("permute transpose movedim split split_with_sizes chunk", spatial.rearranged),
    (
        "channel_shuffle native_channel_shuffle narrow select flip roll index index_select",
        spatial.rearranged,
    ),
    ("cat concat", spatial.concatenate),
    ("pad constant_pad_nd", spatial.pad),
    ("softmax _softmax log_softmax _log_softmax", _softmax),
)
HANDLERS["neurocuda_hw.neuron"] = _neuron
HANDLERS["neurocuda_hw.qcfs"] = _staircase
