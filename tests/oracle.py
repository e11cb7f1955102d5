"""A second, deliberately naive implementation of the integer semantics.

It is written from the equations at the head of `network.network` alone.

Plain Python integers, one loop over neurons and one over the taps that end in each. It shares
nothing with `reference`, so that a mistake has to be made twice to stay unseen.

    v-  = decay(v) + bias + sum of weight * event
    s   = v- >= threshold and start <= t < stop
    v   = v- - threshold * s | 0 or v_reset where s, then max(v, v_floor)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import numpy as np

from neurocuda_hw.network import Network, Population, Projection
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
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool

Taps = list[list[tuple[int, int]]]
"""For each target neuron, (flat index of the source neuron, weight) of every tap."""


@dataclass
class Recording:
    """One sample: ``[T][N]`` lists per population that computes."""

    outputs: list[int]
    spikes: dict[str, list[list[int]]] = field(default_factory=dict)
    before_fire: dict[str, list[list[int]]] = field(default_factory=dict)
    membranes: dict[str, list[list[int]]] = field(default_factory=dict)
    currents: dict[str, list[list[int]]] = field(default_factory=dict)
    drives: dict[str, list[list[int]]] = field(default_factory=dict)


def flat(shape: tuple[int, ...], c: int, y: int, x: int) -> int:
    """Index of (c, y, x) in C order."""
    return (c * shape[1] + y) * shape[2] + x


def cells(pool: SumPool | None, source: tuple[int, ...]) -> tuple[tuple[int, ...], list[list[int]]]:
    """The pooled shape, and for each pooled cell the source neurons that are summed into it."""
    if pool is None:
        return source, [[i] for i in range(int(np.prod(source)))]
    (kh, kw), (sh, sw) = pool.kernel, pool.stride
    height, width = 0, 0
    while height * sh + kh <= source[1]:
        height += 1
    while width * sw + kw <= source[2]:
        width += 1
    found = []
    for c, y, x in product(range(source[0]), range(height), range(width)):
        window = product(range(kh), range(kw))
        found.append([flat(source, c, y * sh + dy, x * sw + dx) for dy, dx in window])
    return (source[0], height, width), found


def taps(projection: Projection, source: Population, target: Population) -> Taps:
    """Every tap of one projection, from the definition of each kind of synapse."""
    synapse = projection.synapse
    shape, members = cells(synapse.pool, source.shape)
    weight = synapse.weight.tolist()
    found: Taps = [[] for _ in range(target.size)]
    if isinstance(synapse, Dense):
        for o, j in product(range(target.size), range(len(members))):
            found[o] += [(i, weight[o][j]) for i in members[j]]
    elif isinstance(synapse, Diagonal):
        per_channel = target.size // target.shape[0]
        for o in range(target.size):
            found[o] += [(i, weight[o // per_channel]) for i in members[o]]
    else:
        assert isinstance(synapse, Conv2d)
        outs, ins, kh, kw = synapse.weight.shape
        for co, oy, ox in product(*(range(n) for n in target.shape)):
            o = flat(target.shape, co, oy, ox)
            first = (co // (outs // synapse.groups)) * ins
            for k, ky, kx in product(range(ins), range(kh), range(kw)):
                y = oy * synapse.stride[0] - synapse.padding[0] + ky * synapse.dilation[0]
                x = ox * synapse.stride[1] - synapse.padding[1] + kx * synapse.dilation[1]
                if 0 <= y < shape[1] and 0 <= x < shape[2]:
                    for i in members[flat(shape, first + k, y, x)]:
                        found[o].append((i, weight[co][k][ky][kx]))
    return found


def parameter(population: Population, values: np.ndarray) -> list[int]:
    """A parameter (one, one per channel, one each) as one integer per neuron."""
    if values.shape == ():
        return [int(values)] * population.size
    if values.shape == population.shape:
        return [int(v) for v in values.flatten()]
    per_channel = population.size // population.shape[0]
    return [int(values[n // per_channel]) for n in range(population.size)]


def leak(value: int, constant: int) -> int:
    """Loihi's decay: the magnitude shrinks and is cut toward zero."""
    kept = (abs(value) * (4096 - constant)) // 4096
    return kept if value >= 0 else -kept


