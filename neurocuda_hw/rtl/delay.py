"""The delay: a stream of events, one step later. It closes recurrent loops.

The marker of a step lets the events of that step pass as those of the next one; a first marker,
there from the start, gives step 0 nothing. Events of an inference's last step are dropped, and its
last marker is the first of the next inference.

The queue holds all events that a step can have and two markers. So the source can always finish its
step without its target, and no loop can deadlock: a target that has ended step t takes the events
of step t before it asks for anything of step t + 1.
"""

from __future__ import annotations

from amaranth import Elaboratable, Module, Signal
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network import Population
from neurocuda_hw.rtl.signatures import events_of


class Delay(Component):
    """Delays the events of `population` by one step; takes and sends one event per cycle.

    It holds a whole step in which every neuron fires, so it never makes a loop wait for itself.

    Members
    -------
    events : In, stream
    delayed : Out, stream
        Latency 2 cycles or more.
    """

    def __init__(self, *, population: Population, timesteps: int) -> None:
        self.population, self.timesteps = population, timesteps
        signature = events_of(population)
        super().__init__({"events": In(signature), "delayed": Out(signature)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        event, out = self.events.payload, self.delayed.payload
        m.submodules.queue = queue = SyncFIFOBuffered(
            width=len(event.as_value()), depth=self.population.size + 2
        )
        step = Signal(unsigned_bits(self.timesteps - 1))
        last = step == self.timesteps - 1
        first = Signal(init=1)
        m.d.comb += [
            queue.w_data.eq(event),
            queue.w_en.eq(self.events.valid & (event.end | ~last)),
            self.events.ready.eq(queue.w_rdy),
            out.eq(queue.r_data),
            self.delayed.valid.eq(queue.r_rdy | first),
            queue.r_en.eq(self.delayed.ready & ~first),
        ]
        with m.If(first):
            m.d.comb += out.end.eq(1)
            with m.If(self.delayed.ready):
                m.d.sync += first.eq(0)
        with m.If(self.events.valid & self.events.ready & event.end):
            m.d.sync += step.eq(step + 1)
            with m.If(last):
                m.d.sync += step.eq(0)
        return m
