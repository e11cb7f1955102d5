"""The register block in Amaranth's simulator, beside a naive model of what it must tell."""

from __future__ import annotations

import random

import pytest
from amaranth.sim import Simulator
from small import small_network

from neurocuda_hw.rtl.activity import State
from neurocuda_hw.rtl.register_map import (
    DESIGN_COUNTERS,
    LAYER_COUNTERS,
    Access,
    counter_address,
    register,
)
from neurocuda_hw.rtl.registers import OKAY, SLVERR, RegisterBlock

NETWORK = small_network()
LAYERS = len(NETWORK.targets)


class Bus:
    """Plays the master; AW and W come apart by random numbers of cycles."""

    def __init__(self, context, block, seed, each_cycle=lambda: None):
        self.context, self.block = context, block
        self.chance, self.each_cycle = random.Random(seed), each_cycle

    async def tick(self):
        self.each_cycle()
        await self.context.tick()

    async def write(self, address, data, strobes=15):
        """The response."""
        context, block = self.context, self.block
        context.set(block.s_axi_awaddr, address)
        context.set(block.s_axi_wdata, data)
        context.set(block.s_axi_wstrb, strobes)
        waits = {"aw": self.chance.randrange(4), "w": self.chance.randrange(4)}
        left = set(waits)
        while left:
            for channel in left:
                waits[channel] -= 1
                context.set(getattr(block, f"s_axi_{channel}valid"), waits[channel] < 0)
            taken = {c for c in left if waits[c] < 0}
            taken = {c for c in taken if context.get(getattr(block, f"s_axi_{c}ready"))}
            await self.tick()
            for channel in taken:
                context.set(getattr(block, f"s_axi_{channel}valid"), 0)
            left -= taken
        return await self._answer("b")

    async def read(self, address):
        """Data and response."""
        context, block = self.context, self.block
        context.set(block.s_axi_araddr, address)
        context.set(block.s_axi_arvalid, 1)
        while not context.get(block.s_axi_arready):
            await self.tick()
        await self.tick()
        context.set(block.s_axi_arvalid, 0)
        context.set(block.s_axi_araddr, self.chance.getrandbits(12))  # need not stay
        return await self._answer("r")

    async def _answer(self, channel):
        context, block = self.context, self.block
        valid, ready = (getattr(block, f"s_axi_{channel}{w}") for w in ("valid", "ready"))
        for _ in range(200):
            if context.get(valid):
                break
            await self.tick()
        else:
            raise AssertionError(f"no answer on {channel}")
        seen = self._seen(channel)
        for _ in range(self.chance.randrange(3)):
            await self.tick()
            assert context.get(valid), "the answer must wait until it is taken"
            assert self._seen(channel) == seen, "the answer must not change"
        context.set(ready, 1)
        await self.tick()
        context.set(ready, 0)
        assert not context.get(valid), "one answer for one request"
        return seen

    def _seen(self, channel):
        response = self.context.get(getattr(self.block, f"s_axi_{channel}resp"))
        return response if channel == "b" else (self.context.get(self.block.s_axi_rdata), response)


def run(drive, *, counters=True):
    block = RegisterBlock(NETWORK, tdata_bits=32, counters=counters)

    async def testbench(context):
        await drive(context, block)

    simulator = Simulator(block)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("counters", [True, False])
def test_every_address_answers_as_the_map_says(counters):
    async def drive(context, block):
        bus = Bus(context, block, 1)
        there = {
            r.offset: r for name in block.constants for r in [register(name)] if r.offset < 0x100
        }
        for address in range(0, 0x200, 4):
            data, response = await bus.read(address)
            if address in there:
                assert (data, response) == (block.constants[there[address].name], OKAY)
            known = {r.offset for r in map(register, ("CONTROL", "STATUS", "INFERENCES"))}
            known |= {r.offset for r in map(register, ("IRQ_ENABLE", "IRQ_PENDING", "ERRORS"))}
            known |= set(there)
            for layer in range(LAYERS + 1) if counters else ():
                group = LAYER_COUNTERS if layer else DESIGN_COUNTERS
                known |= {counter_address(layer, counter) for counter in group}
            assert response == (OKAY if address in known else SLVERR), hex(address)
            assert data == 0 or address in known

    run(drive, counters=counters)


def test_only_what_may_be_written_is():
    async def drive(context, block):
        bus = Bus(context, block, 2)
        kept = {"CONTROL": 0b11, "IRQ_ENABLE": 0b11}
        for address in range(0, 0x140, 4):
            names = [r.name for r in map(register, kept) if r.offset == address]
            flags = [r for r in map(register, ("IRQ_PENDING", "ERRORS")) if r.offset == address]
            want = OKAY if names or flags else SLVERR
            assert await bus.write(address, 0xFFFFFFFF) == want, hex(address)
            assert all(r.access is Access.CLEAR for r in flags)
        for name, value in kept.items():
            assert await bus.read(register(name).offset) == (value, OKAY)
        assert context.get(block.hold) == 1
        # byte strobes: nothing but byte 0 holds anything
        for strobes in range(16):
            await bus.write(register("IRQ_ENABLE").offset, 0, strobes)
            want = 0 if strobes & 1 else 3
            assert await bus.read(register("IRQ_ENABLE").offset) == (want, OKAY)
            await bus.write(register("IRQ_ENABLE").offset, 3)

    run(drive)


