"""The sweep: counts the steps of an inference and walks all state rows where a step asks for it.

After a reset it first walks all rows once to write the initial state. Then, for every step, it
waits for `start` (all sources have sent their end-of-step markers) and either walks all rows, one
per cycle from that very cycle on, or passes the step on in one cycle when nothing can change. A
leaking population's states are written late: the step then ends `SETTLE` cycles after its last row.
"""

from __future__ import annotations

from amaranth import Elaboratable, Module, Signal
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.fixed import unsigned_bits
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.rtl.lanes import SETTLE, Kind


class Sweep(Component):
    """Row and step counters of one population.

    Members
    -------
    start : In
        Every source has ended the step; stays high until `end`.
    room : In
        What this row sends can be taken.
    kind : Out
        What to do in this cycle; PASS with `end` low means nothing.
    row, group, y, x : Out
        Which row, and where its neurons stand.
    fire, restore : Out
        Neurons may fire; the initial state is to be restored.
    end : Out
        This is the step's last row (or its only cycle).
    """

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        layout = plan.layout
        super().__init__(
            {
                "start": In(1),
                "room": In(1),
                "kind": Out(Kind),
                "row": Out(max(1, unsigned_bits(layout.rows - 1))),
                "group": Out(max(1, unsigned_bits(layout.groups - 1))),
                "y": Out(unsigned_bits(layout.height - 1)),
                "x": Out(unsigned_bits(layout.width - 1)),
                "fire": Out(1),
                "restore": Out(1),
                "end": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        plan = self.plan
        clearing = Signal(init=1)
        step = Signal(unsigned_bits(plan.timesteps - 1))
        needed, walks, last_row = Signal(), Signal(), Signal()
        settle = Signal(range(SETTLE + 1))
        settled = settle == 0
        m.d.comb += [
            needed.eq((step >= plan.first_sweep) & (step <= plan.last_sweep)),
            self.fire.eq((step >= plan.fire_start) & (step < plan.fire_stop)),
            self.restore.eq(step == plan.last_sweep),
            last_row.eq(self.row == plan.layout.rows - 1),
        ]
        with m.If(clearing):
            m.d.comb += [self.kind.eq(Kind.CLEAR), walks.eq(1)]
            with m.If(last_row):
                m.d.sync += clearing.eq(0)
        with m.Elif(self.start & self.room & settled):
            with m.If(needed):
                m.d.comb += [self.kind.eq(Kind.SWEEP), walks.eq(1)]
                if plan.leaks:
                    with m.If(last_row):
                        m.d.sync += settle.eq(SETTLE)
                else:
                    m.d.comb += self.end.eq(last_row)
            with m.Else():
                m.d.comb += self.end.eq(1)
        with m.If(settle > 1):
            m.d.sync += settle.eq(settle - 1)
        with m.Elif((settle == 1) & self.room):  # the marker is queued like a row
            m.d.sync += settle.eq(0)
            m.d.comb += self.end.eq(1)
        with m.If(self.end):
            m.d.sync += step.eq(step + 1)
            with m.If(step == plan.timesteps - 1):
                m.d.sync += step.eq(0)
        with m.If(walks):
            self._advance(m, last_row)
        return m

    def _advance(self, m: Module, last_row: Signal) -> None:
        """Counts rows: channel groups, then x, then y."""
        layout = self.plan.layout
        with m.If(last_row):
            m.d.sync += [n.eq(0) for n in (self.row, self.group, self.y, self.x)]
        with m.Else():
            m.d.sync += [self.row.eq(self.row + 1), self.group.eq(self.group + 1)]
            with m.If(self.group == layout.groups - 1):
                m.d.sync += [self.group.eq(0), self.x.eq(self.x + 1)]
                with m.If(self.x == layout.width - 1):
                    m.d.sync += [self.x.eq(0), self.y.eq(self.y + 1)]
