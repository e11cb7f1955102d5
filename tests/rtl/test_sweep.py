"""The sweep beside a plain list of what each step is to do, cycle by cycle."""

from __future__ import annotations

import random

import pytest
from amaranth.sim import Simulator
from rtl.layers import plan_of

from neurocuda_hw.passes.plan import SETTLE
from neurocuda_hw.rtl.actions import Action
from neurocuda_hw.rtl.sweep import Sweep

INFERENCES = 3
FLAGS = ("fire", "restore", "values", "peek")


def active(kind, row, **more):
    """A cycle in which something is done; all flags low but those in `more`."""
    return {"kind": kind, "row": row, **dict.fromkeys(FLAGS, 0), "lane": 0, "end": 0, **more}


def step_of(plan, step, listed):
    """The cycles of one step, in order; `listed` are the rows that were touched.

    The last of them ends the step, but after a leak: there the end comes by itself.
    """
    if step not in plan.sweep_steps():
        return [active(Action.PASS, None, end=1)]
    layout, final = plan.layout, step == plan.last_sweep
    flags = {"fire": int(plan.fire_start <= step < plan.fire_stop), "values": int(final)}
    if plan.touched and not final:
        found = [active(Action.SWEEP, row, **flags) for row in listed]
    elif plan.by_channel and final:
        found = []
        for group in range(layout.groups):
            used = min(layout.lanes, layout.channels - group * layout.lanes)
            for lane in range(used):
                for place in range(layout.height * layout.width):
                    more = {"peek": int(lane < used - 1), "restore": int(lane == used - 1)}
                    row = place * layout.groups + group
                    found.append(active(Action.SWEEP, row, lane=lane, **flags, **more))
    else:
        found = [
            active(Action.SWEEP, row, **flags, restore=int(final)) for row in range(layout.rows)
        ]
    if plan.leaks or not found:
        found.append(active(Action.PASS, None))
    found[-1]["end"] = 1
    return found


class List:
    """Offers touched rows as `TouchedRows` does, some later than others."""

    def __init__(self, sweep, chance, stalls):
        self.sweep, self.chance, self.stalls, self.rows = sweep, chance, stalls, []

    def begin(self, rows):
        self.rows = list(rows)

    def offer(self, context):
        late = self.chance.random() < self.stalls
        # whether a row is the last is sometimes known only when it is gone
        last = len(self.rows) == 1 and not (self.stalls and self.chance.random() < 0.5)
        context.set(self.sweep.valid, int(bool(self.rows) and not late))
        context.set(self.sweep.last, int(last))
        context.set(self.sweep.empty, int(not self.rows and not late))
        if self.rows:
            context.set(self.sweep.next, self.rows[0])

    def taken(self, context):
        if context.get(self.sweep.take):
            self.rows.pop(0)


def run(plan, stalls, seed):
    """What each step did, (cycle, flags) for every cycle that did anything; clearing comes first.

    Also asserts that places follow their rows by one cycle.
    """
    sweep, chance = Sweep(plan), random.Random(seed)
    steps, wanted, began = (
        [[]],
        [[active(Action.CLEAR, row) for row in range(plan.layout.rows)]],
        [],
    )
    layout = plan.layout

    async def drive(context):
        touched, before, cycle, waits, running = List(sweep, chance, stalls), None, 0, 3, False
        while len(steps) <= INFERENCES * plan.timesteps:
            clearing = len(steps) == 1 and len(steps[0]) < layout.rows
            if not running and not clearing and waits == 0:
                step = (len(steps) - 1) % plan.timesteps
                listed = chance.sample(range(layout.rows), chance.randrange(layout.rows))
                touched.begin(listed)
                wanted.append(step_of(plan, step, listed))
                steps.append([])
                began.append(cycle)
                running = True
            waits = max(0, waits - 1)
            context.set(sweep.start, int(running))
            context.set(sweep.room, int(chance.random() >= stalls))
            if plan.touched:
                touched.offer(context)
            if before is not None:
                place, group = divmod(before, layout.groups)
                assert context.get(sweep.group1) == group
                if not plan.by_channel:  # values need no places
                    found = context.get(sweep.y1), context.get(sweep.x1)
                    assert found == divmod(place, layout.columns)
            kind, end = Action(context.get(sweep.kind)), context.get(sweep.end)
            before = None if kind is Action.PASS else context.get(sweep.row)
            if kind is not Action.PASS or end:
                assert running or kind is Action.CLEAR
                assert context.get(sweep.room) or kind is Action.CLEAR
                if before is not None:
                    assert context.get(sweep.group) == before % layout.groups
                found = {flag: context.get(getattr(sweep, flag)) for flag in FLAGS}
                found |= {"kind": kind, "row": before, "lane": context.get(sweep.lane), "end": end}
                steps[-1].append((cycle, found))
            if plan.touched:
                touched.taken(context)
            if end:
                running, waits = False, chance.choice([0, 1, 4]) if stalls else 0
            cycle += 1
            assert cycle < 60 * INFERENCES * plan.timesteps * (layout.rows + 9), "stuck"
            await context.tick()

    simulator = Simulator(sweep)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    return steps[:-1], wanted[:-1], began


def compared(found):
    """What of a cycle matters: flags only of a row that is swept."""
    if found["kind"] is Action.SWEEP:
        return found
    return {name: found[name] for name in ("kind", "row", "end")}


CASES = [
    *(("subtract", n, t) for n in (1, 4, 6) for t in (False, True)),
    *(("window, two sources", n, t) for n in (1, 2, 4, 16) for t in (False, True)),
    *(("zero, floor, by neuron", n, t) for n in (1, 2, 3, 8) for t in (False, True)),
    *(("value, graded, by channel", n, False) for n in (1, 4, 16)),
    *(("leak", n, False) for n in (1, 2, 4)),
    *(("readout", n, False) for n in (2, 4, 7)),
    *(("readout of a map", n, False) for n in (1, 2, 4, 5)),
    *(("readout of a map, one step", n, False) for n in (2, 5)),
    *(("leaky readout", n, False) for n in (2, 5)),
]


@pytest.mark.parametrize("stalls", [0.0, 0.4])
@pytest.mark.parametrize(("name", "lanes", "touched"), CASES)
def test_each_step_does_what_it_should(name, lanes, touched, stalls):
    plan = plan_of(name, lanes, touched=touched)
    assert plan.touched is touched
    steps, wanted, _ = run(plan, stalls, seed=lanes)
    assert len(steps) == INFERENCES * plan.timesteps
    for number, (step, want) in enumerate(zip(steps, wanted, strict=True)):
        found = [compared(what) for _, what in step]
        if stalls and plan.touched and want[-1]["kind"] is Action.SWEEP and len(found) > len(want):
            # the list ended after the row that turned out to be the last
            assert found.pop() == {"kind": Action.PASS, "row": None, "end": 1}
            found[-1] = {**found[-1], "end": 1}
        assert found == [compared(what) for what in want], f"step {number - 1}"


@pytest.mark.parametrize(("name", "lanes", "touched"), CASES)
def test_no_cycle_is_lost(name, lanes, touched):
    """A row every cycle from the start on; after a leak, the end comes when all is written."""
    plan = plan_of(name, lanes, touched=touched)
    steps, _, began = run(plan, 0.0, seed=1)
    for step, start in zip(steps[1:], began, strict=False):
        wanted = [start + i for i in range(len(step))]
        if plan.leaks and len(step) > 1:
            wanted[-1] = wanted[-2] + SETTLE
        assert [cycle for cycle, _ in step] == wanted
