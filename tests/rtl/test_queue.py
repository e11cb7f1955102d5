"""The queue beside a list."""

import random

import pytest
from amaranth.sim import Simulator

from neurocuda_hw.rtl.queue import Queue


@pytest.mark.parametrize("depth", [2, 8, 16])
@pytest.mark.parametrize("taking", [0.2, 0.8, 1.0])
def test_words_leave_in_order_and_no_later_than_promised(depth, taking):
    queue, chance = Queue(width=9, depth=depth), random.Random(depth)
    stored, got, want = [], [], []

    async def drive(context):
        for cycle in range(600):
            context.set(queue.put, 0)
            assert context.get(queue.level) == len(stored)
            ready = bool(stored) and stored[0][0] <= cycle - 2
            assert context.get(queue.valid) == ready
            take = ready and chance.random() < taking
            context.set(queue.take, int(take))
            if len(stored) < depth and chance.random() < 0.7:
                stored.append((cycle, chance.randrange(512)))
                want.append(stored[-1][1])
                context.set(queue.put, 1)
                context.set(queue.data, want[-1])
            if take:
                got.append(context.get(queue.head))
                stored.pop(0)
            await context.tick()

    simulator = Simulator(queue)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    assert len(got) > 80
    assert got == want[: len(got)]
