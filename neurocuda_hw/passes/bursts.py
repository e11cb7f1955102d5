"""Which populations may send their spikes as bursts: one event with a count instead of N spikes.

A neuron whose input is all in when its window opens fires in the first N of the window's L steps::

    N = clip(floor(v / threshold), 0, L)        v the membrane in the window's first step

so (neuron, N) says all of its spikes. A maximum (max pooling: it fires in the steps in which any of
its sources does) has the largest count that arrives. Such a population sweeps once per inference,
in the first step of its window. Which ones do so is a property of a network, not a kind of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import Reset, Spiking

RASTER = "raster"  # the order in which words of the input come by lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Bursts:
    """What is sent as bursts.

    Parameters
    ----------
    counts : mapping of str to int
        The populations that send bursts, and L, the most spikes that one event stands for.
    maxima : frozenset of str
        Those of them that keep the largest count instead of a sum.
    merged : bool
        Nothing in the network tells its steps apart: the hardware takes an inference as one step.
    streams, raster : bool
        Lines are sent as they are complete (`passes.streams`); the input's words come by lines.
    lines : mapping of str to int
        Positions down in each line that ends with a mark, of those that send so; known once lanes
        are.
    """

    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    maxima: frozenset[str] = frozenset()
    merged: bool = False
    streams: bool = False
    raster: bool = False
    lines: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def received(self, network: Network, projection: Projection) -> int:
        """The most spikes of an event as the target of `projection` gets it; 0: single spikes.

        A target takes bursts if it reads its membrane only after the source's window, and adds:
        then it does not matter that spikes come early. Others get them step by step.
        """
        most = self.counts.get(projection.source, 0)
        target = network[projection.target]
        if not most or projection.delay:
            return 0
        if target.name in self.counts:
            return most
        neuron = target.neuron
        late = target.readout or _after(network, target, projection.source)
        return most if late and neuron.leak is None and neuron.v_floor is None else 0


NO_BURSTS = Bursts()


def find_bursts(network: Network, barred: Collection[str] = ()) -> Bursts:
    """All populations of `network` that may send bursts, but those that are `barred`."""
    counts: dict[str, int] = {}
    maxima = set()
    for population in network.targets:
        if not isinstance(population.neuron, Spiking) or population.name in barred:
            continue
        if adds_up(network, population):
            counts[population.name] = network.window(population.name).steps
        elif _is_maximum(network, population, counts):
            counts[population.name] = network.window(population.name).steps
            maxima.add(population.name)
    merged = (
        bool(counts)
        and not network.input_neuron.held
        and not any(p.delay for p in network.projections)
        and all(p.name in counts or _sums(p) for p in network.targets)
    )
    return Bursts(counts=MappingProxyType(counts), maxima=frozenset(maxima), merged=merged)


def _sums(population: Population) -> bool:
    return population.readout and population.neuron.leak is None


def _after(network: Network, target: Population, source: str) -> bool:
    """Whether what `source` sends is all in when the window of `target` opens."""
    return network.window(source).stop - 1 <= network.window(target.name).start


def adds_up(network: Network, population: Population) -> bool:
    """Whether a spiking population does nothing but add up its input before its window opens."""
    neuron = population.neuron
    assert isinstance(neuron, Spiking)
    plain = neuron.leak is None and neuron.v_floor is None and not np.any(neuron.bias)
    return (
        plain
        and neuron.reset is Reset.SUBTRACT
        and all(
            not p.delay
            and not network[p.source].neuron.held
            and _after(network, population, p.source)
            for p in network.incoming(population.name)
        )
    )


def _is_maximum(network: Network, population: Population, counts: Mapping[str, int]) -> bool:
    """Whether a population fires in the steps in which any source does, all in its own window."""
    neuron = population.neuron
    assert isinstance(neuron, Spiking)
    threshold, initial = population.each(neuron.threshold), population.each(neuron.v_init)
    incoming = network.incoming(population.name)
    window = network.window(population.name)
    return bool(
        neuron.leak is None
        and neuron.v_floor is None
        and not np.any(neuron.bias)
        and neuron.reset is Reset.ZERO
        and (initial >= 0).all()
        and (initial < threshold).all()
        and all(
            not p.delay and p.source in counts and network.window(p.source) == window
            for p in incoming
        )
        and all(_fires_at_once(p, threshold) for p in incoming)
    )


def _fires_at_once(projection: Projection, threshold: np.ndarray) -> bool:
    """Whether each weight is 0 or alone enough to fire, whichever neuron it leads to."""
    weight = projection.synapse.weight
    return bool(((weight == 0) | (weight >= threshold.max())).all())
