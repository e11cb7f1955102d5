"""The AXI4-Stream ends: packets of words in, packets of words out. One packet is one inference.

Input word: the address ``{c, y, x}`` in the lowest bits, the payload above it, and the end-of-step
marker in the highest bit. TLAST comes with the packet's last word; end-of-step markers that are
missing up to T steps follow by themselves. Output word: a readout's value, sign extended; or an
event word like the input's. TLAST ends each packet.

TKEEP says which bytes of a transfer are data. All of them: a word. None: no word, but TLAST counts.
Output transfers are always whole words. What cannot be meant never stops the stream: it is dropped
and told as a `Fault`. So whatever comes in, what the layers see is T steps of events that the input
has, in its window, and each packet begins anew.
"""

from __future__ import annotations

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.hdl import unsigned
from amaranth.lib import data, enum, stream
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network import Population
from neurocuda_hw.network.neurons import Window
from neurocuda_hw.network.wire import address_bits, payload_bits
from neurocuda_hw.rtl.buffer import Buffer
from neurocuda_hw.rtl.serializer import values_of
from neurocuda_hw.rtl.signatures import events_of


class Fault(enum.IntEnum):
    """Why a transfer is dropped: the bits of `PacketInput.faults`.

    OVERLONG: a word after the last step's marker, up to TLAST. Before it, the first that holds of
    KEEP: some of its bytes are kept and others not.
    ADDRESS: an event of a neuron that the input does not have.
    WINDOW: an event in a step in which the input sends none; where it comes by lines, of a line
    above one that has come.
    CROWDED: an event after as many in this step as the input has neurons, where `limits_input`.
    """

    KEEP = 0
    ADDRESS = 1
    OVERLONG = 2
    WINDOW = 3
    CROWDED = 4


