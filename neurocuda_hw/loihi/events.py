"""Counts every event of every core in every step: updates, spikes, messages, synapses, reads.

A spike of step n sends one message to each core that holds a synapse of it. The message travels,
and its synapses are read and added into the targets' accumulators, within step n; the neurons meet
the sum in step n + 1 (later, under a delay). Everything here is counted from the run, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from neurocuda_hw.ground.fixed import fits_float32
from neurocuda_hw.loihi.cuts import counter_of
from neurocuda_hw.loihi.engine import Result, busy
from neurocuda_hw.loihi.lower import Route
from neurocuda_hw.loihi.mapping import Mapping
from neurocuda_hw.loihi.operators import Operator, counting, fan_out_of
from neurocuda_hw.network import Population
from neurocuda_hw.network.synapses import Conv2d, Dense

WORD_BITS = 64
ROW_ELEMENTS = 2**23
HOST = -1
Indices = slice | torch.Tensor


@dataclass(slots=True, kw_only=True)
class Events:
    """Events of S samples in K steps on C cores.

    Parameters
    ----------
    neurons : array (C,)
        Neurons that each core updates in every step.
    active : array (S, K, C)
        Of these, the ones with a bias, with state, or with synaptic input in the step.
    spikes : array (S, K, C)
        Spikes of the core's neurons.
    dense_ops, conv_ops : array (S, K, C)
        Weights added on the core, of dense and one-to-one projections, and of convolutions.
    words : array (S, K, C)
        64-bit words of weights read.
    messages_out, messages_in : array (S, K, C)
        Spike messages sent and received; the host's are received only.
    hops_ew, hops_ns, busiest_link : array (S, K)
        Hops between tiles of all messages, and messages on the busiest link (column first, then
        row).
    """

    neurons: np.ndarray
    active: np.ndarray
    spikes: np.ndarray
    dense_ops: np.ndarray
    conv_ops: np.ndarray
    words: np.ndarray
    messages_out: np.ndarray
    messages_in: np.ndarray
    hops_ew: np.ndarray
    hops_ns: np.ndarray
    busiest_link: np.ndarray

    @property
    def synaptic_ops(self) -> np.ndarray:
        """Weights added, of every kind."""
        total: np.ndarray = self.dense_ops + self.conv_ops
        return total

    @property
    def samples(self) -> int:
        """Number of inferences S."""
        return int(self.active.shape[0])

    def totals(self) -> dict[str, int]:
        """Every class summed over samples, steps and cores."""
        found = {"neuron_updates": int(self.neurons.sum()) * int(np.prod(self.active.shape[:2]))}
        for name in (
            "active",
            "spikes",
            "synaptic_ops",
            "words",
            "messages_out",
            "messages_in",
            "hops_ew",
            "hops_ns",
        ):
            found[name] = int(getattr(self, name).sum())
        return found


@dataclass(slots=True, kw_only=True)
class _Lane:
    """A route with everything that one event of its source costs.

    `senders` holds, for each core of the source, its neurons and their matrix ``(neurons, 3 P)``:
    weights added, words read and messages received on each of the P `cores` of the target.
    """

    route: Route
    cores: list[int]
    senders: list[tuple[int, Indices, torch.Tensor]]
    conv: bool


@dataclass(slots=True)
class EventCounter:
    """Counts events: give `observe` to `ChipSimulator.run`, then ask for `events`."""

    mapping: Mapping
    parts: list[dict[str, np.ndarray]] = field(default_factory=list)
    lanes: list[_Lane] = field(init=False)

    def __post_init__(self) -> None:
        self.lanes = [self._lane(route) for route in self.mapping.lowered.routes]

    def _lane(self, route: Route) -> _Lane:
        network, mapping = self.mapping.lowered.network, self.mapping
        source, target = network[route.projection.source], network[route.projection.target]
        targets, sources = mapping.of(target.name), mapping.of(source.name)
        counter = counter_of(network, route)
        per_core = fan_out_of(counter, [part.neurons for part in targets]).to(torch.float64)
        words = torch.ceil(per_core * (8 * route.planes) / WORD_BITS)
        reached = (per_core > 0).to(torch.float64)
        matrix = torch.cat([per_core.T * route.planes, words.T, reached.T], dim=1)
        if fits_float32(float(matrix.sum(dim=0).max())):
            matrix = matrix.to(torch.float32)
        places = [(p.core, p.neurons) for p in sources] or [(HOST, np.arange(source.size))]
        return _Lane(
            route=route,
            cores=[part.core for part in targets],
            senders=[(core, _indices(n), matrix[_indices(n)].contiguous()) for core, n in places],
            conv=isinstance(route.projection.synapse, Conv2d),
        )

    @torch.inference_mode()
    def observe(self, result: Result) -> None:
        """Counts the events of one batch; its run must have recorded which neurons were awake."""
        mapping = self.mapping
        steps, batch, _ = result.spikes[mapping.lowered.network.input.name].shape
        counts = {
            name: np.zeros((steps, batch, mapping.cores), dtype=np.int64)
            for name in (
                "active",
                "spikes",
                "dense_ops",
                "conv_ops",
                "words",
                "messages_out",
                "messages_in",
            )
        }
        pairs: dict[tuple[int, int], np.ndarray] = {}
        for lane in self.lanes:
            self._count(lane, result.spikes[lane.route.projection.source], counts, pairs)
        for population in mapping.lowered.network.targets:
            fired = result.spikes[population.name] != 0
            active = self._active(population, result)
            for part in mapping.of(population.name):
                neurons = _indices(part.neurons)
                counts["spikes"][..., part.core] += fired[..., neurons].sum(dim=-1).numpy()
                counts["active"][..., part.core] += active[..., neurons].sum(dim=-1).numpy()
        counts |= self._travel(pairs, steps, batch)
        self.parts.append({name: np.swapaxes(array, 0, 1) for name, array in counts.items()})

    def _count(
        self,
        lane: _Lane,
        sent: torch.Tensor,
        counts: dict[str, np.ndarray],
        pairs: dict[tuple[int, int], np.ndarray],
    ) -> None:
        used = busy(sent)
        n, kind = len(lane.cores), "conv_ops" if lane.conv else "dense_ops"
        rows = max(1, ROW_ELEMENTS // (sent.shape[1] * sent.shape[2]))
        for start in range(used.start, used.stop, rows):
            steps = slice(start, min(start + rows, used.stop))
            for source, neurons, matrix in lane.senders:
                events = (sent[steps][..., neurons] != 0).to(matrix.dtype)
                found = torch.matmul(events, matrix).to(torch.int64).numpy()
                for column, core in enumerate(lane.cores):
                    counts[kind][steps, :, core] += found[..., column]
                    counts["words"][steps, :, core] += found[..., n + column]
                    messages = found[..., 2 * n + column]
                    counts["messages_in"][steps, :, core] += messages
                    if source != HOST:
                        counts["messages_out"][steps, :, source] += messages
                    whole = pairs.setdefault((source, core), np.zeros(sent.shape[:2], np.int64))
                    whole[steps] += messages

    def _active(self, population: Population, result: Result) -> torch.Tensor:
        """Neurons with state, bias or synaptic input, ``(K, B, N)``."""
        active = result.awake[population.name].clone()
        active |= torch.from_numpy(population.each(population.neuron.bias).reshape(-1) != 0)
        network = self.mapping.lowered.network
        for route in self.mapping.lowered.routes:
            if route.projection.target == population.name and route.hop < len(active):
                source = network[route.projection.source]
                sent = result.spikes[source.name][: len(active) - route.hop]
                used = busy(sent)
                if used.stop:
                    later = slice(used.start + route.hop, used.stop + route.hop)
                    active[later] |= _reached(route, source, population, sent[used] != 0)
        return active

    def _travel(
        self, pairs: dict[tuple[int, int], np.ndarray], steps: int, batch: int
    ) -> dict[str, np.ndarray]:
        found = {n: np.zeros((steps, batch), np.int64) for n in ("hops_ew", "hops_ns")}
        links: dict[tuple[tuple[int, int], tuple[int, int]], np.ndarray] = {}
        for (source, target), messages in pairs.items():
            start = (0, 0) if source == HOST else self.mapping.place(source)
            for link in _path(start, self.mapping.place(target)):
                found["hops_ew" if link[0][1] == link[1][1] else "hops_ns"] += messages
                links[link] = links[link] + messages if link in links else messages
        busiest = np.zeros((steps, batch), np.int64)
        for load in links.values():
            busiest = np.maximum(busiest, load)
        return found | {"busiest_link": busiest}

    def events(self) -> Events:
        """Everything that was observed."""
        neurons = np.zeros(self.mapping.cores, dtype=np.int64)
        for part in self.mapping.parts:
            if not self.mapping.lowered.network[part.population].fed:
                neurons[part.core] += len(part.neurons)
        joined = {
            name: np.concatenate([part[name] for part in self.parts]) for name in self.parts[0]
        }
        return Events(neurons=neurons, **joined)


def _indices(neurons: np.ndarray) -> Indices:
    """Flat indices as a slice where they follow one another: a view instead of a copy."""
    first, last = int(neurons[0]), int(neurons[-1])
    if last - first + 1 == len(neurons):  # they are sorted
        return slice(first, last + 1)
    return torch.from_numpy(neurons)


def _path(
    start: tuple[int, int], end: tuple[int, int]
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Links from tile to tile, along the row first."""
    links, (x, y) = [], start
    while (x, y) != end:
        step = (
            (x + (1 if end[0] > x else -1), y)
            if x != end[0]
            else (x, y + (1 if end[1] > y else -1))
        )
        links.append(((x, y), step))
        x, y = step
    return links


def _reached(
    route: Route, source: Population, target: Population, sent: torch.Tensor
) -> torch.Tensor:
    """Which targets a step's events reach through at least one synapse, ``(K, B, N)`` bool."""
    synapse, lead = route.projection.synapse, sent.shape[:2]
    if isinstance(synapse, Dense) and synapse.pool is None:
        return sent.any(dim=-1, keepdim=True)
    if isinstance(synapse, Conv2d) and synapse.groups == 1:
        planes = sent.reshape(*lead, source.shape[0], -1).any(dim=2)
        one = Conv2d(
            weight=np.ones((1, 1, *synapse.weight.shape[2:]), dtype=np.int64),
            pool=synapse.pool,
            stride=synapse.stride,
            padding=synapse.padding,
            dilation=synapse.dilation,
        )
        touch = Operator(one, (1, *source.shape[1:]), (1, *target.shape[1:]))
        hit = touch(planes.flatten(0, 1)) > 0
        return hit.reshape(*lead, 1, -1).expand(*lead, target.shape[0], -1).flatten(2)
    touch = counting(synapse, source.shape, target.shape)
    return (touch(sent.flatten(0, 1)) > 0).reshape(*lead, -1)
