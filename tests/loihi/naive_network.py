"""A whole chip running an integer network, one synapse and one step at a time, events counted.

It knows the taps of the oracle and the hops of the lowering, and steps every population in every
step of the chip: nothing of the layer-by-layer engine.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from oracle import leak, parameter, taps

from neurocuda_hw.loihi.lower import depths
from neurocuda_hw.loihi.mapping import Mapping
from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import (
    LIF,
    CubaLIF,
    CubaReadout,
    Encoding,
    Input,
    LeakyReadout,
    Readout,
    Reset,
)


class NaiveNetworkChip:
    """Runs one sample; `spikes[name][n]` are the spikes of step n of the chip."""

    def __init__(self, network: Network, mapping: Mapping | None = None) -> None:
        self.network, self.mapping, self.depth = network, mapping, depths(network)
        self.steps = network.timesteps + self.depth[network.output.name]
        # (source, neuron) -> [(route, target neuron, weight)]: a spike walks its own fan-out
        self.fan_out: dict[tuple[str, int], list[tuple[int, int, int]]] = defaultdict(list)
        for number, p in enumerate(network.projections):
            ends = taps(p, network[p.source], network[p.target])
            for target, found in enumerate(ends):
                for source, weight in found:
                    self.fan_out[p.source, source].append((number, target, weight))
        self.core = {
            (part.population, int(n)): part.core
            for part in (mapping.parts if mapping else ())
            for n in part.neurons
        }

    def run(self, sample: np.ndarray) -> None:
        """Fills `spikes`, `membranes` and, with a mapping, `events[step][class, core]`."""
        network = self.network
        self.arriving: dict[tuple[str, int, int], int] = defaultdict(int)
        self.touched: set[tuple[str, int, int]] = set()
        self.spikes: dict[str, list[list[int]]] = defaultdict(list)
        self.membranes: dict[str, list[list[int]]] = defaultdict(list)
        self.events: list[Counter[tuple[str, int]]] = []
        self.v = {p.name: parameter(p, p.neuron.v_init) for p in network.targets}
        self.u = {p.name: [0] * p.size for p in network.targets}
        for step in range(self.steps):
            self.events.append(Counter())
            for population in network.populations:
                name = population.name
                if isinstance(population.neuron, Input):
                    self.spikes[name].append(self._input(sample, step))
                else:
                    self._count_active(population, step)
                    self.spikes[name].append(self._update(population, step))
                    self.membranes[name].append(list(self.v[name]))
            for population in network.populations:
                for neuron, payload in enumerate(self.spikes[population.name][step]):
                    if payload:
                        self._send(population, neuron, payload, step)

    def _input(self, sample: np.ndarray, step: int) -> list[int]:
        population = self.network.input
        window = self.network.window(population.name)
        if step not in window:
            return [0] * population.size
        current = population.neuron.encoding is Encoding.CURRENT
        return [int(x) for x in (sample if current else sample[step - window.start]).flatten()]

    def _update(self, population: object, step: int) -> list[int]:
        network, name, neuron = self.network, population.name, population.neuron  # type: ignore[attr-defined]
        size, local = population.size, step - self.depth[name]  # type: ignore[attr-defined]
        spikes = [0] * size
        if not 0 <= local < network.timesteps:
            return spikes
        for n in range(size):
            a, v = self.arriving[name, n, step], self.v[name][n]
            if isinstance(neuron, LIF | LeakyReadout):
                v = leak(v, parameter(population, neuron.decay)[n])  # type: ignore[arg-type]
            if isinstance(neuron, CubaLIF | CubaReadout):
                u = leak(self.u[name][n], parameter(population, neuron.du)[n]) + a  # type: ignore[arg-type]
                self.u[name][n] = a = u
                v = leak(v, parameter(population, neuron.dv)[n])  # type: ignore[arg-type]
            v += a + parameter(population, neuron.bias)[n]  # type: ignore[arg-type]
            if not isinstance(neuron, Readout):
                threshold = parameter(population, neuron.threshold)[n]  # type: ignore[arg-type]
                if local in network.window(name) and v >= threshold:
                    spikes[n] = 1
                    to = parameter(population, neuron.v_reset)[n]  # type: ignore[arg-type]
                    v = v - threshold if neuron.reset is Reset.SUBTRACT else to
                if neuron.v_floor is not None:
                    v = max(v, neuron.v_floor)
            self.v[name][n] = v
        return spikes

    def _send(self, population: object, neuron: int, payload: int, step: int) -> None:
        name, count = population.name, self.events[step]  # type: ignore[attr-defined]
        here = self.core.get((name, neuron))
        reached = set()
        if here is not None and not isinstance(population.neuron, Input):  # type: ignore[attr-defined]
            count["spikes", here] += 1
        for number, target, weight in self.fan_out[name, neuron]:
            projection = self.network.projections[number]
            hop = self.depth[projection.target] - self.depth[name] + projection.delay
            assert hop >= 1
            place = (projection.target, target, step + hop)
            self.arriving[place] += weight * payload
            self.touched.add(place)
            if self.mapping:
                there = self.core[projection.target, target]
                count["synaptic_ops", there] += 2 if projection.synapse.weight_bits > 8 else 1
                reached.add((number, there))
        for _, there in reached:
            count["messages_in", there] += 1
            if here is not None:
                count["messages_out", here] += 1
            x, y = self.mapping.place(there)  # type: ignore[union-attr]
            a, b = (0, 0) if here is None else self.mapping.place(here)  # type: ignore[union-attr]
            count["hops_ew", 0] += abs(x - a)
            count["hops_ns", 0] += abs(y - b)

    def _count_active(self, population: object, step: int) -> None:
        if not self.mapping:
            return
        name = population.name  # type: ignore[attr-defined]
        bias = parameter(population, population.neuron.bias)  # type: ignore[arg-type, attr-defined]
        for n in range(population.size):  # type: ignore[attr-defined]
            state = self.v[name][n] or self.u[name][n]
            if state or bias[n] or (name, n, step) in self.touched:
                self.events[step]["active", self.core[name, n]] += 1
