"""Rows of a readout's membranes in, single values out, in the order of neurons.

A `Serializer` sends all lanes of a row, for a readout with one position. A `Selector` sends the
lane that it is told, for one with several: there the neurons of a row are not next to one another.
"""

from __future__ import annotations

from amaranth import Elaboratable, Module, Signal
from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.passes.plan import LayerPlan


def values_of(bits: int) -> stream.Signature:
    """The stream of a readout: signed values; `end` comes with the last one of an inference."""
    return stream.Signature(data.StructLayout({"value": signed(bits), "end": unsigned(1)}))


class Serializer(Component):
    """Sends the neurons of one row after another, one per cycle in which one is taken.

    Members
    -------
    row, put : In
        One membrane per lane, taken when `put` is high; only while `room`.
    room : Out
        No row is waiting.
    values : Out, stream
        Neurons in order of their channels; latency from `put`: 1 cycle.
    """

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        self.bits = plan.state_bits
        super().__init__(
            {
                "row": In(plan.layout.lanes * plan.state_bits),
                "put": In(1),
                "room": Out(1),
                "values": Out(values_of(plan.state_bits)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        layout = self.plan.layout
        held = Signal.like(self.row)
        lane = Signal(unsigned_bits(layout.lanes - 1))
        channel = Signal(unsigned_bits(layout.channels - 1))
        busy, row_ends, all_ends = Signal(), Signal(), Signal()
        shape: Shape = signed(self.bits)
        m.d.comb += [
            self.room.eq(~busy),
            self.values.valid.eq(busy),
            self.values.payload.value.eq(held[: shape.width].as_signed()),
            self.values.payload.end.eq(all_ends),
            all_ends.eq(channel == layout.channels - 1),
            row_ends.eq((lane == layout.lanes - 1) | all_ends),
        ]
        with m.If(self.put):
            m.d.sync += [held.eq(self.row), busy.eq(1), lane.eq(0)]
        with m.Elif(busy & self.values.ready):
            m.d.sync += [
                held.eq(held >> self.bits),
                lane.eq(lane + 1),
                channel.eq(channel + 1),
            ]
            with m.If(row_ends):
                m.d.sync += busy.eq(0)
            with m.If(all_ends):
                m.d.sync += channel.eq(0)
        return m


class Selector(Component):
    """Queues one lane of each row; takes one per cycle while `room`, and sends one.

    Members
    -------
    row, put : In
        One membrane per lane; the lane is taken when `put` is high.
    lane : In
        Which one.
    room : Out
        As many rows as may be in flight still fit into the queue.
    values : Out, stream
        Latency from `put`: 1 cycle. `end` comes with the last value of an inference.
    """

    DEPTH = 8
    IN_FLIGHT = 3  # rows between the sweep's decision and the queue, this one included

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        super().__init__(
            {
                "row": In(plan.layout.lanes * plan.state_bits),
                "put": In(1),
                "lane": In(max(1, unsigned_bits(plan.layout.lanes - 1))),
                "room": Out(1),
                "values": Out(values_of(plan.state_bits)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        size, bits = self.plan.population.size, self.plan.state_bits
        m.submodules.queue = queue = SyncFIFO(width=bits, depth=self.DEPTH)
        sent = Signal(unsigned_bits(size - 1))
        last = sent == size - 1
        m.d.comb += [
            queue.w_data.eq(self.row.word_select(self.lane, bits)),
            queue.w_en.eq(self.put),
            self.room.eq(queue.level <= self.DEPTH - self.IN_FLIGHT - self.plan.lead),
            self.values.valid.eq(queue.r_rdy),
            self.values.payload.value.eq(queue.r_data),
            self.values.payload.end.eq(last),
            queue.r_en.eq(self.values.ready),
        ]
        with m.If(queue.r_rdy & self.values.ready):
            m.d.sync += sent.eq(sent + 1)
            with m.If(last):
                m.d.sync += sent.eq(0)
        return m
