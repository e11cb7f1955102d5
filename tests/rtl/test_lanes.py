"""The lanes beside plain integers: any order of rows, with every hazard, is exact."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import oracle
import pytest
from amaranth.sim import Simulator
from rtl.layers import LAYERS, plan_of

from neurocuda_hw.ground.fixed import signed_bits
from neurocuda_hw.network.neurons import (
    LIF,
    CubaLIF,
    CubaReadout,
    Encoding,
    Input,
    LeakyReadout,
    Readout,
    Reset,
)
from neurocuda_hw.network.ranges import population_ranges
from neurocuda_hw.passes.mapping import Ways
from neurocuda_hw.passes.plan import SETTLE
from neurocuda_hw.rtl.actions import Action
from neurocuda_hw.rtl.lanes import Lanes
from neurocuda_hw.rtl.memory import word

pytestmark = pytest.mark.slow

CYCLES = 700


class Naive:
    """The states v, u, h of every neuron, and what each row does to them."""

    def __init__(self, name, plan):
        network = LAYERS[name]
        self.plan, self.population = plan, network["layer"]
        neuron = self.neuron = self.population.neuron
        self.range = population_ranges(network, self.population).membrane
        self.rows = plan.layout.neurons()

        def each(field):
            return oracle.parameter(self.population, np.asarray(getattr(neuron, field)))

        self.dv = each("decay") if isinstance(neuron, LIF | LeakyReadout) else None
        if isinstance(neuron, CubaLIF | CubaReadout):
            self.dv, self.du = each("dv"), each("du")
        self.bias, self.initial = each("bias"), each("v_init")
        if isinstance(neuron, Readout) and self.dv is None:  # its bias is there from the start
            self.initial = [
                v + plan.timesteps * b for v, b in zip(self.initial, self.bias, strict=True)
            ]
            self.bias = [0] * len(self.bias)
        if not isinstance(neuron, Readout):
            self.threshold, self.v_reset = each("threshold"), each("v_reset")
        if self.dv is not None:  # a state is kept as the leak leaves it
            self.initial = [oracle.leak(v, d) for v, d in zip(self.initial, self.dv, strict=True)]
        self.v, self.u, self.h = ([0] * len(self.bias) for _ in range(3))

    def members(self, row):
        return [(lane, int(n)) for lane, n in enumerate(self.rows[row]) if n >= 0]

    def clear(self, row):
        for _, n in self.members(row):
            self.v[n], self.u[n], self.h[n] = self.initial[n], 0, 0

    def accumulate(self, row, port, weight, value):
        """Whether the sums stay in the range that was proved; only then they are added."""
        state = self.v
        if self.plan.held[port]:
            state, bits = self.h, self.plan.held_bits
        elif self.plan.synaptic_bits:
            state, bits = self.u, self.plan.synaptic_bits
        else:
            bits = self.plan.state_bits
        words, before = self.plan.fanouts[port].weights[weight], list(state)
        for lane, n in self.members(row):
            state[n] += int(words[lane]) * value
        fits = all(signed_bits(state[n], state[n]) <= bits for _, n in self.members(row))
        if not (fits and self.safe(row)):
            state[:] = before
            return False
        return True

    def minus(self, n):
        return self.v[n] + self.u[n] + self.h[n] + self.bias[n]

    def safe(self, row):
        low, high = self.range.lowest, self.range.highest
        return all(low <= self.minus(n) <= high for _, n in self.members(row))

    def sweep(self, row, fire, restore, peek):
        """Spikes and membranes by lane, and whether the row is still at a threshold."""
        spikes, membranes, again = {}, {}, False
        for lane, n in self.members(row):
            after = membranes[lane] = self.minus(n)
            spikes[lane] = 0
            if not isinstance(self.neuron, Readout):
                if fire and after >= self.threshold[n]:
                    spikes[lane] = 1
                    reset = {Reset.SUBTRACT: after - self.threshold[n], Reset.ZERO: 0}
                    after = reset.get(self.neuron.reset, self.v_reset[n])
                if self.neuron.v_floor is not None:
                    after = max(after, self.neuron.v_floor)
                again |= after >= self.threshold[n]
            if peek or restore:
                continue
            self.v[n] = after if self.dv is None else oracle.leak(after, self.dv[n])
            if self.plan.synaptic_bits:
                self.u[n] = oracle.leak(self.u[n] + self.h[n], self.du[n])
        if restore and not peek:
            self.clear(row)
        return spikes, membranes, again


def draw(name, plan, seed):
    """Operations, one a cycle, and what each lets come out: None, or (spikes, membranes, again)."""
    chance, model = random.Random(seed), Naive(name, plan)
    rows = plan.layout.rows
    operations = []

    def put(kind=Action.PASS, row=0, came=None, **more):
        fire = plan.fires and chance.getrandbits(1)  # without a sweep, it means nothing
        operations.append(({"kind": kind, "row": row, "fire": fire, **more}, came))

    for row in range(rows):
        model.clear(row)
        put(Action.CLEAR, row)
    # few rows, so that their neurons fire; the last has no neighbours below and to the right
    rows = [rows - 1, *chance.sample(range(rows), min(rows, 3))]
    row = rows[0]
    while len(operations) < CYCLES:
        row = chance.choice([row, row, *rows])
        what = chance.random()
        if what < 0.6:
            port = chance.randrange(len(plan.sources))
            weight = chance.randrange(len(plan.fanouts[port].weights))
            neuron, value = plan.sources[port].neuron, 1
            if isinstance(neuron, Input) and neuron.encoding is not Encoding.SPIKES:
                value = chance.randint(*neuron.payload)
            if model.accumulate(row, port, weight, value):
                stored = plan.fanouts[port].weights[weight] >> plan.weight_shifts[port]
                words = word(stored, plan.stored_bits[port])
                at = {f"weights_{port}": words, f"value_{port}": value}
                put(Action.ACCUMULATE, row, port=port, **at)
        elif what < 0.7:
            put()
        elif what < 0.73:
            model.clear(row)
            put(Action.CLEAR, row)
        else:
            swept = [row]
            if plan.leaks:  # rows follow one another, each once
                swept = chance.sample(sorted(set(rows)), chance.randint(1, len(set(rows))))
            restore, peek, restart = chance.random() < 0.15, chance.random() < 0.15, []
            for r in swept:
                fire = plan.fires and chance.random() < 0.8
                how = {"fire": fire, "restore": restore, "peek": peek}
                came = model.sweep(r, **how)
                put(Action.SWEEP, r, came, **how)
                if not model.safe(r):
                    model.clear(r)
                    restart.append(r)
            for _ in range(SETTLE if plan.leaks else 0):
                put()
            for r in restart:
                put(Action.CLEAR, r)
    return operations


def run(plan, operations):
    """What came out ``lead + 2`` cycles after each operation."""
    lanes = Lanes(plan)
    layout, bits = plan.layout, plan.state_bits
    names = [m for m in lanes.signature.members if m not in ("row", "kind")]
    inputs = [m for m in names if m.startswith(("weight", "value")) or m in OPTIONS]
    seen = []

    async def drive(context):
        place, before = (0, 0), [{}, {}]
        rest = [({"kind": Action.PASS, "row": 0}, None)] * (plan.lead + 3)
        for operation, _ in [*operations, *rest]:
            position, group = divmod(operation["row"], layout.groups)
            context.set(lanes.kind, operation["kind"])
            context.set(lanes.row, operation["row"])
            context.set(lanes.group, group)
            context.set(lanes.bottom, int(place[0] == layout.lines - 1))
            context.set(lanes.right, int(place[1] == layout.columns - 1))
            for name in inputs:
                late = name.startswith("weights")  # they come two cycles after
                context.set(getattr(lanes, name), (before[0] if late else operation).get(name, 0))
            before = [before[1], operation]
            place = divmod(position, layout.columns)
            membranes = context.get(lanes.membranes)
            values = [membranes >> bits * i & (1 << bits) - 1 for i in range(layout.lanes)]
            half = 1 << bits - 1
            seen.append(
                {
                    "done": context.get(lanes.done),
                    "spikes": context.get(lanes.spikes),
                    "membranes": [(v ^ half) - half for v in values],
                    "again": context.get(lanes.again),
                }
            )
            await context.tick()

    simulator = Simulator(lanes)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    return seen[plan.lead + 2 :]  # one more than operations


OPTIONS = ("port", "fire", "restore", "peek")
CASES = [
    *(("subtract", n, t) for n in (1, 4, 6) for t in (False, True)),
    *(("value, graded, by channel", n, False) for n in (1, 4, 5, 16)),
    *(("zero, floor, by neuron", n, t) for n in (2, 3, 8, 32) for t in (False, True)),
    *(("window, two sources", n, t) for n in (2, 4) for t in (False, True)),
    ("two graded", 4, False),
    ("low zeros", 4, False),
    *(("held current", n, False) for n in (2, 6)),
    *(("leak", n, False) for n in (1, 4, 8)),
    *(("two leaks", n, False) for n in (2, 8)),
    *(("two leaks, held current", n, False) for n in (2, 6)),
    *(("readout", n, False) for n in (2, 7)),
    *(("readout of a map", n, False) for n in (2, 5)),
    *(("leaky readout", n, False) for n in (2, 5)),
    ("leaky readout with a current", 4, False),
]


@pytest.mark.parametrize(("name", "lanes", "touched"), CASES)
def test_any_order_of_rows(name, lanes, touched):
    plan = plan_of(name, lanes, touched=touched)
    assert plan.touched is touched
    check(name, plan)


@pytest.mark.parametrize("name", ["value, graded, by channel", "two graded", "low zeros"])
def test_products_in_logic(name):
    check(name, replace(plan_of(name, 4), ways=Ways(soft=True)))


def test_low_zeros_of_weights_are_not_stored():
    plan = plan_of("low zeros", 4)
    assert (plan.weight_bits, plan.weight_shifts, plan.stored_bits) == ((7, 10), (2, 5), (5, 5))


def check(name, plan):
    operations = draw(name, plan, seed=plan.layout.lanes)
    kinds = [operation["kind"] for operation, _ in operations]
    assert min(kinds.count(kind) for kind in Action) > 5
    fired = 0
    came_out = run(plan, operations)
    for (operation, came), got, after in zip(operations, came_out, came_out[1:], strict=False):
        assert got["done"] == (operation["kind"] in (Action.SWEEP, Action.PASS))
        if came is None:
            assert got["spikes"] == 0
            continue
        spikes, membranes, again = came
        fired += sum(spikes.values())
        assert got["spikes"] == sum(bit << lane for lane, bit in spikes.items())
        assert {lane: got["membranes"][lane] for lane in membranes} == membranes
        if plan.touched and not operation["restore"] and not operation["peek"]:
            assert after["again"] == again
    assert fired > 5 or not plan.fires
