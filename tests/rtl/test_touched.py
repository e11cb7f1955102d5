"""The list of touched rows beside a set, with events, sweeps and restored states at random."""

import random

import numpy as np
import pytest
from amaranth.sim import Simulator
from small import SPIKES, chain

from neurocuda_hw.network.neurons import IF
from neurocuda_hw.network.synapses import Conv2d
from neurocuda_hw.passes.planner import plan_layer
from neurocuda_hw.rtl.actions import Action
from neurocuda_hw.rtl.touched import TouchedRows


def plan(v_init, shape=(6, 3, 5), lanes=2):
    """18 states wake up by themselves where v_init says so; the threshold is 10."""
    channels = shape[0]
    neuron = IF(threshold=10, v_init=v_init)
    network = chain(
        3,
        {
            "x": ((1, *shape[1:]), SPIKES),
            "o": (shape, neuron),
        },
        Conv2d(weight=np.ones((channels, 1, 1, 1), dtype=int)),
    )
    return plan_layer(network, network["o"], lanes, touched=True)


CHANNELS = np.array([0, 0, 3, 10, 0, 0])
NEURONS = np.random.default_rng(0).integers(0, 11, (6, 3, 5))


@pytest.mark.parametrize("activity", [0, 1, 12])
@pytest.mark.parametrize("v_init", [0, 10, CHANNELS, NEURONS], ids=["no", "all", "some", "each"])
def test_a_step_takes_each_due_row_once(v_init, activity):
    p = plan(v_init)
    assert p.touched
    layout = p.layout
    rows = layout.rows
    per_channel = np.reshape(v_init, (-1, 1, 1)) if np.ndim(v_init) < 3 else v_init
    high = np.broadcast_to(per_channel, (6, 3, 5))
    awake = {r for r, row in enumerate(layout.arrange(np.ravel(high))) if (row >= 10).any()}
    dut = TouchedRows(p)
    chance = random.Random(activity)
    takes_all = []

    async def drive(context):
        again = [0] * (p.lead + 2)  # a swept row says so many cycles later whether it stays

        async def cycle(kind=Action.PASS, row=0, stays=0, restore=0, end=0, take=0):
            context.set(dut.kind, kind)
            context.set(dut.row, row)
            context.set(dut.group, row % layout.groups)
            context.set(dut.restore, restore)
            context.set(dut.end, end)
            context.set(dut.take, take)
            again.append(stays)
            await context.tick()
            context.set(dut.again, again.pop(0))

        for row in range(rows):
            await cycle(Action.CLEAR, row)
        due = set(awake)
        for step in range(40):
            for _ in range(chance.randrange(activity + 1)):
                row = chance.randrange(rows)
                due.add(row)
                await cycle(Action.ACCUMULATE, row)
                if chance.random() < 0.3:
                    await cycle()
            if step % 4 == 3:
                for row in range(rows):
                    await cycle(
                        Action.SWEEP,
                        row,
                        stays=chance.getrandbits(1),
                        restore=1,
                        end=row == rows - 1,
                    )
                due = set(awake)
                continue
            taken, later, quiet = [], set(), 0
            while True:
                quiet += 1
                assert quiet < 11 + 2 * p.lead, "neither a row nor the end of the step is offered"
                if chance.random() < 0.3:  # the layer stalls
                    await cycle()
                elif context.get(dut.valid):
                    row, stays, quiet = context.get(dut.next), chance.getrandbits(1), 0
                    taken.append(row)
                    if stays:
                        later.add(row)
                    last = context.get(dut.last)
                    await cycle(Action.SWEEP, row, stays=stays, take=1, end=last)
                    if last:
                        break
                elif context.get(dut.empty):
                    await cycle(end=1)
                    break
                else:
                    await cycle()
            assert sorted(taken) == sorted(due), f"step {step}"
            takes_all.append(len(taken))
            due = later

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    assert max(takes_all) > 0 or not (activity or awake)
