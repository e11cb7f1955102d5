"""What the hardware of one population needs to know, worked out before any of it is described.

Three liberties are taken, all exact: a readout's bias is added T times at once, in its initial
state; a population sweeps its states only in steps in which a sweep can change something; and a
leak is applied at the end of a step instead of at the start of the next, so that spikes can be
added as they come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network import Population, Projection
from neurocuda_hw.network.neurons import Reset
from neurocuda_hw.network.wire import payload_bits
from neurocuda_hw.passes.layout import Fanout, StateLayout
from neurocuda_hw.passes.mapping import AUTOMATIC, Ways

SETTLE = 4  # idle cycles between a leaking sweep's last row and the next row of any kind
FEWEST_TOUCHED = 16  # rows; for fewer, a list of them costs more cycles than it saves


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
class Lines:
    """How a population works line by line, of lines of blocks; see `passes.streams`.

    Parameters
    ----------
    sends : int
        Marks that it sends per step: one behind each of its lines, or 1, behind all of them.
    ring : int
        Lines that it holds at once.
    heights : tuple of int
        Positions down in a line of each projection's source that a mark ends.
    needs : tuple of array (sends,)
        Of each projection: how many marks come before a line is complete; all before the last.
    turns : tuple of int
        Projections in the order in which their rows are taken where several are there: what comes
        from further ahead first, for it has waited longer, and who sent it sends to others, too.
    depths : tuple of int
        Masks that the queue of each branch holds.
    """

    sends: int
    ring: int
    heights: tuple[int, ...]
    needs: tuple[np.ndarray, ...]
    turns: tuple[int, ...]
    depths: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerPlan:
    """One population as hardware.

    Parameters
    ----------
    held : tuple of bool
        Which projections carry a CURRENT input.
    membrane_bits : int
        Membrane with everything that a step adds to it, before the reset.
    state_bits : int
        Membrane as it is stored: after the leak, without this step's bias.
    synaptic_bits : int
        Synaptic current u of a CubaLIF or CubaReadout; 0 for other neurons.
    held_bits : int
        Input current that is held for all steps; 0 where no CURRENT input arrives.
    keep, keep_synaptic : Parameter, optional
        ``4096 - decay`` of v and u, in 1/4096; None without that leak.
    first_sweep, stop_sweep, last_sweep : int
        States are swept in the steps ``first_sweep <= t < stop_sweep`` and in ``last_sweep``, where
        all are, and the initial state is restored.
    touched : bool
        Before `last_sweep`, a sweep visits only the rows that were touched since the sweep before,
        and those that still hold a membrane at its threshold; else all rows.
    awake : Parameter
        -1 where a row must be swept in its initial state though nothing touched it; one lane.
    fire_start, fire_stop : int
        Steps in which neurons may fire; equal for a readout.
    burst : int
        The most spikes of one of its events, which are bursts then; 0 where each is a spike.
    bursts : tuple of int
        The same of the events of each projection.
    maximum : bool
        Lanes keep the largest count that arrives, not a sum; weights are 0 or -1, for yes.
    weight_shifts : tuple of int
        Low bits that are 0 in all weights of each projection: they are not stored.
    ways : Ways
        How memories and products are made, where that is not left to the synthesiser.
    lines : Lines, optional
        None: a step is swept as a whole.

    Steps are those of the hardware: one per inference where `Bursts.merged`.
    """

    population: Population
    timesteps: int
    layout: StateLayout
    projections: tuple[Projection, ...]
    sources: tuple[Population, ...]
    fanouts: tuple[Fanout, ...]
    weight_bits: tuple[int, ...]
    held: tuple[bool, ...]
    membrane_bits: int
    state_bits: int
    synaptic_bits: int
    held_bits: int
    keep: Parameter | None
    keep_synaptic: Parameter | None
    threshold: Parameter
    bias: Parameter
    initial: Parameter
    reset_value: Parameter
    reset: Reset
    v_floor: int | None
    first_sweep: int
    stop_sweep: int
    last_sweep: int
    touched: bool
    awake: Parameter
    fire_start: int
    fire_stop: int
    burst: int
    bursts: tuple[int, ...]
    maximum: bool
    weight_shifts: tuple[int, ...]
    ways: Ways = AUTOMATIC
    lines: Lines | None = None

    @property
    def state_rows(self) -> int:
        """Rows that the state memory holds: all, or those of a ring of lines."""
        held = self.layout.lines if self.lines is None else self.lines.ring
        return held * self.line_rows

    @property
    def turns(self) -> tuple[int, ...]:
        """Projections in the order in which their rows are taken where several are there."""
        return tuple(range(len(self.projections))) if self.lines is None else self.lines.turns

    @property
    def line_rows(self) -> int:
        """Rows of one line of blocks."""
        return self.layout.columns * self.layout.groups

    @property
    def multiplies(self) -> bool:
        """Whether lanes multiply a weight by a payload."""
        payloads = map(payload_bits, self.sources, self.bursts)
        return any(payloads) and not self.maximum

    @property
    def lead(self) -> int:
        """Cycles from the choice of a row until its state is asked for.

        Meanwhile its weights are read from their banks, and where they are to be multiplied, chosen
        among these.
        """
        return 2 if self.multiplies else 1

    @property
    def stored_bits(self) -> tuple[int, ...]:
        """Bits of a weight of each projection as it lies in memory."""
        pairs = zip(self.weight_bits, self.weight_shifts, strict=True)
        return tuple(bits - shift for bits, shift in pairs)

    @property
    def division(self) -> tuple[int, ...]:
        """Multiples of the threshold that are compared with a membrane, in turn, to count spikes.

        With w from the largest, ``v >= w * threshold`` adds w to the count and takes
        ``w * threshold`` from v: that is floor(v / threshold), up to their sum.
        """
        if not self.burst or self.maximum:
            return ()
        bits = unsigned_bits(self.burst)
        if self.burst == 1 << (bits - 1):  # then they add up to L, and nothing has to be clipped
            return (*(1 << i for i in reversed(range(bits - 1))), 1)
        return tuple(1 << i for i in reversed(range(bits)))

    @property
    def division_bits(self) -> int:
        """Bits of what is left of a membrane when multiples are taken from it, down to below 0."""
        return 1 + max(self.state_bits, self.threshold.bits + unsigned_bits(self.division[0]) - 1)

    @property
    def senders(self) -> list[tuple[Population, int]]:
        """The source of each projection, and how many spikes its events stand for."""
        return list(zip(self.sources, self.bursts, strict=True))

    @property
    def fires(self) -> bool:
        """Whether the population sends spikes (a readout sends values)."""
        return self.population.spiking

    @property
    def by_channel(self) -> bool:
        """Whether values leave channel by channel: a readout with several positions."""
        return not self.fires and self.layout.height * self.layout.width > 1

    def projection_name(self, index: int) -> str:
        """The projection's source, for file names; numbered where several come from it."""
        sources = [p.source for p in self.projections]
        name = sources[index]
        return name if sources.count(name) == 1 else f"{name}.{index}"

    @property
    def sweeps(self) -> int:
        """Steps in which states are swept."""
        return len(self.sweep_steps())

    def sweep_steps(self) -> list[int]:
        """The steps in which states are swept, in order."""
        return sorted({*range(self.first_sweep, self.stop_sweep), self.last_sweep})

    def parameters(self) -> list[Parameter]:
        """What each neuron needs in a sweep."""
        leaks = [q for q in (self.keep, self.keep_synaptic) if q is not None]
        return [self.threshold, self.bias, self.initial, self.reset_value, *leaks]

    @property
    def leaks(self) -> bool:
        """Whether v or u decays."""
        return self.keep is not None or self.keep_synaptic is not None
