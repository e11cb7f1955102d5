"""Linear maps one after the other as one linear map, where that is exact.

A pool behind a convolution is a convolution with a longer kernel and stride; a 1 x 1 convolution,
a factor per channel and a pad go into the convolution before or behind them.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F

from neurocuda_hw.conversion.graph import Kind, Pair, Shape, Term


class CannotCompose(Exception):
    """Two linear maps in a row are no single synapse; the text is the way out."""


def identity(source: int, shape: Shape) -> Term:
    """The term that delivers its source as it is."""
    return Term(source=source, kind=Kind.GAIN, weight=torch.ones(shape, dtype=torch.float64))


def uniform(values: torch.Tensor) -> torch.Tensor | None:
    """``(C, ...)`` as ``(C,)`` if all neurons of a channel have the same value, else None."""
    flat = values.reshape(values.shape[0], -1)
    first = flat[:, 0]
    return first.clone() if torch.equal(flat, first[:, None].expand_as(flat)) else None


def _channels(values: torch.Tensor) -> torch.Tensor:
    found = uniform(values)
    if found is None:
        raise CannotCompose(
            "factors must be the same for all neurons of a channel; put an activation before it"
        )
    return found


def gain_after(term: Term, gain: torch.Tensor, shape: Shape) -> Term:
    """`term` (of the target shape `shape`), then a factor for each neuron (any shape, C order)."""
    gain = gain.reshape(shape)
    if term.kind is Kind.GAIN:
        return replace(term, weight=term.weight * gain)
    if term.kind is Kind.MATRIX:
        return replace(term, weight=term.weight * gain.reshape(-1, 1))
    return replace(term, weight=term.weight * _channels(gain).reshape(-1, 1, 1, 1))


def matrix_after(term: Term, matrix: torch.Tensor, source: Shape) -> Term:
    """`term` (of a source of this shape), flattened, then a matrix ``(out, in)``."""
    if term.kind is Kind.CONV:
        if term.trained:
            raise CannotCompose(
                "put an activation (ReLU) between the convolution and the linear layer"
            )
        return _matrix_of_conv(term, matrix, source)
    if term.kind is Kind.GAIN:
        return replace(
            term, kind=Kind.MATRIX, weight=matrix * term.weight.reshape(1, -1), trained=True
        )
    return replace(term, weight=matrix @ term.weight, trained=True)


def _matrix_of_conv(term: Term, matrix: torch.Tensor, source: Shape) -> Term:
    """One matrix for a convolution without weights of its own (a pooling that pads), then one."""
    shape, target = term.pooled(source), term.target(source)
    spans = [d * (k - 1) + 1 for d, k in zip(term.dilation, term.weight.shape[2:], strict=True)]
    sizes = zip(shape[1:], target[1:], term.stride, term.padding, spans, strict=True)
    left = [n - ((o - 1) * s - 2 * p + span) for n, o, s, p, span in sizes]
    rows = matrix.reshape(-1, *target)
    weight = F.conv_transpose2d(
        rows, term.weight, None, term.stride, term.padding, left, term.groups, term.dilation
    )
    return Term(
        source=term.source,
        kind=Kind.MATRIX,
        weight=weight.flatten(1),
        pool=term.pool,
        pool_stride=term.pool_stride,
        trained=True,
    )


def conv_after(term: Term, conv: Term) -> Term:
    """`term`, then the convolution `conv` (its source is not looked at)."""
    if term.kind is Kind.MATRIX:
        raise CannotCompose("put an activation (ReLU) between the linear layer and the convolution")
    if term.kind is Kind.GAIN:
        gain = _channels(term.weight)
        merged = replace(conv, source=term.source, pool=term.pool, pool_stride=term.pool_stride)
        return replace(merged, weight=scale_inputs(conv.weight, conv.groups, gain))
    if _pointwise(conv) and conv.padding == (0, 0):
        return replace(
            term,
            weight=_chain(conv, term),
            groups=_groups(conv, term),
            stride=_times(term.stride, conv.stride),
            trained=term.trained or conv.trained,
        )
    if _pointwise(term) and term.stride == (1, 1):
        return replace(
            conv,
            source=term.source,
            pool=term.pool,
            pool_stride=term.pool_stride,
            weight=_chain(conv, term),
            groups=_groups(conv, term),
            padding=(conv.padding[0] + term.padding[0], conv.padding[1] + term.padding[1]),
            trained=term.trained or conv.trained,
        )
    raise CannotCompose("put an activation (ReLU) between the two convolutions")


def average_after(term: Term, kernel: Pair, stride: Pair, shape: Shape) -> Term:
    """`term` (of the target shape `shape`), then an average over unpadded windows."""
    cells = kernel[0] * kernel[1]
    if cells == 1 and stride == (1, 1):
        return term
    if term.kind is Kind.MATRIX:
        raise CannotCompose("put an activation (ReLU) between the linear layer and the pooling")
    if term.kind is Kind.GAIN:
        size = [(n - k) // s + 1 for n, k, s in zip(shape[1:], kernel, stride, strict=True)]
        gain = (_channels(term.weight) / cells).reshape(-1, 1, 1).expand(-1, *size)
        if term.pool is not None:
            if term.pool_stride != term.pool:
                raise CannotCompose("the pooling before it must not overlap (stride = kernel)")
            kernel, stride = _times(term.pool, kernel), _times(term.pool, stride)
        return replace(term, weight=gain, pool=kernel, pool_stride=stride)
    if _pointwise(term) and term.pool is None and (term.stride, term.padding) == ((1, 1), (0, 0)):
        return replace(term, weight=term.weight / cells, pool=kernel, pool_stride=stride)
    return _average_of_conv(term, kernel, stride)


def _average_of_conv(term: Term, kernel: Pair, stride: Pair) -> Term:
    """The longer kernel: shifted copies of the convolution's, one for each cell of the window."""
    size = [
        (p - 1) * s + (k - 1) * d + 1
        for p, s, k, d in zip(
            kernel, term.stride, term.weight.shape[2:], term.dilation, strict=True
        )
    ]
    weight = term.weight.new_zeros((*term.weight.shape[:2], *size))
    rows, columns = term.weight.shape[2:]
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            top, left = y * term.stride[0], x * term.stride[1]
            weight[
                :,
                :,
                top : top + (rows - 1) * term.dilation[0] + 1 : term.dilation[0],
                left : left + (columns - 1) * term.dilation[1] + 1 : term.dilation[1],
            ] += term.weight / (kernel[0] * kernel[1])
    return replace(term, weight=weight, stride=_times(term.stride, stride), dilation=(1, 1))


