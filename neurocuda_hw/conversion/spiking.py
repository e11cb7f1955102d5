"""The same integers, step by step: neurons that are trained through time (rate code).

    v <- v + sum of W s + b      s = [v >= theta]      v <- v - theta s      v_0 = theta // 2

or whatever else the layer's own rule says, where it was made of `IFNeuron` or `LIFNeuron` modules.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce
from operator import add

import torch

from neurocuda_hw.conversion.fire import fire
from neurocuda_hw.conversion.graph import Layer
from neurocuda_hw.conversion.qcfs import LayerTensors, QcfsModel
from neurocuda_hw.linear.steps import per_channel

# bytes of one layer's currents in all steps: beyond 32 MiB the C library's allocator asks the
# system for fresh pages each time, which takes longer than to compute with them
_BYTES = 1 << 24


def run(model: QcfsModel, x: torch.Tensor) -> torch.Tensor:
    """Real logits ``(B, N)`` after T steps, with gradients through time; T is the settings' levels.

    Its forward pass computes what the rate-coded network computes, spike for spike.
    """
    units = model.units()
    tensors = [
        None if layer.maximum else model.tensors(number, units)
        for number, layer in enumerate(model.graph.layers)
    ]
    count = len(x)
    if x.device.type == "cpu":
        largest_layer = max(math.prod(layer.shape) for layer in model.graph.layers)
        count = max(1, _BYTES // (4 * model.settings.levels * largest_layer))
    return torch.cat([_run(model, part, units, tensors) for part in torch.split(x, count)])


def delivered(
    layer: Layer, tensors: LayerTensors, values: list[torch.Tensor], batch: int
) -> torch.Tensor:
    """What a layer's sources add up to in each step: ``(T, batch, ...)``, or ``(1, batch, ...)``
    where all steps are alike.

    Parameters
    ----------
    values : list of tensor (T * batch, ...)
        Spikes of each source, step after step; a held input once.
    """
    parts = layer.parts(values, tensors.weights)
    return reduce(add, (part.reshape(-1, batch, *layer.shape) for part in parts))


def _run(
    model: QcfsModel,
    x: torch.Tensor,
    units: list[torch.Tensor],
    integers: list[LayerTensors | None],
) -> torch.Tensor:
    timesteps = model.settings.levels
    values = [model.payload(x)]
    graph = model.graph
    batch = len(x)
    if graph.frames is not None:
        values = [values[0].transpose(0, 1).flatten(0, 1)]
    for layer, tensors in zip(graph.layers, integers, strict=True):
        if tensors is None:
            values.append(layer.largest(values))
            continue
        currents = delivered(layer, tensors, values, batch)
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
