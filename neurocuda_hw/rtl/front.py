"""The front block: a camera's words in, the network's packets out; one window is one packet.

It counts events by the rules of `data.binning` with one step open at a time:

    step = (time - start) / step_us,   place = {polarity, (y - top) >> k, (x - left) >> k}

Two memories of counts take turns: events are counted in one while the other, of the step before, is
sent (places in order, those of 0 left out, then the step's mark) and cleared. Where a step ends
before the one before it is sent, the camera's words wait; nothing is dropped but what `FrontCount`
counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from amaranth import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import enum, stream
from amaranth.lib.wiring import Component, In, Out, connect

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import Encoding, Input
from neurocuda_hw.network.wire import address_bits, payload_bits
from neurocuda_hw.rtl.camera import DECODERS, ITEM, PLACE_BITS, TIME_BITS, WORD_BITS
from neurocuda_hw.rtl.memory import Ram

STEP_BITS = 24  # of `step_us`: up to 16.7 s
COUNT_BITS = 32


class FrontCount(enum.IntEnum):
    """What is counted, 32 bits each in `counts`, the first lowest; they run on past their end.

    COUNTED: events that packets hold. CLIPPED: above what one input holds. OUTSIDE: of pixels that
    the frame has not. LATE: of a step that is over, or before the first. TIMELESS: before the first
    word of time.
    """

    COUNTED = 0
    CLIPPED = 1
    OUTSIDE = 2
    LATE = 3
    TIMELESS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPlan:
    """What a front block is made for.

    Parameters
    ----------
    network : Network
        Its input is (1 or 2, H, W), of SPIKES or GRADED, and takes events from step 0 on.
    kind : str
        ``evt3`` or ``aer``: see `rtl.camera`.
    crop : (int, int)
        The pixel that is the frame's first.
    downsample : int
        Pixels each way that are one of the frame: a power of two.
    tdata_bits : int
        Of the network's stream.

    Raises
    ------
    ModelError
        If the network's input is another.
    """

    network: Network
    kind: str
    crop: tuple[int, int] = (0, 0)
    downsample: int = 1
    tdata_bits: int = 32

    def __post_init__(self) -> None:
        population, neuron = self.network.input, self.network.input.neuron
        assert isinstance(neuron, Input)
        window = self.network.window(population.name)
        shape = population.shape
        if len(shape) != 3 or shape[0] > 2 or neuron.encoding is Encoding.CURRENT:
            raise ModelError(
                f"population {population.name!r}: a front block needs an input (1 or 2, H, W) that "
                f"gets events in every step, not {shape} of {neuron.encoding.name}"
            )
        if window.start:
            raise ModelError(
                f"population {population.name!r}: a front block needs an input that takes events "
                f"from step 0 on, not from step {window.start}"
            )
        if self.downsample & (self.downsample - 1):
            raise ModelError(
                f"--downsample must be a power of two for a front block, not {self.downsample}"
            )

    @property
    def highest(self) -> int:
        """The most that one place of a step holds."""
        neuron = self.network.input.neuron
        assert isinstance(neuron, Input)
        return neuron.payload[1]

    @property
    def steps(self) -> int:
        """Steps of a packet."""
        return self.network.window(self.network.input.name).steps


class Front(Component):
    """Camera words to packets; 3 cycles an event, and one for each place of a step that had events.

    Members
    -------
    s_axis_tdata, s_axis_tlast, s_axis_tvalid : In;  s_axis_tready : Out
        The camera's words. TLAST ends a recording: the open window is sent as it is, and the next
        word begins anew.
    m_axis_tdata, m_axis_tkeep, m_axis_tlast, m_axis_tvalid : Out;  m_axis_tready : In
        What the network takes.
    step_us : In
        Microseconds of a step, at least 1; it is looked at when a recording begins and when a step
        ends.
    from_first : In
        Whether step 0 starts at the first event, or at the time 0.
    counts : Out
        See `FrontCount`.
    """

    def __init__(self, plan: FrontPlan) -> None:
        self.plan = plan
        super().__init__(
            {
                "s_axis_tdata": In(WORD_BITS[plan.kind]),
                "s_axis_tlast": In(1),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "m_axis_tdata": Out(plan.tdata_bits),
                "m_axis_tkeep": Out(plan.tdata_bits // 8, init=(1 << plan.tdata_bits // 8) - 1),
                "m_axis_tlast": Out(1),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "step_us": In(STEP_BITS),
                "from_first": In(1),
                "counts": Out(COUNT_BITS * len(FrontCount)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        plan = self.plan
        m.submodules.decoder = decoder = DECODERS[plan.kind]()
        m.submodules.counter = counter = Counter(plan)
        m.submodules.sender = sender = Sender(plan)
        for bank in range(2):
            ram = Ram(width=counter.width, depth=plan.network.input.size)
            m.submodules[f"bank_{bank}"] = ram
            counts_here = counter.bank == bank
            m.d.comb += [
                ram.read_address.eq(Mux(counts_here, counter.read_address, sender.read_address)),
                ram.write.eq(Mux(counts_here, counter.write, sender.write)),
                ram.write_address.eq(Mux(counts_here, counter.write_address, sender.write_address)),
                ram.write_data.eq(Mux(counts_here, counter.write_data, 0)),
            ]
            with m.If(counts_here):
                m.d.comb += counter.read_data.eq(ram.read_data)
            with m.Else():
                m.d.comb += sender.read_data.eq(ram.read_data)
        connect(m, decoder.items, counter.items)
        tallies = [Signal(COUNT_BITS, name=f"count_{name.name.lower()}") for name in FrontCount]
        for tally, more in zip(tallies, Cat(counter.tally, decoder.timeless), strict=True):
            m.d.sync += tally.eq(tally + more)
        m.d.comb += [
            decoder.words.payload.word.eq(self.s_axis_tdata),
            decoder.words.payload.last.eq(self.s_axis_tlast),
            decoder.words.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(decoder.words.ready),
            counter.step_us.eq(self.step_us),
            counter.from_first.eq(self.from_first),
            counter.free.eq(sender.free),
            sender.start.eq(counter.close),
            sender.dirty.eq(counter.dirty),
            sender.final.eq(counter.final),
            self.counts.eq(Cat(tallies)),
            self.m_axis_tdata.eq(sender.word),
            self.m_axis_tkeep.eq(~0),
            self.m_axis_tlast.eq(sender.last),
            self.m_axis_tvalid.eq(sender.valid),
            sender.ready.eq(self.m_axis_tready),
        ]
        return m


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

    def _payload(self) -> Signal | Cat:
        """The count, as wide as the network's payload; nothing for spikes."""
        bits = payload_bits(self.plan.network.input)
        return Cat(self.read_data, 0)[:bits] if bits else Cat()
