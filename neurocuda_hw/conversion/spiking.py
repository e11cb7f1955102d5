"""The same integers, step by step: neurons that are trained through time (rate code).

    v <- v + sum of W s + b      s = [v >= theta]      v <- v - theta s      v_0 = theta // 2

or whatever else the layer's own rule says, where it was made of `IFNeuron` or `LIFNeuron` modules.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from neurocuda_hw.conversion.fire import fire
from neurocuda_hw.conversion.graph import largest, per_channel
from neurocuda_hw.conversion.qcfs import QcfsModel


def run(model: QcfsModel, x: torch.Tensor) -> torch.Tensor:
    """Real logits ``(B, N)`` after T steps, with gradients through time; T is the settings' levels.

    Its forward pass computes what the rate-coded network computes, spike for spike.
    """
    timesteps = model.settings.levels
    units, values = model.units(), [model.payload(x)]
    graph = model.graph
    batch, given = len(x), 1
    if graph.frames is not None:
        values, given = [values[0].transpose(0, 1).flatten(0, 1)], timesteps
    for number, layer in enumerate(graph.layers):
        if layer.maximum:
            term = layer.terms[0]
            values.append(largest(term, values[term.source]).reshape(-1, *layer.shape))
            continue
        tensors = model.tensors(number, units)
        currents: torch.Tensor | None = None
        for term, weight in zip(layer.terms, tensors.weights, strict=True):
            part = term.deliver(values[term.source], weight)
            part = part.reshape(given if term.source == 0 else timesteps, batch, *layer.shape)
            currents = part if currents is None else currents + part
        assert currents is not None
        currents = currents + per_channel(tensors.bias, len(layer.shape))
        currents = currents.expand(timesteps, *currents.shape[1:])
        if tensors.threshold is None:
            return (currents.sum(0) * (tensors.scale / timesteps)).flatten(1)
        threshold = per_channel(tensors.threshold, len(layer.shape))
        if layer.rule is None:
            spikes = fire(currents, threshold)
        else:
            whole = replace(layer.rule.dynamics, whole=True)
            keep = layer.rule.keep(currents, len(layer.shape))
            spikes = fire(currents, threshold, keep, whole)
        values.append(spikes.flatten(0, 1))
    counts = values[-1].reshape(timesteps, batch, *graph.layers[-1].shape).sum(0)
    worth = per_channel(units[-1], counts.ndim - 1) / timesteps
    return (counts * worth).flatten(1)
