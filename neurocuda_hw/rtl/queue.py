"""A queue in a block memory: words in, words out in the same order, one per cycle."""

from __future__ import annotations

from amaranth import Elaboratable, Module, Signal
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.passes.mapping import Style
from neurocuda_hw.rtl.memory import Ram


class Queue(Component):
    """Holds up to `depth` words; `depth` is a power of two, at least 2. One in and out per cycle.

    Members
    -------
    data, put : In
        A word to be stored; only while `level` is below `depth`.
    head, valid : Out
        The oldest word. Latency from `put` to `valid`: 2 cycles.
    take : In
        The oldest word leaves; only while `valid`.
    level : Out
        Words that are stored.
    """

    def __init__(self, *, width: int, depth: int, style: Style | None = None) -> None:
        self.width, self.depth, self.style = width, depth, style
        super().__init__(
            {
                "data": In(width),
                "put": In(1),
                "head": Out(width),
                "valid": Out(1),
                "take": In(1),
                "level": Out(unsigned_bits(depth)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        address = unsigned_bits(self.depth - 1)
        m.submodules.ring = ring = Ram(width=self.width, depth=self.depth, style=self.style)
        first, end = Signal(address + 1), Signal(address + 1)
        first_next = Signal.like(first)
        m.d.comb += [
            first_next.eq(first + self.take),
            ring.write.eq(self.put),
            ring.write_address.eq(end[:address]),
            ring.write_data.eq(self.data),
            ring.read_address.eq(first_next[:address]),
            self.head.eq(ring.read_data),
            self.level.eq((end - first)[: address + 1]),
        ]
        # the word to be read was stored before this cycle: the memory does not forward
        m.d.sync += [first.eq(first_next), end.eq(end + self.put), self.valid.eq(first_next != end)]
        return m