def wrapped(value: int, bits: int | None) -> int:
    """What a two's complement register of `bits` bits makes of `value`."""
    if bits is None:
        return value
    value %= 2**bits
    return value - 2**bits if value >= 2 ** (bits - 1) else value


class Oracle:
    """Runs single samples; `bits` caps the membrane register of the populations it names."""

    def __init__(self, network: Network, bits: dict[str, int] | None = None) -> None:
        self.network = network
        self.bits = bits or {}
        self.taps = [
            (p, taps(p, network[p.source], network[p.target])) for p in network.projections
        ]

    def run(self, sample: np.ndarray) -> Recording:
        """One inference; `sample` is ``(steps, *shape)``, or ``(*shape)`` for CURRENT."""
        network, result = self.network, Recording(outputs=[])
        v = {p.name: parameter(p, p.neuron.v_init) for p in network.targets}
        u = {p.name: [0] * p.size for p in network.targets}
        events: list[dict[str, list[int]]] = []
        for step in range(network.timesteps):
            events.append({})
            for population in network.populations:
                if isinstance(population.neuron, Input):
                    events[step][population.name] = self._feed(population, sample, step)
                else:
                    events[step][population.name] = self._step(
                        population, step, events, v, u, result
                    )
        last = network.output
        if isinstance(last.neuron, Readout):
            result.outputs = v[last.name]
        else:
            result.outputs = [sum(column) for column in zip(*result.spikes[last.name], strict=True)]
        return result

    def _feed(self, population: Population, sample: np.ndarray, step: int) -> list[int]:
        neuron = population.neuron
        start, stop = 0, self.network.timesteps
        if neuron.window is not None:
            start, stop = neuron.window.start, neuron.window.stop
        if not start <= step < stop:
            return [0] * population.size
        frame = sample if neuron.encoding is Encoding.CURRENT else sample[step - start]
        return [int(x) for x in frame.flatten()]

    def _step(
        self,
        population: Population,
        step: int,
        events: list[dict[str, list[int]]],
        v: dict[str, list[int]],
        u: dict[str, list[int]],
        result: Recording,
    ) -> list[int]:
        name, neuron = population.name, population.neuron
        bits = self.bits.get(name)
        drive = [0] * population.size
        for projection, ends in self.taps:
            if projection.target == name and step >= projection.delay:
                sent = events[step - projection.delay][projection.source]
                for n in range(population.size):
                    drive[n] += sum(weight * sent[i] for i, weight in ends[n])
        bias = parameter(population, neuron.bias)
        before = []
        for n in range(population.size):
            kept, current = v[name][n], drive[n]
            if isinstance(neuron, LIF | LeakyReadout):
                kept = leak(kept, parameter(population, neuron.decay)[n])
            elif isinstance(neuron, CubaLIF | CubaReadout):
                kept = leak(kept, parameter(population, neuron.dv)[n])
                current = leak(u[name][n], parameter(population, neuron.du)[n]) + drive[n]
                u[name][n] = current
            before.append(wrapped(kept + bias[n] + current, bits))
        spikes = [0] * population.size
        after = list(before)
        if not isinstance(neuron, Readout):
            start, stop = 0, self.network.timesteps
            if neuron.window is not None:
                start, stop = neuron.window.start, neuron.window.stop
            threshold = parameter(population, neuron.threshold)
            target = parameter(population, neuron.v_reset)
            for n in range(population.size):
                if before[n] >= threshold[n] and start <= step < stop:
                    spikes[n] = 1
                    if neuron.reset is Reset.SUBTRACT:
                        after[n] = before[n] - threshold[n]
                    elif neuron.reset is Reset.ZERO:
                        after[n] = 0
                    else:
                        after[n] = target[n]
                after[n] = wrapped(after[n], bits)
                if neuron.v_floor is not None and after[n] < neuron.v_floor:
                    after[n] = neuron.v_floor
        v[name] = after
        for kept_list, values in (
            (result.spikes, spikes),
            (result.before_fire, before),
            (result.membranes, after),
            (result.currents, list(u[name])),
            (result.drives, drive),
        ):
            kept_list.setdefault(name, []).append(values)
        return spikes
