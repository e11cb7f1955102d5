"""A source of rows that takes its time, as memory outside the chip would: a toy for tests."""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib.fifo import SyncFIFO

from neurocuda_hw.rtl.later import later
from neurocuda_hw.rtl.memory import Rom
from neurocuda_hw.rtl.rows import RowSource


class SlowRows(RowSource):
    """Queues up to `DEPTH` addresses; each row comes at random, after at least 2 cycles.

    Weights that nobody asked for are wrong on purpose.
    """

    DEPTH = 3

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        address = self.i.payload.shape()
        m.submodules.queue = queue = SyncFIFO(width=address.size, depth=self.DEPTH)
        m.submodules.words = words = Rom(words=self.fanout.weights, bits=self.bits, file="slow.mem")
        chance = Signal(16, init=0x5EED >> self.index)  # a shift register with feedback
        m.d.sync += chance.eq(Cat(chance[1:], chance[0] ^ chance[2] ^ chance[3] ^ chance[5]))
        head, row = address(queue.r_data), Signal.like(self.o.payload)
        here, taken = Signal(), Signal()
        fetched = Signal.like(self.weights)
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            words.address.eq(head.weight),
            self.o.valid.eq(here),
            self.o.payload.eq(row),
            taken.eq(here & self.o.ready),
            self.holds.eq(queue.r_rdy),
        ]
        m.d.sync += self.weights.eq(later(m, "given", Mux(taken, fetched, ~fetched)))
        waited = Signal()  # the address has stood at the head for a cycle
        with m.If(queue.r_en):
            m.d.sync += [here.eq(1), row.eq(head.row), fetched.eq(words.data), waited.eq(0)]
        with m.Else():
            m.d.sync += waited.eq(queue.r_rdy)
            with m.If(taken):
                m.d.sync += here.eq(0)
        m.d.comb += queue.r_en.eq(waited & (~here | taken) & (chance[:2] == 0))
        return m
