"""The IP block as a processor and a DMA see it, and what the golden trace says of its counters.

Addresses and masks come from ``ip/nchw.h``, so that the C header is what is tested. Imported by
test_registers; environment as in test_top.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from cocotb import start_soon
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)
from test_top import BUILD, GOLDEN

BYTES = GOLDEN.word_bits // 8
MARKER = 1 << (GOLDEN.word_bits - 1)
STATES = ("INTEGRATING", "SWEEPING", "STALLED", "STARVED", "BUBBLE")

HEADER = (BUILD / "ip" / "nchw.h").read_text()
HASH = re.findall(r'^#define NCHW_NETWORK_HASH "(\w+)"$', HEADER, re.MULTILINE)[0]
MAP = {
    name: int(value, 0)
    for name, value in re.findall(
        r"^#define NCHW_(\w+) (0x[0-9a-f]+|\d+)u?(?: .*)?$", HEADER, re.MULTILINE
    )
}
REPORT = json.loads((BUILD / "report.json").read_text())
ROWS = REPORT["populations"]
LAYERS = [row for row in ROWS if row["sources"]]
# ns, far more than an inference can take
LIMIT = 10 * (10_000 + (100 + 4 * GOLDEN.timesteps) * sum(row["neurons"] for row in ROWS))
HAS_COUNTERS = bool(MAP["STREAM_VALUE"] & MAP["STREAM_COUNTERS_MASK"])


def layer_address(name: str, counter: str) -> int:
    """As the macro NCHW_LAYER has it."""
    base, stride = re.findall(r"NCHW_LAYER\(n\) \((0x\w+)u \+ (0x\w+)u", HEADER)[0]
    return int(base, 0) + int(stride, 0) * MAP[f"LAYER_{name}"] + MAP[f"LAYER_{counter}"]


class Block:
    """The IP block with a processor's bus on its registers and a DMA's streams at its sides."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        clocked = (dut.aclk, dut.aresetn, False)
        self.lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), *clocked)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), *clocked)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), *clocked)

    async def start(self) -> None:
        start_soon(Clock(self.dut.aclk, 10, "ns").start())
        await self.reset()

    async def reset(self) -> None:
        """aresetn."""
        self.dut.aresetn.value = 0
        for _ in range(4):
            await RisingEdge(self.dut.aclk)
        self.dut.aresetn.value = 1
        await RisingEdge(self.dut.aclk)

    async def cycles(self, count: int) -> None:
        for _ in range(count):
            await RisingEdge(self.dut.aclk)

    async def until(
        self, what: str, condition: Callable[[], Awaitable[bool]], looks: int = LIMIT // 10
    ) -> None:
        """Waits until `condition` holds, but not for ever."""
        for _ in range(looks):
            if await condition():
                return
            await RisingEdge(self.dut.aclk)
        raise AssertionError(f"{what} never came")

    async def read(self, address: int, response: AxiResp = AxiResp.OKAY) -> int:
        answer = await with_timeout(self.lite.read(address, 4), LIMIT, "ns")
        assert answer.resp == response, f"read of 0x{address:03x} was answered by {answer.resp!r}"
        return int.from_bytes(answer.data, "little")

    async def write(self, address: int, value: int, response: AxiResp = AxiResp.OKAY) -> None:
        await self.write_bytes(address, value.to_bytes(4, "little"), response)

    async def write_bytes(
        self, address: int, data: bytes, response: AxiResp = AxiResp.OKAY
    ) -> None:
        answer = await with_timeout(self.lite.write(address, data), LIMIT, "ns")
        assert answer.resp == response, f"write of 0x{address:03x} was answered by {answer.resp!r}"

    def send(self, sample: int) -> None:
        """Queues a golden packet."""
        self.source.send_nowait(AxiStreamFrame(packed(GOLDEN.packets[sample])))

    async def expect(self, sample: int) -> None:
        """Waits for one output packet and compares it with the golden outputs."""
        frame = await with_timeout(self.sink.recv(), LIMIT, "ns")
        words = [
            int.from_bytes(frame.tdata[i : i + BYTES], "little")
            for i in range(0, len(frame.tdata), BYTES)
        ]
        want = GOLDEN.outputs[sample].tolist()
        got = outputs_of(words)
        assert got == want, f"sample {sample}: expected outputs {want}, got {got}"

    async def infer(self, *samples: int) -> None:
        for sample in samples:
            self.send(sample)
        for sample in samples:
            await self.expect(sample)

    async def settled(self) -> bool:
        return bool(await self.read(MAP["STATUS"]) & MAP["STATUS_SETTLED_MASK"])

    async def offers(self) -> bool:
        return bool(self.dut.m_axis_tvalid.value)

    async def all_sent(self) -> bool:
        return bool(self.source.idle())

    async def counters(self) -> dict[str, dict[str, int]]:
        """All counters, of one instant: frozen meanwhile."""
        await self.write(MAP["CONTROL"], MAP["CONTROL_FREEZE_MASK"])
        await self.until("STATUS.SETTLED", self.settled, looks=2000)
        names = ("EVENTS", "SPIKES", *STATES, *(["BURSTS"] if "LAYER_BURSTS" in MAP else []))
        design = ("CYCLES", "INPUT_TAKEN", "INPUT_STALLED", "OUTPUT_TAKEN", "OUTPUT_STALLED")
        found = {"": {name: await self.read(MAP[name]) for name in design}}
        for row in LAYERS:
            layer = row["name"]
            found[layer] = {n: await self.read(layer_address(layer, n)) for n in names}
        await self.write(MAP["CONTROL"], 0)
        return found


