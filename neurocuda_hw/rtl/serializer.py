"""The serializer: rows of a readout's membranes in, single values out, in the order of neurons."""

from __future__ import annotations

from amaranth import Elaboratable, Module, Signal
from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.fixed import unsigned_bits
from neurocuda_hw.passes.plan import LayerPlan


def values_of(bits: int) -> stream.Signature:
    """The stream of a readout: signed values; `end` comes with the last one of an inference."""
    return stream.Signature(data.StructLayout({"value": signed(bits), "end": unsigned(1)}))


class Serializer(Component):
    """Sends the neurons of one row after another.

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
