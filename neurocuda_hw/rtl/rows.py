"""Where rows of weights come from, between a walker and the lanes.

::

    walker -> i -> RowSource -> o -------> lanes   cycle 0: the row is taken
                             -> weights -> lanes   cycle 2: weights are there

Lanes never wait: a row is offered once its weights are sure to come 2 cycles after it is taken. How
long weights take before is known in here only.
"""

from __future__ import annotations

from amaranth import Elaboratable, Module, Signal
from amaranth.hdl import unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network import Population
from neurocuda_hw.passes.layout import Fanout
from neurocuda_hw.passes.memories import BANK, banked
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.rtl.later import later
from neurocuda_hw.rtl.memory import Rom
from neurocuda_hw.rtl.signatures import value_shape


def address_layout(
    source: Population, fanout: Fanout, rows: int, burst: int = 0
) -> data.StructLayout:
    """``{weight, row: {state, value, end}}``: a row of weights, and one of `rows` to add it to.

    With ``end`` set it marks the end of a step, and the rest is without meaning.
    """
    state, weight = (unsigned(max(1, unsigned_bits(n - 1))) for n in (rows, len(fanout.weights)))
    value = value_shape(source, burst)
    row = data.StructLayout({"state": state, "value": value, "end": unsigned(1)})
    return data.StructLayout({"weight": weight, "row": row})


class RowSource(Component):
    """Gives the rows of one projection, and markers, in the order in which they are asked for.

    A subclass says from where. It may hold as many of them as it likes, for as long as it needs.

    Members
    -------
    i : In, stream
        Addresses and markers.
    o : Out, stream
        The `row` of each.
    weights : Out
        All lanes of the row that was taken 2 cycles before, without the low bits that are 0 in all
        weights; else without meaning.
    holds : Out
        Something has been taken in and is not yet offered.
    """

    def __init__(self, plan: LayerPlan, index: int) -> None:
        self.plan, self.index, self.fanout = plan, index, plan.fanouts[index]
        self.bits = plan.stored_bits[index]
        source, burst = plan.sources[index], plan.bursts[index]
        address = address_layout(source, self.fanout, plan.state_rows, burst)
        i, o = (stream.Signature(shape) for shape in (address, address["row"].shape))
        weights = plan.layout.lanes * self.bits
        super().__init__({"i": In(i), "o": Out(o), "weights": Out(weights), "holds": Out(1)})


class RomRows(RowSource):
    """All rows are in a ROM on the chip: each is offered in the cycle in which it is asked for.

    Between the banks and the choice among them there are registers and nothing else, so that those
    of the block memories themselves can be taken (`synth.output_registers`).
    """

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        source = self.plan.projection_name(self.index)
        name = f"{self.plan.population.name}.{source}.weight.mem"
        style = self.plan.ways.styles.get(f"weights of {source}")
        words = self.fanout.weights >> self.plan.weight_shifts[self.index]
        m.submodules.rom = rom = Rom(
            words=banked(words, self.bits), bits=self.bits, file=name, style=style
        )
        m.d.comb += rom.address.eq(self.i.payload.weight)
        number = later(m, "bank", self.i.payload.weight // BANK, 2)
        banks = Signal(rom.width, reset_less=True)
        m.d.sync += banks.eq(rom.data)
        one = len(self.weights)
        m.d.comb += self.weights.eq(banks if len(banks) == one else banks.word_select(number, one))
        m.d.comb += [self.o.payload.eq(self.i.payload.row), self.o.valid.eq(self.i.valid)]
        m.d.comb += self.i.ready.eq(self.o.ready)
        return m
