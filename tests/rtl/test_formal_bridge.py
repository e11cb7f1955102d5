"""Proofs by k-induction: on its way through the bridge no byte is lost, made up or changed.

Each proof has twins that are broken in one place, which must fail. One byte of a frame is followed,
whichever it is: the memory of a proof knows only that one, and gives anything for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped
from rtl.solver import prove
from tools import need

from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.toolchain import find_yosys
from neurocuda_hw.host.nchw_host import ESCAPE, MARK
from neurocuda_hw.rtl.frame_buffers import InputBuffer, OutputBuffer
from neurocuda_hw.rtl.framing import MARKED, Stuffer, Unstuffer
from neurocuda_hw.rtl.memory import MemoryFiles
from neurocuda_hw.rtl.verilog import to_verilog

BITS, DEPTH, BYTES = 3, 8, 2
CHECK = """
    reg [2:0] followed_before = 0;
    reg begun = 0;
    always @(posedge clk) begin
        begun <= 1;
        followed_before <= followed;
        assume (!rst & &given);
        if (begun) assume (followed == followed_before);
        assert (&holds);
    end
"""


class Proof(Component):
    """Something with what is taken to be true of its inputs, and what is to be proved of it."""

    sizes = (1, 1)  # how many of each

    def __init__(self, members: dict[str, object]) -> None:
        given, holds = self.sizes
        told = {"given": Out(given), "holds": Out(holds), "followed": In(BITS)}
        super().__init__({**members, **told})

    def claim(self, m: Module, given: Sequence[Value], holds: Sequence[Value]) -> None:
        """All of `holds`, as long as all of `given`."""
        assert (len(given), len(holds)) == self.sizes
        m.d.comb += [self.given.eq(Cat(given)), self.holds.eq(Cat(holds))]


def implies(condition: Value, then: Value) -> Value:
    """Whether a claim holds where a condition does."""
    return ~condition | then


def proven(folder: Path, proof: Proof, twin: tuple[str, str] | None = None) -> bool:
    """Whether the solver proves it; of the Verilog with the second text of `twin` for the first."""
    text = to_verilog(proof, "proof", MemoryFiles()).decode()
    if twin is not None:
        assert text.count(twin[0]) == 1, f"{text.count(twin[0])} of {twin[0]}"
        text = text.replace(*twin)
    head, _, rest = text.partition("module proof(")
    body, _, others = rest.partition("endmodule")
    (folder / "proof.v").write_text(f"{head}module proof({body}{CHECK}endmodule{others}")
    try:
        out = prove(folder, "proof", "-tempinduct -maxsteps 4")
    except ToolError as error:
        if "proof did fail" not in str(error):
            raise
        return False
    return "Induction step proven: SUCCESS!" in out


class Line(Proof):
    """Frames to bytes of the line and back: a byte or a mark arrives exactly when one leaves."""

    sizes = (1, 5)

    def __init__(self) -> None:
        super().__init__({"frame": In(stream.Signature(MARKED)), "ready": In(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.submodules.stuffer = stuffer = Stuffer()
        m.submodules.unstuffer = unstuffer = Unstuffer()
        connect(m, flipped(self.frame), stuffer.frame)
        leaves, sent = self.frame.valid & self.frame.ready, self.frame.payload
        waits, before = Signal(), Signal.like(sent.as_value())
        m.d.sync += [waits.eq(self.frame.valid & ~self.frame.ready), before.eq(sent)]
        m.d.comb += [
            stuffer.line.ready.eq(self.ready),
            unstuffer.line.eq(stuffer.line.payload),
            unstuffer.strobe.eq(stuffer.line.valid & self.ready),
        ]
        stays = self.frame.valid & (before == sent.as_value())
        self.claim(
            m,
            [implies(waits, stays)],
            [
                (unstuffer.valid | unstuffer.mark) == leaves,
                implies(leaves, unstuffer.mark == sent.mark),
                implies(unstuffer.valid, unstuffer.byte == sent.byte),
                # how registers hang together
                stuffer.escaped == unstuffer.escaped,
                implies(stuffer.escaped, waits & ((before == MARK) | (before == ESCAPE))),
            ],
        )
        return m


@pytest.fixture(autouse=True)
def solver() -> None:
    """What proves."""
    need(find_yosys())


def test_bytes_and_marks_come_through_the_line(tmp_path: Path) -> None:
    assert proven(tmp_path, Line())
    for twin in (
        ("frame__payload[7:0] == 7'h7d", "frame__payload[7:0] == 7'h7c"),
        ("line == 7'h7e", "line == 7'h7f"),
    ):
        assert not proven(tmp_path, Line(), twin), twin


class Followed(Component):
    """A memory that knows one address, and gives anything for the others."""

    def __init__(self, followed: Value, anything: Value) -> None:
        self.followed, self.anything = followed, anything
        self.held = Signal(8)
        bits = {"write_address": In(BITS), "read_address": In(BITS), "write_data": In(8)}
        super().__init__({**bits, "write": In(1), "read_data": Out(8)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        with m.If(self.write & (self.write_address == self.followed)):
            m.d.sync += self.held.eq(self.write_data)
        found = Mux(self.read_address == self.followed, self.held, self.anything)
        m.d.sync += self.read_data.eq(found)
        return m


class Inputs(Proof):
    """Every byte of a frame is in its word, every word comes once and in order, and stays."""

    sizes = (4, 11)

    def __init__(self) -> None:
        names = ("rewind", "write", "send", "last", "ready")
        members: dict[str, object] = {name: In(1) for name in names}
        super().__init__({**members, "byte": In(8), "anything": In(8)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        ram = Followed(self.followed, self.anything)
        buffer = InputBuffer(word_bytes=BYTES, tdata_bits=32, depth=DEPTH)
        buffer.memory = lambda: ram
        m.submodules.buffer = buffer
        for name in ("rewind", "write", "send", "last", "byte"):
            m.d.comb += getattr(buffer, name).eq(getattr(self, name))
        m.d.comb += buffer.words.ready.eq(self.ready)
        words, word, part = buffer.words, buffer.word, buffer.part
        # the model: bytes of this frame, which byte is followed, words that were taken
        count, kept, sending = Signal(range(DEPTH)), Signal(8), Signal()
        taken, ends = Signal(BITS), Signal()
        with m.If(self.rewind):
            m.d.sync += count.eq(0)
        with m.Elif(self.write):
            m.d.sync += count.eq(count + 1)
            with m.If(count == self.followed):
                m.d.sync += kept.eq(self.byte)
        final = (taken + 1) * BYTES == count
        with m.If(self.send):
            m.d.sync += [sending.eq(1), taken.eq(0), ends.eq(self.last)]
        with m.Elif(words.valid & words.ready):
            m.d.sync += [taken.eq(taken + 1), sending.eq(~final)]
        waits, before = Signal(), Signal.like(words.payload.as_value())
        m.d.sync += [waits.eq(words.valid & ~words.ready), before.eq(words.payload)]

        first = taken * BYTES
        place = self.followed - first  # in this word
        here = (self.followed >= first) & (place < BYTES)
        fetches, loaded = sending & ~words.valid, Signal(range(BYTES + 1))
        m.d.comb += loaded.eq(Mux(words.valid, BYTES, Mux(part == 0, 0, part - 1)))
        octet = word.word_select((BYTES - loaded + place)[:1], 8)
        line = Cat(words.payload.word[: 8 * BYTES - 1], words.payload.word[31])
        self.claim(
            m,
            [
                implies(buffer.busy, ~(self.rewind | self.write | self.send)),
                self.rewind + self.write + self.send <= 1,
                implies(self.write, count != DEPTH - 1),
                implies(self.send, count.any() & (count % BYTES == 0)),
            ],
            [
                # what is to be proved
                buffer.busy == sending,
                implies(words.valid, sending),
                implies(words.valid & here, line.word_select(place[:1], 8) == kept),
                implies(words.valid, words.payload.last == (ends & final)),
                implies(words.valid, words.payload.keep.all()),
                implies(waits, words.valid & (before == words.payload.as_value())),
                # how registers and model hang together
                buffer.fill == count,
                implies(self.followed < count, ram.held == kept),
                implies(sending, (first < count) & (count % BYTES == 0)),
                implies(
                    sending,
                    buffer.at == first + Mux(words.valid | (part > BYTES), BYTES, part),
                )
                & implies(fetches, part <= BYTES)
                & implies(
                    fetches & part.any() & (buffer.at == self.followed + 1), ram.read_data == kept
                ),
                implies(sending & here & (place < loaded), octet == kept),
            ],
        )
        return m


def test_every_byte_of_a_frame_is_in_a_word_once(tmp_path: Path) -> None:
    assert proven(tmp_path, Inputs())
    for twin in (
        ("part == 2'h2", "part == 2'h1"),  # a word leaves before its last byte is here
        ("words__valid & words__ready", "words__valid"),  # it does not wait
        ("{ read_data, word[15:8] }", "{ word[15:8], read_data }"),  # bytes the other way round
        ("write_address + 1'h1", "write_address"),  # bytes on top of one another
    ):
        assert not proven(tmp_path, Inputs(), twin), twin


class Outputs(Proof):
    """Every word that is taken has its bytes in the frame, once and in order; nothing else has."""

    sizes = (2, 9)

    def __init__(self) -> None:
        members: dict[str, object] = {name: In(1) for name in ("release", "valid", "last")}
        super().__init__({**members, "word": In(32), "anything": In(8)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        ram = Followed(self.followed, self.anything)
        buffer = OutputBuffer(word_bytes=BYTES, tdata_bits=32, events=True, depth=DEPTH)
        buffer.memory = lambda: ram
        m.submodules.buffer = buffer
        words, part = buffer.words, buffer.part
        m.d.comb += [
            words.valid.eq(self.valid),
            words.payload.word.eq(self.word),
            words.payload.keep.eq(~0),
            words.payload.last.eq(self.last),
            buffer.release.eq(self.release),
        ]
        # the model: words of this frame, whether the last one came, the byte that is followed
        taken, ended, kept = Signal(BITS), Signal(), Signal(8)
        first, takes = taken * BYTES, words.valid & words.ready
        line = Cat(self.word[: 8 * BYTES - 1], self.word[31])
        octet = line.word_select((self.followed - first)[:1], 8)
        here = (self.followed >= first) & (self.followed - first < BYTES)
        with m.If(self.release):
            m.d.sync += [taken.eq(0), ended.eq(0)]
        with m.Elif(takes):
            m.d.sync += [taken.eq(taken + 1), ended.eq(self.last)]
            with m.If(here):
                m.d.sync += kept.eq(octet)
        waits, before = Signal(), Signal(33)
        offered = Cat(self.word, self.last)
        m.d.sync += [waits.eq(words.valid & ~words.ready), before.eq(offered)]
        full = taken == (DEPTH - 1) // BYTES
        self.claim(
            m,
            [
                implies(waits, words.valid & (offered == before)),
                implies(self.release, buffer.complete),
            ],
            [
                # what is to be proved
                buffer.complete == (full | ended),
                implies(buffer.complete, (buffer.fill == first) & (buffer.last == ended)),
                implies(self.followed < first, ram.held == kept),
                implies(takes, ~buffer.complete),
                words.ready == (~buffer.complete & (part == BYTES - 1)),  # of registers alone
                # how registers and model hang together
                taken <= (DEPTH - 1) // BYTES,
                buffer.fill == first + part,
                buffer.last == ended,
                implies(part.any(), waits & ~buffer.complete)
                & implies(here & (self.followed - first < part) & waits, ram.held == octet),
            ],
        )
        return m


def test_every_word_has_its_bytes_in_a_frame_once(tmp_path: Path) -> None:
    assert proven(tmp_path, Outputs())
    for twin in (
        ("words__payload[31], words__payload[14:0]", "words__payload[15:0]"),  # no end of a step
        ("fill == 3'h6", "fill == 3'h7"),  # one word too many
        ("n2 & part", "n2"),  # it takes a word with its first byte
        ("n2 & part", "n2 & part & words__payload[0]"),  # readiness asks for the data
    ):
        assert not proven(tmp_path, Outputs(), twin), twin
