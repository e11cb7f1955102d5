"""What a layer does in a cycle, for counters: one of five states, events taken, a spike sent."""

from __future__ import annotations

from amaranth.hdl import unsigned
from amaranth.lib import data, enum

from neurocuda_hw.ground.fixed import unsigned_bits


class State(enum.Enum, shape=3):
    """What a layer does; in every cycle exactly one of these.

    INTEGRATING: a row of weights is added to a row of membranes.
    SWEEPING: a row of membranes is swept, or cleared after a reset, or a step is passed on.
    STALLED: a row is to be swept, but what it may send has no room: the output is blocked.
    STARVED: waits for a source that has neither an event here nor ended the step.
    BUBBLE: none of these: an event is here but not yet its first row, or a sweep's writes settle.
    """

    INTEGRATING = 0
    SWEEPING = 1
    STALLED = 2
    STARVED = 3
    BUBBLE = 4


def activity_layout(projections: int, burst: int = 0) -> data.StructLayout:
    """``{spike, events, state}``: the state, events taken (one per projection at most), spikes.

    End-of-step markers are no events. A value that a readout sends counts as its spike; a burst of
    a population that sends those counts as its up to `burst` spikes.
    """
    spikes, events = (unsigned(unsigned_bits(most)) for most in (max(1, burst), projections))
    return data.StructLayout({"state": State, "events": events, "spike": spikes})
