"""What the hardware of one population needs to know, worked out before any of it is described.

Two liberties are taken, both exact: a readout's bias is added T times at once, in its initial
state; and a population sweeps its states only in steps in which a sweep can change something.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurocuda_hw.errors import ModelError
from neurocuda_hw.fixed import signed_bits, wrap
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.neurons import IF, Encoding, Input, Neuron, Readout, Reset
from neurocuda_hw.passes.layout import Fanout, StateLayout, fanout, state_layout
from neurocuda_hw.ranges import PopulationRanges, drive_bounds, population_ranges


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parameter:
    """One integer for all neurons, or rows of lanes; `per_row` if it differs within a channel."""

    name: str
    bits: int
    rows: np.ndarray
    per_row: bool

    @property
    def uniform(self) -> bool:
        """Whether all neurons share one value."""
        return bool((self.rows == self.rows.flat[0]).all())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerPlan:
    """One population as hardware.

    Parameters
    ----------
    state_bits : int
        Membrane as it is stored, without this step's bias.
    current_bits : int
        Held input current with the bias; 0 where no CURRENT input arrives.
    first_sweep, last_sweep : int
        Steps in which all states are swept; the last one restores the initial state.
    fire_start, fire_stop : int
        Steps in which neurons may fire; equal for a readout.
    """

    population: Population
    timesteps: int
    layout: StateLayout
    projections: tuple[Projection, ...]
    sources: tuple[Population, ...]
    fanouts: tuple[Fanout, ...]
    weight_bits: tuple[int, ...]
    held: tuple[bool, ...]
    state_bits: int
    current_bits: int
    threshold: Parameter
    bias: Parameter
    initial: Parameter
    reset_value: Parameter
    reset: Reset
    v_floor: int | None
    first_sweep: int
    last_sweep: int
    fire_start: int
    fire_stop: int

    @property
    def fires(self) -> bool:
        """Whether the population sends spikes (a readout sends values)."""
        return self.population.spiking


def plan_layer(network: Network, population: Population, lanes: int) -> LayerPlan:
    """Plans one population for `lanes` lanes.

    Raises
    ------
    ModelError
        For a kind of neuron or edge that the hardware does not have yet; the message names it.
    """
    neuron = population.neuron
    if not isinstance(neuron, IF | Readout):
        raise ModelError(
            f"population {population.name!r}: the Verilog target has IF neurons and readouts, not "
            f"{type(neuron).__name__}; run it with the reference, or convert to IF"
        )
    if isinstance(neuron, Readout) and len(population.shape) != 1:
        raise ModelError(
            f"population {population.name!r}: a readout must be flat (N,) in the Verilog target, "
            f"not {population.shape}; flatten it"
        )
    projections = network.incoming(population.name)
    for projection in projections:
        if projection.delay:
            raise ModelError(
                f"projection {projection.label}: the Verilog target has no recurrent edges; run it "
                "with the reference, or unroll the recurrence"
            )
    layout = state_layout(population, lanes)
    fanouts = tuple(fanout(network, p, lanes) for p in projections)
    ranges = population_ranges(network, population)
    sources = tuple(network[p.source] for p in projections)
    held = tuple(_is_held(source.neuron) for source in sources)
    bias = _per_neuron(population, neuron.bias)
    current = _current_interval(network, population, projections, held, bias)
    window = network.window(population.name)
    steps = network.timesteps
    if isinstance(neuron, Readout):
        initial = _per_neuron(population, neuron.v_init)
        if current is None:
            initial, bias = initial + steps * bias, np.zeros_like(bias)
        state_bits = ranges.membrane.bits
        first, last = (0 if current else steps - 1), steps - 1
        fire_start = fire_stop = 0
        threshold = reset_value = np.zeros_like(bias)
        reset, v_floor = Reset.SUBTRACT, None
    else:
        initial = _per_neuron(population, neuron.v_init)
        state_bits = _state_bits(ranges, bias, bool(current))
        fire_start, fire_stop = window.start, window.stop
        every_step = bool(bias.any()) or current is not None or neuron.v_floor is not None
        first = 0 if every_step else window.start
        last = _last_sweep(network, population, projections, held)
        # a threshold out of the membrane's reach may as well be just out of reach
        reachable = (ranges.membrane.lowest, ranges.membrane.highest + 1)
        threshold = np.clip(_per_neuron(population, neuron.threshold), *reachable)
        reset_value = _per_neuron(population, neuron.v_reset)
        reset, v_floor = neuron.reset, neuron.v_floor
    per_row = {f: getattr(neuron, f).shape == population.shape for f in neuron.array_fields()}
    in_rows = len(population.shape) == 3

    def parameter(name: str, values: np.ndarray, bits: int | None, *fields: str) -> Parameter:
        own = in_rows and any(per_row.get(field, False) for field in fields)
        rows = layout.arrange(values, fill=int(values[0]))
        need = signed_bits(int(values.min()), int(values.max())) if bits is None else bits
        rows = wrap(rows, need) if bits is not None else rows
        return Parameter(
            name=name, bits=need, rows=rows if own else rows[: layout.groups], per_row=own
        )

    return LayerPlan(
        population=population,
        timesteps=steps,
        layout=layout,
        projections=projections,
        sources=sources,
        fanouts=fanouts,
        weight_bits=tuple(_weight_bits(part) for part in fanouts),
        held=held,
        state_bits=state_bits,
        # the sum with the membrane is taken modulo its width, so no more bits matter
        current_bits=min(state_bits, signed_bits(*current)) if current else 0,
        threshold=parameter("threshold", threshold, None, "threshold"),
        bias=parameter("bias", bias, None, "bias"),
        initial=parameter("initial", initial, state_bits, "v_init", "bias"),
        reset_value=parameter("reset_value", reset_value, None, "v_reset"),
        reset=reset,
        v_floor=v_floor,
        first_sweep=first,
        last_sweep=last,
        fire_start=fire_start,
        fire_stop=fire_stop,
    )


def _is_held(neuron: Neuron) -> bool:
    return isinstance(neuron, Input) and neuron.encoding is Encoding.CURRENT


def _per_neuron(population: Population, values: object) -> np.ndarray:
    array = population.spread(np.asarray(values))
    return np.broadcast_to(array, population.shape).flatten()


def _weight_bits(part: Fanout) -> int:
    """Bits of every weight in memory, 0 included: lanes without a neuron hold it."""
    return signed_bits(min(0, int(part.weights.min())), max(0, int(part.weights.max())))


def _current_interval(
    network: Network,
    population: Population,
    projections: tuple[Projection, ...],
    held: tuple[bool, ...],
    bias: np.ndarray,
) -> tuple[int, int] | None:
    """Bounds of the held current with the bias, or None where nothing is held."""
    if not any(held):
        return None
    low, high = int(bias.min()), int(bias.max())
    for projection, is_held in zip(projections, held, strict=True):
        if is_held:
            lowest, highest, _ = drive_bounds(projection, network[projection.source])
            low, high = low + min(0, int(lowest.min())), high + max(0, int(highest.max()))
    return low, high


def _state_bits(ranges: PopulationRanges, bias: np.ndarray, chained: bool) -> int:
    """Bits of the stored membrane: it lacks this step's bias, which may matter to the comparison.

    With a held current the bias is added before the comparison, modulo 2^n, and v- itself fits.
    """
    membrane = ranges.membrane
    if chained:
        return membrane.bits
    low, high = membrane.lowest - int(bias.max()), membrane.highest - int(bias.min())
    return signed_bits(min(low, membrane.lowest), max(high, membrane.highest))


def _last_sweep(
    network: Network,
    population: Population,
    projections: tuple[Projection, ...],
    held: tuple[bool, ...],
) -> int:
    """The sweep that restores the initial state: when nothing can fire or arrive any more."""
    stop = network.window(population.name).stop
    for projection, is_held in zip(projections, held, strict=True):
        arrives = 1 if is_held else network.window(projection.source).stop
        if arrives > stop:
            return network.timesteps - 1
    return stop - 1