def pad_channels(term: Term, before: int, after: int) -> Term:
    """`term` with silent channels before and after its own."""
    if term.kind is not Kind.CONV:
        gain = _channels(term.weight) if term.kind is Kind.GAIN else None
        if gain is None:
            raise CannotCompose("pad channels of feature maps only")
        term = replace(term, kind=Kind.CONV, weight=torch.diag(gain)[:, :, None, None])
    dense = _dense(term)
    padded = dense.new_zeros((before + dense.shape[0] + after, *dense.shape[1:]))
    padded[before : before + dense.shape[0]] = dense
    return replace(term, weight=padded, groups=1)


def depthwise(channels: int, kernel: Pair, *, stride: Pair, padding: Pair, value: float) -> Term:
    """The untrained convolution of each channel by itself with one `value` in the whole kernel."""
    return Term(
        source=0,
        kind=Kind.CONV,
        weight=torch.full((channels, 1, *kernel), value, dtype=torch.float64),
        stride=stride,
        padding=padding,
        groups=channels,
    )


def merge(terms: list[Term]) -> tuple[Term, ...]:
    """Terms with plain factors of the same source and pool become one: x + x is 2 x."""
    merged: list[Term] = []
    for term in terms:
        for place, other in enumerate(merged):
            if term.kind is other.kind is Kind.GAIN and (
                term.source,
                term.pool,
                term.pool_stride,
            ) == (other.source, other.pool, other.pool_stride):
                merged[place] = replace(other, weight=other.weight + term.weight)
                break
        else:
            merged.append(term)
    return tuple(merged)


def _pointwise(term: Term) -> bool:
    return tuple(term.weight.shape[2:]) == (1, 1)


def _times(a: Pair, b: Pair) -> Pair:
    return (a[0] * b[0], a[1] * b[1])


def scale_inputs(weight: torch.Tensor, groups: int, gain: torch.Tensor) -> torch.Tensor:
    """A kernel ``(C_out, C_in / groups, kh, kw)``, each input channel times its factor."""
    outputs, inputs = weight.shape[:2]
    per_group = gain.reshape(groups, 1, inputs).expand(-1, outputs // groups, -1)
    return weight * per_group.reshape(outputs, inputs, 1, 1)


def _is_depthwise(term: Term) -> bool:
    return term.weight.shape[1] == 1 and term.groups == term.weight.shape[0]


def _groups(second: Term, first: Term) -> int:
    """Groups of the composition that `_chain` gives."""
    if _is_depthwise(first) and _pointwise(first):
        return second.groups
    return first.groups if _is_depthwise(second) and _pointwise(second) else 1


def _chain(second: Term, first: Term) -> torch.Tensor:
    """Kernel of `first` then `second`, one of which is 1 x 1."""
    if _is_depthwise(first) and _pointwise(first):
        return scale_inputs(second.weight, second.groups, first.weight.reshape(-1))
    if _is_depthwise(second) and _pointwise(second):
        return first.weight * second.weight.reshape(-1, 1, 1, 1)
    if _pointwise(second):
        return torch.einsum("om,mikl->oikl", _dense(second)[:, :, 0, 0], _dense(first))
    return torch.einsum("omkl,mi->oikl", _dense(second), _dense(first)[:, :, 0, 0])


def _dense(term: Term) -> torch.Tensor:
    """The kernel without groups: zeros where a group does not look."""
    if term.groups == 1:
        return term.weight
    outputs, inputs = term.weight.shape[:2]
    whole = term.weight.new_zeros((outputs, inputs * term.groups, *term.weight.shape[2:]))
    step = outputs // term.groups
    for group in range(term.groups):
        rows = slice(group * step, (group + 1) * step)
        whole[rows, group * inputs : (group + 1) * inputs] = term.weight[rows]
    return whole


def same_padding(kernel: Shape, dilation: Pair) -> Pair:
    """The padding that keeps the size; only an odd span has one."""
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if any(total % 2 for total in totals):
        raise CannotCompose(
            "padding='same' needs an odd kernel; pad by the same amount on both sides"
        )
    return (totals[0] // 2, totals[1] // 2)
