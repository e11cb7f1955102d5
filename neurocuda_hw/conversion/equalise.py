"""Channels far smaller or larger than the others of their layer, rescaled: the same function.

A channel of ReLUs may be multiplied by any factor, if what listens to it divides by it. Training
does not care, but clip values, steps and bits look at a layer as a whole: so its channels are
brought to one size first (Nagel et al., ICCV 2019, equalise weights so).
"""

from __future__ import annotations

from dataclasses import replace

import torch

from neurocuda_hw.conversion.graph import Graph, Layer, Term, evaluate

# times a layer's typical deviation from which a channel is out of line
_FAR = 8.0
_BATCH = 128


@torch.no_grad()
def equalise(graph: Graph, samples: torch.Tensor) -> Graph:
    """The graph with channels of one size in each layer of plain ReLUs.

    Parameters
    ----------
    graph : Graph
        From `capture`, without other activation functions.
    samples : tensor (B, ...)
        Real inputs.

    Returns
    -------
    Graph
        `graph` itself where nothing is out of line.
    """
    if graph.steps is not None:
        return graph
    powers = [torch.zeros(layer.shape[0], dtype=torch.float64) for layer in graph.layers]
    for part in torch.split(samples, _BATCH):
        for power, values in zip(powers, evaluate(graph, part)[1:], strict=True):
            power += values.double().transpose(0, 1).flatten(1).square().sum(1)
    factors: list[torch.Tensor | None] = [None]  # what a source's values were divided by
    layers = []
    for number, layer in enumerate(graph.layers):
        own = _factors(layer, powers[number].sqrt())
        if layer.maximum:
            own = factors[layer.terms[0].source]
        elif number == len(graph.layers) - 1:
            own = None
        factors.append(own)
        layers.append(_rescaled(layer, factors, own))
    if all(own is None for own in factors):
        return graph
    return replace(graph, layers=tuple(layers), trained=graph.trained)


def _factors(layer: Layer, size: torch.Tensor) -> torch.Tensor | None:
    """What to divide channels of such sizes by ``(C,)``: all, so that nothing is left of what they
    were scaled by. None where none is out of line, or they may not be rescaled."""
    plain = layer.rule is None and layer.staircase is None and layer.original is None
    if not (layer.clipped and plain and layer.cap is None):
        return None
    alive = size > 0
    if not bool(alive.any()):
        return None
    # a channel that never fired is as large as its weights say
    own = sum(t.weight.double().reshape(len(size), -1).square().sum(1) for t in layer.terms)
    norm = torch.as_tensor(own).sqrt().clamp(min=1e-30)
    size = torch.where(alive, size, norm * (size[alive] / norm[alive]).median())
    typical = size.median()
    far = (size > _FAR * typical) | (size < typical / _FAR)
    return (size / typical).clamp(min=1e-12) if bool(far.any()) else None


def _rescaled(layer: Layer, factors: list[torch.Tensor | None], own: torch.Tensor | None) -> Layer:
    """The layer, its channels divided by `own`, its sources' channels having been by `factors`."""
    if layer.maximum:
        return layer
    terms: list[Term] = []
    for term in layer.terms:
        weight, before = term.weight, factors[term.source]
        if before is not None:
            weight = term.by_input(weight, before)
        if own is not None:
            weight = term.by_output(weight, 1 / own)
        terms.append(replace(term, weight=weight))
    bias = layer.bias
    if own is not None:
        bias = bias / own.reshape(-1, *[1] * (bias.ndim - 1))
    return replace(layer, terms=tuple(terms), bias=bias)
