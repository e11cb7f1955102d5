"""The compactor: every spike of every row once, lowest lane first, and the end of each step."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, Encoding, Input
from neurocuda_hw.network.synapses import Conv2d
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.planner import plan_layer
from neurocuda_hw.passes.queues import REGISTERS, queue_depth
from neurocuda_hw.rtl.compactor import Compactor

STEPS = 4
# (C, H, W), lanes
SHORT: list[tuple[tuple[int, int, int], int]] = [
    ((1, 2, 3), 1),
    ((5, 2, 3), 2),
    ((5, 2, 3), 5),
    ((8, 2, 3), 4),
    ((16, 2, 3), 16),
]
BLOCKS: list[tuple[tuple[int, int, int], int]] = [
    ((3, 5, 6), 8),
    ((2, 5, 5), 16),
    ((1, 4, 7), 4),
    ((5, 3, 3), 16),
]
DEEP: list[tuple[tuple[int, int, int], int]] = [((2, 8, 8), 1), ((1, 12, 12), 2), ((6, 8, 9), 4)]


def plan(shape: tuple[int, int, int], lanes: int) -> LayerPlan:
    """Of a layer of spiking neurons, for two steps."""
    pixels = Population(name="x", shape=(1, *shape[1:]), neuron=Input(encoding=Encoding.SPIKES))
    layer = Population(name="o", shape=shape, neuron=IF(threshold=1))
    synapse = Conv2d(weight=np.ones((shape[0], 1, 1, 1), int))
    network = Network(
        populations=(pixels, layer),
        projections=(Projection(source="x", target="o", synapse=synapse),),
        timesteps=2,
    )
    return plan_layer(network, layer, lanes)


def some_rows(
    planned: LayerPlan, chance: random.Random
) -> tuple[list[dict[str, int]], list[tuple[int, ...]]]:
    """Rows of random spikes in `STEPS` steps, and the events (c, y, x, end) that they come to."""
    layout = planned.layout
    rows, want = [], []
    for _ in range(STEPS):
        for number, neurons in enumerate(layout.neurons()):
            position, group = divmod(number, layout.groups)
            y, x = divmod(position, layout.columns)
            fired = [neuron >= 0 and chance.random() < 0.3 for neuron in neurons]
            mask = sum(1 << lane for lane, spike in enumerate(fired) if spike)
            end = int(number == layout.rows - 1)
            rows.append({"spikes": mask, "group": group, "y": y, "x": x, "end": end})
            shape = (layout.channels, layout.height, layout.width)
            want += [(*map(int, np.unravel_index(n, shape)), 0) for n in neurons[fired]]
            want += [(0, 0, 0, 1)] if end else []
    return rows, want


@pytest.mark.parametrize("stalls", [0.0, 0.6])
@pytest.mark.parametrize(("shape", "lanes"), [*SHORT, *BLOCKS, *DEEP])
def test_each_spike_once_and_each_end(
    shape: tuple[int, int, int], lanes: int, stalls: float
) -> None:
    planned = plan(shape, lanes)
    assert (queue_depth(planned) > REGISTERS) is ((shape, lanes) in DEEP)
    assert (planned.layout.block != (1, 1)) is (lanes > 1 and lanes > shape[0])
    compactor = Compactor(planned, queue_depth(planned))
    chance = random.Random(lanes)
    rows, want = some_rows(planned, chance)
    got: list[tuple[int, ...]] = []

    async def drive(context: Any) -> None:
        sent, room, quiet = 0, [0] * (planned.lead + 3), 0
        while quiet < 40 and len(got) <= len(want):
            # a row arrives a few cycles after `room` allowed it, as from the lanes
            room = [*room[1:], context.get(compactor.room) and sent + sum(room[1:]) < len(rows)]
            context.set(compactor.put, room[0])
            quiet += 1
            if room[0]:
                context.set(compactor.mask, rows[sent])
                sent, quiet = sent + 1, 0
            context.set(compactor.events.ready, int(chance.random() >= stalls))
            if context.get(compactor.events.valid) and context.get(compactor.events.ready):
                event = context.get(compactor.events.payload)
                place = (0, 0, 0) if event.end else (event.c, event.y, event.x)
                got.append((*place, event.end))
                quiet = 0
            await context.tick()
        assert sent == len(rows)

    simulator = Simulator(compactor)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    assert got == want


@pytest.mark.parametrize(("shape", "lanes"), [SHORT[3], BLOCKS[0], DEEP[1]])
def test_a_full_queue_loses_nothing(shape: tuple[int, int, int], lanes: int) -> None:
    """Nothing is taken until `room` has long gone; then every event comes out, one per cycle."""
    planned = plan(shape, lanes)
    compactor = Compactor(planned, queue_depth(planned))
    rows, _ = some_rows(planned, random.Random(1))
    wide = [{**row, "spikes": row["spikes"] or 1, "end": 0} for row in rows]
    spikes: list[int] = []

    async def drive(context: Any) -> None:
        sent, room = 0, [0] * (planned.lead + 3)
        for _ in range(queue_depth(planned) + 30):
            room = [*room[1:], int(context.get(compactor.room))]
            context.set(compactor.put, room[0])
            if room[0]:
                context.set(compactor.mask, wide[sent % len(wide)])
                sent += 1
            await context.tick()
        context.set(compactor.put, 0)
        assert not context.get(compactor.room)
        assert sent >= queue_depth(planned) - 2
        total = sum(wide[n % len(wide)]["spikes"].bit_count() for n in range(sent))
        context.set(compactor.events.ready, 1)
        for _ in range(total):
            spikes.append(context.get(compactor.events.valid))
            await context.tick()
        assert not context.get(compactor.events.valid)
        assert context.get(compactor.room)

    simulator = Simulator(compactor)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    assert all(spikes)
