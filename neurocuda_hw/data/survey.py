"""What a recording holds: its rate over time, and how often each pixel was heard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurocuda_hw.data.events import Events, Tally
from neurocuda_hw.ground.errors import DataError

_SIDE = 1 << 14  # pixels: what DAT can say
_STEPS = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """A recording in numbers.

    Parameters
    ----------
    events : int
    first, last : int
        Earliest and latest time, µs; 0 without events.
    step_us : int
    rate : int64 array (steps, 2)
        Events of each polarity in each step from `start` on.
    start : int
        Where step 0 starts, µs.
    frame : int64 array (2, H, W)
        Events of each polarity and pixel, as large as the pixels that were heard.
    tally : Tally
    """

    events: int
    first: int
    last: int
    step_us: int
    rate: np.ndarray
    start: int
    frame: np.ndarray
    tally: Tally

    def as_plain(self) -> dict[str, Any]:
        """All of it but the frame, as plain values."""
        return {
            "events": self.events,
            "first_us": self.first,
            "last_us": self.last,
            "width": self.frame.shape[2],
            "height": self.frame.shape[1],
            "brighter": int(self.frame[1].sum()),
            "step_us": self.step_us,
            "rate": self.rate.sum(axis=1).tolist(),
            "left_out": dict(+self.tally.left_out),
            "noted": dict(+self.tally.noted),
        }


def survey(parts: Iterable[Events], tally: Tally, *, step_us: int, grid: str = "zero") -> Survey:
    """Goes through a recording once.

    Raises
    ------
    DataError
        If it is longer than ten million steps.
    """
    rate, frame = np.zeros((0, 2), np.int64), np.zeros((2, 0, 0), np.int64)
    start = None if grid == "first" else 0
    first = last = before = None
    for events in parts:
        if not len(events):
            continue
        time = events.time
        tally.events += len(events)
        back = int((np.diff(time) < 0).sum()) + (before is not None and int(time[0]) < before)
        tally.noted["times that go back"] += back
        before = int(time[-1])
        start = int(time[0]) if start is None else start
        low, high = int(time.min()), int(time.max())
        first, last = (low, high) if first is None else (min(first, low), max(last or 0, high))
        step = (time - start) // step_us
        if int(step.max()) >= _STEPS:
            raise DataError(
                f"the recording ends {high - start:,} µs after step 0 starts, more than {_STEPS:,} "
                f"steps of {step_us} µs: --grid first starts at its first event, --step-us "
                "lengthens a step"
            )
        seen = step >= 0
        tally.left_out["before the first step"] += int((~seen).sum())
        rate = _added(rate, (step[seen], events.polarity[seen]))
        x, y = events.x.astype(np.int64), events.y.astype(np.int64)
        on = (x >= 0) & (x < _SIDE) & (y >= 0) & (y < _SIDE)
        tally.left_out[f"outside {_SIDE:,} x {_SIDE:,} pixels"] += int((~on).sum())
        frame = _added(frame, (events.polarity[on], y[on], x[on]))
    return Survey(
        events=tally.events,
        first=first or 0,
        last=last or 0,
        step_us=step_us,
        rate=rate,
        start=start or 0,
        frame=frame,
        tally=tally,
    )


def _added(counts: np.ndarray, places: tuple[np.ndarray, ...]) -> np.ndarray:
    """Counts with one more at each place; they grow as far as the places need."""
    if not len(places[0]):
        return counts
    shape = tuple(max(n, int(p.max()) + 1) for n, p in zip(counts.shape, places, strict=True))
    shape = tuple(2 if n == 2 else m for n, m in zip(counts.shape, shape, strict=True))
    if shape != counts.shape:
        larger = np.zeros(shape, np.int64)
        larger[tuple(slice(n) for n in counts.shape)] = counts
        counts = larger
    np.add.at(counts, places, 1)
    return counts
