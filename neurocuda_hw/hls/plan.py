"""What the C++ of a network needs to know, worked out before any of it is written.

Layers are those of `passes.plan`. A membrane is as wide as v- before the reset, since sums may wrap
in it, and a readout has no sweep of its own: it reports what it holds after the last step. Members
of a loop of recurrent projections send single spikes, whatever may be sent as bursts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.passes.bursts import Bursts, find_bursts
from neurocuda_hw.passes.layout import Fanout
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.queues import limits_input
from neurocuda_hw.passes.study import Study

MOST_LANES = 64  # a row's spikes travel as one word, which the fast C simulation keeps in 64 bits
MOST_BITS = 50  # a leak multiplies by 13 bits, within the same 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Edge:
    """One projection as its target sees it.

    Parameters
    ----------
    number : int
        Its place among `Network.projections`.
    inside : bool
        Source and target belong to one loop of recurrent projections, hence to one process.
    held : bool
        The source is an input of CURRENT: its events add to a held current.
    endless : bool
        The source is an input that may send any number of events; see `queues.limits_input`.
    burst : int
        The most spikes that an event stands for; 0 where each is one.
    rank : int
        Of who writes the stream, in topological order: the source, or its expander.
    frames : int
        Steps of the source that come as one: more than 1 only of an input.
    """

    number: int
    projection: Projection
    source: Population
    fanout: Fanout
    inside: bool
    held: bool
    endless: bool
    burst: int
    rank: int
    frames: int

    @property
    def words(self) -> int:
        """The most that the source sends in a step of the hardware, with the end."""
        return self.source.size * self.frames + 1

    @property
    def iterations(self) -> int:
        """The most rows that one step can bring, with one turn for events that reach none."""
        rows = np.maximum(self.fanout.visits(), 1)
        if self.source.fed:  # as many events as neurons, but the same one may come again
            return int(rows.max()) * (self.words - 1) + 1
        return int(rows.sum()) + 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HlsLayer:
    """One population as C++.

    Parameters
    ----------
    plan : LayerPlan
        What all hardware shares.
    edges : tuple of Edge
        In the order in which a step takes them: delayed ones first, then by the source's rank.
        That order keeps bounded FIFOs from locking up.
    """

    plan: LayerPlan
    edges: tuple[Edge, ...]

    @property
    def population(self) -> Population:
        """The population."""
        return self.plan.population

    @property
    def v_bits(self) -> int:
        """Width of a membrane, signed; of a maximum it is a count."""
        return self.plan.state_bits + 1 if self.plan.maximum else self.plan.membrane_bits

    @property
    def u_bits(self) -> int:
        """Width of a synaptic current; 0 unless the neurons have one."""
        return self.plan.synaptic_bits

    @property
    def held_bits(self) -> int:
        """Width of the held current; 0 if there is none. Its sum wraps, so no more bits matter."""
        return min(self.plan.held_bits, self.u_bits or self.v_bits)

    @property
    def first_sweep(self) -> int:
        """The first step whose sweep can matter; T if there is none."""
        integrates = self.population.readout and not self.held_bits
        integrates = integrates and not self.plan.leaks
        return self.plan.timesteps if integrates else self.plan.first_sweep

    @property
    def sweeps(self) -> int:
        """How many steps sweep."""
        return max(0, self.plan.last_sweep - self.first_sweep + 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HlsPlan:
    """A network as processes: each inner tuple runs as one, in an order in which data flows on."""

    network: Network
    bursts: Bursts
    layers: dict[str, HlsLayer]
    processes: tuple[tuple[str, ...], ...]

    @property
    def steps(self) -> int:
        """Steps of the hardware in an inference."""
        return 1 if self.bursts.merged else self.network.timesteps

    @property
    def expanded(self) -> frozenset[str]:
        """The populations of bursts of which somebody takes single spikes."""
        edges = chain.from_iterable(layer.edges for layer in self.layers.values())
        single = {edge.source.name for edge in edges if not edge.burst} | {self.network.output.name}
        return frozenset(single & set(self.bursts.counts))

    def loops(self, process: tuple[str, ...]) -> bool:
        """Whether recurrent projections tie `process` together."""
        return _loops(self.network, process)


def plan_network(subject: Network | Study, lanes: Mapping[str, int] | None = None) -> HlsPlan:
    """Plans every population; `lanes` as in `passes.study.Study`.

    Raises
    ------
    ModelError
        If a number of lanes does not suit its population, or a state is too wide.
    """
    study = Study.of(subject, lanes=lanes)
    network = study.network
    processes = _processes(network)
    study = study.laid_out(study.lanes, bursts_sent(network, study.bursts))
    layers = {p.name: _layer(study, p, processes) for p in network.targets}
    return HlsPlan(network=network, bursts=study.bursts, layers=layers, processes=processes)


def _processes(network: Network) -> tuple[tuple[str, ...], ...]:
    """Populations grouped by the loops they are in, sources before targets."""
    names = [p.name for p in network.targets]
    reach = {name: {name} for name in names}
    joined = [(p.source, p.target) for p in network.projections if p.source in reach]
    for _ in names:  # after as many rounds as populations every path has been followed
        for source, target in joined:
            reach[source] |= reach[target]
    groups = {tuple(n for n in names if n in reach[a] and a in reach[n]) for a in names}
    waiting = sorted(groups, key=lambda group: names.index(group[0]))
    order: list[tuple[str, ...]] = []
    while waiting:
        pending = {name for group in waiting for name in group}
        ready = next(
            g for g in waiting if not any(t in g and s in pending and s not in g for s, t in joined)
        )
        order.append(ready)
        waiting.remove(ready)
    return tuple(order)


def bursts_sent(network: Network, bursts: Bursts) -> Bursts:
    """What of `bursts` the C++ sends: all but those of members of loops."""
    loops = [process for process in _processes(network) if _loops(network, process)]
    looping = {name for process in loops for name in process}
    return find_bursts(network, looping) if looping & set(bursts.counts) else bursts


def _loops(network: Network, process: tuple[str, ...]) -> bool:
    return any({p.source, p.target} <= set(process) for p in network.projections)


def _layer(
    study: Study, population: Population, processes: tuple[tuple[str, ...], ...]
) -> HlsLayer:
    # blocks of positions are the Verilog's alone
    lanes = min(study.lanes[population.name], population.chw[0])
    plan = study.plan(population.name, lanes)
    if lanes > MOST_LANES:
        raise ModelError(
            f"population {population.name!r}: lanes must be at most {MOST_LANES} in the HLS "
            f"target, not {lanes}"
        )
    layer = HlsLayer(plan=plan, edges=_edges(study, plan, processes))
    widest = max(layer.v_bits, layer.u_bits)
    if widest > MOST_BITS:
        raise ModelError(
            f"population {population.name!r}: states must be at most {MOST_BITS} bits wide in the "
            f"HLS target, not {widest}; scale weights and threshold down"
        )
    return layer


def _edges(
    study: Study, plan: LayerPlan, processes: tuple[tuple[str, ...], ...]
) -> tuple[Edge, ...]:
    network, counts = study.network, study.bursts.counts
    frames = network.arrivals.steps if study.bursts.merged else 1
    rank = {p.name: i for i, p in enumerate(network.populations)}
    name = plan.population.name
    numbers = [i for i, p in enumerate(network.projections) if p.target == name]
    parts = zip(
        numbers,
        plan.projections,
        plan.sources,
        plan.fanouts,
        plan.held,
        plan.bursts,
        strict=True,
    )
    found = [
        Edge(
            number=number,
            projection=projection,
            source=source,
            fanout=part,
            inside=any({source.name, name} <= set(process) for process in processes),
            held=held,
            endless=source.fed and not limits_input(network),
            burst=burst,
            rank=2 * rank[source.name] + (source.name in counts and not burst),
            frames=frames if source.fed else 1,
        )
        for number, projection, source, part, held, burst in parts
    ]
    return tuple(sorted(found, key=lambda e: (1 - e.projection.delay, e.rank)))
