"""Compiles a front block, alone or with the network behind it, and runs a camera's words on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurocuda_hw.network import Network
from neurocuda_hw.network.wire import address_bits, payload_bits
from neurocuda_hw.rtl.front_files import front_files
from neurocuda_hw.rtl.front_plan import FrontCount, FrontPlan
from neurocuda_hw.rtl.memory import RAM_VERILOG

ROOT = Path(__file__).parents[1]
KINDS = {"evt3": ("uint16_t", "<u2"), "aer": ("uint64_t", "<u8")}


@dataclass(frozen=True)
class Seen:
    """Words that came out with TLAST, cycles in all, latency of the end, and the counts by name."""

    words: np.ndarray
    last: np.ndarray
    cycles: int
    latency: int
    counts: dict[str, int]


class FrontBench:
    """A front block compiled in a folder; with `files` of a network, that too."""

    def __init__(
        self, place: Path, plan: FrontPlan, files: Mapping[str, bytes] | None = None
    ) -> None:
        self.place, self.plan = place, plan
        front = front_files(plan)
        if files is None:
            sources = {"nchw_front.v": front["front/nchw_front.v"], "ram.v": RAM_VERILOG.encode()}
        else:
            sources = {name.replace("/", "_"): content for name, content in front.items()}
            for name, content in files.items():
                if name.startswith("rtl/"):
                    sources[Path(name).name] = content
        for name, content in sources.items():
            (place / name).write_bytes(content)
        verilog = [name for name in sources if name.endswith(".v")]
        word = KINDS[plan.kind][0]
        command = ["sh", str(ROOT / "sim" / "verilator.sh"), "--cc", "--exe", "--build", "-O3"]
        command += ["-Wno-fatal", "-Wno-lint", "--prefix", "Vdut", "-o", "front", "--x-initial"]
        command += ["unique", "--top-module", "nchw_front" if files is None else "nchw_camera"]
        command += ["-CFLAGS", f"-O2 -DWORD_T={word}", *verilog, str(ROOT / "tests" / "front.cpp")]
        environment = os.environ | {"PYTHON": sys.executable}
        done = subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    def run(
        self,
        recordings: Sequence[np.ndarray],
        *,
        step_us: int,
        first: bool = False,
        stalls: int = 0,
        seed: int = 1,
    ) -> Seen:
        """Sends recordings, one after the other, with so many per cent of random pauses."""
        place = self.place
        kind = KINDS[self.plan.kind][1]
        (place / "words").write_bytes(b"".join(r.astype(kind).tobytes() for r in recordings))
        ends = np.cumsum([len(r) for r in recordings]).astype("<u8")
        (place / "ends").write_bytes(ends.tobytes())
        values = [step_us, int(first), stalls, seed]
        done = subprocess.run(
            [place / "obj_dir" / "front", "words", "ends", "out", *map(str, values)],
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        cycles, latency, *counts = map(int, done.stdout.split())
        pairs = np.fromfile(place / "out", "<u8").reshape(-1, 2)
        names = [name.name.lower() for name in FrontCount]
        told = dict(zip(names, counts, strict=True))
        return Seen(pairs[:, 0], pairs[:, 1].astype(bool), cycles, latency, told)


def frames_of(seen: Seen, network: Network, tdata_bits: int) -> np.ndarray:
    """Packets as counts ``(packets, steps, C, H, W)``: places in rising order, one mark a step."""
    population = network.input
    steps = network.window(population.name).steps
    c_bits, y_bits, x_bits = address_bits(population)
    marks = (seen.words >> np.uint64(tdata_bits - 1)).astype(bool)
    step = np.concatenate(([0], np.cumsum(marks)[:-1]))
    ends = np.flatnonzero(seen.last)
    assert marks[ends].all(), "TLAST comes with a mark"
    assert len(ends) == 0 or ends[-1] == len(marks) - 1, "packets are whole"
    # a packet may end early: its other steps are empty
    number = np.searchsorted(ends, np.arange(len(marks)), side="left")
    begins = np.concatenate(([0], np.cumsum(marks)[ends]))
    within = step - begins[number]
    assert (within < steps).all(), "no packet has more marks than steps"
    found = np.zeros((len(ends), steps, *population.chw), np.int64)
    words = seen.words.astype(np.int64)[~marks]
    x, y = words & (1 << x_bits) - 1, words >> x_bits & (1 << y_bits) - 1
    c = words >> x_bits + y_bits & (1 << c_bits) - 1
    value_bits = payload_bits(population)
    value = words >> x_bits + y_bits + c_bits & (1 << value_bits) - 1 if value_bits else 1
    place = (number[~marks], within[~marks], c, y, x)
    np.add.at(found, place, value)
    once = np.zeros(found.shape, np.int64)
    np.add.at(once, place, 1)
    assert once.max(initial=0) <= 1, "a place is sent once a step"
    return found
