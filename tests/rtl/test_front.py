"""The front block against the software's binning, event for event, with random stalls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from event_formats import dat, evt3_read, evt3_words, made
from small import chain
from tools import need

from neurocuda_hw.data.binning import Binning
from neurocuda_hw.data.events import Tally, events_of
from neurocuda_hw.data.evt import Evt3
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator
from neurocuda_hw.network import IF, Input, Network, Readout
from neurocuda_hw.network.neurons import Encoding, Window
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.rtl.front_files import front_files
from neurocuda_hw.rtl.front_plan import FrontPlan
from neurocuda_hw.rtl.memory import RAM_VERILOG
from neurocuda_hw.simulation.front import FrontBench, FrontRun, frames_of

STEPS = 4


def camera(shape: tuple[int, int, int], bits: int = 2, **options: Any) -> Network:
    """A small network behind a sensor."""
    rng = np.random.default_rng(5)
    spikes = options.pop("spikes", False)
    kind = {"encoding": Encoding.SPIKES} if spikes else {
        "encoding": Encoding.GRADED, "payload_bits": bits,
    }  # fmt: skip
    size = int(np.prod(shape))
    return chain(
        STEPS,
        {
            "pixels": (shape, Input(**kind, **options)),
            "hidden": ((6,), IF(threshold=20)),
            "out": ((5,), Readout()),
        },
        Dense(weight=rng.integers(-4, 5, (6, size))),
        Dense(weight=rng.integers(-4, 5, (5, 6))),
    )


def aer_words(rows) -> np.ndarray:
    """Words of 64 bits as DAT has them."""
    return np.frombuffer(dat(rows).partition(b"\x0c\x08")[2], "<u8")


def words_of(kind: str, rows, *, vectors: bool = True) -> np.ndarray:
    """A camera's words of a recording."""
    return np.array(evt3_words(rows, vectors=vectors)) if kind == "evt3" else aer_words(rows)


def columns(rows):
    """Rows (x, y, polarity, time) as `Events`."""
    return events_of(*np.array(rows, dtype=np.int64).reshape(-1, 4).T)


def binned(rows, plan: FrontPlan, step_us: int, first: bool) -> tuple[np.ndarray, Tally]:
    """What software makes of a recording, one step open at a time: packets of frames."""
    binning = Binning(
        steps=1,
        step_us=step_us,
        shape=plan.network.input.chw,
        highest=plan.highest,
        grid="first" if first else "zero",
        crop=plan.crop,
        downsample=plan.downsample,
    )
    tally = Tally()
    steps = [window[0] for window in binning.windows([columns(rows)], tally)]
    steps += [np.zeros_like(steps[0])] * (-len(steps) % plan.steps)
    return np.stack(steps).reshape(-1, plan.steps, *plan.network.input.chw), tally


def bench_of(plan: FrontPlan, files: Mapping[str, bytes] | None = None) -> FrontBench:
    """The block alone, or with the network of `files` behind it."""
    ram = {"rtl/nchw_ram.v": RAM_VERILOG.encode()}
    found = front_files(plan) | (ram if files is None else dict(files))
    return FrontBench(plan, found, behind=files is not None)


def agree(seen: FrontRun, want: np.ndarray, plan: FrontPlan) -> None:
    """Every count of every step is the software's; what comes after the last event is empty."""
    found = frames_of(seen, plan.network, plan.tdata_bits)
    assert len(want) <= len(found) <= len(want) + 1
    assert np.array_equal(found[: len(want)], want)
    assert not found[len(want) :].any()


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """What compiles."""
    need(find_verilator(), find_compiler(), find_make())


