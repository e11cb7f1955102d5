"""Reading and binning ten million events, beside faery's read to an array and NumPy's histogram.

    python -m benchmarks events                        EVT3, EVT2, DAT and AEDAT 4, made here
    python -m benchmarks events --events 1000000       fewer

A recording of 40 s (the 24 bits of EVT3's times pass their end twice), 640 x 480 pixels, is written
by faery in each format. Ours reads it as a stream, and bins it into steps of 100 ms of frames of
2 x 120 x 160; beside it faery's parts are joined to an array, and ``numpy.bincount`` counts places
that NumPy works out of its columns (``numpy.histogramdd``, several times slower, is not taken). CPU
time of one process, both in turn, the median of the rounds. ``read_bin_ratio`` is ours over theirs
of EVT3, the slowest to decode; ``mib`` is the most memory of a process that only reads and bins.
``unequal`` counts frames' values that differ, and times that are not those that were written.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.table import say
from neurocuda_hw.data.binning import Binning
from neurocuda_hw.data.events import Tally
from neurocuda_hw.data.recordings import read_events, stream_events

WIDTH, HEIGHT, SECONDS, N = 640, 480, 40, 4
FORMATS: dict[str, dict[str, Any]] = {
    "evt3.raw": {"version": "evt3"},
    "evt2.raw": {"version": "evt2"},
    "dat2.dat": {"version": "dat2"},
    "lz4.aedat4": {},
}
BINNING = Binning(
    steps=10, step_us=100_000, shape=(2, HEIGHT // N, WIDTH // N), downsample=N, highest=65535
)
# the kernel's own mark: `ru_maxrss` of a new process begins with that of who started it
_ALONE = """
import sys
from pathlib import Path
from benchmarks.events import ours
ours(sys.argv[1])
(most,) = [s for s in Path("/proc/self/status").read_text().splitlines() if s[:6] == "VmHWM:"]
print(int(most.split()[1]) / 1024)
"""


def ours(path: str | Path) -> tuple[np.ndarray, float]:
    """Frames of all steps, and the CPU's seconds."""
    started, tally = time.process_time(), Tally()
    windows = list(BINNING.windows(stream_events(path, tally), tally))
    return np.concatenate(windows), time.process_time() - started


def theirs(path: Path) -> tuple[np.ndarray, float]:
    """The same by faery and NumPy."""
    import faery

    started = time.process_time()
    found = np.concatenate(list(faery.events_stream_from_file(path)))
    step = (found["t"] // np.uint64(BINNING.step_us)).astype(np.int64)
    _, height, width = BINNING.shape
    place = ((step * 2 + found["on"]) * height + found["y"] // N) * width + found["x"] // N
    steps = -(-(int(step[-1]) + 1) // BINNING.steps) * BINNING.steps
    counts = np.bincount(place, minlength=steps * 2 * height * width)
    return counts.reshape(steps, 2, height, width), time.process_time() - started


def measure(given: Namespace) -> dict[str, Any]:
    """Seconds of both, their ratio, memory, and what differs, of each format."""
    import faery

    rng = np.random.default_rng(0)
    events = np.zeros(given.events, dtype=faery.EVENTS_DTYPE)
    events["t"] = np.sort(rng.integers(0, SECONDS * 1_000_000, given.events))
    events["x"] = rng.integers(0, WIDTH, given.events)
    events["y"] = rng.integers(0, HEIGHT, given.events)
    events["on"] = rng.integers(0, 2, given.events)
    figures: dict[str, Any] = {"events": given.events, "seconds_recorded": SECONDS}
    rows, unequal = {}, 0
    with tempfile.TemporaryDirectory(prefix="nchw_") as folder:
        for name, options in FORMATS.items():
            path = Path(folder, name)
            faery.events_stream_from_array(events, (WIDTH, HEIGHT)).to_file(path, **options)
            runs = [(ours(path), theirs(path)) for _ in range(given.rounds)]
            (mine, _), (other, _) = runs[-1]
            unequal += int((mine != other).sum())
            unequal += int((read_events(path).time != events["t"].astype(np.int64)).sum())
            alone = [sys.executable, "-c", _ALONE, str(path)]
            told = subprocess.run(alone, check=True, capture_output=True, text=True).stdout
            seconds = [median(run[who][1] for run in runs) for who in (0, 1)]
            rows[name] = {
                "ours_seconds": round(seconds[0], 3),
                "theirs_seconds": round(seconds[1], 3),
                "ratio": round(median(a[1] / b[1] for a, b in runs), 3),
                "mib": round(float(told)),
            }
            say(f"{name}: {rows[name]}")
    figures |= {name.partition(".")[0]: row for name, row in rows.items()}
    figures["read_bin_ratio"] = rows["evt3.raw"]["ratio"]
    figures["mib"] = max(row["mib"] for row in rows.values())
    return figures | {"unequal": unequal}
