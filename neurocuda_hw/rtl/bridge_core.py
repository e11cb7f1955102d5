"""The bridge: requests in frames on a serial line, the network's AXI4-Streams behind it.

The host asks and the bridge answers, one frame each; what comes while it answers is not heard, and
the host asks again. A frame is ``mark kind number info length bytes checksum``; see docs/host.md.
No byte of a frame reaches the network before its checksum is right. The number makes asking again
harmless: a request with the number of the one before is answered again, and not done again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from neurocuda_hw.host.nchw_host import (
    ANSWER,
    IDENTITY_BYTES,
    PATIENCE_BITS,
    REFUSED,
    Kind,
    Reason,
)
from neurocuda_hw.rtl.axi import Fault, words_of
from neurocuda_hw.rtl.frame_buffers import DEPTH, InputBuffer, OutputBuffer
from neurocuda_hw.rtl.framing import Checksum, Stuffer, Unstuffer
from neurocuda_hw.rtl.uart import Receiver, Transmitter


class Bridge(Component):
    """Serial line to AXI4-Streams.

    Parameters
    ----------
    divisor : int
        Cycles of a bit on the line.
    input_bytes, output_bytes : int
        Bytes of a word on the line.
    tdata_bits : int
        Width of both streams.
    events : bool
        Whether output words are events.
    patience_bits : int
        After ``2 ** patience_bits`` bit times without a byte half a frame is given up, and a
        request for words that are not there is refused.

    Members
    -------
    rx : In;  tx : Out
    inputs : Out, stream;  outputs : In, stream
        The network's streams.
    faults : In
        One bit per `axi.Fault`, as the network tells them.
    identity : In
        What HELLO is answered with, first byte lowest; a constant.
    reset : Out
        High for one cycle: the network is to be reset, and what it offers meanwhile is lost.
    """

    def __init__(
        self,
        *,
        divisor: int,
        input_bytes: int,
        output_bytes: int,
        tdata_bits: int,
        events: bool,
        patience_bits: int = PATIENCE_BITS,
        depth: int = DEPTH,
    ) -> None:
        self.input_bytes, self.patience_bits, self.depth = input_bytes, patience_bits, depth
        self.receiver, self.transmitter = Receiver(divisor), Transmitter(divisor)
        self.unstuffer, self.stuffer, self.checksum = Unstuffer(), Stuffer(), Checksum()
        self.source = InputBuffer(word_bytes=input_bytes, tdata_bits=tdata_bits, depth=depth)
        self.sink = OutputBuffer(
            word_bytes=output_bytes, tdata_bits=tdata_bits, events=events, depth=depth
        )
        words = words_of(tdata_bits)
        ends = {"inputs": Out(words), "outputs": In(words), "faults": In(len(Fault))}
        line = {"rx": In(1, init=1), "tx": Out(1, init=1), "identity": In(8 * IDENTITY_BYTES)}
        super().__init__({**line, **ends, "reset": Out(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        self._join(m)
        source, sink, checksum = self.source, self.sink, self.checksum
        heard, mark, came = self.unstuffer.valid, self.unstuffer.mark, self.unstuffer.byte

        # the request
        kind, number, length, last = Signal(8), Signal(8), Signal(8), Signal()
        count, next_count = Signal(8), Signal(8)  # bytes of this part of the frame
        part = Signal(range(self.input_bytes))  # bytes of a word that is not whole
        taken = Signal()  # its bytes go to the buffer
        # what stays from one to the next
        before, session = Signal(8), Signal()  # number of the last one that was done; any RESET yet
        kept = Signal()  # that was OUTPUT, and its bytes are still here
        faults = Signal(len(Fault))
        # the answer
        answer, info, size = Signal(8), Signal(8), Signal(8)
        byte, marks, full = Signal(8), Signal(), Signal()  # what goes to the line next

        known, step, expired, frees = Signal(), Signal(8), self._clock(m), Signal()
        asks_input, asks_output = kind == Kind.INPUT, kind == Kind.OUTPUT
        m.d.comb += [
            next_count.eq(count + 1),
            step.eq(number - before),
            known.eq(Cat(kind == k for k in Kind).any()),
            frees.eq(asks_input & ~source.busy & session & (step == 1)),
            source.byte.eq(came),
            source.last.eq(last),
            sink.address.eq(count),
            self.stuffer.frame.payload.byte.eq(byte),
            self.stuffer.frame.payload.mark.eq(marks),
            self.stuffer.frame.valid.eq(full),
        ]
        m.d.sync += faults.eq(faults | self.faults)
        with m.If(self.stuffer.frame.ready):
            m.d.sync += full.eq(0)

        def reply(code: Value | int, bytes_out: Value | int = 0) -> None:
            waits = Cat(faults, sink.complete, source.busy, sink.last & asks_output)
            m.d.sync += [answer.eq(code), size.eq(bytes_out), info.eq(waits)]
            m.next = "MARK"

        def refuse(reason: Reason) -> None:
            reply(REFUSED | reason)

        @contextmanager
        def hearing(state: str) -> Iterator[None]:
            """A state in which a byte of a frame may come; a mark begins another frame."""
            with m.State(state):
                with m.If(mark):
                    m.d.comb += checksum.clear.eq(1)
                    m.next = "KIND"
                with m.Elif(expired):
                    refuse(Reason.HALF)
                with m.Elif(heard):
                    m.d.comb += [checksum.put.eq(1), checksum.byte.eq(came)]
                    yield

        @contextmanager
        def sending(state: str, value: Value) -> Iterator[None]:
            """A state in which a byte of a frame leaves, when there is room for it."""
            with m.State(state), m.If(~full & ~checksum.busy):
                m.d.comb += [checksum.put.eq(1), checksum.byte.eq(value)]
                m.d.sync += [byte.eq(value), marks.eq(0), full.eq(1)]
                yield

        with m.FSM(name="bridge"):
            with m.State("REST"), m.If(mark):
                m.d.comb += checksum.clear.eq(1)
                m.next = "KIND"
            with hearing("KIND"):
                m.d.sync += kind.eq(came)
                m.next = "NUMBER"
            with hearing("NUMBER"):
                m.d.sync += number.eq(came)
                m.next = "INFO"
            with hearing("INFO"):
                m.d.sync += last.eq(came[7])
                m.next = "LENGTH"
            with hearing("LENGTH"):
                m.d.comb += source.rewind.eq(frees)
                m.d.sync += [length.eq(came), taken.eq(frees), count.eq(0), part.eq(0)]
                m.next = "CHECK"
                with m.If(came.any()):
                    m.next = "BYTES"
            with hearing("BYTES"):
                m.d.comb += source.write.eq(taken)
                m.d.sync += count.eq(next_count)
                m.d.sync += part.eq(Mux(part == self.input_bytes - 1, 0, part + 1))
                with m.If(next_count == length):
                    m.d.sync += count.eq(0)
                    m.next = "CHECK"
            with hearing("CHECK"):
                m.d.sync += count.eq(next_count)
                with m.If(count[:2] == 3):
                    m.next = "JUDGE"
            with m.State("JUDGE"), m.If(~checksum.busy):
                with m.If(~checksum.good):
                    refuse(Reason.CHECKSUM)
                with m.Elif(~known):
                    refuse(Reason.UNKNOWN)
                with m.Elif((asks_input != length.any()) | part.any()):
                    refuse(Reason.LENGTH)
                with m.Elif(kind == Kind.HELLO):
                    reply(ANSWER | Kind.HELLO, IDENTITY_BYTES)
                with m.Elif(kind == Kind.STATUS):
                    reply(ANSWER | Kind.STATUS)
                with m.Elif(kind == Kind.RESET):
                    reply(ANSWER | Kind.RESET)
                    m.d.comb += self.reset.eq(1)
                    m.d.sync += [before.eq(number), session.eq(1), kept.eq(0), faults.eq(0)]
                with m.Elif(~session):
                    refuse(Reason.RESTARTED)
                with m.Elif((step == 0) & (kept == asks_output)):
                    reply(ANSWER | kind, Mux(kept, sink.fill, 0))
                with m.Elif(step != 1):
                    refuse(Reason.SEQUENCE)
                with m.Elif(asks_output):
                    m.d.comb += sink.release.eq(kept)
                    m.d.sync += kept.eq(0)
                    m.next = "WAIT"
                with m.Elif(taken):
                    reply(ANSWER | Kind.INPUT)
                    m.d.comb += [source.send.eq(1), sink.release.eq(kept)]
                    m.d.sync += [before.eq(number), kept.eq(0)]
                with m.Else():
                    refuse(Reason.BUSY)
            with m.State("WAIT"):
                with m.If(mark):
                    m.d.comb += checksum.clear.eq(1)
                    m.next = "KIND"
                with m.Elif(sink.complete):
                    reply(ANSWER | Kind.OUTPUT, sink.fill)
                    m.d.sync += [before.eq(number), kept.eq(1)]
                with m.Elif(expired):
                    refuse(Reason.EMPTY)
            with m.State("MARK"):
                m.d.comb += checksum.clear.eq(1)
                m.d.sync += [marks.eq(1), full.eq(1), count.eq(0)]
                m.next = "SEND_KIND"
            with sending("SEND_KIND", answer):
                m.next = "SEND_NUMBER"
            with sending("SEND_NUMBER", number):
                m.next = "SEND_INFO"
            with sending("SEND_INFO", info):
                m.next = "SEND_LENGTH"
            with sending("SEND_LENGTH", size):
                m.next = "SEND_CHECK"
                with m.If(size.any()):
                    m.next = "SEND_BYTES"
            told = self.identity.word_select(count[: (IDENTITY_BYTES - 1).bit_length()], 8)
            with sending("SEND_BYTES", Mux(asks_output, sink.byte, told)):
                m.d.sync += count.eq(next_count)
                with m.If(next_count == size):
                    m.d.sync += count.eq(0)
                    m.next = "SEND_CHECK"
            with sending("SEND_CHECK", checksum.check):
                m.d.comb += checksum.drain.eq(1)
                m.d.sync += count.eq(next_count)
                with m.If(count[:2] == 3):
                    m.next = "REST"
        return m

    def _join(self, m: Module) -> None:
        """What leads from one part to the next."""
        for name in ("receiver", "unstuffer", "checksum", "stuffer", "transmitter"):
            m.submodules[name] = getattr(self, name)
        m.submodules.input_buffer, m.submodules.output_buffer = self.source, self.sink
        connect(m, self.source.words, flipped(self.inputs))
        connect(m, flipped(self.outputs), self.sink.words)
        connect(m, self.stuffer.line, self.transmitter.bytes)
        m.d.comb += [
            self.receiver.line.eq(self.rx),
            self.tx.eq(self.transmitter.line),
            self.unstuffer.line.eq(self.receiver.byte),
            self.unstuffer.strobe.eq(self.receiver.strobe),
            self.source.flush.eq(self.reset),
            self.sink.flush.eq(self.reset),
        ]

    def _clock(self, m: Module) -> Signal:
        """High for a cycle, whenever no byte has come for so long."""
        idle, expired = Signal(self.patience_bits), Signal()
        m.d.comb += expired.eq(idle.all() & self.transmitter.tick)
        with m.If(self.receiver.strobe):
            m.d.sync += idle.eq(0)
        with m.Elif(self.transmitter.tick):
            m.d.sync += idle.eq(idle + 1)
        return expired
