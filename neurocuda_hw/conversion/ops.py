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
from neurocuda_hw.conversion.reading import Reading, operation
from neurocuda_hw.conversion.value import CannotCompose, Mask, Value, pair, same
from neurocuda_hw.linear.steps import Convolution, Function, Product

SUPPORTED = (
    "use Linear, convolutions, BatchNorm, ReLU, ReLU6, Hardtanh(0, x), average and max pooling, "
    "reshaping, padding, up-sampling, addition, concatenation and dropout only"
)
_NO_RELU = "train with ReLU instead: a spike count is never negative and grows with its input"
_NO_NORM = "train with batch normalisation: its factors are fixed after training"
NO_SEQUENCE = "take LSTM, GRU and attention out: only feed-forward layers can be converted"
_NO_ATTENTION = (
    "products of activations (gates, attention) cannot be converted: a synapse has fixed weights"
)
_KINDS_OF_REFUSAL = {
    _NO_RELU: "tanh hardsigmoid softsign abs",
    "take its values only, not their indices": "max_pool1d_with_indices",
    _NO_NORM: "layer_norm native_layer_norm group_norm native_group_norm instance_norm",
    NO_SEQUENCE: "lstm gru "
    "rnn_tanh rnn_relu scaled_dot_product_attention _scaled_dot_product_flash_attention_for_cpu "
    "_native_multi_head_attention",
}
_VIEWS = {
    f"aten.{name}" for name in ["view", "reshape", "squeeze", "unsqueeze", "flatten", "clone"]
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
        totals = [d * (k - 1) for k, d in zip(kernel.shape[2:], spread, strict=True)]
        if padding == "same" and any(total % 2 for total in totals):  # one more behind than before
            amounts = [n for total in reversed(totals) for n in (total // 2, total - total // 2)]
            x, padding = spatial.padded(x, amounts[: 2 * (len(x.shape) - 1)]), 0
        else:
            padding = [total // 2 for total in totals] if padding == "same" else 0
    convolution = Convolution(
        weight=kernel,
        bias=bias,
        stride=pair(stride, flat, 1),
        padding=pair(padding, flat, 0),
        dilation=spread,
        groups=groups,
    )
    return x.through(convolution, trained=True, **reading.made(node))


def _check_parameters(x: Any, *weights: Any) -> None:
    if not isinstance(x, Value) or any(isinstance(weight, Value) for weight in weights):
        raise CannotCompose("its weights must be parameters, not computed from the input")


def _any_convolution(reading: Reading, node: Node, *arguments: Any) -> Value:
    x, weight, bias, stride, padding, dilation, transposed, _, groups = arguments
    if transposed:
        return spatial.affine(reading, node, *arguments)
    return _convolution(reading, node, x, weight, bias, stride, padding, dilation, groups)


def _linear(
    reading: Reading, node: Node, x: Value, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> Value:
    _check_parameters(x, weight, bias)
    if len(x.shape) != 1:
        return spatial.affine(reading, node, x, weight, bias)
    return x.through(Product(weight=weight, bias=bias), trained=True, **reading.made(node))


def _matmul(reading: Reading, node: Node, x: Any, y: Any) -> Value:
    if isinstance(x, Value) and isinstance(y, Value):
        raise CannotCompose(_NO_ATTENTION)
    if isinstance(y, torch.Tensor) and y.ndim == 2 and len(x.shape) == 1:
        return _linear(reading, node, x, y.t())
    return spatial.affine(reading, node, x, y)


def _einsum(reading: Reading, node: Node, equation: str, parts: list[Any], **_: Any) -> Value:
    values = [part for part in parts if isinstance(part, Value)]
    if len(values) != 1:
        raise CannotCompose(_NO_ATTENTION)

    def run(x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.einsum(
            equation, *[x if isinstance(part, Value) else part for part in parts]
        )
        return found

    step = Function(run=run, shape=reading.static(node))
    return values[0].through(step, trained=True, **reading.made(node))


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
    if len(parts) == 2:
        parts = [spatial.broadcast(part, reading.static(node)) for part in parts]
    total = spatial.sum_of(parts)
    return replace(total, constant=total.constant + shift)


def _multiply(reading: Reading, node: Node, x: Any, y: Any) -> Value:
    for one, other in ((x, y), (y, x)):
        if isinstance(one, Mask) and isinstance(other, Value):  # x * (x > 0)
            if one.negated or not same(one.of, other):
                raise CannotCompose("a value may be masked by its own sign only, as in ReLU")
            return reading.activation(node, other)
    if isinstance(x, Value) and isinstance(y, Value):
        raise CannotCompose(_NO_ATTENTION)
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


def _threshold(reading: Reading, node: Node, x: Value, threshold: float, value: float) -> Value:
    if threshold or value:
        raise CannotCompose("its threshold and its value must be 0, as in ReLU")
    return reading.activation(node, x)


def _compared(reading: Reading, node: Node, x: Any, y: Any) -> Mask:
    """``x > 0`` and its kin, for a ReLU that is written so."""
    name = operation(node).removeprefix("aten.")
    value, other = (x, y) if isinstance(x, Value) else (y, x)
    if (
        not isinstance(value, Value)
        or isinstance(other, Value)
        or bool(torch.as_tensor(other).any())
    ):
        raise CannotCompose("a value may be compared with 0 only, for a ReLU")
    less = name in ("lt", "le")
    return Mask(value, negated=less if value is x else not less)


def _where(reading: Reading, node: Node, mask: Any, x: Any, y: Any) -> Value:
    if isinstance(mask, Mask):
        kept, other = (y, x) if mask.negated else (x, y)
        zero = not isinstance(other, Value) and not bool(torch.as_tensor(other).any())
        if zero and isinstance(kept, Value) and same(mask.of, kept):
            return reading.activation(node, kept)
    raise CannotCompose("it must be a ReLU: a value where it is positive, and 0 elsewhere")


def _alike(reading: Reading, node: Node, x: Value, *rest: Any, **_: Any) -> torch.Tensor:
    """Zeros, or ones, of the shape of a value."""
    operation: Any = node.target
    found: torch.Tensor = operation(torch.zeros(1, *x.shape, dtype=torch.float64), *rest)
    return found


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


def _final(reading: Reading, node: Node, x: Value, *_: Any) -> Value:
    """Softmax or sigmoid, which are left to the host where they end the model."""
    sigmoid = "sigmoid" in str(node.target)
    if not _ends(node):
        raise CannotCompose(
            f"{_NO_RELU}; only as the very last operation it is left to the host"
            if sigmoid
            else "only as the very last operation, where it is left to the host"
        )
    reading.final = "sigmoid" if sigmoid else "softmax"
    kept = "the sign of an output" if sigmoid else "which class is largest"
    reading.notes.append(f"the final {node.target} is left to the host: it does not change {kept}")
    return x


def _ends(node: Node) -> bool:
    """Whether nothing but changes of shape follow."""
    return all(
        user.op == "output" or (operation(user) in _VIEWS and _ends(user)) for user in node.users
    )


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
    ("matmul mm bmm", _matmul),
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
    ("clamp clip clamp_min", _clip),
    (
        "silu gelu leaky_relu elu celu selu prelu _prelu_kernel hardswish mish softplus rrelu",
        _replaced,
    ),
    ("avg_pool1d avg_pool2d", spatial.average),
    ("adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d", spatial.adaptive_average),
    ("mean sum", spatial.total),
    ("max maximum fmax", maximum.maximum),
    ("gt ge lt le", _compared),
    ("where", _where),
    ("threshold", _threshold),
    ("zeros_like ones_like", _alike),
    (
        "conv_transpose1d conv_transpose2d upsample_nearest1d upsample_nearest2d upsample_linear1d "
        "upsample_bilinear2d upsample_bicubic2d _upsample_nearest_exact2d reflection_pad1d "
        "reflection_pad2d replication_pad1d replication_pad2d cumsum tril triu",
        spatial.affine,
    ),
    ("einsum", _einsum),
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
        "channel_shuffle native_channel_shuffle narrow select flip roll index index_select repeat "
        "expand repeat_interleave pixel_shuffle pixel_unshuffle unfold unbind diagonal",
        spatial.rearranged,
    ),
    ("cat concat stack", spatial.concatenate),
    ("pad constant_pad_nd", spatial.pad),
    ("softmax _softmax log_softmax _log_softmax sigmoid", _final),
)
HANDLERS["neurocuda_hw.neuron"] = _neuron
HANDLERS["neurocuda_hw.qcfs"] = _staircase
