"""Events as the words of a camera's stream, and back: what a front block is fed with.

EVT3 has words of 16 bits (times, rows, columns; see `evt`); an address word is DAT's: 64 bits with
time 32, x 14, y 14, polarity 4, the time lowest.
"""

from __future__ import annotations

import numpy as np

from neurocuda_hw.data.events import Events, Tally, events_of
from neurocuda_hw.data.evt import Evt3
from neurocuda_hw.ground.errors import DataError

_PLACES = {"evt3": 1 << 11, "aer": 1 << 14}
_LATEST = {"evt3": (1 << 62) - 1, "aer": (1 << 32) - 1}  # EVT3's times go round
_LAP = 1 << 23  # microseconds: half of what EVT3's 24 bits count


def words_of(kind: str, events: Events) -> np.ndarray:
    """A recording as words, uint16 (``evt3``) or uint64 (``aer``), in the order it is stored.

    Raises
    ------
    DataError
        If it has a place or a time that such words cannot say.
    """
    most, latest = _PLACES[kind] - 1, _LATEST[kind]
    places, time = np.concatenate([events.x, events.y]), events.time
    if len(events) and not (
        places.min() >= 0 and places.max() <= most and time.min() >= 0 and time.max() <= latest
    ):
        raise DataError(
            f"{kind} words hold columns and rows of 0 to {most:,} and times of 0 to {latest:,} µs; "
            "the recording has others: leave --front out"
        )
    return _evt3(events) if kind == "evt3" else _addresses(events)


def decoded(kind: str, words: np.ndarray, tally: Tally) -> Events:
    """The events of `words_of`; `tally` has those that stand before the first time."""
    if kind == "evt3":
        return Evt3().events(words.astype(np.uint16), tally)
    time, where = words & np.uint64(0xFFFFFFFF), (words >> np.uint64(32)).astype(np.int64)
    return events_of(where & 0x3FFF, where >> 14 & 0x3FFF, where >> 28 & 1, time.astype(np.int64))


def _addresses(events: Events) -> np.ndarray:
    columns = (events.time, events.x, events.y, events.polarity)
    time, x, y, polarity = (column.astype(np.uint64) for column in columns)
    packed: np.ndarray = polarity << 60 | y << 46 | x << 32 | time & np.uint64(0xFFFFFFFF)
    return packed


def _evt3(events: Events) -> np.ndarray:
    """High time, low time and row where they change; the column of every event.

    A gap in which the time's 24 bits come round is crossed by words of time alone.
    """
    time = events.time.astype(np.int64)
    at, filled = np.arange(len(time)), time
    laps = np.diff(time, prepend=0) // _LAP  # of the gap before each event
    if (laps > 0).any():
        laps = np.maximum(laps, 0)
        at = np.repeat(np.arange(len(time)), laps + 1)
        left = np.repeat(np.cumsum(laps + 1), laps + 1) - 1 - np.arange(len(at))
        filled = time[at] - left * _LAP
    whole = np.ones(len(at), bool)
    whole[:-1] = at[1:] != at[:-1]  # the last word of a gap is the event's own
    x, y, polarity = (c.astype(np.int64)[at] for c in (events.x, events.y, events.polarity))
    high, low = filled >> 12 & 0xFFF, filled & 0xFFF
    words = np.stack([8 << 12 | high, 6 << 12 | low, y, 2 << 12 | polarity << 11 | x], axis=1)
    new_high = np.diff(filled >> 12, prepend=-1) != 0
    row = np.full(len(at), -1)
    row[1:] = y[:-1]
    sent = np.stack([new_high, whole & (new_high | (np.diff(low, prepend=-1) != 0)),
                     whole & ((y != row) | ~np.roll(whole, 1)), whole], axis=1)  # fmt: skip
    chosen: np.ndarray = words[sent].astype(np.uint16)
    return chosen


def events_of_frames(
    frames: np.ndarray, *, step_us: int, crop: tuple[int, int], downsample: int
) -> Events:
    """Events that are counted as these frames ``(T, C, H, W)``: each at its step's first moment.

    One channel has events of both polarities in turn.
    """
    step, channel, y, x = np.nonzero(frames)
    many = frames[step, channel, y, x].astype(np.int64)
    step, channel, y, x = (np.repeat(column, many) for column in (step, channel, y, x))
    sides = channel if frames.shape[1] == 2 else np.arange(len(x)) % 2
    left, top = crop
    return events_of(x * downsample + left, y * downsample + top, sides, step * step_us)
