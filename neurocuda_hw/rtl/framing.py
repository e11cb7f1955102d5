"""Frames on a line of bytes: a mark that nothing else looks like, and a checksum.

``MARK`` begins a frame wherever it comes. A byte in a frame that looks like ``MARK`` or ``ESCAPE``
is sent as ``ESCAPE`` and itself with `FLIP` flipped, as in HDLC's asynchronous framing (RFC 1662).
The checksum is CRC-32 of IEEE 802.3 (``zlib.crc32``), lowest byte first.
"""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Mux, Signal
from amaranth.hdl import unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.host.nchw_host import ESCAPE, FLIP, MARK

POLYNOMIAL, RESIDUE = 0xEDB88320, 0xDEBB20E3  # lowest bit first; what is left of a right frame
MARKED = data.StructLayout({"byte": unsigned(8), "mark": unsigned(1)})


class Unstuffer(Component):
    """Bytes of the line to bytes of frames, in the same cycle.

    Members
    -------
    line, strobe : In
        A byte of the line, and whether there is one in this cycle.
    byte, valid : Out
        A byte of a frame, and whether there is one.
    mark : Out
        A frame begins.
    """

    def __init__(self) -> None:
        ends = {"line": In(8), "strobe": In(1)}
        super().__init__({**ends, "byte": Out(8), "valid": Out(1), "mark": Out(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        escaped, escape = Signal(), Signal()
        m.d.comb += [
            self.mark.eq(self.strobe & (self.line == MARK)),
            escape.eq(~escaped & (self.line == ESCAPE)),
            self.valid.eq(self.strobe & ~self.mark & ~escape),
            self.byte.eq(self.line ^ Mux(escaped, FLIP, 0)),
        ]
        with m.If(self.strobe):
            m.d.sync += escaped.eq(escape)
        return m


class Stuffer(Component):
    """Bytes of frames, and marks, to bytes of the line.

    Members
    -------
    frame : In, stream of `MARKED`
        Where `mark` is set the byte does not count.
    line : Out, stream
        In the same cycle.
    """

    def __init__(self) -> None:
        super().__init__({"frame": In(stream.Signature(MARKED)), "line": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        byte, mark = self.frame.payload.byte, self.frame.payload.mark
        escaped, escape = Signal(), Signal()  # the escape has been sent; it is to be sent now
        m.d.comb += [
            escape.eq(~mark & ~escaped & ((byte == MARK) | (byte == ESCAPE))),
            self.line.valid.eq(self.frame.valid),
            self.frame.ready.eq(self.line.ready & ~escape),
        ]
        with m.If(mark):
            m.d.comb += self.line.payload.eq(MARK)
        with m.Elif(escape):
            m.d.comb += self.line.payload.eq(ESCAPE)
        with m.Else():
            m.d.comb += self.line.payload.eq(byte ^ Mux(escaped, FLIP, 0))
        with m.If(self.line.valid & self.line.ready):
            m.d.sync += escaped.eq(escape)
        return m


class Checksum(Component):
    """CRC-32, a bit per cycle.

    Members
    -------
    clear : In
        Begin anew; not while `busy`.
    put, byte : In
        Take a byte; not while `busy`.
    drain : In
        With `put`: make room for the next byte of the checksum instead.
    busy : Out
        For eight cycles after `put`.
    check : Out
        The byte of the checksum that is to be sent next.
    good : Out
        A frame and its checksum went through, and nothing else since `clear`.
    """

    def __init__(self) -> None:
        ins = {"clear": In(1), "put": In(1), "byte": In(8), "drain": In(1)}
        super().__init__({**ins, "busy": Out(1), "check": Out(8), "good": Out(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        state, bits, left = Signal(32, init=0xFFFFFFFF), Signal(8), Signal(range(9))
        draining, flip = Signal(), Signal()
        m.d.comb += [
            self.busy.eq(left != 0),
            self.check.eq(~state[:8]),
            self.good.eq(state == RESIDUE),
            flip.eq((state[0] ^ bits[0]) & ~draining),
        ]
        with m.If(self.clear):
            m.d.sync += [state.eq(state.init), left.eq(0)]
        with m.Elif(self.busy):
            m.d.sync += [
                state.eq(Cat(state[1:], 0) ^ Mux(flip, POLYNOMIAL, 0)),
                bits.eq(bits[1:]),
                left.eq(left - 1),
            ]
        with m.Elif(self.put):
            m.d.sync += [bits.eq(self.byte), draining.eq(self.drain), left.eq(8)]
        return m
