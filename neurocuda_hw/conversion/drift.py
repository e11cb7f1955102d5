"""Makes up for what the rate code does to the means: layer after layer, without training.

Neurons that fire before all their input is in send, in the mean, another number of spikes than the
trained activation asks for (Bu et al., ICLR 2022, call it unevenness error). With a the real
activations and r those that the spikes of T steps stand for, behind the layers as corrected so far,

    b <- b + E[a - r]        per channel, a few times over

(after Li et al., ICML 2021, who calibrate spiking layers one by one).
"""

from __future__ import annotations

import math

import torch

from neurocuda_hw.conversion.correction import add_to_bias, side_by_side
from neurocuda_hw.conversion.fire import fire
from neurocuda_hw.conversion.graph import Layer
from neurocuda_hw.conversion.qcfs import LayerTensors, QcfsModel
from neurocuda_hw.conversion.spiking import delivered
from neurocuda_hw.conversion.training import float_graph
from neurocuda_hw.linear.steps import per_channel

# spikes of one layer in all samples and steps that are held at a time
_VALUES = 2**26
_ROUNDS = 3


@torch.no_grad()
def correct_drift(model: QcfsModel, x: torch.Tensor) -> None:
    """Corrects the biases of `model`, of the rate code, for real inputs `x` ``(B, ...)``.

    As many of them are used as memory allows; recordings, and models that spike themselves, are
    left as they are.
    """
    device = model.biases[0].device
    graph = float_graph(model.graph, device)
    if graph.frames is not None or graph.steps is not None:
        return
    steps = model.settings.levels
    most = max(math.prod(shape) for shape in graph.shapes)
    x = x[: max(32, _VALUES // (steps * most))].to(device)
    real, spikes = [x.reshape(-1, *graph.input_shape)], [model.payload(x)]
    units = model.units()
    for number, layer, wanted in side_by_side(graph, real, spikes):
        tensors = model.tensors(number, units)
        currents = delivered(layer, tensors, spikes, len(x))
        if tensors.threshold is None:
            worth = per_channel(tensors.scale, len(layer.shape))
            sums = (currents.mean(0) + per_channel(tensors.bias, len(layer.shape))) * worth
            add_to_bias(model.biases[number], wanted - sums)
            return
        worth = per_channel(units[number + 1] / steps, len(layer.shape))
        for _ in range(_ROUNDS):
            sent = _sent(layer, model.tensors(number, units), currents, steps)
            add_to_bias(model.biases[number], real[-1] - sent.sum(0) * worth)
        sent = _sent(layer, model.tensors(number, units), currents, steps)
        spikes.append(sent.flatten(0, 1))


def _sent(layer: Layer, tensors: LayerTensors, currents: torch.Tensor, steps: int) -> torch.Tensor:
    """The layer's spikes ``(T, B, ...)``."""
    assert tensors.threshold is not None
    currents = currents + per_channel(tensors.bias, len(layer.shape))
    threshold = per_channel(tensors.threshold, len(layer.shape))
    return fire(currents.expand(steps, *currents.shape[1:]), threshold)
