"""The touched rows: which state rows the next sweep has to visit, when it need not visit all.

Without bias and leak, a row in which no neuron can fire stays so until an event touches it. Such a
row is put on a list when an event first touches it, and again when it is swept and still holds a
membrane at its threshold. A step's sweep takes the rows that were on the list when the step's last
event was in; what is put there later belongs to the next step::

            taken by the sweep          of the next step
    list  [ r  r  r  r  r  r  r  r ] [ r  r  r ]
           first                     edge        end

One bit per row tells whether it is on the list, so the list never holds more than all rows.
"""

from __future__ import annotations

from amaranth import C, Cat, Elaboratable, Module, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.rtl.actions import Action
from neurocuda_hw.rtl.later import later, stages
from neurocuda_hw.rtl.memory import Ram, Rom


class TouchedRows(Component):
    """Remembers the rows that are to be swept. It never stalls.

    Members
    -------
    kind, row, group, restore : In
        What the lanes do in this cycle, to which row.
    again : In
        The row that was swept ``lead + 3`` cycles ago has to be swept in the next step too.
    end : In
        The step ends in this cycle.
    take : In
        The sweep takes the offered row.
    next, valid : Out
        The offered row: due in this step. Latency from the event's row: ``lead + 5`` cycles.
    last : Out
        No row is due after the offered one, nor can one still come.
    empty : Out
        No row is due, nor can one still come.
    """

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        row = max(1, unsigned_bits(plan.layout.rows - 1))
        super().__init__(
            {
                "kind": In(Action),
                "row": In(row),
                "group": In(max(1, unsigned_bits(plan.layout.groups - 1))),
                "restore": In(1),
                "again": In(1),
                "end": In(1),
                "take": In(1),
                "next": Out(row),
                "valid": Out(1),
                "last": Out(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform: Value) -> Elaboratable:
        m = Module()
        # the step in which a row was swept, as a parity: it may be listed after that step's end
        parity, lead = Signal(), self.plan.lead
        m.d.sync += parity.eq(parity ^ self.end)
        kinds, rows, restored, parities = (
            stages(m, name, value, lead + 3)
            for name, value in (
                ("kind", self.kind),
                ("row", self.row),
                ("restore", self.restore),
                ("parity", parity),
            )
        )
        kind2, restore2, (row0, row1, row2) = kinds[-1], restored[-1], rows[-3:]

        initial2 = (kind2 == Action.CLEAR) | ((kind2 == Action.SWEEP) & restore2)
        awake2 = self._awake(m)
        on_list = Signal()  # what is to be true of row2
        with m.If(kind2 == Action.ACCUMULATE):
            m.d.comb += on_list.eq(1)
        with m.Elif(initial2):
            m.d.comb += on_list.eq(awake2)
        with m.Else():
            m.d.comb += on_list.eq(self.again)
        listed2 = self._listed(m, on_list, kind2 != Action.PASS, row0, row1, row2)
        put = (kind2 != Action.PASS) & on_list & ~((kind2 == Action.ACCUMULATE) & listed2)

        def due(kind: Signal, of_step: Signal) -> Value:
            """Whether what a row puts on the list belongs to the present step."""
            swept_before = (kind == Action.SWEEP) & (of_step != parity)
            return (kind == Action.ACCUMULATE) | (kind == Action.CLEAR) | swept_before

        # the initial state is restored row by row from row 0: the list starts anew with it
        flushes = [
            (kind == Action.SWEEP) & restore & (row == 0)
            for kind, restore, row in zip(kinds[1:], restored[1:], rows[1:], strict=True)
        ]
        dues = [due(*pair) for pair in zip(kinds[1:], parities[1:], strict=True)]
        self._list(
            m,
            put=put,
            due=dues[-1],
            flush=flushes[-1],
            blocked=Cat(flushes).any(),
            coming=Cat(dues[:-1]).any(),
            row=row2,
        )
        return m

    def _awake(self, m: Module) -> Value:
        """Whether row2 must be swept in its initial state; known in cycle 2."""
        awake = self.plan.awake
        if awake.uniform:
            return C(int(awake.rows.flat[0]) & 1, 1)
        name = f"{self.plan.population.name}.{awake.name}.mem"
        m.submodules.awake = rom = Rom(words=awake.rows, bits=1, file=name)
        m.d.comb += rom.address.eq(self.row if awake.per_row else self.group)
        return later(m, "awake", rom.data, self.plan.lead + 2)

    def _listed(
        self, m: Module, on_list: Signal, write: Value, row0: Signal, row1: Signal, row2: Signal
    ) -> Signal:
        """The bit of row2, or a newer one still on its way; as the lanes do with states."""
        m.submodules.bits = bits = Ram(width=1, depth=self.plan.layout.rows)
        listed2 = Signal()
        row3, written3, bit3 = Signal.like(row2), Signal(), Signal()
        m.d.sync += [row3.eq(row2), written3.eq(write), bit3.eq(on_list)]
        m.d.comb += [bits.read_address.eq(row0), bits.write_address.eq(row2)]
        m.d.comb += [bits.write.eq(write), bits.write_data.eq(on_list)]
        with m.If(write & (row2 == row1)):
            m.d.sync += listed2.eq(on_list)
        with m.Elif(written3 & (row3 == row1)):
            m.d.sync += listed2.eq(bit3)
        with m.Else():
            m.d.sync += listed2.eq(bits.read_data)
        return listed2

    def _list(
        self,
        m: Module,
        *,
        put: Value,
        due: Value,
        flush: Value,
        blocked: Value,
        coming: Value,
        row: Signal,
    ) -> None:
        """The list itself: a ring of rows with one more mark in it, the edge of this step."""
        address = len(self.row)
        style = self.plan.ways.styles.get("list")
        m.submodules.ring = ring = Ram(width=address, depth=1 << address, style=style)
        first, edge, end = (Signal(address + 1, name=name) for name in ("first", "edge", "end"))
        first_next, end_next = Signal.like(first), Signal.like(end)
        stored = Signal()  # the first row has been read from the ring
        m.d.comb += [
            end_next.eq(end + put),
            first_next.eq(first + self.take),
            ring.write.eq(put),
            ring.write_address.eq(end[:address]),
            ring.write_data.eq(row),
            ring.read_address.eq(first_next[:address]),
            self.next.eq(ring.read_data),
            self.valid.eq(stored & (first != edge) & ~blocked),
            self.last.eq((edge - first)[: address + 1] == 1),
            self.empty.eq((first == edge) & ~blocked),
        ]
        with m.If(coming | (put & due)):
            m.d.comb += [self.last.eq(0), self.empty.eq(0)]
        with m.If(flush):
            m.d.comb += first_next.eq(end)
        m.d.sync += [first.eq(first_next), end.eq(end_next), stored.eq(first_next != end)]
        with m.If(self.end | (put & due)):
            m.d.sync += edge.eq(end_next)
        with m.Elif(flush):
            m.d.sync += edge.eq(end)
