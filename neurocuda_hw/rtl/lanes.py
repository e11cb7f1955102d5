"""The lanes: P membranes are read, changed and written back in every cycle.

::

    before    weights come from their memory: `LayerPlan.lead` cycles
    cycle 0   row address to the state memory
    cycle 1   weight x value (or bias, threshold); the state, or a newer one still on its way
    cycle 2   add, compare, reset; write back; spikes come out

Two rows in the pipeline may be the same one: the state is then taken from cycle 2, or from what was
written one cycle earlier, so that no cycle is ever lost to a hazard. The sweep of a leaking
population is written back in cycle 4; whoever sweeps leaves `passes.plan.SETTLE` cycles before the
next row.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from amaranth import C, Cat, Const, Elaboratable, Module, Mux, Signal, Value
from amaranth.hdl import signed, unsigned
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.network.wire import payload_bits
from neurocuda_hw.passes.plan import LayerPlan, Parameter
from neurocuda_hw.rtl.actions import Action
from neurocuda_hw.rtl.later import AnyValue, later, stages
from neurocuda_hw.rtl.memory import Ram, Rom
from neurocuda_hw.rtl.neuron import NeuronLane


class Lanes(Component):
    """States of one population and the arithmetic on them. It never stalls.

    Timing: one row per cycle, in any order; what a row lets come out is there ``lead + 2`` cycles
    after it was asked for. The next row of any kind sees all that those before it wrote, but for
    rows of a leaking sweep: after the last of them `passes.plan.SETTLE` cycles must pass.

    Parameters
    ----------
    plan : LayerPlan

    Members
    -------
    kind, row, group : In
        What to do in this cycle, to which state row, and its channel group.
    own : In
        In a sweep: the row whose parameters are meant, where states are held in a ring of lines.
    bottom, right : In
        The row of the cycle before is in the last line, the last column of blocks.
    port : In
        Which projection a row of weights comes from.
    weights, value : In, one per projection
        The weights of the row of 2 cycles before, as a `RowSource` gives them; the payload of the
        event (signed).
    fire, restore : In
        In a sweep: neurons may fire; the initial state is written instead of the membrane.
        `restore` must be low while rows of weights are added.
    peek : In
        In a sweep: nothing is written.
    done : Out
        A SWEEP or PASS of ``lead + 2`` cycles ago comes out now.
    spikes : Out
        One bit per lane; of a population of bursts, whether it holds a neuron.
    membranes : Out
        v- of each lane, before any reset.
    again : Out
        In a row that was swept, a membrane is still at its threshold; a cycle later than all else,
        and only if the plan says `touched`.
    swept, thresholds : Out, of a population of bursts
        A SWEEP of ``lead + 2`` cycles ago comes out now; thresholds of its lanes.
    """

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        count, p = len(plan.projections), plan.layout.lanes
        self.value_bits = 1 + max(map(payload_bits, plan.sources, plan.bursts))
        row_bits = max(1, (plan.state_rows - 1).bit_length())
        members = {
            "kind": In(Action),
            "row": In(row_bits),
            "group": In(max(1, (plan.layout.groups - 1).bit_length())),
            "bottom": In(1),
            "right": In(1),
            "port": In(max(1, (count - 1).bit_length())),
            "fire": In(1),
            "restore": In(1),
            "peek": In(1),
            "done": Out(1),
            "spikes": Out(p),
            "membranes": Out(p * plan.state_bits),
            "again": Out(1),
        }
        if plan.state_rows < plan.layout.rows:
            members["own"] = In((plan.layout.rows - 1).bit_length())
        if plan.burst:
            members["swept"] = Out(1)
            members["thresholds"] = Out(p * plan.threshold.bits)
        for i, bits in enumerate(plan.stored_bits):
            members[f"weights_{i}"] = In(p * bits)
            members[f"value_{i}"] = In(signed(self.value_bits))
        super().__init__(members)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        plan, p = self.plan, self.plan.layout.lanes
        word_bits = plan.state_bits + plan.synaptic_bits + plan.held_bits
        style = plan.ways.styles.get("states")
        m.submodules.state = state = Ram(width=p * word_bits, depth=plan.state_rows, style=style)
        lead = plan.lead

        def staged(name: str, value: AnyValue) -> tuple[AnyValue, AnyValue, AnyValue]:
            *_, now, one, two = stages(m, name, value, lead + 2)
            return now, one, two

        row0, row1, row2 = staged("row", self.row)
        _, kind1, kind2 = staged("kind", self.kind)
        fire1 = later(m, "fire", self.fire, lead + 1)
        _, restore1, restore2 = staged("restore", self.restore)
        _, _, group2 = staged("group", self.group)
        _, peek1, peek2 = staged("peek", self.peek)
        ports = stages(m, "port", self.port, lead + 1)
        bottom2, right2 = (
            later(m, name, value, lead + 1)
            for name, value in (("bottom", self.bottom), ("right", self.right))
        )
        m.d.comb += state.read_address.eq(row0)
        held1, held2 = Signal(), Signal()
        with m.Switch(ports[-1]):
            for i, is_held in enumerate(plan.held):
                with m.Case(i):
                    m.d.comb += held1.eq(is_held)
        m.d.sync += held2.eq(held1)

        swept, late, fires2, fresh2 = Signal(), Signal(), Signal(), Signal()
        fires1 = fire1 & (kind1 == Action.SWEEP)
        m.d.sync += fires2.eq(fires1)
        m.d.sync += fresh2.eq(restore1 | (kind1 == Action.CLEAR))
        moves1 = kind1 != Action.PASS
        accumulates1, accumulates2 = kind1 == Action.ACCUMULATE, kind2 == Action.ACCUMULATE
        m.d.comb += [
            swept.eq(kind2 == Action.SWEEP),
            self.done.eq(swept | (kind2 == Action.PASS)),
            late.eq(swept & ~restore2 & ~peek2 if plan.leaks else 0),
        ]
        word2 = Signal(p * word_bits, reset_less=bool(plan.burst))
        products = self._products(m, ports)
        own = {q.name: self._parameter(m, q) for q in plan.parameters()}
        words, late_words, spikes, membranes, again = [], [], [], [], []
        for i in range(p):
            lane = NeuronLane(m, plan, i, word2.word_select(i, word_bits))
            with self._only(m, moves1):
                own_i = {name: values[i] for name, values in own.items()}
                lane.first_stage(accumulates1, fires1, products[i], own_i)
            lane.second_stage(accumulates2, held2, fires2, fresh2)
            words.append(lane.word)
            late_words.append(lane.late_word)
            exists = self._exists(i, group2, bottom2, right2)
            spikes.append((swept if plan.burst else lane.fired) & exists)
            membranes.append(lane.membrane)
            again.append(lane.again & exists)
        if plan.touched:
            m.d.sync += self.again.eq(Cat(again).any())
        if plan.burst:
            m.d.comb += self.swept.eq(swept)
            with self._only(m, moves1):
                m.d.sync += self.thresholds.eq(Cat(own["threshold"]))
        m.d.comb += [self.spikes.eq(Cat(spikes)), self.membranes.eq(Cat(membranes))]

        result, write1, write2 = Signal(p * word_bits), Signal(), Signal()
        sweeps1, keeps1 = kind1 == Action.SWEEP, C(0, 1)
        if plan.leaks:
            keeps1 = ~restore1  # it is written late
        m.d.comb += [
            result.eq(Cat(words)),
            write1.eq((kind1 != Action.PASS) & ~(sweeps1 & (peek1 | keeps1))),
        ]
        m.d.sync += write2.eq(write1)
        result3 = Signal.like(word2)
        with self._only(m, write2):
            m.d.sync += result3.eq(result)
        # of row1: whether it is row2, or row3; worked out a cycle before
        newer, older = Signal(), Signal()
        m.d.sync += [newer.eq(write1 & (row1 == row0)), older.eq(write2 & (row2 == row0))]
        with self._only(m, moves1):
            with m.If(newer):
                m.d.sync += word2.eq(result)
            with m.Elif(older):
                m.d.sync += word2.eq(result3)
            with m.Else():
                m.d.sync += word2.eq(state.read_data)
        m.d.comb += [state.write.eq(write2), state.write_address.eq(row2)]
        m.d.comb += state.write_data.eq(result)
        if plan.leaks:
            late4, row4 = later(m, "late", late, 2), later(m, "late_row", row2, 2)
            with m.If(late4):
                m.d.comb += [state.write.eq(1), state.write_address.eq(row4)]
                m.d.comb += state.write_data.eq(Cat(late_words))
        return m

    def _only(self, m: Module, moves: Value) -> AbstractContextManager[None]:
        """Lanes of bursts rest in a cycle without a row, which saves power and simulation."""
        return m.If(moves) if self.plan.burst else nullcontext()

    def _products(self, m: Module, ports: list[Signal]) -> list[Value]:
        """weight x value of each lane in cycle 1, from the projection that was asked.

        `ports` are those of the rows that were taken 0, 1, 2, ... cycles ago.
        """
        plan, p, lead = self.plan, self.plan.layout.lanes, self.plan.lead
        per_port, values = [], []
        # what is multiplied has registers without a reset, as multipliers of devices have
        for i, bits in enumerate(plan.stored_bits):
            row = getattr(self, f"weights_{i}")
            if plan.multiplies and not any(plan.bursts):
                row = later(m, f"factors_{i}_", row, reset_less=True)
            value: Value = C(1, signed(2))
            if payload_bits(plan.sources[i], plan.bursts[i]):
                value = later(m, f"value_{i}_", getattr(self, f"value_{i}"), lead)
            values.append(value)
            per_port.append([row.word_select(lane, bits).as_signed() for lane in range(p)])
        shifts = plan.weight_shifts
        if any(plan.bursts):  # one multiplier per lane, whatever the number of projections
            value = Signal(signed(self.value_bits), name="value1", reset_less=True)
            with m.Switch(ports[lead]):
                for i, one in enumerate(values):
                    with m.Case(i):
                        m.d.sync += value.eq(one)
            common = min(shifts)
            for i, shift in enumerate(shifts):
                per_port[i] = _shifted(per_port[i], shift - common)
            weights = self._chosen(ports[2], per_port)
            if plan.maximum:
                return [Mux(weight.any(), value, 0) for weight in weights]
            if plan.multiplies:
                for i, weight in enumerate(weights):
                    factor = later(m, f"factor_{i}_", weight, reset_less=True)
                    weights[i] = self._product(factor, value)
            return _shifted(weights, common)
        for i, value in enumerate(values):
            if not isinstance(value, Const):
                value1 = later(m, f"value1_{i}_", value, reset_less=True)
                per_port[i] = [self._product(weight, value1) for weight in per_port[i]]
            per_port[i] = _shifted(per_port[i], shifts[i])
        return self._chosen(ports[-1], per_port)

    def _product(self, weight: Value, value: Value) -> Value:
        """weight x value: a multiplier, or in logic a sum with a term for each bit of one."""
        if not self.plan.ways.soft:
            return weight * value
        few, other = sorted((weight, value), key=len)
        terms = [Mux(bit, other.shift_left(i), 0) for i, bit in enumerate(few)]
        return sum(terms[:-1], C(0, 1)) - terms[-1]  # the last bit is the sign

    def _chosen(self, port1: Signal, per_port: list[list[Value]]) -> list[Value]:
        """What each lane gets from the projection that was asked."""
        chosen = per_port[0]
        for i, others in enumerate(per_port[1:], start=1):
            chosen = [Mux(port1 == i, *both) for both in zip(others, chosen, strict=True)]
        return chosen

    def _parameter(self, m: Module, parameter: Parameter) -> list[Value]:
        """The parameter of each lane in cycle 1: a constant where all neurons share it."""
        p = self.plan.layout.lanes
        if parameter.uniform:
            value = int(parameter.rows.flat[0])
            return [C(value, signed(parameter.bits))] * p
        name = f"{self.plan.population.name}.{parameter.name}.mem"
        style = self.plan.ways.styles.get(parameter.name)
        rom = Rom(words=parameter.rows, bits=parameter.bits, file=name, style=style)
        m.submodules[parameter.name] = rom
        row = self.own if self.plan.state_rows < self.plan.layout.rows else self.row
        key = row if parameter.per_row else self.group
        m.d.comb += rom.address.eq(later(m, f"{parameter.name}_row", key, self.plan.lead - 1))
        data = later(m, f"{parameter.name}_", rom.data)  # a block memory's outputs come late
        return [data.word_select(i, parameter.bits).as_signed() for i in range(p)]

    def _exists(self, lane: int, group: Signal, bottom: Signal, right: Signal) -> Value:
        """Whether the lane holds a neuron in this row: its last group or block may be short."""
        layout = self.plan.layout
        place, channel = divmod(lane, layout.slots)
        y, x = divmod(place, layout.block[1])
        if channel >= layout.channels:
            return C(0, unsigned(1))
        found: Value = C(1, unsigned(1))
        if channel >= layout.channels - (layout.groups - 1) * layout.lanes:
            found = found & (group != layout.groups - 1)
        if (layout.lines - 1) * layout.block[0] + y >= layout.height:
            found = found & ~bottom
        if (layout.columns - 1) * layout.block[1] + x >= layout.width:
            found = found & ~right
        return found


def _shifted(values: list[Value], bits: int) -> list[Value]:
    """Values with the low bits that memory leaves out."""
    return [value.shift_left(bits) for value in values] if bits else values
