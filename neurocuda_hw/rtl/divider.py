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
        place, put, exists = self.place, self.put, self.exists
        for number in range(len(plan.division)):
            place, put, exists = (
                _later(m, f"{name}_{number}", value)
                for name, value in (("place", place), ("put", put), ("exists", exists))
            )
        counts = []
        for i in range(plan.layout.lanes):
            membrane = self.membranes.word_select(i, plan.state_bits)
            threshold = self.thresholds.word_select(i, plan.threshold.bits)
            count = self._quotient(m, i, membrane, threshold) if plan.division else membrane
            counts.append(Mux(exists[i], count, 0)[: spike_bits(plan)])
        m.d.comb += [self.mask.eq(place), self.mask.spikes.eq(Cat(counts)), self.o_put.eq(put)]
        return m

    def _quotient(self, m: Module, lane: int, membrane: Value, threshold: Value) -> Value:
        plan = self.plan
        bits = plan.state_bits
        rest, divisor = membrane.as_signed(), threshold.as_signed()
        if plan.threshold.uniform:
            divisor = C(int(plan.threshold.rows.flat[0]), signed(plan.threshold.bits))
        count: Value = C(0, 0)
        for number, times in enumerate(plan.division):
            shift = unsigned_bits(times) - 1
            over = Signal(
                signed(max(bits, plan.threshold.bits + shift) + 1), name=f"over_{lane}_{number}"
            )
            taken = Signal(name=f"taken_{lane}_{number}")
            m.d.comb += [over.eq(rest - (divisor << shift)), taken.eq(over >= 0)]
            added = count + Mux(taken, times, 0)
            highest = sum(plan.division[: number + 1])
            new = Signal(unsigned_bits(highest), name=f"count_{lane}_{number}")
            left = Signal(signed(bits), name=f"rest_{lane}_{number}")
            m.d.sync += [new.eq(added), left.eq(Mux(taken, over, rest))]
            if not plan.threshold.uniform:
                divisor = _later(m, f"divisor_{lane}_{number}", divisor)
            rest, count = left, new
        most = sum(plan.division)
        return count if most == plan.burst else Mux(count > plan.burst, plan.burst, count)


def _later(m: Module, name: str, value: Value) -> Signal:
    """The value of the cycle before."""
    register = Signal.like(value, name=name)
    m.d.sync += register.eq(value)
    return register
