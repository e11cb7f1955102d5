"""What the C++ of one population needs to know, worked out before any of it is written.

A membrane is stored as it enters the next step: already decayed, without that step's bias. Three
liberties are taken, all exact: partial sums wrap (`ranges` proves that v- fits); a readout's bias
is added T times at once, in its initial state; and states are swept only in steps in which a sweep
can change something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from neurocuda_hw.errors import ModelError
from neurocuda_hw.fixed import DECAY_ONE, decay, signed_bits, wrap
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.neurons import LIF, CubaLIF, Encoding, Input, Readout, Reset, Spiking
from neurocuda_hw.passes.folding import uniform_lanes
from neurocuda_hw.passes.layout import Fanout, StateLayout, fanout, state_layout
from neurocuda_hw.ranges import drive_bounds, population_ranges
from neurocuda_hw.synapses import Conv2d, Dense, Diagonal, Synapse

MOST_LANES = 64  # a row's spikes travel as one word, which the fast C simulation keeps in 64 bits
MOST_BITS = 50  # a leak multiplies by 13 bits, within the same 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parameter:
    """An integer of each neuron, ``(rows or groups or 1, lanes)``, and the width that holds all."""

    bits: int
    rows: np.ndarray

    @property
    def uniform(self) -> bool:
        """Whether all neurons share one value."""
        return bool((self.rows == self.rows.flat[0]).all())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """The current of a CURRENT input, kept per neuron and added in the steps [start, stop)."""

    delay: int
    start: int
    stop: int
    bits: int


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
    """

    number: int
    projection: Projection
    source: Population
    fanout: Fanout
    weight_bits: int
    inside: bool
    held: bool

    @property
    def iterations(self) -> int:
        """The most rows that one step can bring, with one turn for events that reach none."""
        return int(np.maximum(self.fanout.visits(), 1).sum()) + 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """One population as C++.

    Parameters
    ----------
    v_bits, u_bits : int
        Membrane and, for a CubaLIF, current; both from `ranges`.
    edges : tuple of Edge
        In the order in which a step takes them: delayed ones first, then by the source's rank.
        That order keeps bounded FIFOs from locking up; see `top.j2`.
    keep_v, keep_u : Parameter or None
        4096 - decay; None without a leak.
    first_sweep, last_sweep : int
        Steps in which all states are swept; the last one restores the initial state.
    fire_start, fire_stop : int
        Steps in which neurons may fire; equal for a readout.
    """

    population: Population
    timesteps: int
    layout: StateLayout
    edges: tuple[Edge, ...]
    held: tuple[Held, ...]
    v_bits: int
    u_bits: int
    threshold: Parameter
    bias: Parameter
    initial: Parameter
    reset_value: Parameter
    keep_v: Parameter | None
    keep_u: Parameter | None
    reset: Reset
    v_floor: int | None
    first_sweep: int
    last_sweep: int
    fire_start: int
    fire_stop: int

    @property
    def sweeps(self) -> int:
        """How many steps sweep."""
        return max(0, self.last_sweep - self.first_sweep + 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """A network as processes: each inner tuple runs as one, in an order in which data flows on."""

    network: Network
    layers: dict[str, Layer]
    processes: tuple[tuple[str, ...], ...]

    def process_of(self, name: str) -> tuple[str, ...]:
        """The process that holds population `name`."""
        return next(p for p in self.processes if name in p)

    def loops(self, process: tuple[str, ...]) -> bool:
        """Whether recurrent projections tie `process` together."""
        return any(edge.inside for name in process for edge in self.layers[name].edges)


def plan_network(network: Network, lanes: Mapping[str, int] | None = None) -> Plan:
    """Plans every population; `lanes` by population, the widest up to 16 where None.

    Raises
    ------
    ModelError
        If a number of lanes does not suit its population, or a state is too wide.
    """
    chosen = uniform_lanes(network) if lanes is None else lanes
    missing = [p.name for p in network.targets if p.name not in chosen]
    if missing:
        raise ModelError(f"lanes must name every population, not leave out {missing[0]!r}")
    processes = _processes(network)
    inside = {
        number: any({p.source, p.target} <= set(process) for process in processes)
        for number, p in enumerate(network.projections)
    }
    layers = {p.name: _layer(network, p, chosen[p.name], inside) for p in network.targets}
    return Plan(network=network, layers=layers, processes=processes)


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


def _layer(
    network: Network, population: Population, lanes: int, inside: Mapping[int, bool]
) -> Layer:
    neuron = population.neuron
    assert isinstance(neuron, Spiking | Readout)
    layout = state_layout(population, lanes)
    if lanes > MOST_LANES:
        raise ModelError(
            f"population {population.name!r}: lanes must be at most {MOST_LANES} in the HLS "
            f"target, not {lanes}"
        )
    ranges = population_ranges(network, population)
    v_bits, u_bits = ranges.membrane.bits, ranges.current.bits
    if max(v_bits, u_bits) > MOST_BITS:
        raise ModelError(
            f"population {population.name!r}: states must be at most {MOST_BITS} bits wide in the "
            f"HLS target, not {max(v_bits, u_bits)}; scale weights and threshold down"
        )
    edges = _edges(network, population, lanes, inside)
    held = _held(network, edges, u_bits if isinstance(neuron, CubaLIF) else v_bits)
    values = {f: _per_neuron(population, getattr(neuron, f)) for f in neuron.array_fields()}
    per_row = {f: getattr(neuron, f).shape == population.shape for f in values}

    def parameter(found: np.ndarray, *fields: str, bits: int | None = None) -> Parameter:
        rows = layout.arrange(found, fill=int(found[0]))
        if not any(per_row.get(field, False) for field in fields):
            rows = rows[: layout.groups]
        if bits is not None:
            rows = wrap(rows, bits)
        need = signed_bits(int(rows.min()), int(rows.max()))
        return Parameter(bits=need if bits is None else bits, rows=rows)

    leak_v = values.get("decay", values.get("dv"))
    leak_u = values.get("du")
    initial, bias = values["v_init"], values["bias"]
    zero = np.zeros_like(bias)
    if isinstance(neuron, Readout) and not held:
        initial, bias = initial + network.timesteps * bias, zero
    if leak_v is not None:
        initial = decay(initial, leak_v)
    first, last = _sweeps(network, population, edges, bool(held), bool(bias.any()))
    window = network.window(population.name)
    spiking = isinstance(neuron, Spiking)
    return Layer(
        population=population,
        timesteps=network.timesteps,
        layout=layout,
        edges=edges,
        held=held,
        v_bits=v_bits,
        u_bits=u_bits,
        threshold=parameter(values.get("threshold", zero), "threshold"),
        bias=parameter(bias, "bias"),
        initial=parameter(initial, "v_init", "bias", "decay", "dv", bits=v_bits),
        reset_value=parameter(values.get("v_reset", zero), "v_reset"),
        keep_v=None if leak_v is None else parameter(DECAY_ONE - leak_v, "decay", "dv"),
        keep_u=None if leak_u is None else parameter(DECAY_ONE - leak_u, "du"),
        reset=neuron.reset if isinstance(neuron, Spiking) else Reset.SUBTRACT,
        v_floor=neuron.v_floor if isinstance(neuron, Spiking) else None,
        first_sweep=first,
        last_sweep=last,
        fire_start=window.start if spiking else 0,
        fire_stop=window.stop if spiking else 0,
    )


def _per_neuron(population: Population, values: object) -> np.ndarray:
    array = population.spread(np.asarray(values))
    return np.broadcast_to(array, population.shape).flatten()


def _edges(
    network: Network, population: Population, lanes: int, inside: Mapping[int, bool]
) -> tuple[Edge, ...]:
    rank = {p.name: i for i, p in enumerate(network.populations)}
    found = []
    for number, projection in enumerate(network.projections):
        if projection.target != population.name:
            continue
        source = network[projection.source]
        part = fanout(network, _laid_out(network, projection), lanes)
        low, high = min(0, int(part.weights.min())), max(0, int(part.weights.max()))
        neuron = source.neuron
        found.append(
            Edge(
                number=number,
                projection=projection,
                source=source,
                fanout=part,
                weight_bits=signed_bits(low, high),
                inside=inside[number],
                held=isinstance(neuron, Input) and neuron.encoding is Encoding.CURRENT,
            )
        )
    return tuple(sorted(found, key=lambda e: (1 - e.projection.delay, rank[e.source.name])))


def _laid_out(network: Network, projection: Projection) -> Projection:
    """The projection; a dense one where padding behind overlapping pools has no kernel."""
    synapse = projection.synapse
    pool = synapse.pool
    if not isinstance(synapse, Conv2d) or pool is None or not any(synapse.padding):
        return projection
    assert pool.stride is not None
    if all(k <= s for k, s in zip(pool.kernel, pool.stride, strict=True)):
        return projection
    source, target = network[projection.source], network[projection.target]
    return replace(projection, synapse=Dense(weight=_matrix(synapse, source.chw, target.chw)))


def _matrix(
    synapse: Conv2d, source: tuple[int, int, int], target: tuple[int, int, int]
) -> np.ndarray:
    """A pooled convolution as the matrix ``(target neurons, source neurons)`` that it is."""
    pool = synapse.pool
    assert pool is not None
    assert pool.stride is not None
    _, pooled_height, pooled_width = pool.output(source)
    matrix = np.zeros((*target, *source), dtype=np.int64)
    outputs, inner, kernel_height, kernel_width = synapse.weight.shape
    per_group = outputs // synapse.groups
    channels = np.arange(outputs)
    first = channels // per_group * inner
    for oy, ox, ky, kx in np.ndindex(*target[1:], kernel_height, kernel_width):
        y = oy * synapse.stride[0] + ky * synapse.dilation[0] - synapse.padding[0]
        x = ox * synapse.stride[1] + kx * synapse.dilation[1] - synapse.padding[1]
        if not (0 <= y < pooled_height and 0 <= x < pooled_width):
            continue
        top, left = y * pool.stride[0], x * pool.stride[1]
        for channel in range(inner):
            matrix[
                channels,
                oy,
                ox,
                first + channel,
                top : top + pool.kernel[0],
                left : left + pool.kernel[1],
            ] += synapse.weight[:, channel, ky, kx, None, None]
    return matrix.reshape(int(np.prod(target)), -1)


def _held(network: Network, edges: tuple[Edge, ...], state_bits: int) -> tuple[Held, ...]:
    found = []
    window = network.window(network.input.name)
    for delay in sorted({e.projection.delay for e in edges if e.held}):
        low = high = 0
        for edge in edges:
            if edge.held and edge.projection.delay == delay:
                lowest, highest, _ = drive_bounds(edge.projection, edge.source)
                low, high = low + min(0, int(lowest.min())), high + max(0, int(highest.max()))
        found.append(
            Held(
                delay=delay,
                start=window.start + delay,
                stop=min(window.stop + delay, network.timesteps),
                # the sum with the state is taken modulo its width, so no more bits matter
                bits=min(state_bits, signed_bits(low, high)),
            )
        )
    return tuple(found)


def _sweeps(
    network: Network, population: Population, edges: tuple[Edge, ...], held: bool, biased: bool
) -> tuple[int, int]:
    """First and last step whose sweep can matter; the last must come after the last event."""
    neuron = population.neuron
    final = network.timesteps - 1
    if isinstance(neuron, Readout):
        return (0 if held else network.timesteps), final
    assert isinstance(neuron, Spiking)
    window = network.window(population.name)
    leaks = isinstance(neuron, LIF | CubaLIF)
    first = 0 if leaks or held or biased or neuron.v_floor is not None else window.start
    last = window.stop - 1
    for edge in edges:
        sent = network.window(edge.source.name)
        final_event = (sent.start if edge.held else sent.stop - 1) + edge.projection.delay
        if min(final_event, final) > last:
            return first, final
    return first, last


def synapse_name(synapse: Synapse) -> str:
    """The kind of synapse in words, for comments in the code."""
    pool = (
        f" behind a {synapse.pool.kernel[0]} x {synapse.pool.kernel[1]} sum pool"
        if (synapse.pool)
        else ""
    )
    if isinstance(synapse, Conv2d):
        height, width = synapse.weight.shape[2:]
        return f"{height} x {width} convolution{pool}"
    return f"{'diagonal' if isinstance(synapse, Diagonal) else 'dense'}{pool}"
