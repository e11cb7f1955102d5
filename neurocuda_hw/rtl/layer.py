"""A layer core: one population, its synapses, and the streams that join it to its neighbours.

::

    events_0 -> Walker_0 -> Rows_0 --+            +-> Lanes --> Compactor -> events
    events_1 -> Walker_1 -> Rows_1 --+-> choose --+            or Serializer -> values
                            Sweep ---+

A population of bursts has a `Divider` between lanes and compactors.

In each cycle one row goes to the lanes: a row of weights if there is one; the sweep's row once
every source's end-of-step marker has come through its rows. A source that has ended its step
therefore waits until all have; that this cannot deadlock is shown in `passes.queues`.
"""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.queues import queue_depths
from neurocuda_hw.rtl.actions import Action
from neurocuda_hw.rtl.activity import State, activity_layout
from neurocuda_hw.rtl.buffer import Buffer
from neurocuda_hw.rtl.compactor import Compactor
from neurocuda_hw.rtl.divider import Divider
from neurocuda_hw.rtl.lanes import Lanes
from neurocuda_hw.rtl.later import later, stages
from neurocuda_hw.rtl.rows import RomRows, RowSource
from neurocuda_hw.rtl.serializer import Selector, Serializer, values_of
from neurocuda_hw.rtl.signatures import events_of
from neurocuda_hw.rtl.sweep import Sweep
from neurocuda_hw.rtl.table import Table
from neurocuda_hw.rtl.touched import TouchedRows
from neurocuda_hw.rtl.walker import Walker


