"""The lanes: P membranes are read, changed and written back in every cycle.

::

    cycle 0   row address to the state memory and the weight memories
    cycle 1   weight x value (or bias, threshold); the state, or a newer one still on its way
    cycle 2   add, compare, reset; write back; spikes come out

Two rows in the pipeline may be the same one: the state is then taken from cycle 2, or from what was
written one cycle earlier, so that no cycle is ever lost to a hazard.

The equation per lane: an accumulation is ``v += weight * value``; a sweep is ``v- = v + bias`` (or
v + held current), ``spike = v- >= threshold``, then the reset rule and the floor of `network`.
"""

from __future__ import annotations

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.hdl import signed, unsigned
from amaranth.lib import enum
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.neurons import Reset
from neurocuda_hw.passes.plan import LayerPlan, Parameter
from neurocuda_hw.rtl.memory import Ram, Rom
from neurocuda_hw.rtl.signatures import value_shape


class Kind(enum.Enum, shape=2):
    """What is done to a row: nothing at all, or one of three ways to a new state."""

    PASS = 0
    ACCUMULATE = 1
    SWEEP = 2
    CLEAR = 3


class Lanes(Component):
    """States of one population and the arithmetic on them. It never stalls.

    Parameters
    ----------
    plan : LayerPlan

    Members
    -------
    kind, row, group : In
        What to do in this cycle, to which state row, and its channel group.
    port : In
        Which projection a row of weights comes from.
    weight, value : In, one per projection
        Weight row address, and the payload of the event (signed).
    fire, restore : In
        In a sweep: neurons may fire; the initial state is written instead of the membrane.
    done : Out
        A SWEEP or PASS of two cycles ago comes out now.
    spikes : Out
        One bit per lane.
    membranes : Out
        v- of each lane, before any reset.
    """

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        count, p = len(plan.projections), plan.layout.lanes
        self.value_bits = 1 + max(_payload_bits(plan, i) for i in range(count))
        row_bits = max(1, (plan.layout.rows - 1).bit_length())
        members = {
            "kind": In(Kind),
            "row": In(row_bits),
            "group": In(max(1, (plan.layout.groups - 1).bit_length())),
            "port": In(max(1, (count - 1).bit_length())),
            "fire": In(1),
            "restore": In(1),
            "done": Out(1),
            "spikes": Out(p),
            "membranes": Out(p * plan.state_bits),
        }
        for i, f in enumerate(plan.fanouts):
            members[f"weight_{i}"] = In(max(1, (len(f.weights) - 1).bit_length()))
            members[f"value_{i}"] = In(signed(self.value_bits))
        super().__init__(members)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        plan, p = self.plan, self.plan.layout.lanes
        word_bits = plan.state_bits + plan.current_bits
        m.submodules.state = state = Ram(width=p * word_bits, depth=plan.layout.rows)
        m.d.comb += state.read_address.eq(self.row)

        kind1, row1, port1 = Signal(Kind), Signal.like(self.row), Signal.like(self.port)
        fire1, restore1, group1 = Signal(), Signal(), Signal.like(self.group)
        m.d.sync += [kind1.eq(self.kind), row1.eq(self.row), port1.eq(self.port)]
        m.d.sync += [fire1.eq(self.fire), restore1.eq(self.restore), group1.eq(self.group)]
        kind2, row2 = Signal(Kind), Signal.like(self.row)
        fire2, restore2, group2 = Signal(), Signal(), Signal.like(self.group)
        held1, held2 = Signal(), Signal()
        m.d.sync += [kind2.eq(kind1), row2.eq(row1), held2.eq(held1)]
        m.d.sync += [fire2.eq(fire1), restore2.eq(restore1), group2.eq(group1)]

        word2, result = Signal(p * word_bits), Signal(p * word_bits)
        row3, written3, result3 = Signal.like(self.row), Signal(), Signal(p * word_bits)
        write2 = kind2 != Kind.PASS
        m.d.comb += [state.write.eq(write2), state.write_address.eq(row2)]
        m.d.comb += state.write_data.eq(result)
        m.d.sync += [row3.eq(row2), written3.eq(write2), result3.eq(result)]
        with m.If(write2 & (row2 == row1)):
            m.d.sync += word2.eq(result)
        with m.Elif(written3 & (row3 == row1)):
            m.d.sync += word2.eq(result3)
        with m.Else():
            m.d.sync += word2.eq(state.read_data)

        products = self._products(m, port1)
        with m.Switch(port1):
            for i, is_held in enumerate(plan.held):
                with m.Case(i):
                    m.d.comb += held1.eq(is_held)
        parameters = {
            q.name: self._parameter(m, q)
            for q in (plan.threshold, plan.bias, plan.initial, plan.reset_value)
        }
        swept = Signal()
        m.d.comb += [swept.eq(kind2 == Kind.SWEEP), self.done.eq(swept | (kind2 == Kind.PASS))]
        new, spikes, membranes = [], [], []
        for lane in range(p):
            alu = _Alu(m, self, lane, word2.word_select(lane, word_bits))
            alu.first_stage(kind1, products[lane], {n: v[lane] for n, v in parameters.items()})
            alu.second_stage(kind2, held2, fire2, restore2)
            new.append(alu.word)
            spikes.append(alu.fired & self._exists(lane, group2) & swept)
            membranes.append(alu.membrane)
        m.d.comb += [result.eq(Cat(new)), self.spikes.eq(Cat(spikes))]
        m.d.comb += self.membranes.eq(Cat(membranes))
        return m

    def _products(self, m: Module, port1: Signal) -> list[Value]:
        """weight x value of each lane in cycle 1, from the projection that was asked."""
        plan, p = self.plan, self.plan.layout.lanes
        per_port = []
        for i, (f, bits) in enumerate(zip(plan.fanouts, plan.weight_bits, strict=True)):
            name = f"{plan.population.name}_{plan.projections[i].source}_weight"
            rom = Rom(words=f.weights, bits=bits, file=f"{name}.mem")
            m.submodules[f"weights_{i}"] = rom
            m.d.comb += rom.address.eq(getattr(self, f"weight_{i}"))
            weights = [rom.data.word_select(lane, bits).as_signed() for lane in range(p)]
            if _payload_bits(plan, i):
                value = Signal(signed(self.value_bits), name=f"value1_{i}")
                m.d.sync += value.eq(getattr(self, f"value_{i}"))
                weights = [weight * value for weight in weights]
            per_port.append(weights)
        if len(per_port) == 1:
            return per_port[0]
        width = max(len(weight) for weights in per_port for weight in weights)
        chosen = []
        for lane in range(p):
            product = Signal(signed(width), name=f"product_{lane}")
            with m.Switch(port1):
                for i, weights in enumerate(per_port):
                    with m.Case(i):
                        m.d.comb += product.eq(weights[lane])
            chosen.append(product)
        return chosen

    def _parameter(self, m: Module, parameter: Parameter) -> list[Value]:
        """The parameter of each lane in cycle 1: a constant where all neurons share it."""
        p = self.plan.layout.lanes
        if parameter.uniform:
            value = int(parameter.rows.flat[0])
            return [C(value, signed(parameter.bits))] * p
        name = f"{self.plan.population.name}_{parameter.name}"
        rom = Rom(words=parameter.rows, bits=parameter.bits, file=f"{name}.mem")
        m.submodules[parameter.name] = rom
        m.d.comb += rom.address.eq(self.row if parameter.per_row else self.group)
        return [rom.data.word_select(i, parameter.bits).as_signed() for i in range(p)]

    def _exists(self, lane: int, group: Signal) -> Value:
        """Whether the lane holds a neuron in this channel group; the last one may be short."""
        layout = self.plan.layout
        inside = layout.channels - (layout.groups - 1) * layout.lanes
        return C(1, unsigned(1)) if lane < inside else group != layout.groups - 1


