"""The expander: bursts in, their spikes out step by step, for whoever does not take bursts.

A burst waits in a ring: in each step of its population's window it sends one spike, and goes to the
ring's end with a count of one less until that is 0.
"""

from __future__ import annotations

from amaranth import C, Elaboratable, Module, Signal
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network import Population
from neurocuda_hw.network.neurons import Window
from neurocuda_hw.rtl.queue import Queue
from neurocuda_hw.rtl.signatures import events_of


class Expander(Component):
    """Takes an event per cycle up to the marker behind the bursts, then sends one per cycle.

    It holds a burst of every neuron, so the sender never waits for room in it but while it sends.

    Parameters
    ----------
    population : Population
        Whose events come in.
    window : Window
        The steps in which it fires.
    timesteps : int
        Steps of an inference, as they leave.
    merged : bool
        An inference comes in with one marker, not with one per step.

    Members
    -------
    bursts : In, stream
    events : Out, stream
        Spikes, and a marker for every step.
    """

    def __init__(
        self, *, population: Population, window: Window, timesteps: int, merged: bool
    ) -> None:
        self.population, self.window = population, window
        self.timesteps, self.merged = timesteps, merged
        members = {"bursts": In(events_of(population, window.steps))}
        super().__init__({**members, "events": Out(events_of(population))})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        size, window = self.population.size, self.window
        burst, event = self.bursts.payload, self.events.payload
        held = Signal.like(burst)
        width = len(burst.as_value())
        depth = 1 << max(1, unsigned_bits(size - 1))
        m.submodules.ring = ring = Queue(width=width, depth=depth)
        step = Signal(unsigned_bits(self.timesteps - 1))
        waiting, left = Signal(range(size + 1)), Signal(range(size + 1))  # next step's, this one's
        inside = (step >= window.start) & (step < window.stop)
        last = step == self.timesteps - 1
        count = held.value if window.steps > 1 else C(1, 1)
        m.d.comb += [held.eq(ring.head), event.c.eq(held.c), event.y.eq(held.y), event.x.eq(held.x)]
        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += self.bursts.ready.eq(1)
                with m.If(self.bursts.valid & burst.end):
                    m.next = "SEND"
                    with m.If(inside | self.merged):
                        m.d.sync += [left.eq(waiting), waiting.eq(0)]
                with m.Elif(self.bursts.valid):
                    m.d.comb += [ring.put.eq(1), ring.data.eq(burst)]
                    m.d.sync += waiting.eq(waiting + 1)
            with m.State("SEND"):
                sends = inside & (left != 0)
                m.d.comb += [
                    event.end.eq(~sends),
                    self.events.valid.eq(~sends | ring.valid),
                    ring.data.eq(held),
                    ring.take.eq(sends & ring.valid & self.events.ready),
                    ring.put.eq(ring.take & (count > 1)),
                ]
                if window.steps > 1:
                    less = Signal.like(held)
                    m.d.comb += [less.eq(held), less.value.eq(count - 1), ring.data.eq(less)]
                with m.If(ring.take):
                    m.d.sync += [left.eq(left - 1), waiting.eq(waiting + ring.put)]
                with m.If(self.events.valid & self.events.ready & event.end):
                    m.d.sync += step.eq(step + 1)
                    with m.If(last):
                        m.d.sync += step.eq(0)
                    with m.If(last | (not self.merged)):
                        m.next = "TAKE"
                    with m.Elif(inside):
                        m.d.sync += [left.eq(waiting), waiting.eq(0)]
        return m
