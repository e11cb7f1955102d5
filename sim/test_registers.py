"""cocotb bench of the IP block: AXI4-Lite registers, counters, interrupt, odd packets, resets.

Drives ``nchw_ip`` with cocotbext-axi, which stands for tools that others have written. Expected
counts come from the golden trace. Environment as in test_top. Needs cocotb, cocotbext-axi, numpy.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge, with_timeout
from cocotbext.axi import AxiResp, AxiStreamFrame
from ip_block import (
    BYTES,
    HAS_COUNTERS,
    HASH,
    LAYERS,
    LIMIT,
    MAP,
    MARKER,
    REPORT,
    ROWS,
    Block,
    check_counters,
    layer_address,
    packed,
    started,
)
from odd_packets import Reader, Transfer
from test_top import GOLDEN, SAMPLES


def pauses(seed: int, rate: float) -> Any:
    """Random pauses, for ever."""
    chance = random.Random(seed)
    return (chance.random() < rate for _ in itertools.count())


def last(count: int) -> list[int]:
    return list(range(GOLDEN.samples))[-count:]


@cocotb.test()
async def constants(dut: Any) -> None:
    """Every constant is what the header says, and the hash is that of the report."""
    block = await started(dut)
    names = [name.removesuffix("_VALUE") for name in MAP if name.endswith("_VALUE")]
    assert len(names) > 10, "ip/nchw.h must define the constants"
    for name in names:
        got = await block.read(MAP[name])
        assert got == MAP[f"{name}_VALUE"], f"{name} is 0x{got:08x}"
    digest = "".join([f"{await block.read(MAP['HASH_0'] + 4 * i):08x}" for i in range(8)])
    assert digest == HASH == REPORT["network"]["hash"], f"the hash reads {digest}"
    assert await block.read(MAP["TIMESTEPS"]) == GOLDEN.timesteps


@cocotb.test()
async def what_is_not_there(dut: Any) -> None:
    """Reads of holes and writes to what is read-only answer SLVERR and change nothing."""
    block = await started(dut)
    size = 1 << len(dut.s_axi_araddr)
    holes = [0x1C, 0x58, 0xFC, size - 4]
    holes += (
        [MAP["CYCLES"] + 0x14, layer_address(LAYERS[-1]["name"], "EVENTS") + 0x20]
        if (HAS_COUNTERS)
        else [0x100]
    )
    for address in holes:
        assert await block.read(address, AxiResp.SLVERR) == 0
        await block.write(address, 0xFFFFFFFF, AxiResp.SLVERR)
    for name in ("ID", "STATUS", "INFERENCES", "HASH_0"):
        await block.write(MAP[name], 0xFFFFFFFF, AxiResp.SLVERR)
    assert await block.read(MAP["ID"]) == MAP["ID_VALUE"]
    assert await block.read(MAP["CONTROL"]) == 0
    await block.infer(*last(1))


@cocotb.test()
async def bus_protocol(dut: Any) -> None:
    """Addresses and data in any order, byte strobes, many accesses under way, random pauses."""
    block = await started(dut)
    enable, every = MAP["IRQ_ENABLE"], MAP["IRQ_ENABLE_DONE_MASK"] | MAP["IRQ_ENABLE_ERROR_MASK"]
    channels = [block.lite.write_if.aw_channel, block.lite.write_if.w_channel]
    channels += [block.lite.write_if.b_channel]
    channels += [block.lite.read_if.ar_channel, block.lite.read_if.r_channel]
    rates = [(0, 0, 0, 0, 0), (0.9, 0, 0, 0, 0), (0, 0.9, 0, 0, 0), (0.5, 0.5, 0.7, 0.5, 0.7)]
    for turn, chosen in enumerate(rates):
        for i, (channel, rate) in enumerate(zip(channels, chosen, strict=True)):
            channel.set_pause_generator(pauses(10 * turn + i, rate))
        for value in (every, 1, 2, 0):
            await block.write(enable, value)
            assert await block.read(enable) == value
        await block.write_bytes(enable, b"\xff")
        assert await block.read(enable) == every
        await block.write_bytes(enable + 1, b"\x00\x00\x00")  # other bytes leave it alone
        assert await block.read(enable) == every
        under_way = [block.lite.init_write(enable, bytes([i & 3, 0, 0, 0])) for i in range(12)]
        reads = [block.lite.init_read(MAP["ID"], 4) for _ in range(12)]
        for event in [*under_way, *reads]:
            await with_timeout(event.wait(), LIMIT, "ns")
        assert all(event.data.resp == AxiResp.OKAY for event in [*under_way, *reads])
        assert all(event.data.data == MAP["ID_VALUE"].to_bytes(4, "little") for event in reads)
        assert await block.read(enable) == 11 & 3


@cocotb.test()
async def streams_and_counters(dut: Any) -> None:
    """Random stalls, registers read all the while: outputs and counters are the golden ones."""
    block, samples = await started(dut), last(min(3, SAMPLES))
    block.source.set_pause_generator(pauses(1, 0.3))
    block.sink.set_pause_generator(pauses(2, 0.3))
    running = True
    seen: list[int] = []

    async def look() -> None:
        while running:
            await block.read(MAP["STATUS"])
            seen.append(await block.read(MAP["INFERENCES"]))
            if HAS_COUNTERS:
                name = random.Random(len(seen)).choice(LAYERS)["name"]
                await block.read(layer_address(name, "EVENTS"))

    looking = cocotb.start_soon(look())
    await block.infer(*samples)
    running = False
    await looking
    assert seen == sorted(seen), "INFERENCES must not fall"
    assert await block.read(MAP["INFERENCES"]) == len(samples)
    status = await block.read(MAP["STATUS"])
    assert not status & (MAP["STATUS_BUSY_MASK"] | MAP["STATUS_INFLIGHT_MASK"]), hex(status)
    assert await block.read(MAP["ERRORS"]) == 0
    if HAS_COUNTERS:
        check_counters(await block.counters(), samples)


@cocotb.test(skip=not HAS_COUNTERS)
async def freeze_and_clear(dut: Any) -> None:
    """Frozen counters stand still; a clear starts all of them from 0, and no cycle is lost."""
    block, samples = await started(dut), last(2)
    await block.infer(*samples[:1])
    await block.write(MAP["CONTROL"], MAP["CONTROL_FREEZE_MASK"])
    await block.cycles(1000)
    assert await block.read(MAP["STATUS"]) & MAP["STATUS_SETTLED_MASK"]
    before = await block.read(MAP["CYCLES"])
    await block.infer(*samples[:1])
    assert await block.read(MAP["CYCLES"]) == before, "a frozen counter counted"
    await block.write(MAP["CONTROL"], MAP["CONTROL_CLEAR_MASK"])
    assert await block.read(MAP["CYCLES"]) < 1000, "CLEAR must start CYCLES from 0"
    assert await block.read(MAP["INFERENCES"]) == 0
    assert await block.read(MAP["CONTROL"]) == 0, "CLEAR must read as 0"
    await block.infer(*samples)
    check_counters(await block.counters(), samples)


@cocotb.test(skip=not HAS_COUNTERS)
async def blocked_and_starved(dut: Any) -> None:
    """A consumer that takes nothing shows up as stalls at the output, idle ones as starvation."""
    block, samples = await started(dut), last(1)
    await block.write(MAP["CONTROL"], MAP["CONTROL_CLEAR_MASK"])
    await block.cycles(500)
    idle = await block.counters()
    for row in LAYERS:
        assert idle[row["name"]]["EVENTS"] == idle[row["name"]]["INTEGRATING"] == 0
    first = LAYERS[0]["name"]
    assert idle[first]["STARVED"] + idle[first]["SWEEPING"] == idle[""]["CYCLES"], idle
    block.sink.pause = True
    block.send(samples[0])
    await block.until("m_axis_tvalid", block.offers)
    before = await block.counters()
    await block.cycles(1000)
    after = await block.counters()
    grown = after[""]["OUTPUT_STALLED"] - before[""]["OUTPUT_STALLED"]
    assert grown == after[""]["CYCLES"] - before[""]["CYCLES"], "every cycle was blocked"
    assert after[""]["OUTPUT_TAKEN"] == before[""]["OUTPUT_TAKEN"] == 0
    block.sink.pause = False
    await block.expect(samples[0])


@cocotb.test()
async def interrupt(dut: Any) -> None:
    """The line follows the pending and enabled flags; writing 1 clears, writing 0 does not."""
    block, samples = await started(dut), last(1)
    done, enable, pending = MAP["IRQ_PENDING_DONE_MASK"], MAP["IRQ_ENABLE"], MAP["IRQ_PENDING"]
    await block.infer(*samples)
    assert await block.read(pending) == done
    assert not dut.irq.value, "an interrupt that is not enabled must not raise the line"
    await block.write(enable, done)
    assert dut.irq.value, "the enabled interrupt must raise the line"
    assert await block.read(MAP["STATUS"]) & MAP["STATUS_IRQ_MASK"]
    await block.write(pending, MAP["IRQ_PENDING_ERROR_MASK"])
    assert dut.irq.value, "only what is written as 1 may be cleared"
    await block.write(pending, done)
    assert not dut.irq.value, "the cleared interrupt must lower the line"
    assert await block.read(pending) == 0
    block.send(samples[0])
    await with_timeout(RisingEdge(dut.irq), LIMIT, "ns")
    await block.expect(samples[0])
    assert await block.read(MAP["INFERENCES"]) == 2


def frame_of(transfers: list[Transfer]) -> AxiStreamFrame:
    tkeep = [keep >> i & 1 for _, keep in transfers for i in range(BYTES)]
    return AxiStreamFrame(packed([word for word, _ in transfers]), tkeep=tkeep)


async def faulty(block: Block, words: list[int], keep: list[int], mask: str, sample: int) -> None:
    """Sends a packet that means golden `sample` but for one dropped word; ERRORS must say so."""
    await block.write(MAP["ERRORS"], 0xFF)
    await block.write(MAP["IRQ_PENDING"], 0xFF)
    await block.write(MAP["IRQ_ENABLE"], MAP["IRQ_ENABLE_ERROR_MASK"])
    block.source.send_nowait(frame_of(list(zip(words, keep, strict=True))))
    await block.expect(sample)
    # words after the last marker may still be on their way in
    await block.until("the end of the packet", block.all_sent)
    assert await block.read(MAP["ERRORS"]) == (MAP[mask] if mask else 0)
    assert bool(block.dut.irq.value) == bool(mask), "the error interrupt must tell"
    assert not await block.read(MAP["STATUS"]) & MAP["STATUS_BUSY_MASK"]


@cocotb.test()
async def odd_packets(dut: Any) -> None:
    """Null transfers are legal; what cannot be meant is dropped and told, and harms nothing."""
    block, sample = await started(dut), last(1)[0]
    words = GOLDEN.packets[sample]
    full = (1 << BYTES) - 1
    keep = [full] * len(words)
    await faulty(block, words, keep, "", sample)
    await faulty(block, [0, *words, 0], [0, *keep, 0], "", sample)
    await faulty(block, [0, *words], [full >> 1, *keep], "ERRORS_KEEP_MASK", sample)
    markers = [MARKER] * (GOLDEN.timesteps - sum(word >= MARKER for word in words))
    long = [*words, *markers, 0]
    await faulty(block, long, [full] * len(long), "ERRORS_OVERLONG_MASK", sample)
    row = next(r for r in ROWS if r["name"] == REPORT["network"]["input"])
    c, h, w = row["shape"] if len(row["shape"]) == 3 else (row["shape"][0], 1, 1)
    _, y_bits, x_bits = row["address_bits"]
    beyond = [w] if w < 1 << x_bits else [h << x_bits] if h < 1 << y_bits else []
    beyond = beyond or ([c << y_bits + x_bits] if c < 1 << row["address_bits"][0] else [])
    if beyond:  # all addresses are of neurons where the shape has powers of two only
        await faulty(block, [*beyond, *words], [full, *keep], "ERRORS_ADDRESS_MASK", sample)
    await block.infer(sample)


@cocotb.test()
async def any_packets(dut: Any) -> None:
    """Whatever a packet holds, the next one's outputs are golden, and ERRORS tells what is lost."""
    block, chance = await started(dut), random.Random(cocotb.RANDOM_SEED)
    reader = Reader.of(REPORT)
    for sample in itertools.islice(itertools.cycle(last(min(3, SAMPLES))), 4 * SAMPLES):
        await block.write(MAP["ERRORS"], 0xFF)
        sent = [reader.rubbish(chance), reader.spoiled(GOLDEN.packets[sample], chance)]
        for transfers in sent:
            block.source.send_nowait(frame_of(transfers))
        await with_timeout(block.sink.recv(), LIMIT, "ns")
        await block.expect(sample)
        await block.until("the end of the packet", block.all_sent)
        reasons = {reason for transfers in sent for reason in reader.read(transfers)[1]}
        wanted = sum(MAP[f"ERRORS_{reason}_MASK"] for reason in reasons)
        assert await block.read(MAP["ERRORS"]) == wanted, f"ERRORS must tell {sorted(reasons)}"