CASES: dict[str, dict[str, Any]] = {
    "evt3": {"kind": "evt3", "shape": (2, 34, 34)},
    "aer": {"kind": "aer", "shape": (2, 34, 34)},
    "spikes": {"kind": "evt3", "shape": (2, 34, 34), "spikes": True},
    "merged": {"kind": "evt3", "shape": (1, 20, 16), "crop": (3, 9), "bits": 4},
    "coarse": {"kind": "aer", "shape": (2, 16, 15), "crop": (2, 1), "downsample": 2},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_packets_are_the_softwares_frames(name: str) -> None:
    case = dict(CASES[name])
    kind, shape = case.pop("kind"), case.pop("shape")
    where = {key: case.pop(key) for key in ("crop", "downsample") if key in case}
    plan = FrontPlan(network=camera(shape, **case), kind=kind, **where)
    bench = bench_of(plan)
    rows = made(3000, seed=8, last=90_000)
    for first, stalls in ((False, 0), (True, 0), (False, 40), (True, 85)):
        want, tally = binned(rows, plan, 5000, first)
        seen = bench.run([words_of(kind, rows)], step_us=5000, first=first, stalls=stalls)
        agree(seen, want, plan)
        assert seen.counts["counted"] == tally.counted
        left = {why.split()[0]: count for why, count in tally.left_out.items()}
        assert seen.counts["clipped"] == left.get("above", 0)
        assert seen.counts["outside"] == left.get("outside", 0)
        assert sum(seen.counts.values()) == len(rows)
    if name == "evt3":
        singles = bench.run([words_of(kind, rows, vectors=False)], step_us=5000, stalls=40)
        want, _ = binned(rows, plan, 5000, False)
        agree(singles, want, plan)


@pytest.mark.slow
def test_recordings_one_after_the_other_and_times_that_wrap() -> None:
    plan = FrontPlan(network=camera((2, 34, 34)), kind="evt3")
    bench = bench_of(plan)
    recordings = [made(400, seed=n, last=70_000_000) for n in range(3)] + [made(1, seed=9)]
    wanted = [binned(rows, plan, 1_000_000, True)[0] for rows in recordings]
    seen = bench.run(
        [words_of("evt3", rows) for rows in recordings], step_us=1_000_000, first=True, stalls=30
    )
    found = frames_of(seen, plan.network, plan.tdata_bits)
    assert np.array_equal(found, np.concatenate(wanted))


@pytest.mark.slow
def test_times_that_go_back_are_counted() -> None:
    """An event of a step that is over is late; within its step the order does not matter."""
    plan = FrontPlan(network=camera((2, 34, 34)), kind="aer")
    rows = made(2000, seed=2, last=60_000)
    for at in range(0, 1990, 7):
        rows[at], rows[at + 3] = rows[at + 3], rows[at]
    want, tally = binned(rows, plan, 500, False)
    bench = bench_of(plan)
    seen = bench.run([aer_words(rows)], step_us=500, stalls=20)
    agree(seen, want, plan)
    assert seen.counts["late"] == tally.left_out["of a window that is over"] > 5
    # a step without events is a mark, not a walk through the memory
    far = [(0, 0, 0, 5), (0, 0, 0, 500_000)]
    seen = bench.run([aer_words(far)], step_us=500)
    agree(seen, binned(far, plan, 500, False)[0], plan)
    assert seen.cycles < 1000 * 6 + 4 * 2312


@pytest.mark.slow
def test_any_words_at_all() -> None:
    """No word stops it; what it makes of them is what the decoder in software does, in order."""
    rng = np.random.default_rng(7)
    kinds = rng.choice([0, 2, 2, 3, 4, 5, 6, 10, 14, 15, 1, 7], 20_000)
    words = kinds << 12 | rng.integers(0, 4096, 20_000)
    words[:30] = 2 << 12 | 5  # before any time
    words[30] = 8 << 12
    words = np.where((kinds == 6), 6 << 12 | np.sort(rng.integers(0, 4096, 20_000)), words)
    words[::400] = 8 << 12 | np.arange(50)
    words[0] = 2 << 12
    plan = FrontPlan(network=camera((2, 34, 34)), kind="evt3")
    rows = evt3_read(words.tolist())
    seen = bench_of(plan).run([words], step_us=3000, stalls=25)
    events = Evt3().events(words.astype(np.uint16), tally := Tally())
    assert len(events) == len(rows)
    assert seen.counts["timeless"] == tally.left_out["before the first word of time"] > 0
    assert sum(seen.counts.values()) == len(rows) + seen.counts["timeless"]


@pytest.mark.slow
def test_a_million_events_with_stalls_and_how_much_time_is_left() -> None:
    plan = FrontPlan(network=camera((2, 34, 34)), kind="evt3")
    bench = bench_of(plan)
    rng = np.random.default_rng(0)
    count = 1_000_000
    time = np.sort(rng.integers(0, 1_000_000, count))
    x, y, p = (rng.integers(0, n, count) for n in (34, 34, 2))
    rows = list(zip(x.tolist(), y.tolist(), p.tolist(), time.tolist(), strict=True))
    words = words_of("evt3", rows)
    want, _ = binned(rows, plan, 1000, False)
    for stalls in (0, 30):
        seen = bench.run([words], step_us=1000, stalls=stalls)
        agree(seen, want, plan)
        if not stalls:  # one second, and a hundred million cycles, of the camera's time
            assert seen.cycles < 10_000_000


@pytest.mark.slow
def test_the_network_behind_it_answers_as_the_reference() -> None:
    network = camera((2, 34, 34))
    design = emit(network)
    plan = FrontPlan(network=network, kind="evt3", tdata_bits=design.tdata_bits)
    rows = made(3000, seed=8, last=90_000)
    want, _ = binned(rows, plan, 5000, False)
    seen = bench_of(plan, design.files).run([words_of("evt3", rows)], step_us=5000, stalls=20)
    expected = Reference(network).trace(want).outputs
    found = seen.words.astype(np.uint32).astype(np.int32).reshape(-1, 5)
    assert np.array_equal(found[: len(expected)], expected)


def test_what_it_is_not_made_for() -> None:
    with pytest.raises(
        ModelError, match=r"'pixels': a front block needs an input \(1 or 2, H, W\)"
    ):
        FrontPlan(network=camera((3, 4, 4)), kind="evt3")
    late = camera((2, 4, 4), window=Window(start=1, stop=3))
    with pytest.raises(ModelError, match=r"takes events from step 0 on, not from step 1$"):
        FrontPlan(network=late, kind="aer")
    with pytest.raises(ModelError, match=r"^--downsample must be a power of two .*, not 3$"):
        FrontPlan(network=camera((2, 4, 4)), kind="aer", downsample=3)
