"""A front block in Verilator: a camera's words in, packets out, beside the software's binning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurocuda_hw.data.binning import Binning
from neurocuda_hw.data.camera import decoded
from neurocuda_hw.data.events import Events, Tally
from neurocuda_hw.ground.errors import DivergenceError
from neurocuda_hw.network import Network
from neurocuda_hw.network.wire import address_bits, payload_bits
from neurocuda_hw.rtl.front_plan import FrontPlan
from neurocuda_hw.simulation.live import Live
from neurocuda_hw.simulation.simulate import Stalls

_QUIET = 20_000  # cycles after which nothing more comes
# what the software's tally calls the same, by its first word
_TALLIED = {"clipped": "above", "outside": "outside", "late": "of", "timeless": "before"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrontRun:
    """Words that came out with TLAST, cycles in all, latency of the end, and the counts by name."""

    words: np.ndarray
    last: np.ndarray
    cycles: int
    latency: int
    counts: dict[str, int]


class FrontBench:
    """A front block that can be simulated.

    Parameters
    ----------
    plan : FrontPlan
        What the block was made for.
    files : dict of str to bytes
        Those of a build or of `rtl.front_files`: ``front/nchw_front.v`` and ``rtl/nchw_ram.v``.
    behind : bool
        With the network behind it, ``front/nchw_camera.v``: then all of ``rtl/`` too.
    """

    def __init__(
        self, plan: FrontPlan, files: Mapping[str, bytes], *, behind: bool = False
    ) -> None:
        self.plan, self._top = plan, "nchw_camera" if behind else "nchw_front"
        wanted = ["front/nchw_front.v", "rtl/nchw_ram.v"]
        if behind:
            wanted += ["front/nchw_camera.v", *(path for path in files if path.startswith("rtl/"))]
        self._files = {path: files[path] for path in wanted}

    def run(
        self,
        recordings: Sequence[np.ndarray],
        *,
        step_us: int,
        first: bool = False,
        stalls: int = 0,
    ) -> FrontRun:
        """Sends recordings, one after the other, with so many per cent of random pauses.

        Raises
        ------
        ToolError
            If Verilator is missing, or fails.
        """
        pauses = Stalls(percent=stalls)
        with Live(self._files, self._top, stalls=pauses, step_us=step_us, from_first=first) as live:
            answers = [live.send(words, packets=0) for words in recordings]
            answers.append(live.send(np.zeros(0), packets=2**32 - 1, limit=_QUIET))
        words, last, cycles = (
            np.concatenate([getattr(answer, what) for answer in answers])
            for what in ("words", "last", "cycles")
        )
        end = answers[0].taken
        later = cycles[last & (cycles > end)]
        return FrontRun(
            words=words,
            last=last,
            cycles=int(max(answers[-1].taken, cycles.max(initial=0))) + 1,
            latency=int(later[0]) - end if len(later) else 0,
            counts=answers[-1].counts,
        )


def frames_of(seen: FrontRun, network: Network, tdata_bits: int) -> np.ndarray:
    """Packets as counts ``(packets, steps, C, H, W)``: one mark a step, each place once.

    Raises
    ------
    DivergenceError
        If the packets are not whole.
    """
    population = network.input
    steps = network.window(population.name).steps
    c_bits, y_bits, x_bits = address_bits(population)
    marks = (seen.words >> np.uint64(tdata_bits - 1)).astype(bool)
    step = np.concatenate(([0], np.cumsum(marks)[:-1]))
    ends = np.flatnonzero(seen.last)
    _must(marks[ends].all(), "TLAST comes with a mark")
    _must(len(ends) == 0 or ends[-1] == len(marks) - 1, "packets are whole")
    # a packet may end early: its other steps are empty
    number = np.searchsorted(ends, np.arange(len(marks)), side="left")
    begins = np.concatenate(([0], np.cumsum(marks)[ends]))
    within = step - begins[number]
    _must((within < steps).all(), "no packet has more marks than steps")
    found = np.zeros((len(ends), steps, *population.chw), np.int64)
    words = seen.words.astype(np.int64)[~marks]
    x, y = words & (1 << x_bits) - 1, words >> x_bits & (1 << y_bits) - 1
    c = words >> x_bits + y_bits & (1 << c_bits) - 1
    value_bits = payload_bits(population)
    value = words >> x_bits + y_bits + c_bits & (1 << value_bits) - 1 if value_bits else 1
    place = (number[~marks], within[~marks], c, y, x)
    inside = all(
        ((at >= 0) & (at < size)).all() for at, size in zip(place, found.shape, strict=True)
    )
    _must(inside, "every place is one of the input's")
    np.add.at(found, place, value)
    once = np.zeros(found.shape, np.int64)
    np.add.at(once, place, 1)
    _must(once.max(initial=0) <= 1, "a place is sent once a step")
    return found


def _must(holds: bool | np.bool_, rule: str) -> None:
    if not holds:
        raise DivergenceError(f"front block: {rule}, which does not hold")


def front_packets(
    events: Events, plan: FrontPlan, *, step_us: int, first: bool = False, tally: Tally
) -> np.ndarray:
    """The software's packets of a recording ``(packets, T, C, H, W)``, one step open at a time."""
    shape = plan.network.input.chw
    binning = Binning(
        steps=1,
        step_us=step_us,
        shape=shape,
        highest=plan.highest,
        grid="first" if first else "zero",
        crop=plan.crop,
        downsample=plan.downsample,
    )
    steps = [window[0] for window in binning.windows([events], tally)]
    steps += [np.zeros(shape, np.int64)] * (-len(steps) % plan.steps)
    return np.array(steps, np.int64).reshape(-1, plan.steps, *shape)


def front_fault(
    bench: FrontBench, recordings: Iterable[np.ndarray], *, step_us: int, first: bool, stalls: int
) -> str:
    """Where the block and `front_packets` differ first; empty where no count does."""
    plan = bench.plan
    for number, words in enumerate(recordings):
        tally = Tally()
        want = front_packets(
            decoded(plan.kind, words, tally), plan, step_us=step_us, first=first, tally=tally
        )
        seen = bench.run([words], step_us=step_us, first=first, stalls=stalls)
        try:
            found = frames_of(seen, plan.network, plan.tdata_bits)
        except DivergenceError as error:
            return f"{error} (recording {number})"
        if len(found) < len(want) or found[len(want) :].any():
            return f"front block: recording {number} gives {len(found)} packets, not {len(want)}"
        if (wrong := np.argwhere(found[: len(want)] != want)).size:
            at = tuple(wrong[0])
            packet, step, *place = map(int, at)
            return (
                f"front block: recording {number}, packet {packet}, step {step}, place {place}: "
                f"{found[at]} events, not {want[at]} as the software bins them"
            )
        if told := _counts(seen, tally):
            return f"front block: recording {number}: {told}"
    return ""


def _counts(seen: FrontRun, tally: Tally) -> str:
    """The first counter that is not the software's."""
    want = {"counted": tally.counted} | dict.fromkeys(_TALLIED, 0)
    for why, count in tally.left_out.items():
        first = why.split()[0]
        name = next(name for name, word in _TALLIED.items() if word == first)
        want["late" if why == "before the first step" else name] += count
    for name, count in want.items():
        if seen.counts[name] != count:
            return f"its counter {name!r} is {seen.counts[name]}, not {count}"
    return ""
