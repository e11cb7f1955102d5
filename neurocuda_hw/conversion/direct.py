"""Networks of spiking neurons, trained directly: read as they are; how alike their integers are."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch

from neurocuda_hw.conversion.capture import capture
from neurocuda_hw.conversion.graph import Graph, simulate
from neurocuda_hw.conversion.modules import OverTime, traced
from neurocuda_hw.conversion.temporal import Frames, Reduce
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.reference.snn import SpikingNetwork


def capture_neurons(model: OverTime, example: torch.Tensor) -> Graph:
    """The layers of a model of `IFNeuron` and `LIFNeuron` modules.

    Parameters
    ----------
    model : OverTime
        In evaluation mode.
    example : float tensor
        A few real inputs: recordings ``(B, T, *shape)``, or static ones ``(B, *shape)``.

    Raises
    ------
    ModelError, UnsupportedLayerError
        As `capture`; or if activation functions are mixed with neurons, or time is not the second
        axis.
    """
    frames, steps = None, model.timesteps
    if steps is None:
        if model.time_axis != 1:
            raise ModelError(
                "recordings must be (B, T, ...) to be converted, so that each has its label: "
                "give OverTime time_axis=1"
            )
        steps = int(example.shape[1])
        frames = Frames(steps=steps, reduce=Reduce.EACH)
    net = copy.deepcopy(model.net).cpu().double()
    net.train(model.net.training)
    with traced():
        graph = capture(net, example.double(), frames)
    plain = [layer.path for layer in graph.layers if layer.clipped and layer.rule is None]
    if plain:
        raise ModelError(
            f"a model within OverTime must be made of neurons throughout, but {plain[0]!r} ends in "
            "an activation function; put an IFNeuron or LIFNeuron there"
        )
    return replace(graph, steps=steps)


def thresholds(graph: Graph) -> list[torch.Tensor]:
    """Threshold of each layer of neurons, ``(C,)``."""
    return [layer.rule.threshold.float() for layer in graph.layers if layer.rule is not None]


@torch.no_grad()
def spike_agreement(graph: Graph, snn: SpikingNetwork, x: torch.Tensor) -> dict[str, float]:
    """Share of equal spikes, of all neurons and steps, between a model of neurons and its integers.

    Empty for the graph of an ANN.
    """
    if graph.steps is None:
        return {}
    run = snn.run(x, spikes=True)
    same: dict[str, list[torch.Tensor]] = {}
    for step, values in enumerate(simulate(graph, x)):
        for layer, value in zip(graph.layers, values[1:], strict=True):
            if layer.rule is not None:
                integer = run.spikes[layer.name][:, step].cpu() > 0
                same.setdefault(layer.name, []).append(((value > 0) == integer).float().mean())
    return {name: float(torch.stack(parts).mean()) for name, parts in same.items()}
