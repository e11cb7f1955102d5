"""The same integers, step by step: IF neurons that are trained through time (rate code).

    v <- v + sum of W s + b      s = [v >= theta]      v <- v - theta s      v_0 = theta // 2

Backwards, the step function has the slope of an arctangent, 1 / (1 + (pi z)^2), where
z = (v - theta) / theta (Fang et al., ICCV 2021).
"""

from __future__ import annotations

import math
from typing import Any

import torch

from neurocuda_hw.conversion.graph import largest, per_channel
from neurocuda_hw.conversion.qcfs import QcfsModel


class _Fire(torch.autograd.Function):
    """All T steps of a layer of IF neurons at once: currents (T, B, ...) to spikes (T, B, ...)."""

    @staticmethod
    def forward(ctx: Any, currents: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
        v = (threshold / 2).floor().expand(currents.shape[1:]).clone()
        spikes, distance = torch.empty_like(currents), torch.empty_like(currents)
        for step in range(len(currents)):
            v += currents[step]
            torch.sub(v, threshold, out=distance[step])
            spikes[step] = v >= threshold
            v -= threshold * spikes[step]
        ctx.save_for_backward(distance, spikes, threshold)
        return spikes

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        distance, spikes, threshold = ctx.saved_tensors
        slope = (distance * (math.pi / threshold)).square_().add_(1).reciprocal_().div_(threshold)
        by_current = torch.empty_like(gradient)
        by_threshold = torch.zeros_like(gradient[0])
        carried = torch.zeros_like(gradient[0])  # gradient of the membrane after the reset
        for step in range(len(gradient) - 1, -1, -1):
            fired = gradient[step] - threshold * carried
            before = carried + fired * slope[step]
            by_threshold -= carried * spikes[step]
            by_threshold -= fired * slope[step] * (distance[step] / threshold + 1)
            by_current[step] = before
            carried = before
        by_threshold += carried / 2
        return by_current, by_threshold.sum_to_size(threshold.shape)


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
        spikes: torch.Tensor = _Fire.apply(currents, threshold)  # type: ignore[no-untyped-call]
        values.append(spikes.flatten(0, 1))
    counts = values[-1].reshape(timesteps, batch, *graph.layers[-1].shape).sum(0)
    worth = per_channel(units[-1], counts.ndim - 1) / timesteps
    return (counts * worth).flatten(1)
