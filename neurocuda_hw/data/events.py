"""Events of a camera: where, when, brighter or darker; and the count of what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Events:
    """Some events, in the order in which they are stored.

    Parameters
    ----------
    x, y, polarity : integer array (N,)
        Column from the left, row from the top, and 0 (darker) or 1 (brighter).
    time : int64 array (N,)
        Microseconds.
    """

    x: np.ndarray
    y: np.ndarray
    polarity: np.ndarray
    time: np.ndarray

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, chosen: slice | np.ndarray) -> Events:
        """Those that a slice, a mask or indices choose."""
        columns = (self.x[chosen], self.y[chosen], self.polarity[chosen], self.time[chosen])
        return events_of(*columns)


def events_of(x: np.ndarray, y: np.ndarray, polarity: np.ndarray, time: np.ndarray) -> Events:
    """`Events` of four columns."""
    return Events(x=x, y=y, polarity=polarity, time=time)


def joined(parts: Iterable[Events]) -> Events:
    """All events of the parts, in their order."""
    found = list(parts)
    if not found:
        return events_of(*(np.zeros(0, np.int64) for _ in range(4)))
    names = ("x", "y", "polarity", "time")
    return events_of(*(np.concatenate([getattr(part, n) for part in found]) for n in names))


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the events of some recordings: nothing is left out without being counted.

    Parameters
    ----------
    events, counted : int
        Events that were stored, and those that frames count.
    left_out : Counter
        Events that no frame counts, by the reason.
    noted : Counter
        What else was met: words that are no events, times that go back.
    """

    events: int = 0
    counted: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)

    def sentences(self) -> list[str]:
        """What people must be told: nothing, where every event is counted as it was stored."""
        told = []
        if +self.left_out:
            parts = ", ".join(
                f"{count:,} {why} ({count / max(1, self.events):.1%})"
                for why, count in (+self.left_out).items()
            )
            told.append(
                f"of {self.events:,} events {self.counted:,} are counted; left out: {parts}"
            )
        told += [f"{what}: {count:,}" for what, count in (+self.noted).items()]
        return told
