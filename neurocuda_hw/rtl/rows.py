"""Where rows of weights come from: addresses in, rows out, between a walker and the lanes.

::

    walker -> i: addresses -> RowSource -> o: rows --> lanes   cycle 0: the state is asked for
                                        -> weights --> lanes   cycle 1: weights and state are there

Lanes never wait: a row is offered once its weights are sure to come in the cycle after it is taken.
All that is about how long weights take lies in here: a source may be as slow as it likes.
"""

from __future__ import annotations

from amaranth import Elaboratable, Module
from amaranth.hdl import unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network import Population
from neurocuda_hw.passes.layout import Fanout
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.rtl.memory import Rom
from neurocuda_hw.rtl.signatures import value_shape


def address_layout(source: Population, fanout: Fanout, rows: int) -> data.StructLayout:
    """``{weight, row: {state, value, end}}``: a row of weights is added to one of `rows` states.

    `weight` and `state` are addresses, `value` is the event's payload. ``end`` marks the end of a
    step: all its rows have passed, and the rest is without meaning.
    """
    state, weight = (unsigned(max(1, unsigned_bits(n - 1))) for n in (rows, len(fanout.weights)))
    row = data.StructLayout({"state": state, "value": value_shape(source), "end": unsigned(1)})
    return data.StructLayout({"weight": weight, "row": row})


class RowSource(Component):
    """Gives the rows of weights of one projection, in the order in which they are asked for.

    A subclass says from where. Markers pass in order, too: one is offered when all rows before it
    have been taken. Between `i` and `o` any number of rows and markers may be.

    Members
    -------
    i : In, stream
        Addresses and markers, as the walker gives them.
    o : Out, stream
        Rows and markers: the `row` of each address.
    weights : Out
        All lanes of the row that was taken in the cycle before; else without meaning.
    holds : Out
        A row or marker has been taken in and is not yet offered.
    """

    def __init__(self, plan: LayerPlan, index: int) -> None:
        self.plan, self.index, self.words = plan, index, plan.fanouts[index].weights
        i = address_layout(plan.sources[index], plan.fanouts[index], plan.layout.rows)
        weights = plan.layout.lanes * plan.weight_bits[index]
        super().__init__(
            {
                "i": In(stream.Signature(i)),
                "o": Out(stream.Signature(i["row"].shape)),
                "weights": Out(weights),
                "holds": Out(1),
            }
        )


class RomRows(RowSource):
    """All rows are on the chip, in a ROM: each is offered as it is asked for, in the same cycle."""

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        plan, bits = self.plan, self.plan.weight_bits[self.index]
        name = f"{plan.population.name}.{plan.projection_name(self.index)}.weight.mem"
        m.submodules.rom = rom = Rom(words=self.words, bits=bits, file=name)
        m.d.comb += [
            rom.address.eq(self.i.payload.weight),
            self.weights.eq(rom.data),
            self.o.payload.eq(self.i.payload.row),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready),
        ]
        return m
