"""What a node of the exported program stands for while it is read: a sum of linear maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from neurocuda_hw.conversion.graph import Term
from neurocuda_hw.linear.steps import Pair, Product, Reshape, Scale, Shape, Step

Number = int | float | torch.Tensor


class CannotCompose(Exception):
    """An operation is none that spikes can compute; the text is the way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A sum of linear maps of layers, and a constant; all of one shape (without the batch).

    `path` is the layer of the model that made it last, `order` the place of that layer.
    """

    terms: tuple[Term, ...]
    constant: torch.Tensor
    path: str = ""
    order: int = -1

    @property
    def shape(self) -> Shape:
        """Shape without the batch."""
        return tuple(self.constant.shape)

    def through(self, step: Step, *, trained: bool = False, **changes: Any) -> Value:
        """The value behind `step`, which holds the weights of a layer where it is `trained`;
        `changes` are other fields of the new one.
        """
        terms = tuple(_extended(term, step, trained) for term in self.terms)
        constant = step.apply(self.constant.unsqueeze(0))[0]
        return replace(self, terms=terms, constant=constant, **changes)

    def reshaped(self, shape: Shape) -> Value:
        """The same values, in C order, in another shape."""
        return self if shape == self.shape else self.through(Reshape(shape=shape))

    def scaled(self, gain: Number) -> Value:
        """Times one factor, or one for each neuron (broadcast over the shape)."""
        factor = torch.as_tensor(gain, dtype=torch.float64)
        if factor.ndim > len(self.shape):
            factor = factor.reshape(factor.shape[factor.ndim - len(self.shape) :])
        return self.through(Scale(factor=factor))


def pair(values: int | Sequence[int], flat: bool, lowest: int) -> Pair:
    """An argument of a layer for ``(C, H, W)``; `lowest` along the height of a 1-d (`flat`) one."""
    numbers = [values] if isinstance(values, int) else list(values)
    return (lowest if flat else numbers[0], numbers[-1])


@dataclass(frozen=True, slots=True)
class Mask:
    """Where a value is positive (or, `negated`, where it is not): half of a ReLU."""

    of: Value
    negated: bool


def same(one: Value, other: Value) -> bool:
    """Whether two values are the same sum."""
    if one is other:
        return True
    pairs = list(zip(one.terms, other.terms, strict=False))
    return (
        len(one.terms) == len(other.terms)
        and torch.equal(one.constant, other.constant)
        and all(a.source == b.source and a.same(b) for a, b in pairs)
    )


def _extended(term: Term, step: Step, trained: bool) -> Term:
    """`term`, then `step`, the weights of a layer if it is `trained`."""
    found = term.then(step)
    if found is None and isinstance(step, Product) and not (term.trained or term.later):
        found = term.matrix(step)
    if found is None:
        found = term.followed(step)
    return replace(found, trained=True) if trained else found
