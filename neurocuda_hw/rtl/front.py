"""The front block: a camera's words in, the network's packets out; one window is one packet.

It counts events by the rules of `data.binning` with one step open at a time:

    step = (time - start) / step_us,   place = {polarity, (y - top) >> k, (x - left) >> k}

Two memories of counts take turns: events are counted in one while the other, of the step before, is
sent (places in order, those of 0 left out, then the step's mark) and cleared. Where a step ends
before the one before it is sent, the camera's words wait; nothing is dropped but what `FrontCount`
counts.
"""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out, connect

from neurocuda_hw.rtl.camera import DECODERS, WORD_BITS
from neurocuda_hw.rtl.front_parts import Counter, Sender
from neurocuda_hw.rtl.front_plan import COUNT_BITS, STEP_BITS, FrontCount, FrontPlan
from neurocuda_hw.rtl.memory import Ram


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
        tallies = [
            Signal(COUNT_BITS, name=f"count_{name.lower()}") for name in FrontCount.__members__
        ]
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