def words_of(bits: int) -> stream.Signature:
    """An AXI4-Stream: words of `bits` bits, TKEEP and TLAST."""
    layout = {"word": unsigned(bits), "keep": unsigned(bits // 8), "last": unsigned(1)}
    return stream.Signature(data.StructLayout(layout))


class PacketInput(Component):
    """Words to events; completes the steps of a packet.

    Parameters
    ----------
    arrivals : Window
        The steps in which events may come.
    limited : bool
        Whether no step may have more events than `population` has neurons.
    raster : bool
        Whether events come by lines.

    Members
    -------
    words : In, stream
        Taken whatever they hold; `ready` depends on none of the other inputs of the cycle.
    events : Out, stream
        Latency 1 cycle.
    faults : Out
        One bit per `Fault`, high in a cycle in which a transfer that was taken is dropped for it.
    """

    def __init__(
        self,
        *,
        population: Population,
        arrivals: Window,
        limited: bool,
        timesteps: int,
        tdata_bits: int,
        raster: bool = False,
    ) -> None:
        self.population, self.timesteps = population, timesteps
        self.arrivals, self.limited, self.raster = arrivals, limited, raster
        super().__init__(
            {
                "words": In(words_of(tdata_bits)),
                "events": Out(events_of(population)),
                "faults": Out(len(Fault)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        step = Signal(unsigned_bits(self.timesteps - 1))
        given, event = self.words.payload, self.events.payload
        c, y, x = address_bits(self.population)
        value = payload_bits(self.population)
        # what can be said of a word by itself is known before it is looked at
        shape = {"word": len(given.word), "last": 1, "whole": 1, "some": 1, "stranger": 1}
        m.submodules.buffer = buffer = Buffer(
            data.StructLayout({name: unsigned(bits) for name, bits in shape.items()})
        )
        m.d.comb += [
            buffer.i.payload.word.eq(given.word),
            buffer.i.payload.last.eq(given.last),
            buffer.i.payload.whole.eq(given.keep.all()),
            buffer.i.payload.some.eq(given.keep.any()),
            buffer.i.payload.stranger.eq(self._is_stranger(given.word)),
            buffer.i.valid.eq(self.words.valid),
            self.words.ready.eq(buffer.i.ready),
        ]
        words, now = buffer.o, buffer.o.payload
        word, marker = now.word, now.word[-1]
        m.d.comb += [
            event.x.eq(word[:x]),
            event.y.eq(word[x : x + y]),
            event.c.eq(word[x + y : x + y + c]),
            event.value.eq(word[x + y + c : x + y + c + value]),
        ]
        wrong, void, full = Signal(len(Fault)), Signal(), Signal()
        untimely, line = self._is_untimely(step), Signal.like(event.y)
        if self.raster:
            untimely = untimely | (event.y < line)
        with m.If(~now.whole):
            m.d.comb += wrong[Fault.KEEP].eq(now.some)
        with m.Elif(~marker):
            with m.If(now.stranger):
                m.d.comb += wrong[Fault.ADDRESS].eq(1)
            with m.Elif(untimely):
                m.d.comb += wrong[Fault.WINDOW].eq(1)
            with m.Else():
                m.d.comb += wrong[Fault.CROWDED].eq(full)
        m.d.comb += void.eq(~now.whole | wrong.any())
        passes, completes = Signal(), Signal()
        takes = Signal()  # an event leaves in this cycle
        ends = Signal()  # an end-of-step marker does
        final = Signal()  # and it is the inference's last
        m.d.comb += [
            self.events.valid.eq((passes & words.valid & ~void) | completes),
            event.end.eq(completes | marker),
            takes.eq(passes & words.valid & ~void & ~marker & self.events.ready),
            ends.eq(((passes & words.valid & now.whole & marker) | completes) & self.events.ready),
            final.eq(ends & (step == self.timesteps - 1)),
        ]
        with m.If(final):
            m.d.sync += step.eq(0)
        with m.Elif(ends):
            m.d.sync += step.eq(step + 1)
        if self.raster:
            with m.If(final):
                m.d.sync += line.eq(0)
            with m.Elif(takes):
                m.d.sync += line.eq(event.y)
        if self.limited:
            size = self.population.size
            count = Signal(range(size + 1))  # events of this step
            with m.If(ends):
                m.d.sync += [count.eq(0), full.eq(0)]
            with m.Elif(takes):
                m.d.sync += [count.eq(count + 1), full.eq(count == size - 1)]
        with m.FSM():
            with m.State("PASS"):
                m.d.comb += [
                    passes.eq(1),
                    # what is dropped waits for nobody: whoever takes events may look at them first
                    words.ready.eq(self.events.ready | void),
                    self.faults.eq(Mux(words.valid & words.ready, wrong, 0)),
                ]
                with m.If(words.valid & words.ready):
                    with m.If(now.last & ~final):
                        m.next = "COMPLETE"
                    with m.Elif(final & ~now.last):
                        m.next = "DROP"
            with m.State("COMPLETE"):
                m.d.comb += completes.eq(1)
                with m.If(final):
                    m.next = "PASS"
            with m.State("DROP"):
                m.d.comb += [
                    words.ready.eq(1),
                    self.faults[Fault.OVERLONG].eq(words.valid & now.some),
                ]
                with m.If(words.valid & now.last):
                    m.next = "PASS"
        return m

    def _is_stranger(self, word: Value) -> Value:
        """Whether the address is of no neuron: fields are as wide as powers of two ask."""
        beyond, low = [], 0
        for size in reversed(self.population.chw):
            high = low + unsigned_bits(size - 1)
            if size & (size - 1):
                beyond.append(word[low:high] >= size)
            low = high
        return Cat(beyond).any() if beyond else C(0, 1)

    def _is_untimely(self, step: Signal) -> Value:
        """Whether the input sends nothing in this step."""
        early = step < self.arrivals.start if self.arrivals.start else C(0, 1)
        late = step >= self.arrivals.stop if self.arrivals.stop < self.timesteps else C(0, 1)
        return early | late


class LastMarker(Component):
    """Lets events pass, and of the markers of an inference's steps the last. Combinational.

    Members
    -------
    events : In, stream
    merged : Out, stream
    """

    def __init__(self, *, population: Population, timesteps: int) -> None:
        self.timesteps = timesteps
        signature = events_of(population)
        super().__init__({"events": In(signature), "merged": Out(signature)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        step = Signal(unsigned_bits(self.timesteps - 1))
        event, inner = self.events.payload, Signal()
        m.d.comb += [
            inner.eq(event.end & (step != self.timesteps - 1)),
            self.merged.payload.eq(event),
            self.merged.valid.eq(self.events.valid & ~inner),
            self.events.ready.eq(self.merged.ready | inner),
        ]
        with m.If(self.events.valid & self.events.ready & event.end):
            m.d.sync += step.eq(Mux(inner, step + 1, 0))
        return m


class LineMarks(Component):
    """Puts a mark behind each line of events that come by lines, in one step. Combinational.

    Members
    -------
    events : In, stream
        One marker behind all of them.
    marked : Out, stream
        As many as there are lines.
    """

    def __init__(self, *, population: Population) -> None:
        self.population = population
        signature = events_of(population)
        super().__init__({"events": In(signature), "marked": Out(signature)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        event, last, behind = self.events.payload, self.population.chw[1] - 1, Signal()
        line = Signal.like(event.y)
        m.d.comb += [
            behind.eq(Mux(event.end, line != last, line != event.y)),
            self.marked.payload.eq(event),
            self.marked.payload.end.eq(event.end | behind),
            self.marked.valid.eq(self.events.valid),
            self.events.ready.eq(self.marked.ready & ~behind),
        ]
        with m.If(self.marked.valid & self.marked.ready & self.marked.payload.end):
            m.d.sync += line.eq(Mux(behind, line + 1, 0))
        return m


class ValueOutput(Component):
    """A readout's values to words, sign extended.

    Members
    -------
    values : In, stream
    words : Out, stream
        In the same cycle; a word waits until it is taken.
    """

    def __init__(self, *, bits: int, tdata_bits: int) -> None:
        super().__init__({"values": In(values_of(bits)), "words": Out(words_of(tdata_bits))})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.d.comb += [
            self.words.valid.eq(self.values.valid),
            self.words.payload.word.eq(self.values.payload.value),
            self.words.payload.keep.eq(~0),
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
            self.words.payload.keep.eq(~0),
            self.words.payload.last.eq(event.end & (step == self.timesteps - 1)),
            self.events.ready.eq(self.words.ready),
        ]
        with m.If(self.events.valid & self.events.ready & event.end):
            m.d.sync += step.eq(step + 1)
            with m.If(self.words.payload.last):
                m.d.sync += step.eq(0)
        return m