class _Alu:
    """Cycles 1 and 2 of one lane."""

    def __init__(self, m: Module, lanes: Lanes, lane: int, word: Value) -> None:
        self.m, self.plan, self.lane = m, lanes.plan, lane
        bits = self.plan.state_bits
        self.v = self._signal("v", bits)
        self.held = self._signal("held", self.plan.current_bits)
        m.d.comb += Cat(self.v, self.held).eq(word)
        self.addend = self._signal("addend", bits)
        self.below = self._signal("below", bits + 1)
        self.initial = self._signal("initial", bits)
        self.bias = self._signal("bias", max(1, self.plan.bias.bits))
        self.reset_value = self._signal("reset_value", self.plan.reset_value.bits)
        self.membrane = self._signal("membrane", bits)
        self.fired = Signal(name=f"fired_{lane}")
        self.word = Signal(len(word), name=f"word_{lane}")

    def _signal(self, name: str, bits: int) -> Signal:
        return Signal(signed(bits) if bits else unsigned(0), name=f"{name}_{self.lane}")

    def first_stage(self, kind: Signal, product: Value, own: dict[str, Value]) -> None:
        """Registers what cycle 2 adds: a product or the bias, and what it compares with."""
        chained = self.plan.current_bits > 0
        bias = C(0) if chained else own["bias"]
        self.m.d.sync += [
            self.addend.eq(Mux(kind == Kind.ACCUMULATE, product, bias)),
            self.below.eq(bias - own["threshold"]),
            self.initial.eq(own["initial"]),
            self.bias.eq(own["bias"]),
            self.reset_value.eq(own["reset_value"]),
        ]

    def second_stage(self, kind: Signal, held: Signal, fire: Signal, restore: Signal) -> None:
        """Adds, compares, resets; leaves the new state word, the spike and v-."""
        m, plan = self.m, self.plan
        chained = plan.current_bits > 0
        over = self._signal("over", plan.state_bits + 1)
        after = self._signal("after", plan.state_bits)
        if chained:
            swept = kind == Kind.SWEEP
            m.d.comb += self.membrane.eq(self.v + Mux(swept, self.held, self.addend))
            m.d.comb += over.eq(self.membrane + self.below)
        else:
            m.d.comb += self.membrane.eq(self.v + self.addend)
            m.d.comb += over.eq(self.v + self.below)
        m.d.comb += self.fired.eq((over >= 0) & fire)
        reset = {Reset.SUBTRACT: over, Reset.ZERO: C(0), Reset.TO_VALUE: self.reset_value}
        m.d.comb += after.eq(Mux(self.fired, reset[plan.reset], self.membrane))
        floored: Value = after
        if plan.v_floor is not None:
            floored = Mux(after < plan.v_floor, plan.v_floor, after)
        fresh = (kind == Kind.CLEAR) | restore
        new_v = self._signal("new_v", plan.state_bits)
        new_held = self._signal("new_held", plan.current_bits)
        m.d.comb += [new_v.eq(floored), new_held.eq(self.held)]
        with m.If(fresh):
            m.d.comb += [new_v.eq(self.initial), new_held.eq(self.bias)]
        with m.Elif(kind == Kind.ACCUMULATE):
            m.d.comb += new_v.eq(self.membrane)
            if chained:
                with m.If(held):
                    m.d.comb += [new_v.eq(self.v), new_held.eq(self.held + self.addend)]
        m.d.comb += self.word.eq(Cat(new_v, new_held))


def _payload_bits(plan: LayerPlan, index: int) -> int:
    """Bits of the payload that projection `index` multiplies by; 0 for spikes."""
    return int(value_shape(plan.sources[index]).width)
