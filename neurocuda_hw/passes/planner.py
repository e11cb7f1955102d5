"""Plans the hardware of a population: `plan.LayerPlan`, for any number of lanes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurocuda_hw.ground.fixed import DECAY_ONE, decay, signed_bits, unsigned_bits, wrap
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import Ints, Neuron, Reset, Spiking
from neurocuda_hw.network.ranges import PopulationRanges, drive_bounds, population_ranges
from neurocuda_hw.network.synapses import weight_bits
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts
from neurocuda_hw.passes.layout import StateLayout, fanout, low_zeros, state_layout
from neurocuda_hw.passes.plan import FEWEST_TOUCHED, LayerPlan, Parameter


def plan_layer(
    network: Network,
    population: Population,
    lanes: int,
    *,
    touched: bool | None = None,
    bursts: Bursts = NO_BURSTS,
) -> LayerPlan:
    """Plans one population for `lanes` lanes; see `Planner`, for several numbers of them."""
    return Planner(network, population, bursts).plan(lanes, touched=touched)


class Planner:
    """One population: what does not depend on its lanes is worked out once."""

    def __init__(
        self, network: Network, population: Population, bursts: Bursts = NO_BURSTS
    ) -> None:
        self.network, self.population, self.neuron = network, population, population.neuron
        neuron, each = population.neuron, population.each
        self.projections = network.incoming(population.name)
        self.held = tuple(network[p.source].neuron.held for p in self.projections)
        self.ranges = population_ranges(network, population)
        self.window = network.window(population.name)
        self.bias, self.initial = each(neuron.bias).flatten(), each(neuron.v_init).flatten()
        self.first, self.stop, self.last = 0, network.timesteps, network.timesteps - 1
        self.may_skip = False
        self.fire: tuple[Ints, ...] = ()
        if isinstance(neuron, Spiking):
            self.fire = (neuron.threshold, neuron.v_reset)
            self.stop = self.window.stop
            # events are all that changes it
            alone = neuron.leak is None and not self.bias.any() and not any(self.held)
            if alone and neuron.v_floor is None:
                self.first = self.window.start
            self.last = _last_sweep(network, population, self.projections, self.held)
            # a threshold out of the membrane's reach may as well be just out of reach
            reachable = (self.ranges.membrane.lowest, self.ranges.membrane.highest + 1)
            self.threshold = np.clip(each(neuron.threshold).flatten(), *reachable)
            self.reset_value = each(neuron.v_reset).flatten()
            if alone and len({*range(self.first, self.stop), self.last}) > 1:
                self.may_skip = _stays_below(neuron, self.threshold, self.reset_value)
        else:
            self.threshold = self.reset_value = np.zeros_like(self.bias)
            if not any(self.held) and neuron.leak is None:
                self.first, self.initial = self.last, self.initial + network.timesteps * self.bias
                self.bias = np.zeros_like(self.bias)
        if neuron.leak is not None:  # a state is kept as the leak leaves it for the next step
            self.initial = decay(self.initial, each(neuron.leak).flatten())
        chained = any(self.held) or neuron.current_leak is not None
        membrane = self.ranges.membrane.bits
        self.state_bits = membrane if chained else _state_bits(self.ranges, self.bias)
        self.held_bits = _held_bits(network, self.projections, self.held)
        self.burst = bursts.counts.get(population.name, 0)
        self.bursts = tuple(bursts.received(network, p) for p in self.projections)
        self.maximum = population.name in bursts.maxima
        self.timesteps, start, stop = network.timesteps, self.window.start, self.window.stop
        if bursts.merged:
            self.timesteps, start, stop = 1, 0, 1
            self.first, self.stop, self.last = 0, 1, 0
        if self.burst:  # all is in: one sweep sends everything and restores the initial state
            self.first, self.stop, self.last, stop = start, start + 1, start, start + 1
            self.may_skip = False
            # multiples of it are compared: one that was out of reach of membranes below 0 is not
            self.threshold = np.maximum(self.threshold, 1)
        if self.maximum:
            self.state_bits, self.initial = unsigned_bits(self.burst), np.zeros_like(self.initial)
        self.fire_steps = (start, stop) if self.neuron.spiking else (0, 0)

    def plan(self, lanes: int, *, touched: bool | None = None) -> LayerPlan:
        """The population for `lanes` lanes.

        Parameters
        ----------
        touched : bool, optional
            Whether sweeps visit only touched rows, wherever that is exact; None: where it pays.

        Raises
        ------
        ModelError
            If `lanes` does not suit the population.
        """
        network, neuron = self.network, self.neuron
        layout = state_layout(self.population, lanes)
        fanouts = tuple(fanout(network, p, lanes) for p in self.projections)
        if self.maximum:
            fanouts = tuple(replace(f, weights=-(f.weights != 0).astype(np.int8)) for f in fanouts)
        numbers, initial = _Numbers(self.population, layout), wrap(self.initial, self.state_bits)
        return LayerPlan(
            population=self.population,
            timesteps=self.timesteps,
            layout=layout,
            projections=self.projections,
            sources=tuple(network[p.source] for p in self.projections),
            fanouts=fanouts,
            weight_bits=tuple(weight_bits(part.weights) for part in fanouts),
            held=self.held,
            membrane_bits=self.ranges.membrane.bits,
            state_bits=self.state_bits,
            synaptic_bits=0 if neuron.current_leak is None else self.ranges.current.bits,
            held_bits=self.held_bits,
            keep=numbers.keep("keep", neuron.leak),
            keep_synaptic=numbers.keep("keep_synaptic", neuron.current_leak),
            threshold=numbers.parameter("threshold", self.threshold, *self.fire[:1]),
            bias=numbers.parameter("bias", self.bias, neuron.bias),
            initial=numbers.parameter("initial", initial, neuron.v_init, neuron.bias, neuron.leak),
            reset_value=numbers.parameter("reset_value", self.reset_value, *self.fire[1:]),
            reset=neuron.reset,
            v_floor=neuron.v_floor,
            first_sweep=self.first,
            stop_sweep=self.stop,
            last_sweep=self.last,
            touched=self.may_skip
            and (layout.rows >= FEWEST_TOUCHED if touched is None else touched),
            awake=numbers.awake(_awake(neuron, self.initial, self.threshold)),
            fire_start=self.fire_steps[0],
            fire_stop=self.fire_steps[1],
            burst=self.burst,
            bursts=self.bursts,
            maximum=self.maximum,
            weight_shifts=tuple(low_zeros(part.weights) for part in fanouts),
        )


class _Numbers:
    """The parameters of a population's neurons, laid out in rows."""

    def __init__(self, population: Population, layout: StateLayout) -> None:
        self.population, self.layout = population, layout

    def parameter(self, name: str, values: np.ndarray, *made_of: Ints | None) -> Parameter:
        """Values that were made of parameters, one row per channel group if those allow it."""
        shapes = [np.shape(part) for part in made_of if part is not None]
        per_row = len(self.population.shape) == 3 and self.population.shape in shapes
        rows = self.layout.arrange(values, fill=int(values[0]))
        return self._rows(name, signed_bits(int(values.min()), int(values.max())), rows, per_row)

    def _rows(self, name: str, bits: int, rows: np.ndarray, per_row: bool) -> Parameter:
        kept = rows if per_row else rows[: self.layout.groups]
        return Parameter(name=name, bits=bits, rows=kept, per_row=per_row)

    def awake(self, neurons: np.ndarray) -> Parameter:
        """Rows with one of the given `neurons`, ``(N,)``, as -1."""
        rows = self.layout.arrange(-neurons.astype(np.int64)).min(axis=1, keepdims=True)
        by_place = rows.reshape(-1, self.layout.groups)
        return self._rows("awake", 1, rows, bool((by_place != by_place[0]).any()))

    def keep(self, name: str, leak: np.ndarray | None) -> Parameter | None:
        """What a step leaves of a state, in 1/4096; None without that leak."""
        return (
            None
            if leak is None
            else self.parameter(name, DECAY_ONE - self.population.each(leak).flatten(), leak)
        )


