"""The divider: how many spikes each lane of a row sends, by restoring division.

::

    membranes -> [ v >= w0 * threshold ] -> [ v >= w1 * threshold ] -> ... -> clip -> counts
                   v, count registered        v, count registered

One stage per multiple w of the threshold (`LayerPlan.division`), the largest first: it compares,
subtracts where that holds, and adds w to the count. So N = clip(floor(v / threshold), 0, L).
"""

from __future__ import annotations

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.hdl import signed
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.rtl.compactor import mask_layout, spike_bits


class Divider(Component):
    """Divides a row per cycle. It never stalls; maxima are counts already and pass at once.

    Members
    -------
    place, exists, put : In
        Where a row's neurons stand, and whether its step ends with it; which lanes hold one;
        whether there is a row.
    membranes, thresholds : In
        Of each lane; all of the same threshold where the plan says so.
    mask, o_put : Out
        The place with counts, and whether there is a row: as many cycles later as there are stages.
    """

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        lanes, layout = plan.layout.lanes, mask_layout(plan)
        super().__init__(
            {
                "place": In(layout),
                "exists": In(lanes),
                "put": In(1),
                "membranes": In(lanes * plan.state_bits),
                "thresholds": In(lanes * plan.threshold.bits),
                "mask": Out(layout),
                "o_put": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        plan = self.plan
        lanes, bits = range(plan.layout.lanes), plan.state_bits
        place, put, exists = self.place, self.put, self.exists
        rests: list[Value] = [self.membranes.word_select(i, bits) for i in lanes]
        counts: list[Value] = [C(0, 0) for _ in lanes] if plan.division else rests
        rests, divisors = [rest.as_signed() for rest in rests], self._divisors()
        for number in range(len(plan.division)):
            stages = [self._stage(m, i, number, rests[i], divisors[i], counts[i]) for i in lanes]
            new_put = Signal(name=f"put_{number}")
            m.d.sync += new_put.eq(put)
            with m.If(put):  # a stage without a row rests
                place, exists = (
                    _later(m, f"{name}_{number}", value)
                    for name, value in (("place", place), ("exists", exists))
                )
                rests = [
                    _later(m, f"rest_{i}_{number}", left) for i, (left, _) in enumerate(stages)
                ]
                counts = [
                    _later(m, f"count_{i}_{number}", new) for i, (_, new) in enumerate(stages)
                ]
                if not plan.threshold.uniform:
                    divisors = [
                        _later(m, f"divisor_{i}_{number}", own) for i, own in enumerate(divisors)
                    ]
            put = new_put
        if sum(plan.division) > plan.burst:
            counts = [Mux(count > plan.burst, plan.burst, count) for count in counts]
        counts = [Mux(exists[i], count, 0)[: spike_bits(plan)] for i, count in enumerate(counts)]
        m.d.comb += [self.mask.eq(place), self.mask.spikes.eq(Cat(counts)), self.o_put.eq(put)]
        return m

    def _divisors(self) -> list[Value]:
        """The threshold of each lane; a constant where all are the same."""
        threshold, lanes = self.plan.threshold, range(self.plan.layout.lanes)
        if threshold.uniform:
            return [C(int(threshold.rows.flat[0]), signed(threshold.bits)) for _ in lanes]
        return [self.thresholds.word_select(i, threshold.bits).as_signed() for i in lanes]

    def _stage(
        self, m: Module, lane: int, number: int, rest: Value, divisor: Value, count: Value
    ) -> tuple[Value, Value]:
        """What a stage leaves of a lane's membrane, and its count of thresholds so far."""
        plan, times = self.plan, self.plan.division[number]
        shift = unsigned_bits(times) - 1
        wide = signed(max(plan.state_bits, plan.threshold.bits + shift) + 1)
        over, taken = (
            Signal(wide, name=f"over_{lane}_{number}"),
            Signal(name=f"taken_{lane}_{number}"),
        )
        m.d.comb += [over.eq(rest - (divisor << shift)), taken.eq(over >= 0)]
        left = Mux(taken, over, rest)[: plan.state_bits].as_signed()
        new = (count + Mux(taken, times, 0))[: unsigned_bits(sum(plan.division[: number + 1]))]
        return left, new


def _later(m: Module, name: str, value: Value) -> Signal:
    """The value of the cycle before."""
    register = Signal.like(value, name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return register
