"""Events into frames of counts: the one meaning of a step, in software as in the front block.

An event (x, y, p, t) is counted in

    step s = ⌊(t - start) / step_us⌋, or ⌊its number / step_events⌋
    channel p (of two) or 0 (of one), row ⌊(y - top) / n⌋, column ⌊(x - left) / n⌋

and windows of T steps follow one another without a gap, or start every `advance` steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from neurocuda_hw.data.events import Events, Tally
from neurocuda_hw.ground.errors import DataError

GRIDS = ("zero", "first")
_FAR = 1_000_000  # windows
_HELD = 2**22  # events of the open window that are kept before they are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Binning:
    """How events become frames.

    Parameters
    ----------
    steps : int
        Steps T of a window.
    step_us : int
        Microseconds of a step.
    step_events : int, optional
        Events of a step instead: of those that lie within the frame.
    shape : (C, H, W)
        Of a frame: two channels by polarity, or one for both.
    advance : int, optional
        Steps from one window's first to the next one's: fewer than `steps` make windows overlap;
        as many where None.
    highest : int
        What one count holds: 1 for binary spikes, ``2**payload_bits - 1`` for graded ones.
    grid : "zero" or "first"
        Whether step 0 starts at the time 0, or at the first event's.
    crop : (left, top), optional
        The sensor's pixel that is the frame's first; the frame's own corner where None.
    downsample : int
        Pixels of the sensor, each way, that are one of the frame.
    """

    steps: int
    step_us: int = 1000
    step_events: int | None = None
    advance: int | None = None
    shape: tuple[int, int, int]
    highest: int = 255
    grid: str = "zero"
    crop: tuple[int, int] = (0, 0)
    downsample: int = 1

    def __post_init__(self) -> None:
        for name in ("steps", "step_us", "highest", "downsample"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)!r}")
        if self.step_events is not None and self.step_events < 1:
            raise ValueError(f"step_events must be at least 1, not {self.step_events!r}")
        if self.advance is not None and not 1 <= self.advance <= self.steps:
            raise ValueError(f"advance must be 1 to {self.steps} steps, not {self.advance!r}")
        if self.shape[0] not in (1, 2) or min(self.shape) < 1:
            raise ValueError(f"shape must be (1 or 2, H, W), not {self.shape!r}")
        if self.grid not in GRIDS:
            raise ValueError(f"grid must be 'zero' or 'first', not {self.grid!r}")
        if min(self.crop) < 0:
            raise ValueError(f"crop must be (left, top) of at least 0, not {self.crop!r}")

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """Of the counts: as many bytes as `highest` needs."""
        return np.min_scalar_type(self.highest)

    def frames(self, parts: Iterable[Events], tally: Tally | None = None) -> np.ndarray:
        """The first window of a recording, ``(steps, C, H, W)``; later events are told as such."""
        tally = Tally() if tally is None else tally
        found = next(replace(self, advance=None).windows(parts, tally, most=1), None)
        return np.zeros((self.steps, *self.shape), self.dtype) if found is None else found

    def windows(
        self, parts: Iterable[Events], tally: Tally, most: int | None = None
    ) -> Iterator[np.ndarray]:
        """Every window of a recording in turn, each ``(steps, C, H, W)``, up to its last event.

        An event of a window that is over, or of one after `most` of them, is left out, and told;
        within the open window each is counted in the step of its own time, whatever the order.
        Windows that overlap are open for `advance` steps at a time.

        Raises
        ------
        DataError
            If a time is more than a million windows after the one before.
        """
        if self.advance not in (None, self.steps):
            assert most is None, "a first window has no second one"
            yield from self._sliding(parts, tally, self.advance or 0)
            return
        opened = _Window(self, tally, most)
        for events in parts:
            yield from opened.add(events)
        if opened.touched:
            yield opened.take()
            tally.noted["steps after a recording's last event, empty"] += opened.empty

    def _sliding(self, parts: Iterable[Events], tally: Tally, hop: int) -> Iterator[np.ndarray]:
        """Windows that start every `hop` steps, of blocks of so many; one holds the last block."""
        held: list[np.ndarray] = []  # blocks that the next window begins with
        over = True  # whether no window holds the last block yet
        for block in replace(self, steps=hop, advance=None).windows(parts, tally):
            held.append(block)
            over = True
            if len(held) * hop >= self.steps:
                over = len(held) * hop > self.steps
                yield np.concatenate(held)[: self.steps]
                held = held[1:]
        if held and over:
            empty = np.zeros((self.steps - len(held) * hop, *self.shape), self.dtype)
            tally.noted["steps after a recording's last event, empty"] += len(empty)
            yield np.concatenate([*held, empty])


class _Window:
    """The window that is open, and the events of it so far."""

    def __init__(self, binning: Binning, tally: Tally, most: int | None) -> None:
        self.binning, self.tally, self.most = binning, tally, most
        self.frame = int(np.prod(binning.shape))  # places of one step
        self.size = binning.steps * self.frame
        self.number = 0
        self.start: int | None = 0 if binning.grid == "zero" else None
        self.last: int | None = None
        self.inside = 0  # events within the frame so far
        self.touched = False
        self.empty = 0  # steps of the last window after its last event
        self.held: list[np.ndarray] = []
        self.waiting = 0  # events in it
        self.counts: np.ndarray | None = None

    def add(self, events: Events) -> Iterator[np.ndarray]:
        """Takes events; gives the windows that are over by them."""
        if not len(events):
            return
        tally, binning = self.tally, self.binning
        tally.events += len(events)
        time = events.time
        back = int((np.diff(time) < 0).sum())
        back += self.last is not None and int(time[0]) < self.last
        if back:
            tally.noted["times that go back"] += back
        if self.start is None:
            self.start = int(time[0])
        self.last = int(time[-1])
        place, inside = self._places(events)
        if binning.step_events is None:
            time = time if inside is None else time[inside]
            step = (time - self.start if self.start else time) // binning.step_us
        else:
            step = (self.inside + np.arange(len(place))) // binning.step_events
        self.inside += len(place)
        window = step // binning.steps
        why = "before the first step"
        step, window, place = self._without(window < 0, why, step, window, place)
        if self.most is not None:
            steps = f"{binning.steps} step{'s' * (binning.steps > 1)}"
            why = f"after the {steps} of an inference"
            step, window, place = self._without(window >= self.most, why, step, window, place)
        if len(window):
            # the window that is open is the latest that was met, also within these events
            over = window < np.maximum.accumulate(np.maximum(window, self.number))
            step, window, place = self._without(
                over, "of a window that is over", step, window, place
            )
        while len(window):
            if int(window[0]) > self.number + _FAR:
                raise DataError(
                    f"the time {int(time.max())} µs is more than {_FAR:,} windows after the one "
                    "before: --grid first starts at the first event, --step-us lengthens a step"
                )
            while int(window[0]) > self.number:
                yield self.take()
            stop = int(np.searchsorted(window, self.number, side="right"))
            self._hold(step[:stop] - self.number * binning.steps, place[:stop])
            step, window, place = step[stop:], window[stop:], place[stop:]

    def _without(self, gone: np.ndarray, why: str, *columns: np.ndarray) -> list[np.ndarray]:
        """Columns without those events, which are counted as left out."""
        if not gone.any():
            return list(columns)
        self.tally.left_out[why] += int(gone.sum())
        return [column[~gone] for column in columns]

    def _places(self, events: Events) -> tuple[np.ndarray, np.ndarray | None]:
        """The place of each event in a frame, and which are in it; None: all."""
        (channels, height, width), n = self.binning.shape, self.binning.downsample
        left, top = self.binning.crop
        x = events.x.astype(np.int64) - left
        y = events.y.astype(np.int64) - top
        polarity = events.polarity
        # a negative number is a huge one without a sign
        inside = (x.view(np.uint64) < width * n) & (y.view(np.uint64) < height * n)
        chosen = None if inside.all() else inside
        if chosen is not None:
            x, y, polarity = x[chosen], y[chosen], polarity[chosen]
            why = f"outside the {width * n} x {height * n} pixels"
            self.tally.left_out[why] += len(inside) - len(x)
        if n > 1:
            x //= n
            y //= n
        y *= width
        y += x
        if channels == 2:
            y += polarity.astype(np.int64) * (width * height)
        return y, chosen

    def _hold(self, step: np.ndarray, place: np.ndarray) -> None:
        latest = int(step.max())
        missing = self.binning.steps - 1 - latest
        self.empty = min(self.empty, missing) if self.touched else missing
        self.touched = True
        self.held.append(step * self.frame + place)
        self.waiting += len(place)
        if self.waiting >= _HELD:
            self._count()

    def _count(self) -> None:
        found = np.bincount(np.concatenate(self.held), minlength=self.size)
        self.counts = found if self.counts is None else self.counts + found
        self.held, self.waiting = [], 0

    def take(self) -> np.ndarray:
        """The open window's frames; the next window is then open."""
        binning = self.binning
        if self.held:
            self._count()
        if self.counts is None:
            found = np.zeros(self.size, binning.dtype)
        else:
            found = np.minimum(self.counts, binning.highest)
            counted, stored = int(found.sum()), int(self.counts.sum())
            self.tally.counted += counted
            if stored > counted:
                why = f"above the {binning.highest} that one input holds"
                self.tally.left_out[why] += stored - counted
            found = found.astype(binning.dtype)
        self.number, self.counts, self.touched = self.number + 1, None, False
        return found.reshape(binning.steps, *binning.shape)


def bin_events(
    events: Events,
    *,
    steps: int,
    step_us: int = 1000,
    shape: tuple[int, int, int] = (2, 34, 34),
    highest: int = 255,
    tally: Tally | None = None,
) -> np.ndarray:
    """The first `steps` steps of a recording as counts; see `Binning`.

    Returns
    -------
    unsigned array ``(steps, C, H, W)``
        `tally` says what is not in it.
    """
    binning = Binning(steps=steps, step_us=step_us, shape=shape, highest=highest)
    return binning.frames([events], tally)
