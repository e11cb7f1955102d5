"""A trained classifier as layers: each sums linear maps of earlier layers, adds a bias, clips at 0.

    a_p = min(cap_p, max(0, sum over terms (q -> p) of W_q a_q + b_p))

The last layer may do without the clip: its sums are the logits. A layer may also take the largest
activation of each window instead (max pooling), or have another function in the place of the clip:
the staircase that the model was trained with, or one that `approximate` replaces. Batch
normalisation, dropout, flattening and the divisors of average pooling are gone at this point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import torch
import torch.nn.functional as F

from neurocuda_hw.conversion.fire import Dynamics
from neurocuda_hw.conversion.temporal import Frames
from neurocuda_hw.linear.maps import Kind, Map
from neurocuda_hw.linear.steps import Shape, per_channel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Term(Map):
    """A linear map of one earlier layer, in float64.

    Parameters
    ----------
    source : int
        0 is the input, ``i`` is ``layers[i - 1]``.
    trained : bool
        False for a skip connection, whose weight no layer of the model holds.
    """

    source: int
    trained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Original:
    """An activation function that is no clipped ReLU, such as SiLU: its name, and what it does."""

    name: str
    function: Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Staircase:
    """The activation of a model that was trained with `QCFS`.

    Parameters
    ----------
    clip : float64 tensor (1,) or (C,)
        lambda.
    levels : int
        L.
    """

    clip: torch.Tensor
    levels: int

    def spread(self, channels: int) -> Staircase | None:
        """One lambda per channel; None where there are neither one nor one for each channel."""
        if len(self.clip) not in (1, channels):
            return None
        return replace(self, clip=self.clip.expand(channels))

    def climb(self, z: torch.Tensor) -> torch.Tensor:
        """Activations for the sums `z` ``(B, C, ...)``."""
        unit = per_channel(self.clip / self.levels, z.ndim - 1).to(z)
        return (z / unit + 0.5).floor().clamp(0, self.levels) * unit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """A spiking neuron that the model holds already: a spike stands for its threshold.

    Parameters
    ----------
    threshold : float64 tensor (1,) or (C,)
    decay : float64 tensor (1,) or (C,), optional
        Share of the membrane that each step loses, in whole 1/4096; None without a leak.
    dynamics : Dynamics
        Reset and initial membrane.
    """

    threshold: torch.Tensor
    decay: torch.Tensor | None
    dynamics: Dynamics

    def spread(self, channels: int) -> Rule | None:
        """One value per channel; None where they are neither one nor one for each channel."""
        given = [self.threshold] if self.decay is None else [self.threshold, self.decay]
        if any(len(values) not in (1, channels) for values in given):
            return None
        wide = [values.expand(channels) for values in given]
        return replace(self, threshold=wide[0], decay=wide[1] if len(wide) > 1 else None)

    def keep(self, like: torch.Tensor, axes: int) -> torch.Tensor | None:
        """Share that is kept, to broadcast over `axes` axes (C first); type and place of `like`."""
        return None if self.decay is None else per_channel(1 - self.decay, axes).to(like)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """Neurons that become one population.

    Parameters
    ----------
    name, path : str
        The population's name, and where the layer stands in the model.
    shape : tuple of int
        ``(C, H, W)`` or ``(N,)``.
    terms : tuple of Term
    bias : float64 tensor
        ``(C,)``, or of the whole shape where a bias before a zero-padded convolution makes the
        border differ.
    spiking : bool
        False for the logits.
    cap : float, optional
        Upper clip of the activation (6 for ReLU6).
    maximum : bool
        The largest activation of each window of its only term, whose weights are all 1.
    original : Original, optional
        The trained model's activation function, where it is another.
    rule : Rule, optional
        The trained model's neuron, where it spikes itself.
    staircase : Staircase, optional
        The trained model's activation function, where that is quantised already.
    """

    name: str
    path: str
    shape: Shape
    terms: tuple[Term, ...]
    bias: torch.Tensor
    spiking: bool
    cap: float | None = None
    maximum: bool = False
    original: Original | None = None
    rule: Rule | None = None
    staircase: Staircase | None = None

    @property
    def clipped(self) -> bool:
        """Whether it has clip values of its own; a maximum has those of its source."""
        return self.spiking and not self.maximum

    def parts(
        self, values: Sequence[torch.Tensor], weights: Sequence[torch.Tensor]
    ) -> Iterator[torch.Tensor]:
        """What each term delivers of the `values` of all sources, with `weights` as its weights."""
        for term, weight in zip(self.terms, weights, strict=True):
            yield term.deliver(values[term.source], weight).reshape(-1, *self.shape)

    def add_up(self, values: Sequence[torch.Tensor]) -> torch.Tensor:
        """Sum of the terms (with their own weights) and the bias, ``(B, *shape)``."""
        kind = values[0].dtype
        total = reduce(add, self.parts(values, [term.weight.to(kind) for term in self.terms]))
        return total + per_channel(self.bias.to(kind), len(self.shape))

    def largest(self, values: Sequence[torch.Tensor]) -> torch.Tensor:
        """Of a maximum: the largest value of each window, ``(B, *shape)``."""
        term = self.terms[0]
        x = values[term.source]
        if term.kind is Kind.CONV:
            kernel = term.weight.shape[2:]
            x = F.max_pool2d(x, kernel, term.stride, term.padding, term.dilation)
        elif term.pool is not None:
            x = F.max_pool2d(x, term.pool, term.pool_stride)
        return x.reshape(-1, *self.shape)

    def activate(self, z: torch.Tensor) -> torch.Tensor:
        """The trained model's activations for the sums `z`; of neurons, in a first step."""
        if not self.spiking or self.maximum:
            return z
        if self.rule is not None:
            return Membrane(self).step(z)
        if self.staircase is not None:
            return self.staircase.climb(z)
        return self.original.function(z) if self.original else z.clamp(min=0, max=self.cap)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """A whole classifier.

    Parameters
    ----------
    input_shape : tuple of int
        Of one frame, where inputs are recordings.
    layers : tuple of Layer
    notes : tuple of str
        What was left to the host, and what was replaced.
    frames : Frames, optional
        Inputs are recordings ``(B, T, *input_shape)``; None for ``(B, *input_shape)``.
    steps : int, optional
        The model is made of spiking neurons that run for so many steps.
    final : "softmax", "sigmoid" or None
        What the model ends in, and is left to the host.
    weights : int
        Weights of the trained model: values of its matrices and kernels.
    trained : Graph, optional
        The trained model, where this graph only approximates it.
    """

    input_shape: Shape
    layers: tuple[Layer, ...]
    notes: tuple[str, ...] = ()
    frames: Frames | None = None
    steps: int | None = None
    final: str | None = None
    weights: int = 0
    trained: Graph | None = None

    @property
    def teacher(self) -> Graph:
        """What this graph should answer: the trained model."""
        return self.trained or self

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shapes by source number: the input's, then each layer's."""
        return (self.input_shape, *(layer.shape for layer in self.layers))


class Membrane:
    """The membranes of a layer of neurons, in the trained model's numbers."""

    def __init__(self, layer: Layer) -> None:
        assert layer.rule is not None
        self.rule, self.axes = layer.rule, len(layer.shape)
        self.v: torch.Tensor | None = None

    def step(self, z: torch.Tensor) -> torch.Tensor:
        """Currents ``(B, *shape)`` to spikes, each worth the threshold."""
        dynamics = self.rule.dynamics
        threshold = per_channel(self.rule.threshold, self.axes).to(z)
        v = dynamics.initial(threshold) if self.v is None else self.v
        v = dynamics.leak(v, self.rule.keep(z, self.axes)) + z
        spikes = (v >= threshold).to(z)
        self.v = dynamics.reset(v, spikes, threshold)
        return threshold * spikes


