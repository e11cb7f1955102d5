"""cocotb bench of the design: stalls, resets, odd packets; every spike is compared.

Reads ``report.json`` and ``golden/`` of the build folder named by NCHW_BUILD. NCHW_COCOTB_SAMPLES
says how many inferences the longest test runs (default 20). Needs cocotb and numpy only.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer

BUILD = Path(os.environ["NCHW_BUILD"])
SAMPLES = int(os.environ.get("NCHW_COCOTB_SAMPLES", "20"))


@dataclass
class Population:
    """A spiking population, or the output: its size, how its events are addressed, its place.

    Its events are bursts of up to `burst` spikes that begin in step `start`; 0: single spikes. If
    `line` is not 0, a mark ends every so many lines of positions, in order.
    """

    name: str
    shape: tuple[int, ...]
    bits: tuple[int, int, int]
    burst: int = 0
    start: int = 0
    line: int = 0

    @property
    def marks(self) -> int:
        """Marks of an inference."""
        return -(-self.shape[1] // self.line) if self.line else 1

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def address_bits(self) -> int:
        return sum(self.bits)

    @property
    def count_bits(self) -> int:
        """Bits of an event that say how many spikes it stands for."""
        return self.burst.bit_length() if self.burst > 1 else 0

    def index(self, address: int) -> int:
        """Flat index of the neuron at {c, y, x}."""
        _, y_bits, x_bits = self.bits
        x = address & ((1 << x_bits) - 1)
        y = address >> x_bits & ((1 << y_bits) - 1)
        c = address >> (x_bits + y_bits)
        channels, height, width = self.shape if len(self.shape) == 3 else (self.shape[0], 1, 1)
        inside = c < channels and y < height and x < width
        assert inside, f"population {self.name!r}: address {address} is of no neuron"
        return (c * height + y) * width + x

    def line_of(self, index: int) -> int:
        """The line, of those that end with a mark, in which a neuron stands."""
        return int(index // self.shape[2] % self.shape[1] // self.line)

    def where(self, index: int) -> str:
        """``17 (1, 0, 3)``, for messages."""
        return f"{index} {tuple(int(i) for i in np.unravel_index(index, self.shape))}"


class Golden:
    """The packets to send and what must come of them."""

    def __init__(self, folder: Path) -> None:
        report = json.loads((folder / "report.json").read_text())
        self.timesteps = report["network"]["timesteps"]
        self.word_bits = report["stream"]["word_bits"]
        rows = report["populations"]
        self.merged = report.get("bursts", {}).get("merged", False)
        made = {
            row["name"]: Population(
                row["name"],
                tuple(row["shape"]),
                tuple(row["address_bits"]),
                row.get("burst", 0),
                row["window"][0],
                row.get("line", 0),
            )
            for row in rows
        }
        self.populations = [made[row["name"]] for row in rows if row["spiking"]]
        self.output = made[report["network"]["output"]]
        self.output_spikes = self.output in self.populations
        self._read_stimulus((folder / "golden" / "stimulus.bin").read_bytes())
        self._read_expected((folder / "golden" / "expected.bin").read_bytes())
        self.samples = len(self.packets)

    def _read_stimulus(self, raw: bytes) -> None:
        assert raw[:8] == b"NCHWSTM1", "golden/stimulus.bin is no stimulus file"
        word_bytes, samples = (int(n) for n in np.frombuffer(raw, "<u4", 2, 8))
        assert word_bytes * 8 == self.word_bits, "golden/stimulus.bin has words of another width"
        ends = np.frombuffer(raw, "<u8", samples, 24).astype(np.int64)
        words = np.frombuffer(raw, f"<u{word_bytes}", -1, 24 + 8 * samples)
        self.packets = [part.tolist() for part in np.split(words, ends[:-1])]

    def _read_expected(self, raw: bytes) -> None:
        assert raw[:8] == b"NCHWEXP1", "golden/expected.bin is no file of expected spikes"
        samples, steps, populations, outputs = (int(n) for n in np.frombuffer(raw, "<u4", 4, 8))
        at = 24 + 4 * populations
        widths = [steps * ((p.size + 7) // 8) for p in self.populations] + [8 * outputs]
        records = np.frombuffer(raw, np.uint8, -1, at).reshape(samples, sum(widths))
        columns = np.split(records, np.cumsum(widths)[:-1], axis=1)
        self.spikes = {}
        for population, part in zip(self.populations, columns, strict=False):
            rows = part.reshape(samples, steps, -1)
            size = population.size
            self.spikes[population.name] = np.unpackbits(rows, -1, size, "little")
        self.outputs = np.ascontiguousarray(columns[-1]).view("<i8")


@dataclass
class Observed:
    """What came out since the last reset; `steps` and `outputs` hold finished ones only."""

    steps: dict[str, list[list[int]]]
    open: dict[str, list[int]]
    outputs: list[list[int]] = field(default_factory=list)
    stream: list[list[int]] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    bursts: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)


class Bench:
    """Drives the ports of the design cycle by cycle and gathers what taps and output say."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.golden = GOLDEN
        self.taps = [
            (p, getattr(dut, f"tap_{p.name}_valid"), getattr(dut, f"tap_{p.name}_data"))
            for p in self.golden.populations
        ]
        sizes = sum(p.size for p in (*self.golden.populations, self.golden.output))
        self.patience = 20_000 + 8 * sizes
        self.forget()

    def forget(self) -> None:
        """Starts a new record."""
        names = [p.name for p in self.golden.populations]
        self.seen = Observed({name: [] for name in names}, {name: [] for name in names})
        self.waiting: tuple[int, int] | None = None
        self.idle = 0

    async def reset(self, cycles: int = 4) -> None:
        """Holds the reset; what was under way is forgotten."""
        self.dut.rst.value = 1
        self.dut.s_axis_tvalid.value = 0
        self.dut.s_axis_tlast.value = 0
        self.dut.s_axis_tdata.value = 0
        self.dut.s_axis_tkeep.value = (1 << (self.golden.word_bits // 8)) - 1
        self.dut.m_axis_tready.value = 0
        for _ in range(cycles):
            await self._half(0)
            await self._half(1)
        self.dut.rst.value = 0
        self.forget()

    async def _half(self, clk: int) -> None:
        self.dut.clk.value = clk
        await Timer(1, "ns")

    async def cycle(self, ready: bool) -> bool:
        """One clock cycle; whether the offered input word was taken in it."""
        self.dut.m_axis_tready.value = int(ready)
        await self._half(0)
        self.idle += 1
        taken = bool(self.dut.s_axis_tvalid.value) and bool(self.dut.s_axis_tready.value)
        valid = bool(self.dut.m_axis_tvalid.value)
        assert valid or self.waiting is None, "m_axis_tvalid fell before its word was taken"
        if valid:
            word = int(self.dut.m_axis_tdata.value), int(self.dut.m_axis_tlast.value)
            assert self.waiting in (None, word), "m_axis changed before its word was taken"
            self.waiting = None if ready else word
            if ready:
                self._output(*word)
        for population, tap_valid, tap_data in self.taps:
            if tap_valid.value:
                self._event(population, int(tap_data.value))
        if taken:
            self.idle = 0
        assert self.idle < self.patience, self._deadlock()
        await self._half(1)
        return taken

    def _event(self, population: Population, data: int) -> None:
        self.idle = 0
        name, steps = population.name, self.seen.steps[population.name]
        opened, bursts = self.seen.open[name], self.seen.bursts.setdefault(name, [])
        if data >> (population.address_bits + population.count_bits):
            self.seen.marks[name] = (self.seen.marks.get(name, 0) + 1) % population.marks
            if self.seen.marks[name]:
                return
            for _ in range(self.golden.timesteps if self.golden.merged else 1):
                step = len(steps) % self.golden.timesteps - population.start
                steps.append(opened + [i for i, count in bursts if 0 <= step < count])
                opened = []
            self.seen.open[name] = opened
            if len(steps) % self.golden.timesteps == 0:
                bursts.clear()
            return
        index = population.index(data & ((1 << population.address_bits) - 1))
        if population.burst:
            count = data >> population.address_bits if population.count_bits else 1
            step = population.start if self.golden.merged else len(steps) % self.golden.timesteps
            burst = f"population {name!r}: neuron {index} sent a burst of {count} in step {step}"
            assert 1 <= count <= population.burst, f"{burst}, not of 1 to {population.burst}"
            assert step == population.start, f"{burst}, not in step {population.start}"
            if population.line:
                line, marks = population.line_of(index), self.seen.marks.get(name, 0)
                assert line == marks, f"{burst} of line {line} behind {marks} marks"
            assert index not in [i for i, _ in bursts], f"population {name!r}: neuron {index} twice"
            bursts.append((index, count))
            return
        assert index not in opened, f"population {population.name!r}: neuron {index} fired twice"
        opened.append(index)

    def _output(self, word: int, last: int) -> None:
        self.idle = 0
        golden, words = self.golden, self.seen.words
        if golden.output_spikes:
            if not word >> (golden.word_bits - 1):
                words.append(golden.output.index(word))
                assert not last, "TLAST came with an event, not with an end-of-step marker"
                return
            self.seen.stream.append(sorted(words))
            words.clear()
            ended = len(self.seen.stream) % golden.timesteps == 0
        else:
            sign = 1 << (golden.word_bits - 1)
            words.append((word ^ sign) - sign)
            ended = len(words) == golden.output.size
        place = f"output word or step of inference {len(self.seen.outputs)}"
        assert bool(last) == ended, f"TLAST is {last} on {place}, which must be {int(ended)}"
        if ended and golden.output_spikes:
            counts = np.zeros(golden.output.size, dtype=np.int64)
            for step in self.seen.stream[-golden.timesteps :]:
                counts[step] += 1
            self.seen.outputs.append(counts.tolist())
        elif ended:
            self.seen.outputs.append(list(words))
            words.clear()

    def _deadlock(self) -> str:
        places = ", ".join(f"{name!r} {len(s)}" for name, s in self.seen.steps.items())
        return (
            f"no transfer for {self.idle} cycles: {len(self.seen.outputs)} inferences are out, "
            f"steps ended: {places}"
        )

    async def send(
        self,
        packets: list[list[int]],
        *,
        offer: Callable[[], bool] = lambda: True,
        ready: Callable[[], bool] = lambda: True,
        stop: int | None = None,
    ) -> None:
        """Sends packets back to back until as many inferences came out, or for `stop` cycles."""
        words = [(w, int(i == len(p) - 1)) for p in packets for i, w in enumerate(p)]
        sent, cycles, offered = 0, 0, False
        while len(self.seen.outputs) < len(packets) or sent < len(words):
            if cycles == stop:
                return
            if not offered and sent < len(words) and offer():
                offered = True
                self.dut.s_axis_tdata.value, self.dut.s_axis_tlast.value = words[sent]
                self.dut.s_axis_tvalid.value = 1
            if await self.cycle(ready()):
                sent, offered = sent + 1, False
                self.dut.s_axis_tvalid.value = 0
            cycles += 1

    def check(self, samples: list[int]) -> None:
        """Compares the inferences since the last reset with those of the golden `samples`."""
        for place, sample in enumerate(samples):
            for step in range(self.golden.timesteps):
                for population in self.golden.populations:
                    self._check_step(place, sample, step, population)
            want, got = self.golden.outputs[sample].tolist(), self.seen.outputs[place]
            for index, (expected, value) in enumerate(zip(want, got, strict=True)):
                assert expected == value, (
                    f"first divergence: sample {sample}, population {self.golden.output.name!r}, "
                    f"neuron {self.golden.output.where(index)}: expected output {expected}, "
                    f"got {value}"
                )
        for population in self.golden.populations:
            ended = len(self.seen.steps[population.name])
            want = len(samples) * self.golden.timesteps
            assert ended == want, f"population {population.name!r} ended {ended} steps, not {want}"
        if self.golden.output_spikes:
            fired = [sorted(step) for step in self.seen.steps[self.golden.output.name]]
            assert self.seen.stream == fired, (
                "the output stream is not what the last population fired"
            )

    def _check_step(self, place: int, sample: int, step: int, population: Population) -> None:
        want = self.golden.spikes[population.name][sample, step]
        got = np.zeros_like(want)
        got[self.seen.steps[population.name][place * self.golden.timesteps + step]] = 1
        if not np.array_equal(want, got):
            index = int(np.argmax(want != got))
            raise AssertionError(
                f"first divergence: sample {sample}, population {population.name!r}, step {step}, "
                f"neuron {population.where(index)}: expected spike {want[index]}, got {got[index]}"
            )


GOLDEN = Golden(BUILD)


def first(count: int) -> list[int]:
    """The first samples, as many as there are."""
    return list(range(min(count, GOLDEN.samples)))


def last(count: int) -> list[int]:
    """The last samples: the first ones may be silent."""
    return list(range(GOLDEN.samples))[-count:]


async def started(dut: Any) -> Bench:
    """A bench behind a reset."""
    bench = Bench(dut)
    await bench.reset()
    return bench


@cocotb.test()
async def full_rate(dut: Any) -> None:
    """Inferences back to back, neither stream ever stalling."""
    bench, samples = await started(dut), first(4)
    await bench.send([GOLDEN.packets[s] for s in samples])
    bench.check(samples)


@cocotb.test()
async def random_stalls(dut: Any) -> None:
    """Both streams stall at random, seldom and often by turns; many inferences in a row."""
    bench, samples = await started(dut), first(SAMPLES)
    rng = random.Random(cocotb.RANDOM_SEED)
    rates = [0.0, 0.3, 0.8]
    offer_rate, ready_rate = 0.3, 0.3

    def offer() -> bool:
        nonlocal offer_rate, ready_rate
        if rng.random() < 0.01:
            offer_rate, ready_rate = rng.choice(rates), rng.choice(rates)
        return rng.random() >= offer_rate

    await bench.send(
        [GOLDEN.packets[s] for s in samples], offer=offer, ready=lambda: rng.random() >= ready_rate
    )
    bench.check(samples)


@cocotb.test()
async def reset_in_mid_inference(dut: Any) -> None:
    """A reset at any moment leaves nothing behind: the next inferences are right."""
    bench, samples = await started(dut), last(2)
    packets = [GOLDEN.packets[s] for s in samples]
    cycles = 0

    def count() -> bool:
        nonlocal cycles
        cycles += 1
        return True

    await bench.send(packets, ready=count)
    bench.check(samples)
    rng = random.Random(cocotb.RANDOM_SEED)
    for _ in range(3):
        await bench.reset()
        await bench.send(packets, stop=rng.randrange(1, cycles))
        await bench.reset(cycles=1)
        await bench.send(packets[:1])
        bench.check(samples[:1])


@cocotb.test()
async def every_marker_sent(dut: Any) -> None:
    """Packets that spell out every end-of-step marker mean the same as those that do not."""
    bench, samples = await started(dut), last(2)
    marker = 1 << (GOLDEN.word_bits - 1)
    packets = []
    for sample in samples:
        packet = list(GOLDEN.packets[sample])
        packet += [marker] * (GOLDEN.timesteps - sum(word >= marker for word in packet))
        packets.append(packet)
    await bench.send(packets)
    bench.check(samples)


@cocotb.test()
async def blocked_output(dut: Any) -> None:
    """A consumer that takes nothing for long stalls everything before it, and nothing is lost."""
    bench, samples = await started(dut), last(3)
    held = 0

    def ready() -> bool:
        nonlocal held
        held += 1
        return held > 5000

    await bench.send([GOLDEN.packets[s] for s in samples], ready=ready)
    bench.check(samples)


@cocotb.test()
async def nothing_follows(dut: Any) -> None:
    """After the last inference nothing more comes out."""
    bench, samples = await started(dut), last(1)
    await bench.send([GOLDEN.packets[s] for s in samples])
    for _ in range(200):
        await bench.cycle(True)
    bench.check(samples)
    assert len(bench.seen.outputs) == len(samples), "more came out than went in"
