"""The counters beside a naive model: totals, reads at any time, clears, freezes."""

import gc
import random

import pytest
from amaranth.sim import Simulator

from neurocuda_hw.rtl.counters import Counters

HIGHEST = {0: 1, 2: 3, 3: 1, 6: 2}  # the rest of 8 addresses has no counter
LAG = 2 * 8 + 2  # cycles that a total may lack


class Naive:
    """Counts at once, and remembers every total that a read may still answer."""

    def __init__(self):
        self.totals = dict.fromkeys(HIGHEST, 0)
        self.before = [dict(self.totals)]

    def cycle(self, increments, clear, count):
        for address, step in increments.items():
            self.totals[address] = 0 if clear else self.totals[address] + step * count
        self.before = [dict(self.totals)] if clear else [*self.before[-LAG:], dict(self.totals)]

    def allowed(self, address):
        return {totals[address] for totals in self.before}


def run(cycles, seed, *, rate=1.0, changes=0.02, first=0):
    """Random increments, reads, clears; returns how many totals were compared."""
    counters, naive, chance = Counters(highest=HIGHEST, depth=8), Naive(), random.Random(seed)
    compared = []

    async def drive(context):
        counting, waits = True, []
        since_read = 0
        for cycle in range(cycles):
            busy = context.get(counters.busy)
            clear = chance.random() < changes and cycle > first
            counting ^= chance.random() < changes
            packed = at = 0
            steps = {}
            for address, most in HIGHEST.items():
                steps[address] = chance.randint(0, most) if chance.random() < rate else 0
                packed |= steps[address] << at
                at += most.bit_length()
            asks = not busy and not waits and since_read >= Counters.READ_CYCLES
            asks = asks and chance.random() < 0.6
            since_read = 0 if asks else since_read + 1
            if asks:
                address = chance.choice(list(HIGHEST))
                waits = [2, address]
                context.set(counters.address, address)
            context.set(counters.read, asks)
            context.set(counters.count, counting)
            context.set(counters.clear, clear)
            context.set(counters.increments, packed)
            await context.tick()
            naive.cycle(steps, clear, counting)
            if clear:
                waits = []  # what was asked for is gone
            elif waits:
                waits[0] -= 1
                if waits[0] == 0:
                    total, allowed = context.get(counters.data), naive.allowed(waits[1])
                    assert total in allowed, f"cycle {cycle}: counter {waits[1]} reads {total}"
                    compared.append(total)
                    waits = []

    simulator = Simulator(counters)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    return compared


@pytest.mark.parametrize("seed", range(3))
def test_reads_are_what_the_naive_model_had_not_long_ago(seed):
    compared = run(4000, seed)
    assert len(compared) > 400
    assert max(compared) > 50


def test_nothing_is_lost_at_full_rate_with_as_many_reads_as_there_may_be():
    assert run(3000, 7, changes=0.0)[-1] > 1000


@pytest.mark.parametrize("gap", [1, 5, 17, 40])
def test_settled_totals_are_exact(gap):
    counters, chance = Counters(highest=HIGHEST, depth=8), random.Random(gap)
    want, got = dict.fromkeys(HIGHEST, 0), {}

    async def drive(context):
        while context.get(counters.busy):
            await context.tick()
        for cycle in range(300):
            context.set(counters.count, cycle % gap == 0)
            packed = at = 0
            for address, most in HIGHEST.items():
                step = chance.randint(0, most)
                want[address] += step if cycle % gap == 0 else 0
                packed |= step << at
                at += most.bit_length()
            context.set(counters.increments, packed)
            await context.tick()
        context.set(counters.count, 0)
        waited = 0
        while not context.get(counters.settled):
            waited += 1
            await context.tick()
        assert waited <= 3 * 8
        for address in HIGHEST:
            context.set(counters.address, address)
            context.set(counters.read, 1)
            await context.tick()
            context.set(counters.read, 0)
            await context.tick()
            got[address] = context.get(counters.data)
            await context.tick().repeat(2)

    simulator = Simulator(counters)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    assert got == want


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_a_single_address_is_no_memory():
    with pytest.raises(ValueError, match=r"^depth must be at least 2, not 1$"):
        Counters(highest={0: 1}, depth=1)
    gc.collect()  # what was begun and not finished complains when it goes
