"""What a node of the exported program stands for while it is read: a sum of linear maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from neurocuda_hw.conversion.graph import Term
from neurocuda_hw.linear.maps import Kind
from neurocuda_hw.linear.steps import (
    Convolution,
    Pair,
    Product,
    Reshape,
    Scale,
    Shape,
    Step,
    image_shape,
)

Number = int | float | torch.Tensor


class CannotCompose(Exception):
    """Two linear maps in a row are no single synapse; the text is the way out."""


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

        Raises
        ------
        CannotCompose
            If a term and `step` are no single synapse.
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

    def images(self) -> Value:
        """The value itself, if it is feature maps: for a convolution or a pooling."""
        shape = image_shape(self.shape)
        if len(shape) != 3:
            raise CannotCompose(f"it needs feature maps (C, H, W) or (C, L), not {self.shape}")
        for term in self.terms:
            if term.kind is not Kind.MATRIX and term.plain != shape:
                raise CannotCompose(
                    f"it sees {shape}, but its source has the shape {term.plain}: give the "
                    "data and the layers the shape that the convolution needs"
                )
        return self


def pair(values: int | Sequence[int], flat: bool, lowest: int) -> Pair:
    """An argument of a layer for ``(C, H, W)``; `lowest` along the height of a 1-d (`flat`) one."""
    numbers = [values] if isinstance(values, int) else list(values)
    return (lowest if flat else numbers[0], numbers[-1])


def _extended(term: Term, step: Step, trained: bool) -> Term:
    """`term`, then `step`, the weights of a layer if it is `trained`."""
    found = None
    if not (trained and _grows(term, step)):
        found = term.then(step)
    if found is None and isinstance(step, Product) and not term.trained:
        found = term.matrix(step)
    if found is None:
        raise CannotCompose(_way_out(term, step))
    return replace(found, trained=True) if trained else found


def _grows(term: Term, step: Step) -> bool:
    """Whether two convolutions would become one with more weights than both."""
    if not isinstance(step, Convolution) or term.kind is not Kind.CONV:
        return False
    return all(max(one.weight.shape[2:]) > 1 for one in (term, step))


def _way_out(term: Term, step: Step) -> str:
    if term.kind is Kind.GAIN or isinstance(step, Scale):
        return "factors must be the same for all neurons of a channel; put an activation before it"
    between = "the two convolutions"
    if isinstance(step, Product):
        between = "the convolution and the linear layer"
    return f"put an activation (ReLU) between {between}"
