"""A buffer in a stream: no path leads through it within a cycle, neither forth nor back."""

from __future__ import annotations

from amaranth import Elaboratable, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out


class Buffer(Component):
    """Holds up to two payloads of a `shape`; takes and gives one per cycle.

    Members
    -------
    i : In, stream
    o : Out, stream
        Latency 1 cycle.
    """

    def __init__(self, shape: data.StructLayout) -> None:
        signature = stream.Signature(shape)
        super().__init__({"i": In(signature), "o": Out(signature)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        spare, full = Signal.like(self.i.payload), Signal()
        m.d.comb += self.i.ready.eq(~full)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [full.eq(0), self.o.valid.eq(full | self.i.valid)]
            m.d.sync += self.o.payload.eq(Mux(full, spare, self.i.payload))
        with m.Elif(self.i.valid):
            m.d.sync += full.eq(1)
        with m.If(~full):
            m.d.sync += spare.eq(self.i.payload)
        return m