class LayerCore(Component):
    """One population in hardware.

    Timing: one row per cycle, of weights while events are here, of states once every source has
    ended the step. From the cycle in which a step's first event is taken to the one in which its
    marker comes out: the rows of weights, the rows of states, and ``lead + 9`` cycles, and at most
    one more for each spike. Rows of spikes that are not taken wait in a queue, as many as
    `passes.queues.queue_depth` says, then the sweep waits; no event is dropped.

    Parameters
    ----------
    plan : LayerPlan
    branches : int
        To how many targets its spikes go. Each has a queue of its own, so that a target that waits
        for another source (where a skip connection ends, say) does not hold up the others.
    source : type of RowSource
        Where rows of weights come from. Cycles are those of `RomRows`; another may take longer.

    Members
    -------
    events_0, events_1, ... : In, stream
        Events of each projection's source.
    out, out_1, out_2, ... : Out, stream
        Spikes and markers of the population, for each branch, or the values of a readout.
    activity : Out
        What the layer does in this cycle; see `activity`.
    """

    def __init__(
        self, plan: LayerPlan, branches: int = 1, source: type[RowSource] = RomRows
    ) -> None:
        self.plan, self.branches, self.source = plan, branches, source
        members = {f"events_{i}": In(events_of(*s)) for i, s in enumerate(plan.senders)}
        own = events_of(plan.population, plan.burst)
        out = own if plan.fires else values_of(plan.state_bits)
        members["activity"] = Out(activity_layout(len(plan.sources), plan.burst))
        members |= {f"out_{i}": Out(out) for i in range(1, branches)}
        super().__init__({**members, "out": Out(out)})

    def outputs(self) -> list[stream.Interface]:
        """The output of each branch."""
        return [self.out, *(getattr(self, f"out_{i}") for i in range(1, self.branches))]

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        plan = self.plan
        m.submodules.lanes = lanes = Lanes(plan)
        m.submodules.sweep = sweep = Sweep(plan)
        sources = [self._rows(m, i, lanes) for i in range(len(plan.sources))]
        offers = [o for o, _ in sources]
        rows = [o.valid & ~o.payload.end for o in offers]
        ends = [o.valid & o.payload.end for o in offers]
        due = None if plan.lines is None else self._due(m, sweep, ends)
        if due is None:
            m.d.comb += sweep.start.eq(Cat(ends).all())
        else:
            rows = [row & more for row, more in zip(rows, due, strict=True)]
            ends = [end & more for end, more in zip(ends, due, strict=True)]
            m.d.comb += sweep.start.eq(~Cat(due).any())
        m.d.comb += lanes.group.eq(sweep.group)
        m.d.comb += lanes.row.eq(sweep.place if sweep.by_lines else sweep.row)
        if plan.state_rows < plan.layout.rows:
            m.d.comb += lanes.own.eq(sweep.row)
        m.d.comb += [lanes.fire.eq(sweep.fire), lanes.restore.eq(sweep.restore)]
        m.d.comb += lanes.peek.eq(sweep.peek)
        layout = plan.layout
        m.d.comb += lanes.bottom.eq(sweep.y1 == layout.lines - 1)
        m.d.comb += lanes.right.eq(sweep.x1 == layout.columns - 1)
        # the sweep only starts when no source has a row
        taken = sweep.kind == Action.CLEAR
        m.d.comb += lanes.kind.eq(sweep.kind)
        for i in plan.turns:
            o, row, end = offers[i], rows[i], ends[i]
            passes = end if plan.lines is not None else end & sweep.end
            m.d.comb += o.ready.eq((row & ~taken) | passes)
            with m.If(row & ~taken):
                m.d.comb += [
                    lanes.kind.eq(Action.ACCUMULATE),
                    lanes.port.eq(i),
                    lanes.row.eq(o.payload.state),
                    lanes.restore.eq(0),
                ]
            taken = taken | row
        if plan.touched:
            self._list_touched(m, sweep, lanes)
        if due is not None:
            ends = [~more for more in due]
        starved = Cat(end | ~holds for end, (_, holds) in zip(ends, sources, strict=True)).all()
        self._observe(m, sweep, Cat(rows).any(), starved & ~sweep.start)
        end2 = later(m, "end", sweep.end, plan.lead + 2)
        if plan.fires:
            self._compact(m, sweep, lanes, end2)
        else:
            self._serialize(m, sweep, lanes)
        return m

    def _due(self, m: Module, sweep: Sweep, ends: list[Value]) -> list[Value]:
        """Whether the next line needs more of each source; what comes beyond waits."""
        lines = self.plan.lines
        assert lines is not None
        m.submodules.needs = table = Table(list(lines.needs))
        over = sweep.end
        if sweep.by_lines:
            m.d.comb += table.key.eq(sweep.line)
            over = sweep.end & (sweep.line == lines.sends - 1)
        due = []
        for i, (end, needs) in enumerate(zip(ends, lines.needs, strict=True)):
            taken = Signal(range(int(needs[-1]) + 1), name=f"taken_{i}")
            more = Signal(name=f"due_{i}")
            m.d.comb += more.eq(taken != table.column(i))
            with m.If(over):
                m.d.sync += taken.eq(0)
            with m.Elif(end & more):
                m.d.sync += taken.eq(taken + 1)
            due.append(more)
        return due

    def _observe(self, m: Module, sweep: Sweep, adds: Value, starved: Value) -> None:
        """Says what this cycle is spent on."""
        state = self.activity.state
        events = [getattr(self, f"events_{i}") for i in range(len(self.plan.sources))]
        with m.If((sweep.kind != Action.PASS) | sweep.end):
            m.d.comb += state.eq(State.SWEEPING)
        with m.Elif(adds):
            m.d.comb += state.eq(State.INTEGRATING)
        with m.Elif(sweep.start & ~sweep.room):
            m.d.comb += state.eq(State.STALLED)
        with m.Elif(starved):
            m.d.comb += state.eq(State.STARVED)
        with m.Else():
            m.d.comb += state.eq(State.BUBBLE)
        taken = [e.valid & e.ready & ~e.payload.end for e in events]
        sent = self.out.valid & self.out.ready
        if self.plan.fires:
            sent = sent & ~self.out.payload.end
        if len(self.activity.spike) > 1:
            sent = Mux(sent, self.out.payload.value, 0)
        m.d.comb += [
            self.activity.events.eq(sum(taken[1:], taken[0])),
            self.activity.spike.eq(sent),
        ]

    def _rows(self, m: Module, index: int, lanes: Lanes) -> tuple[stream.Interface, Value]:
        """What the source of a walker's rows offers, and whether the two hold anything."""
        plan = self.plan
        source, fanout = plan.sources[index], plan.fanouts[index]
        burst = plan.bursts[index]
        walker = Walker(source=source, fanout=fanout, rows=plan.state_rows, burst=burst)
        rows = self.source(plan, index)
        m.submodules[f"walker_{index}"], m.submodules[f"rows_{index}"] = walker, rows
        events = getattr(self, f"events_{index}")
        before, behind = (Buffer(s.payload.shape()) for s in (events, walker.addresses))
        m.submodules[f"events_buffer_{index}"] = before
        m.submodules[f"address_buffer_{index}"] = behind
        connect(m, flipped(events), before.i)
        connect(m, before.o, walker.events)
        connect(m, walker.addresses, behind.i)
        connect(m, behind.o, rows.i)
        m.d.comb += [
            getattr(lanes, f"weights_{index}").eq(rows.weights),
            getattr(lanes, f"value_{index}").eq(rows.o.payload.value),
        ]
        return rows.o, before.o.valid | walker.holds | behind.o.valid | rows.holds

    def _list_touched(self, m: Module, sweep: Sweep, lanes: Lanes) -> None:
        m.submodules.touched = touched = TouchedRows(self.plan)
        m.d.comb += [
            touched.kind.eq(lanes.kind),
            touched.row.eq(lanes.row),
            touched.group.eq(lanes.group),
            touched.restore.eq(lanes.restore),
            touched.again.eq(lanes.again),
            touched.end.eq(sweep.end),
            touched.take.eq(sweep.take),
            sweep.next.eq(touched.next),
            sweep.valid.eq(touched.valid),
            sweep.last.eq(touched.last),
            sweep.empty.eq(touched.empty),
        ]

    def _compact(self, m: Module, sweep: Sweep, lanes: Lanes, end2: Signal) -> None:
        depths = queue_depths(self.plan, self.branches)
        compactors = [Compactor(self.plan, depth, counts=sweep.by_lines) for depth in depths]
        mask2 = Signal(compactors[0].layout)
        for name in ("group", "y", "x"):
            place = later(m, name, getattr(sweep, f"{name}1"), self.plan.lead + 1)
            m.d.comb += mask2[name].eq(place)
        m.d.comb += sweep.room.eq(Cat(c.room for c in compactors).all())
        if self.plan.burst:
            m.submodules.divider = divider = Divider(self.plan)
            m.d.comb += [
                divider.place.eq(mask2),
                divider.place.end.eq(end2),
                divider.exists.eq(lanes.spikes),
                divider.put.eq(lanes.swept | end2),
                divider.membranes.eq(lanes.membranes),
                divider.thresholds.eq(lanes.thresholds),
            ]
        for i, (compactor, out) in enumerate(zip(compactors, self.outputs(), strict=True)):
            m.submodules[f"compactor_{i}"] = compactor
            if sweep.by_lines:
                m.d.comb += compactor.swept.eq(sweep.kind == Action.SWEEP)
            if self.plan.burst:
                m.d.comb += [compactor.mask.eq(divider.mask), compactor.put.eq(divider.o_put)]
            else:
                m.d.comb += [
                    compactor.mask.eq(mask2),
                    compactor.mask.spikes.eq(lanes.spikes),
                    compactor.mask.end.eq(end2),
                    compactor.put.eq(lanes.done),
                ]
            m.d.comb += [
                out.payload.eq(compactor.events.payload),
                out.valid.eq(compactor.events.valid),
                compactor.events.ready.eq(out.ready),
            ]

    def _serialize(self, m: Module, sweep: Sweep, lanes: Lanes) -> None:
        # values leave in the last step only
        last = (sweep.kind == Action.SWEEP) & sweep.values
        values = stages(m, "values", last, self.plan.lead + 2)
        serializer: Serializer | Selector
        if self.plan.by_channel:
            serializer = Selector(self.plan)
            m.d.comb += serializer.lane.eq(later(m, "lane", sweep.lane, self.plan.lead + 2))
            m.d.comb += sweep.room.eq(~sweep.values | serializer.room)
        else:  # a sweep waits until the row before has left
            serializer, room = Serializer(self.plan), Signal()
            m.d.sync += room.eq(serializer.room & ~Cat(values).any())
            m.d.comb += sweep.room.eq(~sweep.values | room)
        m.submodules.serializer = serializer
        m.d.comb += [
            serializer.row.eq(lanes.membranes),
            serializer.put.eq(values[-1]),
            self.out.payload.eq(serializer.values.payload),
            self.out.valid.eq(serializer.values.valid),
            serializer.values.ready.eq(self.out.ready),
        ]