@cocotb.test()
async def resets_in_mid_inference(dut: Any) -> None:
    """CONTROL.RESET and aresetn at any moment: nothing is left of what was under way."""
    block, samples = await started(dut), last(2)
    chance = random.Random(cocotb.RANDOM_SEED)
    await block.write(MAP["IRQ_ENABLE"], 3)
    length = len(GOLDEN.packets[samples[0]])
    for turn in range(4):
        block.sink.pause = bool(turn & 1)
        block.send(samples[0])
        await block.cycles(chance.randrange(1, 2 * length + 100))
        if turn < 2:
            await block.write(MAP["CONTROL"], MAP["CONTROL_RESET_MASK"])
            for _ in range(4):
                assert not dut.s_axis_tready.value, "nothing may be taken in reset"
                assert not dut.m_axis_tvalid.value, "nothing may be sent in reset"
                await RisingEdge(dut.aclk)
            assert not await block.read(MAP["STATUS"]) & MAP["STATUS_BUSY_MASK"]
            assert await block.read(MAP["IRQ_ENABLE"]) == 3, "RESET must spare the registers"
        # the DMA's ends of the streams are reset as well, as the documentation asks
        block.source.assert_reset(True)
        block.sink.assert_reset(True)
        if turn < 2:
            await block.cycles(3)
            await block.write(MAP["CONTROL"], 0)
        else:
            await block.reset()
            assert await block.read(MAP["IRQ_ENABLE"]) == 0, "aresetn must clear the registers"
        block.source.assert_reset(False)
        block.sink.assert_reset(False)
        block.source.clear()
        block.sink.clear()
        block.sink.pause = False
        await block.infer(*samples)
