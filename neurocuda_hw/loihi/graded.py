"""Spikes that carry a count: all spikes of a neuron of the exact code as one graded spike.

Loihi 2's spikes have payloads, and a synapse adds ``W . payload``: what `passes.bursts` says of
hardware holds here, but that accumulators only add. So a maximum takes single spikes, and whoever
sends to one sends them; and whoever sends to a population that reads step by step. Where all others
send counts, an inference needs no steps of its own: each layer takes one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.loihi.limits import ChipLimits
from neurocuda_hw.network import Network, Population
from neurocuda_hw.network.neurons import Input, Window
from neurocuda_hw.passes.bursts import Bursts, find_bursts


def graded_counts(network: Network, limits: ChipLimits) -> Bursts:
    """Who sends counts, and whether an inference is one step.

    Raises
    ------
    ModelError
        If the chip's spikes have no payload.
    """
    if limits.payload_bits.value == 1:
        raise ModelError(
            f"graded counts must be sent by spikes with a payload, not by those of {limits.name}; "
            "use loihi2"
        )
    maxima = find_bursts(network).maxima
    found = find_bursts(network, maxima)
    single = {p.source for p in network.projections if not found.received(network, p)}
    found = find_bursts(network, maxima | single)
    return replace(found, merged=found.merged and network.arrivals.steps == 1)


def at_once(network: Network) -> Network:
    """The network whose one step is an inference of `network`, as far as sums are concerned."""
    populations = tuple(_at_once(p, network.timesteps) for p in network.populations)
    return replace(network, populations=populations, timesteps=1)


def _at_once(population: Population, timesteps: int) -> Population:
    neuron: Any = population.neuron
    if population.spiking or isinstance(neuron, Input):
        return replace(population, neuron=replace(neuron, window=Window(start=0, stop=1)))
    v_init = neuron.v_init + timesteps * neuron.bias
    return replace(population, neuron=replace(neuron, v_init=v_init, bias=0))