def _stays_below(neuron: Spiking, threshold: np.ndarray, reset_value: np.ndarray) -> bool:
    """Whether a row in which no neuron can fire stays so until an event touches it."""
    after = [] if neuron.v_floor is None else [np.full_like(threshold, neuron.v_floor)]
    if neuron.reset is not Reset.SUBTRACT:
        after.append(reset_value)
    return not any((value >= threshold).any() for value in after)


def _awake(neuron: Neuron, initial: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Neurons whose initial state changes in a sweep though nothing touched them, ``(N,)``."""
    if neuron.readout:
        return np.zeros(len(initial), dtype=bool)
    awake: np.ndarray = initial >= threshold
    if neuron.v_floor is not None:
        awake = awake | (initial < neuron.v_floor)
    return awake


def _held_bits(
    network: Network, projections: tuple[Projection, ...], held: tuple[bool, ...]
) -> int:
    """Width of what CURRENT inputs deliver together; 0 if there are none."""
    low = high = 0
    for projection, is_held in zip(projections, held, strict=True):
        if is_held:
            lowest, highest, _ = drive_bounds(projection, network[projection.source])
            low, high = low + min(0, int(lowest.min())), high + max(0, int(highest.max()))
    return signed_bits(low, high) if any(held) else 0


def _state_bits(ranges: PopulationRanges, bias: np.ndarray) -> int:
    """Bits of the stored membrane: it lacks this step's bias, which matters to the comparison."""
    membrane = ranges.membrane
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
        last = 1 if is_held else network.window(projection.source).stop
        if last + projection.delay > stop:
            return network.timesteps - 1
    return stop - 1