class Naive:
    """Counts what the signals of each cycle mean."""

    def __init__(self):
        self.design = dict.fromkeys((c.name for c in DESIGN_COUNTERS), 0)
        self.layers = [dict.fromkeys((c.name for c in LAYER_COUNTERS), 0) for _ in range(LAYERS)]
        self.errors = self.pending = self.inferences = self.inflight = 0
        self.begun = False

    def cycle(self, streams, activities, faults):
        (iv, ir, il), (ov, oready, ol) = streams
        self.design["CYCLES"] += 1
        self.design["INPUT_TAKEN"] += iv & ir
        self.design["INPUT_STALLED"] += iv & (1 - ir)
        self.design["OUTPUT_TAKEN"] += ov & oready
        self.design["OUTPUT_STALLED"] += ov & (1 - oready)
        for layer, (state, events, spike) in zip(self.layers, activities, strict=True):
            layer[list(State.__members__)[state]] += 1
            layer["EVENTS"] += events
            layer["SPIKES"] += spike
        if iv & ir:
            self.inflight += not self.begun
            self.begun = not il
        if ov & oready & ol:
            self.inferences += 1
            self.inflight -= 1
            self.pending |= 1
        self.errors |= faults
        self.pending |= 2 * bool(faults)


@pytest.mark.parametrize("seed", range(3))
def test_counters_status_and_flags_are_those_of_the_naive_model(seed):
    naive, chance = Naive(), random.Random(seed)

    async def drive(context, block):
        running = True

        def stimulate():
            draw = (lambda: int(chance.random() < 0.4)) if running else (lambda: 0)
            streams = [(draw(), draw(), draw()), (draw(), draw(), draw())]
            faults = chance.getrandbits(3) if running and chance.random() < 0.01 else 0
            activities, packed, at = [], 0, 0
            for layout in block.layouts:
                most = layout.size - 4
                parts = (chance.randrange(5), chance.getrandbits(most) & 1, draw())
                activities.append(parts)
                packed |= (parts[0] | parts[1] << 3 | parts[2] << 3 + most) << at
                at += layout.size
            for side, (valid, ready, last) in zip(("input", "output"), streams, strict=True):
                for wire, value in (("valid", valid), ("ready", ready), ("last", last)):
                    context.set(getattr(block, f"{side}_{wire}"), value)
            context.set(block.packet_faults, faults)
            context.set(block.activity, packed)
            if running:
                naive.cycle(streams, activities, faults)

        bus = Bus(context, block, seed, stimulate)
        await bus.write(register("IRQ_ENABLE").offset, 2)
        for _ in range(60):
            await bus.read(chance.choice([0x44, 0x48, 0x100, 0x120, 0x134, 0x178]))
        # the freeze counts from the cycle after the write is taken, which is the last that runs
        context.set(block.s_axi_awaddr, register("CONTROL").offset)
        context.set(block.s_axi_wdata, 2)
        context.set(block.s_axi_wstrb, 15)
        context.set(block.s_axi_awvalid, 1)
        context.set(block.s_axi_wvalid, 1)
        await bus.tick()
        running = False
        context.set(block.s_axi_awvalid, 0)
        context.set(block.s_axi_wvalid, 0)
        context.set(block.s_axi_bready, 1)
        await bus.tick()
        context.set(block.s_axi_bready, 0)
        settled = 1 << register("STATUS").field("SETTLED").low
        status = 0
        for _ in range(100):
            status, _ = await bus.read(register("STATUS").offset)
            if status & settled:
                break
        irq = bool(naive.pending & 2)
        inflight = naive.inflight & 0xFFFF
        assert status == bool(inflight) | irq << 1 | settled | inflight << 16
        assert context.get(block.irq) == irq
        assert (await bus.read(register("INFERENCES").offset))[0] == naive.inferences > 10
        assert (await bus.read(register("IRQ_PENDING").offset))[0] == naive.pending
        assert (await bus.read(register("ERRORS").offset))[0] == naive.errors
        for counter in DESIGN_COUNTERS:
            got = await bus.read(counter_address(0, counter))
            assert got == (naive.design[counter.name], OKAY), counter.name
        for number, layer in enumerate(naive.layers, 1):
            for counter in LAYER_COUNTERS:
                got = await bus.read(counter_address(number, counter))
                assert got == (layer[counter.name], OKAY), (number, counter.name)
            assert sum(layer[s] for s in State.__members__) == naive.design["CYCLES"]

    run(drive)


def test_a_flag_that_is_set_while_it_is_cleared_stays():
    async def drive(context, block):
        bus = Bus(context, block, 0)
        context.set(block.packet_faults, 1)
        await bus.tick()
        context.set(block.packet_faults, 0)
        for fault in (1, 0):
            context.set(block.s_axi_awaddr, register("ERRORS").offset)
            context.set(block.s_axi_wdata, 7)
            context.set(block.s_axi_wstrb, 15)
            context.set(block.s_axi_awvalid, 1)
            context.set(block.s_axi_wvalid, 1)
            context.set(block.packet_faults, fault)
            await bus.tick()
            context.set(block.packet_faults, 0)
            context.set(block.s_axi_awvalid, 0)
            context.set(block.s_axi_wvalid, 0)
            context.set(block.s_axi_bready, 1)
            await bus.tick()
            context.set(block.s_axi_bready, 0)
            assert await bus.read(register("ERRORS").offset) == (fault, OKAY)

    run(drive)
