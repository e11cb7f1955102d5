"""Words of an event camera to its events, one at a time: EVT3, or an address with its time.

The meaning of the words is that of `data.evt`. Times are 40 bits of microseconds: what the camera
sends, and the laps of its counter.
"""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Mux, Signal
from amaranth.hdl import unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

TIME_BITS, PLACE_BITS = 40, 14
WORD_BITS = {"evt3": 16, "aer": 64}

ITEM = data.StructLayout(
    {
        "x": unsigned(PLACE_BITS),
        "y": unsigned(PLACE_BITS),
        "polarity": unsigned(1),
        "time": unsigned(TIME_BITS),
        "event": unsigned(1),  # else the time alone
        "last": unsigned(1),  # the recording ends with it
    }
)


def camera_words(bits: int) -> stream.Signature:
    """AXI4-Stream of a camera's words; TLAST ends a recording."""
    return stream.Signature(data.StructLayout({"word": unsigned(bits), "last": unsigned(1)}))


class Words(Component):
    """What both decoders have.

    Members
    -------
    words : In, stream
    items : Out, stream of `ITEM`
        Events, and times without one: a step may be over though no event comes.
    timeless : Out
        High while an event is dropped because no time came before it.
    """

    def __init__(self, kind: str) -> None:
        signature = camera_words(WORD_BITS[kind])
        items = stream.Signature(ITEM)
        super().__init__({"words": In(signature), "items": Out(items), "timeless": Out(1)})


class AerWords(Words):
    """64 bits a word, as DAT has them: time (32), x (14), y (14), polarity (4, the lowest counts).

    Combinational but for the laps.
    """

    def __init__(self) -> None:
        super().__init__("aer")

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        word, item = self.words.payload.word, self.items.payload
        before, laps, known, now = Signal(32), Signal(8), Signal(), Signal(8)
        m.d.comb += [
            # half of the range or more: a range has passed
            now.eq(laps + (known & (before >= Cat(word[:32], 0) + (1 << 31)))),
            self.items.valid.eq(self.words.valid),
            self.words.ready.eq(self.items.ready),
            item.time.eq(Cat(word[:32], now)),
            item.x.eq(word[32:46]),
            item.y.eq(word[46:60]),
            item.polarity.eq(word[60]),
            item.event.eq(1),
            item.last.eq(self.words.payload.last),
        ]
        with m.If(self.words.valid & self.words.ready):
            m.d.sync += [before.eq(word[:32]), laps.eq(now), known.eq(1)]
            with m.If(self.words.payload.last):
                m.d.sync += [laps.eq(0), known.eq(0)]
        return m


class Evt3Words(Words):
    """16 bits a word; a vector's pixels leave one after the other."""

    def __init__(self) -> None:
        super().__init__("evt3")

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        word, item = self.words.payload.word, self.items.payload
        kind, value = word[12:], word[:12]
        high, low, laps, known = Signal(12), Signal(12), Signal(TIME_BITS - 24), Signal()
        y, base, side = Signal(11), Signal(PLACE_BITS), Signal()
        mask, wide, ending = Signal(12), Signal(), Signal()
        place = Signal(4)  # of the lowest pixel that is left
        for bit in reversed(range(12)):
            with m.If(mask[bit]):
                m.d.comb += place.eq(bit)
        others = Signal(12)
        m.d.comb += [
            others.eq(mask & (mask - 1)),
            item.time.eq(Cat(low, high, laps)),
            item.y.eq(y),
        ]
        with m.FSM():
            with m.State("WORD"):
                single = kind == 2
                m.d.comb += [
                    item.x.eq(value[:11]),
                    item.polarity.eq(value[11]),
                    item.event.eq(1),
                    item.last.eq(self.words.payload.last),
                    self.items.valid.eq(self.words.valid & single & known),
                    self.words.ready.eq(~(single & known) | self.items.ready),
                    self.timeless.eq(self.words.valid & ~known & single),
                ]
                m.d.sync += [mask.eq(0), ending.eq(self.words.payload.last)]
                with m.If(self.words.valid & self.words.ready):
                    with m.If(self.words.payload.last & ~(single & known)):
                        m.next = "TIME"
                    with m.Switch(kind):
                        with m.Case(0):
                            m.d.sync += y.eq(value[:11])
                        with m.Case(3):
                            m.d.sync += [base.eq(value[:11]), side.eq(value[11])]
                        with m.Case(6):
                            m.d.sync += low.eq(value)
                            with m.If(known):
                                m.next = "TIME"
                        with m.Case(8):
                            falls = known & (high >= Cat(value, 0) + 2048)
                            m.d.sync += [
                                high.eq(value),
                                known.eq(1),
                                laps.eq(laps + falls),
                                low.eq(Mux(known & (high == value), low, 0)),
                            ]
                            m.next = "TIME"
                        with m.Case(4, 5):
                            m.d.sync += [
                                mask.eq(Mux(kind == 4, value, value[:8])),
                                wide.eq(kind == 4),
                            ]
                            m.next = "VECTOR"
                    with m.If(single & known & self.words.payload.last):
                        m.d.sync += [known.eq(0), laps.eq(0), high.eq(0), low.eq(0)]
            with m.State("TIME"):
                m.d.comb += [self.items.valid.eq(1), item.event.eq(0), item.last.eq(ending)]
                with m.If(self.items.ready):
                    m.next = "WORD"
                    with m.If(ending):
                        m.d.sync += [known.eq(0), laps.eq(0), high.eq(0), low.eq(0)]
            with m.State("VECTOR"):
                m.d.comb += [
                    item.x.eq(base + place),
                    item.polarity.eq(side),
                    item.event.eq(1),
                    self.items.valid.eq(mask.any() & known),
                    self.timeless.eq(mask.any() & ~known),
                ]
                with m.If(self.items.ready | ~self.items.valid):
                    m.d.sync += mask.eq(others)
                    with m.If(~others.any()):
                        m.d.sync += base.eq(base + Mux(wide, 12, 8))
                        m.next = "WORD"
                        with m.If(ending):
                            m.next = "TIME"
        return m


DECODERS = {"evt3": Evt3Words, "aer": AerWords}
