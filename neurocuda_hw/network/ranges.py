"""Proved widths: interval analysis of every membrane over the T steps of an inference.

For each step, bounds of a (what the synapses can deliver) follow from the weights and from which
sources may send in that step; bounds of the membrane follow from the bounds before it through the
neuron's own equation, neuron by neuron (channel by channel for convolutions). The narrowest two's
complement that holds every bound is the membrane's width. Since partial sums may wrap without harm
(addition is associative modulo 2^n), that width is enough for every intermediate result too.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.fixed import fits_float64, signed_bits
from neurocuda_hw.network.network import Network, Population, Projection
from neurocuda_hw.network.neurons import Reset, Spiking, Spread
from neurocuda_hw.network.wire import payload

Bounds = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Proved bounds of one quantity, and the signed width that holds them."""

    lowest: int
    highest: int

    @property
    def bits(self) -> int:
        """Width of the narrowest two's complement that holds the interval."""
        return signed_bits(self.lowest, self.highest)


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationRanges:
    """What is proved of one population.

    Parameters
    ----------
    membrane : Interval
        Holds v before and after the reset in every step, and v_init.
    drive : Interval
        What the synapses deliver in one step (the sum without the bias).
    current : Interval
        The state u of a CubaLIF or CubaReadout; elsewhere the same as `drive`.
    magnitude : int
        Bound of the sum of magnitudes that one step adds up: up to 2^24, float32 sums are exact.
    """

    membrane: Interval
    drive: Interval
    current: Interval
    magnitude: int


def drive_bounds(projection: Projection, source: Population) -> tuple[np.ndarray, np.ndarray, int]:
    """Bounds of what `projection` delivers in one step, and the bound of the summed magnitudes.

    Returns
    -------
    (lowest, highest, magnitude)
        Arrays of shape ``(C,)`` for a convolution or diagonal, ``(N,)`` for a dense synapse.
    """
    synapse = projection.synapse
    low, high = payload(source)
    cells = synapse.pool.cells if synapse.pool else 1
    positive = synapse.summed(np.maximum(synapse.weight, 0)) * cells
    negative = synapse.summed(np.minimum(synapse.weight, 0)) * cells
    magnitude = synapse.magnitude * max(high, -low)
    return negative * high + positive * low, positive * high + negative * low, magnitude


def magnitude(projection: Projection, network: Network) -> int:
    """Bound of the sum of magnitudes that `projection` adds up in one step."""
    return drive_bounds(projection, network[projection.source])[2]


def _deliveries(network: Network, population: Population) -> list[tuple[Projection, Bounds, int]]:
    found = []
    for projection in network.incoming(population.name):
        low, high, total = drive_bounds(projection, network[projection.source])
        if not fits_float64(total):
            raise ModelError(f"projection {projection.label}: weights are too large to be summed")
        found.append((projection, (population.spread(low), population.spread(high)), total))
    return found


def after_fire(neuron: Spiking, spread: Spread, low: np.ndarray, high: np.ndarray) -> Bounds:
    """Bounds of the membrane after the reset of a step in which the neurons may fire."""
    threshold = spread(neuron.threshold)
    fires, stays = high >= threshold, low < threshold
    if neuron.reset is Reset.SUBTRACT:
        fired_low, fired_high = np.maximum(low, threshold) - threshold, high - threshold
    else:
        fired_low = fired_high = spread(neuron.v_reset)
    quiet_high = np.minimum(high, threshold - 1)
    after_low = np.where(stays, np.where(fires, np.minimum(low, fired_low), low), fired_low)
    after_high = np.where(
        fires, np.where(stays, np.maximum(quiet_high, fired_high), fired_high), high
    )
    return after_low, after_high


# what was proved of each network, as long as the network is there
_PROVED: WeakKeyDictionary[Network, dict[str, PopulationRanges]] = WeakKeyDictionary()


def population_ranges(network: Network, population: Population) -> PopulationRanges:
    """The proved widths of one population; an input has no membrane and gets [0, 0]."""
    proved = _PROVED.setdefault(network, {})
    if population.name not in proved:
        proved[population.name] = _prove(network, population)
    return proved[population.name]


def _prove(network: Network, population: Population) -> PopulationRanges:
    neuron = population.neuron
    if population.fed:
        none = Interval(lowest=0, highest=0)
        return PopulationRanges(membrane=none, drive=none, current=none, magnitude=0)
    deliveries = _deliveries(network, population)
    spread = population.spread
    v_low = v_high = spread(neuron.v_init)
    u_low = u_high = np.zeros((1,), dtype=np.int64)
    membrane, drive, current = [v_low, v_high], [np.zeros(1, np.int64)], [u_low]
    window = network.window(population.name)
    for step in range(network.timesteps):
        a_low = a_high = np.zeros((1,), dtype=np.int64)
        for projection, (low, high), _ in deliveries:
            if step - projection.delay in network.window(projection.source):
                a_low, a_high = a_low + np.minimum(low, 0), a_high + np.maximum(high, 0)
        drive += [a_low, a_high]
        # a step is monotonous in v, u and the drive: bounds go through it as values do
        v_low, u_low = neuron.integrate(v_low, u_low, a_low, spread)
        v_high, u_high = neuron.integrate(v_high, u_high, a_high, spread)
        current += [a_low, a_high] if neuron.current_leak is None else [u_low, u_high]
        membrane += [v_low, v_high]
        if isinstance(neuron, Spiking):
            if step in window:
                v_low, v_high = after_fire(neuron, spread, v_low, v_high)
            if neuron.v_floor is not None:
                v_low, v_high = (np.maximum(v, neuron.v_floor) for v in (v_low, v_high))
            membrane += [v_low, v_high]
    return PopulationRanges(
        membrane=_hull(membrane),
        drive=_hull(drive),
        current=_hull(current),
        magnitude=sum(total for _, _, total in deliveries),
    )


def network_ranges(network: Network) -> dict[str, PopulationRanges]:
    """The proved widths of every population, by name."""
    return {p.name: population_ranges(network, p) for p in network.populations}


def _hull(bounds: list[np.ndarray]) -> Interval:
    every = np.concatenate([b.ravel() for b in bounds])
    return Interval(lowest=int(every.min()), highest=int(every.max()))
