"""Shapes of what the nodes of a NIR graph take and give, checked node by node.

NIR shapes have no batch axis: ``(N,)``, ``(C, L)`` or ``(C, H, W)``.
"""

from __future__ import annotations

import nir
import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.linear.steps import Shape, slid


def shown(value: object) -> str:
    """A value for a message: one line, and short."""
    text = repr(value.tolist() if isinstance(value, np.ndarray | np.generic) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def integers(values: object, what: str) -> Shape:
    array = np.asarray(values)
    if values is None or array.dtype.kind not in "iuf" or array.ndim > 1:
        raise ModelError(f"{what} must be positive integers, not {shown(values)}")
    numbers = tuple(int(n) for n in np.atleast_1d(array))
    if not numbers or min(numbers) < 1 or len(numbers) > 4 or np.any(np.atleast_1d(array) % 1):
        raise ModelError(f"{what} must be 1 to 4 positive integers, not {numbers}")
    if int(np.prod(numbers, dtype=object)) > 2**31:
        raise ModelError(f"{what} must hold at most 2^31 values, not {numbers}")
    return numbers


def pair(value: object, what: str, lowest: int, count: int = 2) -> Shape:
    """One or `count` integers of at least `lowest`, as a tuple."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.size not in (1, count) or np.any(array % 1):
        raise ModelError(f"{what} must be {count} integers, not {shown(value)}")
    numbers = tuple(int(n) for n in np.broadcast_to(array.reshape(-1), (count,)))
    if min(numbers) < lowest or max(numbers) > 2**20:
        raise ModelError(f"{what} must be at least {lowest}, not {numbers}")
    return numbers


def conv_arguments(node: nir.Conv1d | nir.Conv2d, name: str) -> tuple[Shape, Shape, Shape, int]:
    """Stride, padding, dilation and groups; ``same`` padding as numbers."""
    rank = node.weight.ndim - 2
    what = f"NIR node {name!r}"
    stride = pair(node.stride, f"{what} stride", 1, rank)
    dilation = pair(node.dilation, f"{what} dilation", 1, rank)
    if isinstance(node.padding, str):
        spans = [d * (k - 1) for d, k in zip(dilation, node.weight.shape[2:], strict=True)]
        if node.padding == "same" and (any(s % 2 for s in spans) or set(stride) != {1}):
            raise ModelError(
                f"{what} padding must be numbers where 'same' is uneven or strided, not 'same'"
            )
        same = node.padding == "same"
        padding: Shape = tuple(s // 2 if same else 0 for s in spans)
    else:
        padding = pair(node.padding, f"{what} padding", 0, rank)
    return stride, padding, dilation, pair(node.groups, f"{what} groups", 1, 1)[0]


def output_shape(node: nir.NIRNode, shape: Shape, name: str) -> Shape:
    """Shape of what `node` gives for an input of `shape`; ModelError if it does not fit."""
    what = f"NIR node {name!r}"
    if isinstance(node, nir.Input | nir.Output):
        key = "input" if isinstance(node, nir.Input) else "output"
        want = node.input_type.get(key, node.input_type.get("input"))
        if want is not None and integers(want, f"shape of {what}") != shape:
            raise ModelError(f"{what} must get the shape {tuple(np.atleast_1d(want))}, not {shape}")
        return shape
    if isinstance(node, nir.Affine | nir.Linear):
        weight = node.weight
        if weight.ndim != 2:
            raise ModelError(f"{what} weight must have 2 dimensions, not {weight.ndim}")
        if shape != weight.shape[1:]:
            raise ModelError(f"{what} must get the shape {weight.shape[1:]}, not {shape}")
        if isinstance(node, nir.Affine) and np.shape(node.bias) not in ((), weight.shape[:1]):
            raise ModelError(f"{what} bias must be {weight.shape[:1]}, not {np.shape(node.bias)}")
        return (weight.shape[0],)
    if isinstance(node, nir.Conv1d | nir.Conv2d):
        return _conv_shape(node, shape, name)
    if isinstance(node, nir.SumPool2d | nir.AvgPool2d):
        kernel, stride, padding = pool_arguments(node, name)
        if len(shape) != 3:
            raise ModelError(f"{what} must get (C, H, W), not {shape}")
        return (shape[0], *_slide(shape[1:], kernel, stride, padding, (1, 1), what))
    if isinstance(node, nir.Flatten):
        return _flatten_shape(node, shape, name)
    parameters = [v for v in vars(node).values() if isinstance(v, np.ndarray)]
    for values in parameters:
        _check_broadcast(values, shape, what)
    return shape


def _check_broadcast(values: np.ndarray, shape: Shape, what: str) -> None:
    """Parameters are one for all, one per channel, or one each."""
    if values.size == 1 or values.shape in (shape, shape[:1]):
        return
    if values.shape == (shape[0],) + (1,) * (len(shape) - 1):
        return
    raise ModelError(
        f"{what} must have parameters of its input's shape {shape}, not {values.shape}"
    )


def _conv_shape(node: nir.Conv1d | nir.Conv2d, shape: Shape, name: str) -> Shape:
    rank = 1 if isinstance(node, nir.Conv1d) else 2
    what = f"NIR node {name!r}"
    if node.weight.ndim != rank + 2 or 0 in node.weight.shape:
        raise ModelError(f"{what} weight must have {rank + 2} dimensions, not {node.weight.shape}")
    stride, padding, dilation, groups = conv_arguments(node, name)
    if node.weight.shape[0] % groups:
        raise ModelError(f"{what} groups must divide {node.weight.shape[0]} channels, not {groups}")
    if len(shape) != rank + 1 or shape[0] != node.weight.shape[1] * groups:
        raise ModelError(
            f"{what} must get {node.weight.shape[1] * groups} channels of {rank} axes, not {shape}"
        )
    if np.shape(node.bias) not in ((), (1,), node.weight.shape[:1]):
        raise ModelError(f"{what} bias must be {node.weight.shape[:1]}, not {np.shape(node.bias)}")
    kernel = tuple(int(k) for k in node.weight.shape[2:])
    sizes = _slide(shape[1:], kernel, stride, padding, dilation, what)
    return (int(node.weight.shape[0]), *sizes)


def _slide(
    sizes: Shape, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape, what: str
) -> Shape:
    found = slid(sizes, kernel, stride, padding, dilation)
    if min(found) < 1:
        spans = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
        raise ModelError(f"{what} must have a kernel that fits into {sizes}, not {spans}")
    return found


def pool_arguments(node: nir.SumPool2d | nir.AvgPool2d, name: str) -> tuple[Shape, Shape, Shape]:
    """Kernel, stride and padding of a pool."""
    what = f"NIR node {name!r}"
    return (
        pair(node.kernel_size, f"{what} kernel_size", 1),
        pair(node.stride, f"{what} stride", 1),
        pair(node.padding, f"{what} padding", 0),
    )


def _flatten_shape(node: nir.Flatten, shape: Shape, name: str) -> Shape:
    """Some writers count a batch axis that NIR shapes do not have: then all axes are meant."""
    start, end = (
        pair(node.start_dim, "start_dim", -4, 1)[0],
        pair(node.end_dim, "end_dim", -4, 1)[0],
    )
    rank = len(shape)
    start, end = (i + rank if i < 0 else i for i in (start, end))
    declared = node.output_type.get("output") if node.output_type else None
    if start == 1 and (declared is None or int(np.prod(declared)) != int(np.prod(shape))):
        start = 0
    if not 0 <= start <= end < rank:
        raise ModelError(f"NIR node {name!r} must flatten axes of {shape}, not {start} to {end}")
    return (*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :])
