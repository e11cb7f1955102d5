"""Activation functions that are much like a ReLU, replaced by one: SiLU, GELU, LeakyReLU, ...

Per channel, shift d and gain g make the clipped activation follow the trained model's,

    f(z) ~ g max(0, z + d) + c        g, c: least squares;  d: the best of a grid

and the constant c, with all that the layers before got wrong on average, is taken up by the bias of
the layer behind (bias correction; Nagel et al., ICCV 2019). Fine-tuning does the rest.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from neurocuda_hw.conversion.graph import Graph, Layer, evaluate
from neurocuda_hw.linear.steps import per_channel

_SAMPLES = 256
_POSITIONS = 8192  # per channel
_SHIFTS = torch.linspace(-1.0, 1.0, 21).tolist()  # in standard deviations of z


@torch.no_grad()
def approximate(graph: Graph, samples: torch.Tensor) -> Graph:
    """The graph with a clipped ReLU in the place of every other activation function.

    Parameters
    ----------
    graph : Graph
        From `capture`.
    samples : tensor (B, ...)
        Real inputs; the first 256 are used.

    Returns
    -------
    Graph
        `graph` itself where nothing is to be replaced; else `trained` of the new one is `graph`.
    """
    if all(layer.original is None for layer in graph.layers):
        return graph
    wanted = evaluate(graph, samples[:_SAMPLES])
    got, layers = [wanted[0]], []
    for layer in graph.layers:
        if layer.maximum:
            got.append(layer.largest(got))
            layers.append(layer)
            continue
        aim = layer.add_up(wanted)
        z = layer.add_up(got)
        lost = _rows(aim - z).mean(1)
        z = z + per_channel(lost, len(layer.shape))
        gain, shift = _fit(layer, aim, z)
        z = (z + per_channel(shift, len(layer.shape))) * per_channel(gain, len(layer.shape))
        layers.append(_adjusted(layer, gain, lost + shift))
        got.append(layers[-1].activate(z))
    return replace(graph, layers=tuple(layers), trained=graph)


def _rows(values: torch.Tensor) -> torch.Tensor:
    """``(B, C, ...)`` as ``(C, all else)``."""
    return values.transpose(0, 1).flatten(1)


def _fit(layer: Layer, aim: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Gain and shift ``(C,)`` of a layer: 1 and 0 where its activation stays."""
    gain, shift = torch.ones(layer.shape[0]).to(z), torch.zeros(layer.shape[0]).to(z)
    if layer.original is None:
        return gain, shift
    y, z = _rows(layer.activate(aim)), _rows(z)
    stride = -(-z.shape[1] // _POSITIONS)
    y, z = y[:, ::stride], z[:, ::stride]
    y = y - y.mean(1, keepdim=True)
    spread = z.std(1)
    best = torch.full_like(shift, torch.inf)
    for share in _SHIFTS:
        moved = share * spread
        r = (z + moved[:, None]).clamp(min=0)
        r = r - r.mean(1, keepdim=True)
        power = r.square().mean(1)
        slope = (y * r).mean(1) / power.clamp(min=1e-12)
        error = y.square().mean(1) - slope.square() * power
        # a channel that hardly fires, or falls with its input, is no ReLU: it stays as it is
        better = (error < best) & (slope > 0.1) & (power > 1e-8)
        best = torch.where(better, error, best)
        gain = torch.where(better, slope, gain)
        shift = torch.where(better, moved, shift)
    return gain, shift


def _adjusted(layer: Layer, gain: torch.Tensor, moved: torch.Tensor) -> Layer:
    """The layer with ``gain * (z + moved)`` in the place of z."""
    factor, shift = gain.to(layer.bias), moved.to(layer.bias)
    terms = [replace(t, weight=t.by_output(t.weight, factor)) for t in layer.terms]
    wide = (-1, *[1] * (layer.bias.ndim - 1))
    bias = (layer.bias + shift.reshape(wide)) * factor.reshape(wide)
    return replace(layer, terms=tuple(terms), bias=bias, original=None)