@torch.no_grad()
def evaluate(graph: Graph, x: torch.Tensor) -> list[torch.Tensor]:
    """Real-valued activations of the input and of every layer, each ``(B, *shape)``.

    The last one is the output of the trained model. Of a model that is applied to each frame, all
    but the last are ``(B T, *shape)``; of a model of neurons all are means over the steps.
    """
    frames = graph.frames
    if graph.steps is not None:
        totals: list[torch.Tensor] = []
        for values in simulate(graph, x):
            totals = [a + b for a, b in zip(totals, values, strict=True)] if totals else values
        return [total / graph.steps for total in totals]
    values = [x.reshape(-1, *graph.input_shape) if frames is None else frames.enter(x)]
    _propagate(graph, values, [layer.activate for layer in graph.layers])
    return values if frames is None else [*values[:-1], frames.leave(values[-1])]


def simulate(graph: Graph, x: torch.Tensor) -> Iterator[list[torch.Tensor]]:
    """A model of neurons step by step: values of the input and of every layer, ``(B, *shape)``.

    A spike is worth its neuron's threshold.
    """
    assert graph.steps is not None
    activations = [
        layer.activate if layer.rule is None else Membrane(layer).step for layer in graph.layers
    ]
    for step in range(graph.steps):
        frame = x if graph.frames is None else x[:, step]
        values = [frame.reshape(-1, *graph.input_shape)]
        _propagate(graph, values, activations)
        yield values


def _propagate(
    graph: Graph,
    values: list[torch.Tensor],
    activations: Sequence[Callable[[torch.Tensor], torch.Tensor]],
) -> None:
    """Appends the values of all layers to the input's."""
    for layer, activate in zip(graph.layers, activations, strict=True):
        if layer.maximum:
            values.append(layer.largest(values))
        else:
            values.append(activate(layer.add_up(values)))
