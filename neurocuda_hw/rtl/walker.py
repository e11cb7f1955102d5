"""The walker: turns one event into the rows of its fan-out, one row per cycle, without a bubble.

::

    events -> [ slot ] -> tables -> [ counters ] -> addresses
                 |     y, x, c: count,     |  w, s: weight row and state row,
                 |     first rows          |  stepped by constants

The slot holds the next event, looked up in small tables (no divider, no modulo), while the counters
still walk the one before: for each output line, each output position in it, each row of channels.
"""

from __future__ import annotations

import numpy as np
from amaranth import C, Elaboratable, Module, Mux, Signal, Value
from amaranth.hdl import unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network import Population
from neurocuda_hw.passes.layout import Fanout
from neurocuda_hw.passes.taps import AxisTaps
from neurocuda_hw.rtl.rows import address_layout
from neurocuda_hw.rtl.signatures import events_of
from neurocuda_hw.rtl.table import Table


class Walker(Component):
    """Walks the fan-out of one projection.

    Timing: a row in every cycle in which one is taken, also from one event to the next; an event
    that reaches nothing takes none of them, as long as events are there.

    Parameters
    ----------
    source : Population
        Whose events come in.
    fanout : Fanout
        Where they go.
    rows : int
        State rows that the target holds; those of lines beyond are the first ones again.
    burst : int
        The most spikes that one event stands for; 0 where it is a spike.

    Members
    -------
    events : In, stream
    addresses : Out, stream
        For a `RowSource`. Latency from an accepted event to its first row: 2 cycles.
    holds : Out
        An event or marker is in the walker, whether it is offered yet or not.
    """

    def __init__(self, *, source: Population, fanout: Fanout, rows: int, burst: int = 0) -> None:
        self.source, self.fanout, self.rows = source, fanout, rows
        events, addresses = events_of(source, burst), address_layout(source, fanout, rows, burst)
        out = Out(stream.Signature(addresses))
        super().__init__({"events": In(events), "addresses": out, "holds": Out(1)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        f = self.fanout
        slot = Signal.like(self.events.payload)
        full = Signal()
        busy, last = Signal(), Signal()
        free = Signal()  # the counters take a new event in this cycle
        m.d.comb += [free.eq(~busy | (self.addresses.ready & last)), self.holds.eq(busy | full)]

        lookup = _Lookup(m, f, slot, self.rows)
        reaches = Signal()
        m.d.comb += reaches.eq(slot.end | lookup.hits)
        # an event that reaches nothing leaves the slot at once
        leaves = Signal()
        m.d.comb += [
            leaves.eq(full & (free | ~reaches)),
            self.events.ready.eq(~full | leaves),
        ]
        with m.If(self.events.ready):
            m.d.sync += [full.eq(self.events.valid), slot.eq(self.events.payload)]

        ending, value = Signal(), Signal.like(slot.value)
        row = self.addresses.payload.row
        m.d.comb += [self.addresses.valid.eq(busy), row.end.eq(ending), row.value.eq(value)]
        with m.If(free):
            m.d.sync += [busy.eq(full & reaches), ending.eq(slot.end), value.eq(slot.value)]
        _Counters(m, f, lookup, self, free=free, ending=ending, last=last)
        return m


class _Lookup:
    """What the tables say of the event in the slot: counts, and its first weight and state row."""

    def __init__(self, m: Module, f: Fanout, slot: Signal, rows: int) -> None:
        y_count, y_state, y_weight = self._axis(
            m, "y", slot.y, f.y, f.y.out * f.row_y % rows, f.kernel_width * f.rows_per_tap
        )
        x_count, x_state, x_weight = self._axis(
            m, "x", slot.x, f.x, f.x.out * f.row_x, f.rows_per_tap
        )
        if f.uniform:
            c_rows = int(f.channel_rows[0])
            c_count, c_state, c_weight = _constant(c_rows), _constant(0), _times(slot.c, c_rows)
        else:
            m.submodules.c_table = table = Table([f.channel_rows, f.channel_first, f.channel_base])
            m.d.comb += table.key.eq(slot.c)
            c_count, c_state, c_weight = (table.column(i) for i in range(3))
        self.y_count, self.x_count, self.c_count = y_count, x_count, c_count
        self.weight = y_weight + x_weight + c_weight
        self.state = y_state + x_state + c_state
        self.hits = (y_count != 0) & (x_count != 0)

    @staticmethod
    def _axis(
        m: Module, name: str, key: Value, taps: AxisTaps, state: np.ndarray, weight: int
    ) -> tuple[Value, Value, Value]:
        columns = [taps.count, state, taps.tap * weight]
        if len(taps.count) == 1:
            first = (_constant(int(column[0])) for column in columns)
            return next(first), next(first), next(first)
        table = Table(columns)
        m.submodules[f"{name}_table"] = table
        m.d.comb += table.key.eq(key)
        return table.column(0), table.column(1), table.column(2)


def _times(value: Value, factor: int) -> Value:
    """`value` times a constant as a sum of shifts: yosys would take a multiplier for it."""
    terms = [value << place for place in range(factor.bit_length()) if factor >> place & 1]
    return sum(terms[1:], terms[0])


def _constant(value: int) -> Value:
    return C(value, unsigned(max(1, value.bit_length())))


class _Counters:
    """The three nested loops: output lines, positions in a line, rows of channels."""

    def __init__(
        self,
        m: Module,
        f: Fanout,
        lookup: _Lookup,
        walker: Walker,
        *,
        free: Signal,
        ending: Signal,
        last: Signal,
    ) -> None:
        y_most, x_most, c_most = (int(n.max()) for n in (f.y.count, f.x.count, f.channel_rows))
        y, x, x_again, c, c_again = (_Left(n) for n in (y_most, x_most, x_most, c_most, c_most))
        address = walker.addresses.payload
        now, position, line = (_Pair(address, name) for name in ("now", "position", "line"))
        m.d.comb += [address.weight.eq(now.weight), address.row.state.eq(now.state)]
        m.d.comb += last.eq(ending | (c.last & x.last & y.last))
        tap = f.rows_per_tap
        x_step = (f.x.out_step * f.row_x, -f.x.tap_step * tap)
        y_step = (f.y.out_step * f.row_y, -f.y.tap_step * tap * f.kernel_width)
        with m.If(free):
            m.d.sync += y.start(lookup.y_count)
            for left in (x, x_again):
                m.d.sync += left.start(lookup.x_count)
            for left in (c, c_again):
                m.d.sync += left.start(lookup.c_count)
            for pair in (now, position, line):
                m.d.sync += [pair.weight.eq(lookup.weight), pair.state.eq(lookup.state)]
        with m.Elif(walker.addresses.ready):
            with m.If(~c.last):
                m.d.sync += [
                    *c.less(),
                    now.weight.eq(now.weight + 1),
                    now.state.eq(now.state + 1),
                ]
            with m.Elif(~x.last):
                m.d.sync += [*c.again(c_again), *x.less()]
                m.d.sync += position.step(x_step, now, position)
            with m.Else():
                m.d.sync += [*c.again(c_again), *x.again(x_again), *y.less()]
                last_line = (f.y.out + (f.y.count - 1) * f.y.out_step).max()
                rows = walker.rows if last_line * f.row_y >= walker.rows else 0
                m.d.sync += line.step(y_step, now, position, line, rows=rows)


class _Left:
    """How many are left, this one included; and whether it is the last, known from a register."""

    def __init__(self, most: int) -> None:
        self.count, self.last = Signal(unsigned_bits(most)), Signal()

    def start(self, count: Value) -> list[object]:
        return [self.count.eq(count), self.last.eq(count == 1)]

    def less(self) -> list[object]:
        return [self.count.eq(self.count - 1), self.last.eq(self.count == 2)]

    def again(self, other: _Left) -> list[object]:
        return [self.count.eq(other.count), self.last.eq(other.last)]


class _Pair:
    """A weight row and a state row that step together."""

    def __init__(self, address: data.View, name: str) -> None:
        self.weight = Signal.like(address.weight, name=f"{name}_weight")
        self.state = Signal.like(address.row.state, name=f"{name}_state")

    def step(self, step: tuple[int, int], *into: _Pair, rows: int = 0) -> list[object]:
        """Statements that put this pair, moved by (state, weight) rows, into others; in a ring of
        so many state `rows`, if not 0."""
        state = self.state + step[0]
        if rows:
            state = Mux(state >= rows, state - rows, state)
        return [
            part
            for pair in into
            for part in (
                pair.weight.eq(self.weight + step[1]),
                pair.state.eq(state),
            )
        ]
