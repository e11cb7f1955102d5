"""A UART, 8N1: a line that idles high, a start bit, eight bits, lowest first, a stop bit.

Ticks of the transmitter are one bit apart, whether it sends or not: other parts may count them.
"""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out

DIVISORS = range(4, 1 << 16)


def check_divisor(divisor: int) -> int:
    """`divisor` itself; raises ValueError unless it is of `DIVISORS`."""
    if divisor not in DIVISORS:
        raise ValueError(
            f"the divisor must be {DIVISORS[0]} to {DIVISORS[-1]} cycles a bit, not {divisor!r}"
        )
    return divisor


class Receiver(Component):
    """Bits to bytes. Each bit is what two of three samples say, in the middle of the bit.

    A byte without its stop bit is left out, and so is a start bit that is high in its middle.

    Members
    -------
    line : In
        Of another clock: it passes two registers.
    byte : Out
    strobe : Out
        High for one cycle: a byte is here.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"line": In(1, init=1), "byte": Out(8), "strobe": Out(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        middle, apart = self.divisor // 2, max(1, self.divisor // 8)
        line = Signal(3, init=7)  # the last one is of a cycle before, for the edge
        busy, timer, count = Signal(), Signal(range(self.divisor)), Signal(range(10))
        votes, bit = Signal(2), Signal()
        m.d.sync += line.eq(Cat(self.line, line[:2]))
        m.d.comb += bit.eq((votes[0] & votes[1]) | (line[1] & votes.any()))
        with m.If(~busy):
            # the first cycle of the start bit is this one
            m.d.sync += [timer.eq(1), count.eq(0), busy.eq(line[2] & ~line[1])]
        with m.Else():
            m.d.sync += timer.eq(Mux(timer == self.divisor - 1, 0, timer + 1))
            with m.If((timer == middle - apart) | (timer == middle)):
                m.d.sync += votes.eq(Cat(line[1], votes[0]))
            with m.If(timer == middle + apart):
                m.d.sync += [count.eq(count + 1), self.byte.eq(Cat(self.byte[1:], bit))]
                with m.If((count == 0) & bit):
                    m.d.sync += busy.eq(0)
                with m.If(count == 9):
                    m.d.sync += [busy.eq(0), self.byte.eq(self.byte), self.strobe.eq(bit)]
        with m.If(self.strobe):
            m.d.sync += self.strobe.eq(0)
        return m


class Transmitter(Component):
    """Bytes to bits.

    Members
    -------
    bytes : In, stream
    line : Out
    tick : Out
        High for one cycle of each `divisor`.
    """

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        members = {"bytes": In(stream.Signature(8)), "line": Out(1, init=1), "tick": Out(1)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        timer, left, bits = Signal(range(self.divisor)), Signal(range(11)), Signal(9)
        m.d.comb += [self.tick.eq(timer == self.divisor - 1), self.bytes.ready.eq(left == 0)]
        m.d.sync += timer.eq(Mux(self.tick, 0, timer + 1))
        with m.If(self.bytes.ready):
            m.d.sync += bits.eq(Cat(0, self.bytes.payload))
            with m.If(self.bytes.valid):
                m.d.sync += left.eq(10)
        with m.Elif(self.tick):
            m.d.sync += [self.line.eq(bits[0]), bits.eq(Cat(bits[1:], 1)), left.eq(left - 1)]
        return m
