"""The sweep: counts the steps of an inference and walks the state rows where a step asks for it.

After a reset it first walks all rows once to write the initial state. Then, for every step, it
waits for `start` (all sources have sent their end-of-step markers) and either walks rows, one per
cycle from that very cycle on, or passes the step on in one cycle when nothing can change. A leaking
population's states are written late: the step then ends `SETTLE` cycles after its last row.

Where the plan says `touched`, it takes only the rows that `TouchedRows` offers, in the order in
which they were touched; all rows in the step that restores the initial state.

Where the plan says that a population sends by `lines`, a step has as many parts: `start` then says
that the next line is complete, and `end` comes with its last row.

Values of a readout with several positions leave channel by channel: its last sweep walks all
positions once for each lane of a group, then those of the next group.
"""

from __future__ import annotations

import numpy as np
from amaranth import Elaboratable, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.passes.plan import SETTLE, LayerPlan
from neurocuda_hw.rtl.actions import Action
from neurocuda_hw.rtl.memory import Rom
from neurocuda_hw.rtl.table import Table


class Sweep(Component):
    """Row and step counters of one population.

    Timing: the first row comes in the cycle of `start`, then one per cycle while `room`; `end` with
    the last, of a leaking population `SETTLE` cycles later. A step without a row ends in the cycle
    of `start`. After a reset all rows are cleared, one per cycle, whatever `start` and `room` say.

    Members
    -------
    start : In
        Every source has ended the step; stays high until `end`.
    room : In
        What this row sends can be taken.
    next, valid, last, empty : In
        What `TouchedRows` offers; only if the plan says `touched`.
    kind : Out
        What to do in this cycle; PASS with `end` low means nothing.
    row, group : Out
        Which row, and its group of channels.
    line, place : Out
        Of a population that sends by lines: which line is next, and the state row of `row`, in a
        ring of lines.
    group1, y1, x1 : Out
        Where the neurons (or their block) of the row of the cycle before stand.
    fire, restore : Out
        Neurons may fire; the initial state is to be restored.
    values, lane, peek : Out
        Of a readout: this step's rows leave as values; which lane does, where not all do at once;
        the row is to be left as it is.
    take : Out
        The offered row is taken.
    end : Out
        This is the step's last row (or its only cycle).
    """

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        layout = plan.layout
        row, group = (max(1, unsigned_bits(n - 1)) for n in (layout.rows, layout.groups))
        self.by_lines = plan.lines is not None and plan.lines.sends > 1
        lines = {
            "line": Out(layout.place_bits[1]),
            "place": Out(max(1, unsigned_bits(plan.state_rows - 1))),
        }
        super().__init__(
            {
                "start": In(1),
                "room": In(1),
                "next": In(row),
                "valid": In(1),
                "last": In(1),
                "empty": In(1),
                "kind": Out(Action),
                "row": Out(row),
                "group": Out(group),
                "group1": Out(group),
                "y1": Out(layout.place_bits[1]),
                "x1": Out(layout.place_bits[2]),
                "fire": Out(1),
                "restore": Out(1),
                "values": Out(1),
                "lane": Out(max(1, unsigned_bits(layout.lanes - 1))),
                "peek": Out(1),
                "take": Out(1),
                "end": Out(1),
            }
            | (lines if self.by_lines else {})
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        plan = self.plan
        clearing = Signal(init=1)
        step = Signal(unsigned_bits(plan.timesteps - 1))
        needed, walks, last_row = Signal(), Signal(), Signal()
        ends = Signal() if self.by_lines else last_row
        settle = Signal(range(SETTLE + 1))
        settled = settle == 0
        in_sweeps = (step >= plan.first_sweep) & (step < plan.stop_sweep)
        m.d.comb += [
            needed.eq(in_sweeps | (step == plan.last_sweep)),
            self.fire.eq((step >= plan.fire_start) & (step < plan.fire_stop)),
            self.values.eq((step == plan.last_sweep) & ~clearing),
            self.restore.eq((step == plan.last_sweep) & ~self.peek),
        ]
        with m.If(clearing):
            m.d.comb += [self.kind.eq(Action.CLEAR), walks.eq(1)]
            with m.If(last_row):
                m.d.sync += clearing.eq(0)
        with m.Elif(self.start & self.room & settled):
            with m.If(~needed):
                m.d.comb += self.end.eq(1)
            if plan.touched:
                with m.Elif(~self.restore):
                    m.d.comb += [self.take.eq(self.valid), self.end.eq(self.empty)]
                    with m.If(self.valid):
                        m.d.comb += [self.kind.eq(Action.SWEEP), self.end.eq(self.last)]
            with m.Else():
                m.d.comb += [self.kind.eq(Action.SWEEP), walks.eq(1)]
                if plan.leaks:
                    with m.If(last_row):
                        m.d.sync += settle.eq(SETTLE)
                else:
                    m.d.comb += self.end.eq(ends)
        with m.If(settle > 1):
            m.d.sync += settle.eq(settle - 1)
        with m.Elif((settle == 1) & self.room):  # the marker is queued like a row
            m.d.sync += settle.eq(0)
            m.d.comb += self.end.eq(1)
        with m.If(self.end):
            m.d.sync += step.eq(step + 1)
            with m.If(step == plan.timesteps - 1):
                m.d.sync += step.eq(0)
        if plan.touched:
            self._place_by_row(m, walks, last_row)
        elif plan.by_channel:
            self._place_by_channel(m, walks, last_row)
        else:
            self._place_by_counters(m, walks, last_row, ends)
        if self.by_lines:
            with m.If(clearing):  # what comes meanwhile is for the first line
                m.d.comb += self.line.eq(0)
        return m

    def _place_by_counters(self, m: Module, walks: Signal, last_row: Signal, ends: Signal) -> None:
        """Rows come in order: channel groups, then x, then y are counted beside them."""
        layout = self.plan.layout
        y, x = Signal.like(self.y1), Signal.like(self.x1)
        m.d.comb += last_row.eq(self.row == layout.rows - 1)
        m.d.sync += [self.group1.eq(self.group), self.y1.eq(y), self.x1.eq(x)]
        if self.by_lines:
            m.d.comb += self.line.eq(y)
            m.d.comb += ends.eq((x == layout.columns - 1) & (self.group == layout.groups - 1))
            with m.If(walks):
                m.d.sync += self.place.eq(self.place + 1)
                with m.If(last_row | (self.place == self.plan.state_rows - 1)):
                    m.d.sync += self.place.eq(0)
        with m.If(walks & last_row):
            m.d.sync += [n.eq(0) for n in (self.row, self.group, y, x)]
        with m.Elif(walks):
            m.d.sync += [self.row.eq(self.row + 1), self.group.eq(self.group + 1)]
            with m.If(self.group == layout.groups - 1):
                m.d.sync += [self.group.eq(0), x.eq(x + 1)]
                with m.If(x == layout.columns - 1):
                    m.d.sync += [x.eq(0), y.eq(y + 1)]

    def _place_by_row(self, m: Module, walks: Signal, last_row: Signal) -> None:
        """Rows come in any order: their number tells the place, through tables if need be."""
        layout = self.plan.layout
        counted = Signal.like(self.row)
        m.d.comb += last_row.eq(counted == layout.rows - 1)
        with m.If(walks):
            m.d.sync += counted.eq(counted + 1)
            with m.If(last_row):
                m.d.sync += counted.eq(0)
            m.d.comb += self.row.eq(counted)
        with m.Else():
            m.d.comb += self.row.eq(self.next)
        rows = np.arange(layout.rows)
        position, group = np.divmod(rows, layout.groups)
        m.d.comb += self.group.eq(self._group(m, group))
        m.d.sync += self.group1.eq(self.group)
        group_bits, x_bits = unsigned_bits(layout.groups - 1), len(self.x1)
        if layout.groups == 1 << group_bits and layout.columns == 1 << x_bits:
            m.d.sync += self.x1.eq(self.row[group_bits : group_bits + x_bits])
            m.d.sync += self.y1.eq(self.row[group_bits + x_bits :])
            return
        y, x = np.divmod(position, layout.columns)
        place = (y << x_bits | x)[:, None]
        name = f"{self.plan.population.name}.place.mem"
        m.submodules.place = rom = Rom(words=place, bits=max(1, x_bits + len(self.y1)), file=name)
        m.d.comb += [rom.address.eq(self.row), self.x1.eq(rom.data), self.y1.eq(rom.data >> x_bits)]

    def _place_by_channel(self, m: Module, walks: Signal, last_row: Signal) -> None:
        """Rows come in order; in the step of the values, for each group, lane and position."""
        layout = self.plan.layout
        last_place, last_lane, last_group = Signal(), Signal(), Signal()
        short = layout.channels - (layout.groups - 1) * layout.lanes
        m.d.comb += [
            last_place.eq(self.row >= layout.rows - layout.groups),
            last_group.eq(self.group == layout.groups - 1),
            last_lane.eq(self.lane == Mux(last_group, short - 1, layout.lanes - 1)),
            self.peek.eq(self.values & ~last_lane),
            last_row.eq(last_place & last_group & (last_lane | ~self.values)),
        ]
        m.d.sync += self.group1.eq(self.group)
        with m.If(walks & last_row):
            m.d.sync += [n.eq(0) for n in (self.row, self.group, self.lane)]
        with m.Elif(walks & self.values):
            m.d.sync += self.row.eq(self.row + layout.groups)
            with m.If(last_place & ~last_lane):
                m.d.sync += [self.lane.eq(self.lane + 1), self.row.eq(self.group)]
            with m.Elif(last_place):
                m.d.sync += [self.lane.eq(0), self.group.eq(self.group + 1)]
                m.d.sync += self.row.eq(self.group + 1)
        with m.Elif(walks):
            m.d.sync += [self.row.eq(self.row + 1), self.group.eq(self.group + 1)]
            with m.If(last_group):
                m.d.sync += self.group.eq(0)

    def _group(self, m: Module, group: np.ndarray) -> Value:
        """The channel group of a row."""
        if not self.plan.layout.groups & (self.plan.layout.groups - 1):
            return self.row[: unsigned_bits(self.plan.layout.groups - 1)]
        m.submodules.groups = table = Table([group])
        m.d.comb += table.key.eq(self.row)
        return table.column(0)
