"""The arithmetic of one lane: from a state word and a row of weights to the next state word.

A state word holds, from its lowest bits: the membrane v as it is between steps, the synaptic
current u of a CubaLIF, and the held current h of a CURRENT input. With p = weight x value::

    accumulate   v += p        (CubaLIF: u += p; from a CURRENT input: h += p)
    sweep        v- = v + u + h + bias        spike = v- >= threshold
                 v' = reset rule, floor       v = keep(v')   u = keep(u + h)

A population of bursts adds the same way (a maximum keeps the larger of v and p), and a sweep
leaves the initial state: `Divider` makes counts of v.

where ``keep(n) = sign(n) * (|n| * (4096 - decay) >> 12)``, or n itself without a leak.
"""

from __future__ import annotations

from amaranth import C, Cat, Module, Mux, Signal, Value
from amaranth.hdl import signed, unsigned

from neurocuda_hw.network.neurons import Reset
from neurocuda_hw.passes.plan import LayerPlan

KEEP_BITS = 13  # 4096 - decay, 0 to 4096


class NeuronLane:
    """Describes one lane inside a module.

    Parameters
    ----------
    m : Module
    plan : LayerPlan
    lane : int
        Its number, for names.
    word : Value
        State word of cycle 2.
    """

    def __init__(self, m: Module, plan: LayerPlan, lane: int, word: Value) -> None:
        self.m, self.plan, self.lane = m, plan, lane
        bits = plan.state_bits
        self.v = self._signal("v", bits)
        self.u = self._signal("u", plan.synaptic_bits)
        self.h = self._signal("h", plan.held_bits)
        m.d.comb += Cat(self.v, self.u, self.h).eq(word)
        self.membrane = self._signal("membrane", bits)
        self.fired = Signal(name=f"fired_{lane}")
        self.again = Signal(name=f"again_{lane}")
        self.word = Signal(len(word), name=f"word_{lane}")
        self.late_word = Signal(len(word), name=f"late_word_{lane}")

    def _signal(self, name: str, bits: int) -> Signal:
        shape = signed(bits) if bits and not self.plan.maximum else unsigned(bits)
        return Signal(shape, name=f"{name}_{self.lane}")

    def _register(self, name: str, value: Value, bits: int | None = None, init: int = 0) -> Signal:
        shape = value.shape() if bits is None else signed(bits)
        register = Signal(shape, name=f"{name}_{self.lane}", init=init)
        self.m.d.sync += register.eq(value)
        return register

    def first_stage(
        self, accumulates: Value, fire: Value, product: Value, own: dict[str, Value]
    ) -> None:
        """Cycle 1: registers what cycle 2 adds, and what it compares with.

        Without u and h, ``bias - threshold`` is ready beforehand: the comparison then runs beside
        the addition instead of after it. Where none may `fire`, it is out of reach instead, so that
        the sign alone says who fires; but not where rows are listed, which asks for more.
        """
        plan, bits = self.plan, self.plan.state_bits
        if plan.burst:
            self.addend, self.initial = (
                Signal.like(self.v, name=f"{name}_{self.lane}", reset_less=True)
                for name in ("addend", "initial")
            )
            self.m.d.sync += [self.addend.eq(product), self.initial.eq(own["initial"])]
            return
        self.chained = plan.synaptic_bits > 0 or plan.held_bits > 0
        width = max(bits, plan.synaptic_bits, plan.held_bits)
        self.addend = self._register("addend", Mux(accumulates, product, own["bias"]), width)
        below = -own["threshold"] if self.chained else own["bias"] - own["threshold"]
        far = 0 if plan.touched else -(1 << bits - 1)
        if far:
            below = Mux(fire, below, C(far, signed(bits + 1)))
        self.below = self._register("below", below, bits + 1, init=far)
        if plan.touched and plan.reset is Reset.SUBTRACT:  # then there is no bias, u or h
            self.below_twice = self._register("below_twice", -2 * own["threshold"], bits + 2)
        self.initial = self._register("initial", own["initial"], bits)
        self.reset_value = self._register("reset_value", own["reset_value"])
        self.keep = {
            name: self._register(name, own[name][:KEEP_BITS])
            for name in ("keep", "keep_synaptic")
            if name in own
        }

    def second_stage(self, accumulates: Value, held: Value, fire: Value, fresh: Value) -> None:
        """Cycle 2: adds, compares, resets. Leaves `word`, `fired`, `again` and `membrane`, the v-.

        `accumulates` tells a row of weights, `held` that it is of a CURRENT input; `fire` that it
        is swept and neurons may fire; `fresh` asks for the initial state instead of a sweep's.
        """
        m, plan = self.m, self.plan
        if plan.burst:
            added: Value = self.v + self.addend
            if plan.maximum:
                added = Mux(self.addend > self.v, self.addend, self.v)
            m.d.comb += [self.membrane.eq(self.v), self.word.eq(Mux(fresh, self.initial, added))]
            return
        over = self._signal("over", plan.state_bits + 1)
        after = self._signal("after", plan.state_bits)
        drive = self._signal("drive", plan.state_bits)
        if self.chained:
            m.d.comb += drive.eq(Mux(accumulates, 0, self.u + self.h) + self.addend)
            m.d.comb += over.eq(self.membrane + self.below)
        else:
            m.d.comb += drive.eq(self.addend)
            m.d.comb += over.eq(self.v + self.below)
        m.d.comb += self.membrane.eq(self.v + drive)
        m.d.comb += self.fired.eq(over >= 0)
        if plan.touched:
            m.d.comb += self.fired.eq((over >= 0) & fire)
            self._ask_again(over, fire)
        reset = {Reset.SUBTRACT: over, Reset.ZERO: C(0), Reset.TO_VALUE: self.reset_value}
        m.d.comb += after.eq(Mux(self.fired, reset[plan.reset], self.membrane))
        floored: Value = after
        if plan.v_floor is not None:
            floored = Mux(after < plan.v_floor, plan.v_floor, after)
        sizes = {"v": len(self.v), "u": len(self.u), "h": len(self.h)}
        new = [self._signal(f"new_{name}", bits) for name, bits in sizes.items()]
        m.d.comb += [new[0].eq(floored), new[1].eq(self.u), new[2].eq(self.h)]
        with m.If(fresh):
            m.d.comb += [new[0].eq(self.initial), new[1].eq(0), new[2].eq(0)]
        with m.Elif(accumulates):
            if plan.synaptic_bits:
                m.d.comb += [new[0].eq(self.v), new[1].eq(self.u + self.addend)]
            elif plan.v_floor is not None:
                m.d.comb += new[0].eq(self.membrane)
            if plan.held_bits:
                with m.If(held):
                    m.d.comb += [new[0].eq(self.v), new[1].eq(self.u)]
                    m.d.comb += new[2].eq(self.h + self.addend)
        m.d.comb += self.word.eq(Cat(new))
        if plan.leaks:
            self._leak(floored)

    def _ask_again(self, over: Signal, fire: Value) -> None:
        """Whether the new membrane is at the threshold; a reset by value leaves it below."""
        still: Value = C(0)
        if self.plan.reset is Reset.SUBTRACT:
            twice = self._signal("over_twice", self.plan.state_bits + 2)
            self.m.d.comb += twice.eq(self.v + self.below_twice)
            still = twice >= 0
        self.m.d.comb += self.again.eq(Mux(fire, still, over >= 0))

    def _leak(self, after: Value) -> None:
        """Cycles 3 and 4 of a leaking population: leaves `late_word`, two cycles after `word`."""
        plan = self.plan
        v = self._decayed("v", after, plan.state_bits, self.keep["keep"])
        parts = [v]
        if plan.synaptic_bits:
            u = self._signal("u_now", plan.synaptic_bits)
            self.m.d.comb += u.eq(self.u + self.h)
            parts.append(self._decayed("u", u, plan.synaptic_bits, self.keep["keep_synaptic"]))
        if plan.held_bits:
            h3 = self._register("h3", self.h)
            parts.append(self._register("h4", h3))
        self.m.d.comb += self.late_word.eq(Cat(parts))

    def _decayed(self, name: str, value: Value, bits: int, keep: Signal) -> Value:
        """``keep(value)`` in cycle 4; truncation is toward zero, so it works on the magnitude."""
        negative3 = self._register(f"{name}_negative3", value < 0)
        magnitude3 = self._register(f"{name}_magnitude3", abs(value))
        keep3 = self._register(f"{name}_keep3", keep)
        negative4 = self._register(f"{name}_negative4", negative3)
        product4 = self._register(f"{name}_product4", magnitude3 * keep3)
        kept = product4 >> 12
        result = self._signal(f"{name}_decayed", bits)
        self.m.d.comb += result.eq(Mux(negative4, -kept, kept))
        return result
