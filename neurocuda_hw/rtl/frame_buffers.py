"""Where frames wait: bytes that become words of a packet, and words that become bytes.

A word of an AXI4-Stream is sent in as few bytes as hold what counts of it, the lowest first. Of an
event word those are the low bits; its highest bit, which marks the end of a step, is the highest of
the last byte.
"""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.rtl.axi import words_of
from neurocuda_hw.rtl.memory import Ram

DEPTH = 256  # bytes; what a frame's length can tell


class InputBuffer(Component):
    """Bytes of one frame to the words of a packet, once they are known to be right.

    Parameters
    ----------
    word_bytes : int
        Bytes of a word on the line, at most ``tdata_bits // 8``.

    Members
    -------
    rewind : In
        The next byte is a frame's first; not while `busy`.
    write, byte : In
        Take a byte; not while `busy`.
    send, last : In
        Send the words that were written, at least one; with `last` they end the packet.
    flush : In
        Forget everything.
    busy : Out
        Words are still to be taken.
    words : Out, stream
        Once offered, a word stays until it is taken, or until `flush`.
    """

    def __init__(self, *, word_bytes: int, tdata_bits: int, depth: int = DEPTH) -> None:
        self.word_bytes, self.tdata_bits, self.depth = word_bytes, tdata_bits, depth
        ins = {name: In(1) for name in ("rewind", "write", "send", "last", "flush")}
        ends = {"byte": In(8), "busy": Out(1), "words": Out(words_of(tdata_bits))}
        super().__init__({**ins, **ends})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.ram = ram = Ram(width=8, depth=self.depth)
        fill, at = Signal(range(self.depth)), Signal(range(self.depth))
        word, ends, final = Signal(8 * self.word_bytes), Signal(), Signal()
        part = Signal(range(self.word_bytes + 1))  # a byte is asked for, and comes one cycle later
        m.d.comb += [
            ram.write.eq(self.write),
            ram.write_address.eq(fill),
            ram.write_data.eq(self.byte),
            ram.read_address.eq(at),
            final.eq(at == fill),
            self.words.payload.word.eq(_widened(word, self.tdata_bits)),
            self.words.payload.keep.eq(~0),
            self.words.payload.last.eq(ends & final),
        ]
        with m.If(self.rewind):
            m.d.sync += fill.eq(0)
        with m.Elif(self.write):
            m.d.sync += fill.eq(fill + 1)
        with m.If(self.send):
            m.d.sync += [self.busy.eq(1), ends.eq(self.last), at.eq(0), part.eq(0)]
        with m.Elif(self.words.valid & self.words.ready):
            m.d.sync += [self.words.valid.eq(0), part.eq(0), self.busy.eq(~final)]
        with m.Elif(self.busy & ~self.words.valid):
            m.d.sync += part.eq(part + 1)
            with m.If(part != 0):
                m.d.sync += word.eq(Cat(word, ram.read_data)[8:])
            with m.If(part == self.word_bytes):
                m.d.sync += self.words.valid.eq(1)
            with m.Else():
                m.d.sync += at.eq(at + 1)
        with m.If(self.flush):
            m.d.sync += [self.busy.eq(0), self.words.valid.eq(0)]
        return m


class OutputBuffer(Component):
    """Words of packets to the bytes of one frame, which stay until they are released.

    Parameters
    ----------
    word_bytes : int
        Bytes of a word on the line.
    events : bool
        Whether the highest bit of a word is that of the last byte.

    Members
    -------
    words : In, stream
        Taken while no frame is complete.
    complete : Out
        A frame is here: it ends the packet, or another word has no room.
    last, fill : Out
        Whether it ends the packet, and its bytes.
    address : In
    byte : Out
        The byte at `address`, one cycle later.
    release : In
        Gather the next frame; only while `complete`.
    flush : In
        Forget everything.
    """

    def __init__(
        self, *, word_bytes: int, tdata_bits: int, events: bool, depth: int = DEPTH
    ) -> None:
        self.word_bytes, self.events, self.depth = word_bytes, events, depth
        self.room = (depth - 1) // word_bytes * word_bytes
        bits = range(depth)
        ends = {"words": In(words_of(tdata_bits)), "address": In(bits), "byte": Out(8)}
        told = {"complete": Out(1), "last": Out(1), "fill": Out(bits)}
        super().__init__({**ends, **told, "release": In(1), "flush": In(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.ram = ram = Ram(width=8, depth=self.depth)
        part, final = Signal(range(self.word_bytes)), Signal()
        word = self.words.payload.word
        line = word[: 8 * self.word_bytes]
        if self.events:
            line = Cat(word[: 8 * self.word_bytes - 1], word[-1])
        m.d.comb += [
            final.eq(part == self.word_bytes - 1),
            self.complete.eq(self.last | (self.fill == self.room)),
            self.words.ready.eq(~self.complete & final),
            ram.write.eq(~self.complete & self.words.valid),
            ram.write_address.eq(self.fill),
            ram.write_data.eq(line.word_select(part, 8)),
            ram.read_address.eq(self.address),
            self.byte.eq(ram.read_data),
        ]
        with m.If(ram.write):
            m.d.sync += [
                self.fill.eq(self.fill + 1),
                part.eq(Mux(final, 0, part + 1)),
                self.last.eq(final & self.words.payload.last),
            ]
        with m.If(self.release | self.flush):
            m.d.sync += [self.fill.eq(0), self.last.eq(0), part.eq(0)]
        return m


def _widened(word: Value, bits: int) -> Value:
    """An event word of the line as one of `bits` bits: the highest bit stays the highest."""
    return Cat(word[:-1], Mux(word[-1], 1 << (bits - len(word)), 0))
