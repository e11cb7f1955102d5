"""What a node of the exported program stands for while it is read: a sum of linear maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from neurocuda_hw.conversion import compose
from neurocuda_hw.conversion.compose import CannotCompose
from neurocuda_hw.conversion.graph import Kind, Pair, Shape, Term

if TYPE_CHECKING:
    from neurocuda_hw.conversion.walk import Walker

Number = int | float | torch.Tensor


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


def pair(values: int | Sequence[int], lowest: int) -> Pair:
    """An argument of a layer for ``(C, H, W)``; `lowest` along the height of a 1-d layer."""
    if isinstance(values, int):
        return (values, values)
    numbers = list(values)
    return (lowest, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


def images(walker: Walker, value: Value) -> tuple[Term, ...]:
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


def scaled(walker: Walker, value: Value, gain: Number) -> tuple[Term, ...]:
    """The terms, multiplied by one factor, or one for each neuron (broadcast over the shape)."""
    factor = torch.as_tensor(gain, dtype=torch.float64)
    if factor.ndim > len(value.shape):
        factor = factor.reshape(factor.shape[factor.ndim - len(value.shape) :])
    spread = factor.expand(value.shape)
    return tuple(compose.gain_after(t, spread, walker.target(t)) for t in value.terms)
