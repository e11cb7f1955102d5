"""The AXI4-Stream ends: packets of words in, packets of words out. One packet is one inference.

Input word: the address ``{c, y, x}`` in the lowest bits, the payload above it, and the end-of-step
marker in the highest bit. TLAST comes with the packet's last word; end-of-step markers that are
missing up to T steps follow by themselves. Words after the T-th marker are dropped up to TLAST.
Output word: a readout's value, sign extended; or an event word like the input's. TLAST ends each
packet.
"""

from __future__ import annotations

from amaranth import Elaboratable, Module, Signal
from amaranth.hdl import unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.fixed import unsigned_bits
from neurocuda_hw.network import Population
from neurocuda_hw.rtl.serializer import values_of
from neurocuda_hw.rtl.signatures import address_bits, events_of, value_shape


def words_of(bits: int) -> stream.Signature:
    """An AXI4-Stream without TKEEP: words of `bits` bits and TLAST."""
    return stream.Signature(data.StructLayout({"word": unsigned(bits), "last": unsigned(1)}))


def word_bits(population: Population) -> int:
    """Bits that an event of `population` needs in a word, marker included."""
    return sum(address_bits(population)) + value_shape(population).width + 1


class PacketInput(Component):
    """Words to events; completes the steps of a packet.

    Members
    -------
    words : In, stream
    events : Out, stream
        In the same cycle.
    """

    def __init__(self, *, population: Population, timesteps: int, tdata_bits: int) -> None:
        self.population, self.timesteps = population, timesteps
        super().__init__({"words": In(words_of(tdata_bits)), "events": Out(events_of(population))})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        step = Signal(unsigned_bits(self.timesteps - 1))
        word, last, event = self.words.payload.word, self.words.payload.last, self.events.payload
        c, y, x = address_bits(self.population)
        value = value_shape(self.population).width
        m.d.comb += [
            event.x.eq(word[:x]),
            event.y.eq(word[x : x + y]),
            event.c.eq(word[x + y : x + y + c]),
            event.value.eq(word[x + y + c : x + y + c + value]),
        ]
        ends = Signal()  # an end-of-step marker leaves in this cycle
        final = Signal()  # and it is the inference's last
        m.d.comb += [
            ends.eq(self.events.valid & self.events.ready & event.end),
            final.eq(ends & (step == self.timesteps - 1)),
        ]
        with m.If(final):
            m.d.sync += step.eq(0)
        with m.Elif(ends):
            m.d.sync += step.eq(step + 1)
        with m.FSM():
            with m.State("PASS"):
                m.d.comb += [
                    self.events.valid.eq(self.words.valid),
                    self.words.ready.eq(self.events.ready),
                    event.end.eq(word[-1]),
                ]
                with m.If(self.words.valid & self.words.ready):
                    with m.If(last & ~final):
                        m.next = "COMPLETE"
                    with m.Elif(final & ~last):
                        m.next = "DROP"
            with m.State("COMPLETE"):
                m.d.comb += [self.events.valid.eq(1), event.end.eq(1)]
                with m.If(final):
                    m.next = "PASS"
            with m.State("DROP"):
                m.d.comb += self.words.ready.eq(1)
                with m.If(self.words.valid & last):
                    m.next = "PASS"
        return m


class ValueOutput(Component):
    """A readout's values to words. Combinational."""

    def __init__(self, *, bits: int, tdata_bits: int) -> None:
        super().__init__({"values": In(values_of(bits)), "words": Out(words_of(tdata_bits))})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.d.comb += [
            self.words.valid.eq(self.values.valid),
            self.words.payload.word.eq(self.values.payload.value),
            self.words.payload.last.eq(self.values.payload.end),
            self.values.ready.eq(self.words.ready),
        ]
        return m


class EventOutput(Component):
    """Spikes and markers to words; TLAST with the last marker of each inference. Combinational."""

    def __init__(self, *, population: Population, timesteps: int, tdata_bits: int) -> None:
        self.timesteps = timesteps
        super().__init__({"events": In(events_of(population)), "words": Out(words_of(tdata_bits))})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        step = Signal(unsigned_bits(self.timesteps - 1))
        event = self.events.payload
        address = event.as_value()[: len(event.as_value()) - 1]
        m.d.comb += [
            self.words.valid.eq(self.events.valid),
            self.words.payload.word.eq(address),
            self.words.payload.word[-1].eq(event.end),
            self.words.payload.last.eq(event.end & (step == self.timesteps - 1)),
            self.events.ready.eq(self.words.ready),
        ]
        with m.If(self.events.valid & self.events.ready & event.end):
            m.d.sync += step.eq(step + 1)
            with m.If(self.words.payload.last):
                m.d.sync += step.eq(0)
        return m
