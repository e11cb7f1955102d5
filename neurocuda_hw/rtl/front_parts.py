"""The two halves of a front block: one counts the open step's events, one sends the step before."""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network.wire import address_bits, payload_bits
from neurocuda_hw.rtl.camera import ITEM, PLACE_BITS, TIME_BITS
from neurocuda_hw.rtl.front_plan import STEP_BITS, FrontCount, FrontPlan


class Counter(Component):
    """Counts the events of the open step in one of two memories.

    Members
    -------
    bank : Out
        The memory that it counts in; the other is the sender's.
    close : Out
        The step is over; `dirty` says whether it had events, `final` whether its packet ends early.
        The banks change; only while the sender is `free`.
    tally : Out
        One bit per `FrontCount` but the last, high for each event.
    """

    def __init__(self, plan: FrontPlan) -> None:
        self.plan, self.width = plan, unsigned_bits(plan.highest)
        address = max(1, (plan.network.input.size - 1).bit_length())
        super().__init__(
            {
                "items": In(stream.Signature(ITEM)),
                "step_us": In(STEP_BITS),
                "from_first": In(1),
                "bank": Out(1),
                "read_address": Out(address),
                "read_data": In(self.width),
                "write": Out(1),
                "write_address": Out(address),
                "write_data": Out(self.width),
                "free": In(1),
                "close": Out(1),
                "dirty": Out(1),
                "final": Out(1),
                "tally": Out(len(FrontCount) - 1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        plan, item = self.plan, self.items.payload
        channels, height, width = plan.network.input.chw
        shift = plan.downsample.bit_length() - 1
        size = plan.network.input.size
        # what is known of the item in hand, a cycle later
        place, inside = Signal(range(size)), Signal()
        after, before = Signal(), Signal()
        begin, end = Signal(TIME_BITS + 1), Signal(TIME_BITS + 1)
        dirty, step = Signal(), Signal(range(max(2, plan.steps)))
        left, top = (Signal(PLACE_BITS + 1, name=name) for name in ("left", "top"))
        column, row = left[shift:], top[shift:]
        m.d.comb += [
            left.eq(item.x - plan.crop[0]),  # below 0 it is a large number
            top.eq(item.y - plan.crop[1]),
            self.dirty.eq(dirty),
            self.read_address.eq(place),
            self.write_address.eq(place),
        ]
        channel = item.polarity * (height * width) if channels == 2 else 0
        m.d.sync += [
            inside.eq((column < width) & (row < height)),
            place.eq(channel + row * width + column),
            after.eq(item.time >= end),
            before.eq(item.time < begin),
        ]
        clearing = Signal(range(size + 1))
        with m.FSM():
            with m.State("CLEAR"):  # a memory holds anything at first: so does the sender's
                m.d.comb += [self.write.eq(1), self.write_address.eq(clearing)]
                m.d.sync += clearing.eq(clearing + 1)
                with m.If(clearing == size - 1):
                    m.next = "START"
            with m.State("START"):
                m.d.sync += [begin.eq(0), end.eq(self.step_us), dirty.eq(0), step.eq(0)]
                with m.If(self.items.valid & self.free):
                    m.next = "LOOK"
                    with m.If(self.from_first):
                        m.d.sync += [begin.eq(item.time), end.eq(item.time + self.step_us)]
                        with m.If(~item.event):
                            m.d.comb += self.items.ready.eq(1)
                            m.next = "START"
            with m.State("LOOK"), m.If(self.items.valid):
                m.next = "DECIDE"
            with m.State("DECIDE"):
                m.next = "LOOK"
                with m.If(after):
                    m.d.comb += self.close.eq(self.free)
                    with m.If(~self.free):
                        m.next = "DECIDE"
                with m.Elif(item.event & ~before & inside):
                    m.next = "ADD"
                with m.Else():
                    m.d.comb += [
                        self.items.ready.eq(1),
                        self.tally[FrontCount.LATE].eq(item.event & before & inside),
                        self.tally[FrontCount.OUTSIDE].eq(item.event & ~inside),
                    ]
                    with m.If(item.last):
                        m.next = "END"
            with m.State("ADD"):
                full = self.read_data == plan.highest
                m.d.comb += [
                    self.items.ready.eq(1),
                    self.write.eq(~full),
                    self.write_data.eq(self.read_data + 1),
                    self.tally[FrontCount.COUNTED].eq(~full),
                    self.tally[FrontCount.CLIPPED].eq(full),
                ]
                m.d.sync += dirty.eq(1)
                m.next = "LOOK"
                with m.If(item.last):
                    m.next = "END"
            with m.State("END"), m.If(self.free):
                m.d.comb += [self.final.eq(1), self.close.eq(dirty | (step != 0))]
                m.next = "START"
        with m.If(self.close):
            m.d.sync += [
                self.bank.eq(~self.bank),
                dirty.eq(0),
                begin.eq(end),
                end.eq(end + self.step_us),
                step.eq(Mux(step == plan.steps - 1, 0, step + 1)),
            ]
        return m


class Sender(Component):
    """Sends the counts of a step that is over, then its mark, and clears them.

    Members
    -------
    start, dirty, final : In
        See `Counter.close`.
    free : Out
        No step is being sent.
    word, last, valid : Out;  ready : In
        A word stays until it is taken.
    """

    def __init__(self, plan: FrontPlan) -> None:
        self.plan = plan
        address = max(1, (plan.network.input.size - 1).bit_length())
        super().__init__(
            {
                "start": In(1),
                "dirty": In(1),
                "final": In(1),
                "free": Out(1),
                "read_address": Out(address),
                "read_data": In(unsigned_bits(plan.highest)),
                "write": Out(1),
                "write_address": Out(address),
                "word": Out(plan.tdata_bits),
                "last": Out(1),
                "valid": Out(1),
                "ready": In(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        population = self.plan.network.input
        sizes, bits = population.chw, address_bits(population)
        index = Signal(range(population.size))
        fields = [Signal(n, name=f"at_{k}") for n, k in zip(bits, "cyx", strict=True)]
        have, final = Signal(), Signal()
        step = Signal(range(max(2, self.plan.steps)))
        goes_on, ends = Signal(), Signal()
        m.d.comb += [
            # the memory is read a cycle ahead; while a word waits, its place again
            self.read_address.eq(Mux(have, Mux(goes_on, index + 1, index), 0)),
            self.write_address.eq(index),
            ends.eq(index == population.size - 1),
        ]
        with m.FSM():
            with m.State("CLEAR"):
                m.d.comb += self.write.eq(1)
                m.d.sync += index.eq(Mux(ends, 0, index + 1))
                with m.If(ends):
                    m.next = "FREE"
            with m.State("FREE"):
                m.d.comb += self.free.eq(1)
                m.d.sync += [have.eq(0), index.eq(0), final.eq(self.final)]
                m.d.sync += [field.eq(0) for field in fields]
                with m.If(self.start):
                    m.next = "MARK"
                    with m.If(self.dirty):
                        m.next = "SEND"
            with m.State("SEND"):
                here = self.read_data.any()
                m.d.comb += [
                    self.valid.eq(have & here),
                    self.word.eq(Cat(*reversed(fields), self._payload())),
                    goes_on.eq(have & (~here | self.ready)),
                    self.write.eq(goes_on),
                ]
                m.d.sync += have.eq(1)
                with m.If(goes_on):
                    m.d.sync += index.eq(index + 1)
                    carry = 1
                    for field, size in zip(reversed(fields), reversed(sizes), strict=True):
                        full = carry & (field == size - 1)
                        m.d.sync += field.eq(Mux(full, 0, field + carry))
                        carry = full
                    with m.If(ends):
                        m.next = "MARK"
            with m.State("MARK"):
                m.d.comb += [
                    self.valid.eq(1),
                    self.word[-1].eq(1),
                    self.last.eq(final | (step == self.plan.steps - 1)),
                ]
                with m.If(self.ready):
                    m.d.sync += step.eq(Mux(self.last, 0, step + 1))
                    m.next = "FREE"
        return m

    def _payload(self) -> Value:
        """The count, as wide as the network's payload; nothing for spikes."""
        bits = payload_bits(self.plan.network.input)
        return Cat(self.read_data, 0)[:bits] if bits else Cat()
