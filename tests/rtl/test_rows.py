"""Sources of rows beside a list: rows in order, weights two cycles after each is taken."""

from __future__ import annotations

import random

import numpy as np
import pytest
from amaranth.sim import Simulator
from rtl.layers import layer, plan_of, source
from rtl.slow_rows import SlowRows

from neurocuda_hw.network.neurons import IF
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.passes.memories import BANK, banked
from neurocuda_hw.passes.planner import plan_layer
from neurocuda_hw.rtl.memory import word
from neurocuda_hw.rtl.rows import RomRows

ASKED = 150


def draw(plan, index, seed):
    """Addresses and markers, as a walker could give them, in any order."""
    chance, depth = random.Random(seed), len(plan.fanouts[index].weights)
    for _ in range(ASKED):
        yield {
            "weight": chance.randrange(depth),
            "row": {"state": chance.randrange(plan.layout.rows), "end": chance.random() < 0.1},
        }


def naive(plan, index, asked):
    """What comes out: the state's address and the weights, or None for a marker."""
    rows, bits = plan.fanouts[index].weights, plan.weight_bits[index]
    return [
        None if a["row"]["end"] else (a["row"]["state"], word(rows[a["weight"]], bits))
        for a in asked
    ]


def run(component, asked, *, stalls, seed):
    """What came out, and in which cycles addresses and rows were taken."""
    chance = random.Random(seed)
    got, went, came = [], [], []

    async def drive(context):
        i, o = component.i, component.o
        offered, waiting, before, cycle = False, None, [None, None], 0
        while len(got) < len(asked):
            offered = offered or (len(went) < len(asked) and chance.random() >= stalls)
            context.set(i.valid, int(offered))
            if offered:
                context.set(i.payload, asked[len(went)])
            context.set(o.ready, int(chance.random() >= stalls))
            if (due := before.pop(0)) is not None:
                got.append(None if due.end else (due.state, context.get(component.weights)))
            before.append(None)
            valid, payload = context.get(o.valid), context.get(o.payload)
            assert context.get(component.holds) == (len(went) - len(came) > valid)
            assert waiting is None or (valid and payload == waiting), "an offer was taken back"
            waiting = payload if valid else None
            if valid and context.get(o.ready):
                came.append(cycle)
                waiting, before[-1] = None, payload
            if offered and context.get(i.ready):
                went.append(cycle)
                offered = False
            cycle += 1
            assert cycle < 40 * len(asked), f"stuck after {len(came)} rows"
            await context.tick()

    simulator = Simulator(component)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    return got, went, came


def test_rows_of_several_banks() -> None:
    """More than `BANK` rows: they lie in banks, of which the last is not full."""
    synapse = Dense(weight=np.random.default_rng(3).integers(-15, 16, (6, 600)))
    network = layer(IF(threshold=9), (6,), source((600,)), synapse)
    plan = plan_layer(network, network["layer"], 1)
    words, bits = plan.fanouts[0].weights, plan.stored_bits[0]
    assert banked(words, bits).shape == (BANK, 4)
    assert len(words) == 3600
    asked = list(draw(plan, 0, seed=0))
    got, *_ = run(RomRows(plan, 0), asked, stalls=0.2, seed=0)
    assert got == naive(plan, 0, asked)


CASES = [("subtract", 4, 0), ("value, graded, by channel", 4, 0), ("window, two sources", 2, 1)]


@pytest.mark.parametrize("stalls", [0.0, 0.4])
@pytest.mark.parametrize(("name", "lanes", "index"), CASES)
@pytest.mark.parametrize("made", [RomRows, SlowRows])
def test_rows_come_in_order_with_their_weights(made, name, lanes, index, stalls):
    plan = plan_of(name, lanes)
    asked = list(draw(plan, index, seed=lanes))
    got, went, came = run(made(plan, index), asked, stalls=stalls, seed=index)
    assert got == naive(plan, index, asked)
    if made is RomRows:  # without any wait of its own
        assert went == came
        assert stalls or came == list(range(ASKED))
