"""The compactor: a row of spikes in, single events out, one per cycle, lowest lane first.

A row is a mask, or the counts of its bursts, where 0 is no event. Rows wait in a queue, so that the
layer goes on while its events drain; `passes.queues` says how long it is. Those without spikes are
not queued, except the last of a step, which carries the end-of-step marker.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth import C, Cat, Elaboratable, Module, Signal, Value
from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network.wire import payload_bits
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.queues import REGISTERS, in_flight
from neurocuda_hw.rtl.later import later
from neurocuda_hw.rtl.queue import Queue
from neurocuda_hw.rtl.signatures import events_of


def spike_bits(plan: LayerPlan) -> int:
    """Bits that say what one lane sends: a spike, or how many of them."""
    return payload_bits(plan.population, plan.burst) or 1


def mask_layout(plan: LayerPlan) -> data.StructLayout:
    """A row's spikes, where its neurons (its block) stand, and whether the step ends with it."""
    group, y, x = plan.layout.place_bits
    spikes = plan.layout.lanes * spike_bits(plan)
    fields = {"spikes": spikes, "group": group, "y": y, "x": x, "end": 1}
    return data.StructLayout({name: unsigned(bits) for name, bits in fields.items()})


class Compactor(Component):
    """Turns rows of spikes into events.

    Parameters
    ----------
    plan : LayerPlan
    depth : int
        Masks that the queue holds.
    counts : bool
        Whether rows count from when they are swept: every one of them must then be put.

    Members
    -------
    mask, put : In
        A row's spikes, to be queued if it has any or ends the step.
    room : Out
        As many rows as may be in flight still fit into the queue; one more, where it `counts`.
    swept : In, where it `counts`
        A row is swept in this cycle that will be put.
    events : Out, stream
        Latency from `put` to the first event: 4 cycles, 6 behind a deep queue.
    """

    def __init__(self, plan: LayerPlan, depth: int, *, counts: bool = False) -> None:
        self.plan, self.depth, self.counts = plan, depth, counts
        self.layout = mask_layout(plan)
        super().__init__(
            {
                "mask": In(self.layout),
                "put": In(1),
                "room": Out(1),
                "events": Out(events_of(plan.population, plan.burst)),
            }
            | ({"swept": In(1)} if counts else {})
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        lanes, bits = self.plan.layout.lanes, spike_bits(self.plan)
        flags = int(lanes > 1)  # one lane tells by itself
        layout = data.StructLayout({"mask": self.layout, "none": flags, "more": flags})
        depth, width = self.depth, layout.size
        mask, come = later(m, "mask", self.mask), later(m, "come", self.put)
        word, put = Signal(layout), Signal()
        one, two = _at_least(2, list(_which(mask.spikes, bits)))
        m.d.sync += [word.mask.eq(mask), word.none.eq(~one), word.more.eq(two)]
        m.d.sync += put.eq(come & (one | mask.end))
        head, valid, take = Signal(layout), Signal(), Signal()
        if depth > REGISTERS:
            style, words = self.plan.ways.styles.get("queue"), 1 << (depth - 1).bit_length()
            m.submodules.queue = deep = Queue(width=width, depth=words, style=style)
            level = deep.level
            m.d.comb += [deep.data.eq(word), deep.put.eq(put)]
            # a block memory's word comes late in its cycle: it goes to a register first
            with m.If(~valid | take):
                m.d.comb += deep.take.eq(deep.valid)
                m.d.sync += [head.eq(deep.head), valid.eq(deep.valid)]
        else:
            m.submodules.queue = short = SyncFIFO(width=width, depth=depth)
            level = short.level
            m.d.comb += [short.w_data.eq(word), short.w_en.eq(put), short.r_en.eq(take)]
            m.d.comb += [head.eq(short.r_data), valid.eq(short.r_rdy)]
        if self.counts:
            used = Signal(range(depth + 1))
            used_next, dropped = Signal.like(used), Signal()
            m.d.sync += dropped.eq(come & ~one & ~mask.end)
            m.d.comb += used_next.eq(used + self.swept - dropped - (take & valid))
            m.d.sync += [used.eq(used_next), self.room.eq(used_next != depth)]
        else:
            m.d.sync += self.room.eq(level <= depth - in_flight(self.plan))
        row = Signal(self.layout)
        busy, done = Signal(), Signal()
        none, more = Signal(), Signal()  # no spike is left in the row; more than one
        spikes, rest = row.spikes, Signal(lanes)
        if bits > 1:  # who is still to be sent
            spikes = Signal(lanes)
        m.d.comb += rest.eq(spikes & (spikes - 1))
        out = self.events.payload
        lane, x, y = self._lane(spikes & ~rest)
        m.d.comb += [
            self.events.valid.eq(busy),
            out.end.eq(none),
            out.c.eq(Cat(lane, row.group)),
            out.y.eq(Cat(y, row.y)),
            out.x.eq(Cat(x, row.x)),
            done.eq(self.events.ready & ~more & (none | ~row.end)),
        ]
        with m.If(~busy | done):
            m.d.comb += take.eq(1)
            m.d.sync += [busy.eq(valid), row.eq(head.mask)]
            given = head.none if flags else ~head.mask.spikes.any()
            m.d.sync += [none.eq(given), more.eq(head.more)]
            if bits > 1:
                m.d.sync += spikes.eq(_which(head.mask.spikes, bits))
        with m.Elif(self.events.ready):
            m.d.sync += spikes.eq(rest)
            m.d.sync += [none.eq(~more), more.eq(_at_least(3, list(spikes))[-1])]
        if bits > 1:
            m.d.comb += out.value.eq(_chosen(spikes & ~rest, row.spikes, bits))
        return m

    def _lane(self, one_hot: Value) -> tuple[Value, Value, Value]:
        """The only spike in `one_hot`: its lane among those of a position, its place in the block.

        Lanes are a power of two if there are several groups or positions.
        """
        layout = self.plan.layout
        number = []
        for bit in range(unsigned_bits(layout.lanes - 1)):
            members = [one_hot[lane] for lane in range(layout.lanes) if lane >> bit & 1]
            number.append(Cat(members).any())
        if layout.block == (1, 1):
            return Cat(*number), Cat(), Cat()
        x_bit = unsigned_bits(layout.slots - 1)
        y_bit = x_bit + unsigned_bits(layout.block[1] - 1)
        return Cat(*number[:x_bit]), Cat(*number[x_bit:y_bit]), Cat(*number[y_bit:])


def _at_least(most: int, bits: list[Value]) -> list[Value]:
    """Whether 1, 2, ... up to `most` of the bits are set: a tree, as deep as their number has bits.

    Were they added up, the sum's carries would take longer.
    """
    if len(bits) == 1:
        return [*bits, *[C(0, 1)] * (most - 1)]
    low, high = (_at_least(most, part) for part in (bits[::2], bits[1::2]))
    low, high = [C(1, 1), *low], [C(1, 1), *high]
    return [reduce(or_, (low[i] & high[n - i] for i in range(n + 1))) for n in range(1, most + 1)]


def _which(words: Value, bits: int) -> Value:
    """Which of the words are not 0."""
    return Cat(words.word_select(i, bits).any() for i in range(len(words) // bits))


def _chosen(one_hot: Value, words: Value, bits: int) -> Value:
    """The word of the only lane in `one_hot`."""
    masked = [words.word_select(i, bits) & one.replicate(bits) for i, one in enumerate(one_hot)]
    return reduce(or_, masked)
