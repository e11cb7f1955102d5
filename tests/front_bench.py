"""A front block in simulation, alone or with the network behind it, and a camera's words on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurocuda_hw.network import Network
from neurocuda_hw.network.wire import address_bits, payload_bits
from neurocuda_hw.rtl.front_files import front_files
from neurocuda_hw.rtl.front_plan import FrontPlan
from neurocuda_hw.rtl.memory import RAM_VERILOG
from neurocuda_hw.simulation.live import Live
from neurocuda_hw.simulation.simulate import Stalls

_QUIET = 20_000  # cycles after which nothing more comes


@dataclass(frozen=True)
class Seen:
    """Words that came out with TLAST, cycles in all, latency of the end, and the counts by name."""

    words: np.ndarray
    last: np.ndarray
    cycles: int
    latency: int
    counts: dict[str, int]


def run_front(
    plan: FrontPlan,
    recordings: Sequence[np.ndarray],
    *,
    step_us: int,
    first: bool = False,
    stalls: int = 0,
    files: Mapping[str, bytes] | None = None,
) -> Seen:
    """Sends recordings, one after the other, with so many per cent of random pauses; through the
    front block alone, or with `files` of a network through that too."""
    front = front_files(plan)
    if files is None:
        top, sources = "nchw_front", {"rtl/nchw_ram.v": RAM_VERILOG.encode()}
        sources["front/nchw_front.v"] = front["front/nchw_front.v"]
    else:
        top, sources = "nchw_camera", {**files, **front}
    live = Live(sources, top, stalls=Stalls(percent=stalls), step_us=step_us, from_first=first)
    with live:
        answers = [live.send(words, packets=0) for words in recordings]
        answers.append(live.send(np.zeros(0), packets=2**32 - 1, limit=_QUIET))
    words, last, cycles = (
        np.concatenate([getattr(answer, what) for answer in answers])
        for what in ("words", "last", "cycles")
    )
    end = answers[0].taken
    later = cycles[last & (cycles > end)]
    return Seen(
        words,
        last,
        int(max(answers[-1].taken, cycles.max(initial=0))) + 1,
        int(later[0]) - end if len(later) else 0,
        answers[-1].counts,
    )


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
