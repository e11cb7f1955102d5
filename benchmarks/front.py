"""The front block in Verilator beside the software's binning: real recordings, and a fast camera.

    python -m benchmarks front                          EVT3 and addresses with times
    python -m benchmarks front --recordings 20          fewer of N-MNIST's

Recordings of N-MNIST, one after the other, as a camera's words, with 30 per cent of random pauses
on both streams: ``unequal`` counts the counts of steps that are not those of `data.binning`, and
events that are in no counter. Then a million events within one second, without pauses: ``cycles``
are what the block takes for them, ``idle_percent`` what is left of a hundred million (100 MHz);
``latency_cycles`` is from the last word of a recording to the last word of its packet.
``lut6``, ``ff``, ``bram36`` and ``dsp`` are yosys' for a 7 series.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import numpy as np

from benchmarks import from_tests
from benchmarks.table import say
from neurocuda_hw.data.events import Events, Tally
from neurocuda_hw.data.labelled import load_recordings
from neurocuda_hw.network import IF, Input, Network, Readout
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.rtl.front_files import front_files
from neurocuda_hw.rtl.front_plan import FrontPlan
from neurocuda_hw.rtl.memory import RAM_VERILOG
from neurocuda_hw.simulation.front import FrontBench, frames_of, front_packets
from neurocuda_hw.synth.yosys import synthesise

STEPS, STEP_US, CLOCK = 10, 10_000, 100_000_000
SHAPE = (2, 34, 34)


def camera() -> Network:
    """A network behind N-MNIST's sensor: what counts here is its input only."""
    (chain,) = from_tests("small", "chain")
    layers = {
        "pixels": (SHAPE, Input(encoding=Encoding.GRADED, payload_bits=4)),
        "hidden": ((2,), IF(threshold=1)),
        "out": ((2,), Readout()),
    }
    first = np.ones((2, int(np.prod(SHAPE))), np.int64)
    network: Network = chain(STEPS, layers, Dense(weight=first), Dense(weight=np.eye(2, dtype=int)))
    return network


def words_of(kind: str, events: Events) -> np.ndarray:
    """A recording as a camera's words."""
    evt3_words, dat = from_tests("event_formats", "evt3_words", "dat")
    columns = (events.x, events.y, events.polarity, events.time)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    if kind == "evt3":
        return np.array(evt3_words(rows))
    return np.frombuffer(dat(rows).partition(b"\x0c\x08")[2], "<u8")


def area_of(plan: FrontPlan) -> dict[str, float]:
    """What it takes of a 7 series, by yosys."""
    files = {"rtl/nchw_front.v": front_files(plan)["front/nchw_front.v"]}
    files["rtl/nchw_ram.v"] = RAM_VERILOG.encode()
    area = synthesise(files, Family.SERIES7, top="nchw_front", flatten=True)
    return {"lut6": area.luts, "ff": area.flipflops, "bram36": area.blocks, "dsp": area.dsps}


def measure(given: Namespace) -> dict[str, Any]:
    """What differs, cycles, and what is left of a camera's second."""
    recordings, _ = load_recordings(given.data, given.recordings)
    rng = np.random.default_rng(0)
    fast = Events(
        x=rng.integers(0, 34, given.events),
        y=rng.integers(0, 34, given.events),
        polarity=rng.integers(0, 2, given.events),
        time=np.sort(rng.integers(0, 1_000_000, given.events)),
    )
    figures: dict[str, Any] = {}
    for kind in ("evt3", "aer"):
        plan = FrontPlan(network=camera(), kind=kind)
        files = front_files(plan) | {"rtl/nchw_ram.v": RAM_VERILOG.encode()}
        bench = FrontBench(plan, files)
        words = [words_of(kind, events) for events in recordings]
        seen = bench.run(words, step_us=STEP_US, stalls=30)
        found = frames_of(seen, plan.network, plan.tdata_bits)
        want = np.concatenate(
            [front_packets(e, plan, step_us=STEP_US, tally=Tally()) for e in recordings]
        )
        events = sum(map(len, recordings))
        unequal = abs(events - sum(seen.counts.values()))
        same = found.shape == want.shape
        unequal += int((found != want).sum()) if same else max(found.size, want.size)
        told = bench.run([words_of(kind, fast)], step_us=1000)
        figures[kind] = {
            "recordings": len(recordings),
            "events": events,
            "packets": len(want),
            "clipped": seen.counts["clipped"],
            "unequal": unequal,
            "fast_events": given.events,
            "cycles": told.cycles,
            "cycles_per_event": round(told.cycles / given.events, 3),
            "idle_percent": round(100 - 100 * told.cycles / CLOCK, 2),
            "latency_cycles": told.latency,
        } | area_of(plan)
        say(f"{kind}: {figures[kind]}")
    return figures