def packed(words: list[int]) -> bytes:
    return b"".join(word.to_bytes(BYTES, "little") for word in words)


def outputs_of(words: list[int]) -> list[int]:
    """A packet's values, or its spikes counted per neuron."""
    if not GOLDEN.output_spikes:
        return [(word ^ MARKER) - MARKER for word in words]
    assert sum(word >= MARKER for word in words) == GOLDEN.timesteps, "TLAST came too early"
    counts = [0] * GOLDEN.output.size
    for word in words:
        if word < MARKER:
            counts[GOLDEN.output.index(word)] += 1
    return counts


def events_to(row: dict[str, Any], sample: int) -> int:
    """Events that reach a layer in one inference, over all its projections."""
    total = 0
    bursts = row.get("receives", [0] * len(row["sources"]))
    for (source, delay), burst in zip(row["sources"], bursts, strict=True):
        if source == REPORT["network"]["input"]:
            total += sum(word < MARKER for word in GOLDEN.packets[sample])
        else:
            spikes = GOLDEN.spikes[source][sample]
            if burst:  # one event for all spikes of a neuron
                spikes = spikes.any(axis=0, keepdims=True)
            total += int(spikes[: GOLDEN.timesteps - delay].sum())
    return total


def spikes_of(row: dict[str, Any], sample: int) -> int:
    """Spikes that a layer sends in one inference; of a readout, its values."""
    name = row["name"]
    return int(GOLDEN.spikes[name][sample].sum()) if row["spiking"] else row["neurons"]


def check_counters(found: dict[str, dict[str, int]], samples: list[int]) -> None:
    """Counters against the golden trace; each cycle must be counted once by every layer."""
    cycles = found[""]["CYCLES"]
    words = sum(len(GOLDEN.packets[s]) for s in samples)
    assert found[""]["INPUT_TAKEN"] == words, f"INPUT_TAKEN is not {words}"
    for row in LAYERS:
        name, seen = row["name"], found[row["name"]]
        events = sum(events_to(row, s) for s in samples)
        spikes = sum(spikes_of(row, s) for s in samples)
        assert seen["EVENTS"] == events, f"{name!r}: EVENTS is {seen['EVENTS']}, not {events}"
        assert seen["SPIKES"] == spikes, f"{name!r}: SPIKES is {seen['SPIKES']}, not {spikes}"
        if row.get("burst"):
            bursts = sum(int(GOLDEN.spikes[name][s].any(axis=0).sum()) for s in samples)
            assert seen["BURSTS"] == bursts, f"{name!r}: BURSTS is {seen['BURSTS']}, not {bursts}"
        parts = {state: seen[state] for state in STATES}
        total = sum(parts.values())
        assert total == cycles, f"{name!r}: {parts} are {total} cycles of {cycles}"


async def started(dut: Any) -> Block:
    block = Block(dut)
    await block.start()
    return block
