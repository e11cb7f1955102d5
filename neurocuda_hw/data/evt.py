"""Prophesee's RAW words EVT2, EVT2.1 and EVT3, and DAT: blocks of words to events.

A word's highest four bits say what it is. Times come in two parts; their high part counts up and
begins again at 0: where it falls by half of its range or more, a range has passed. A smaller fall
is a time that goes back. This is how the maker's own decoder (OpenEB) has it, and what the front
block does; events before the first high part have no time, and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from neurocuda_hw.data.events import Events, Tally, events_of
from neurocuda_hw.ground.errors import DataError

_BLOCK = 2**16  # words: what is made of them stays in the cache
_OTHER = "words that are no events of pixels (triggers, monitoring)"
_TIMELESS = "before the first word of time"


@dataclass(slots=True)
class _Clock:
    """The high part of the time, from block to block."""

    bits: int
    high: int = -1  # none yet
    laps: int = 0

    def run(self, values: np.ndarray) -> np.ndarray:
        """High parts with their laps; the first is the one before these, -1 where there is none."""
        before = values[0] if self.high < 0 and len(values) else self.high
        steps = np.diff(values, prepend=before)
        laps = self.laps + np.cumsum(steps <= -(1 << (self.bits - 1)))
        whole = values + (laps << self.bits)
        first = self.high + (self.laps << self.bits) if self.high >= 0 else -1
        if len(values):
            self.high, self.laps = int(values[-1]), int(laps[-1])
        return np.concatenate(([first], whole))


def _last(mask: np.ndarray, at: np.ndarray) -> np.ndarray:
    """How many of `mask` are set up to each place of `at`."""
    found: np.ndarray = np.cumsum(mask, dtype=np.int32)[at]
    return found


def _spread(mask: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Of words with a bit for each of `width` pixels: the word and the bit of each that is set."""
    bits = (mask[:, None] >> np.arange(width, dtype=mask.dtype)) & 1
    word, bit = np.nonzero(bits)
    return word, bit


class Evt2:
    """Words of 32 bits: one event each, with the low 6 bits of its time."""

    kind = np.dtype("<u4")

    def __init__(self) -> None:
        self.clock = _Clock(28)

    def events(self, words: np.ndarray, tally: Tally) -> Events:
        """The events of the next words."""
        what = words >> 28
        high = what == 8
        at = np.flatnonzero(what <= 1)
        tally.noted[_OTHER] += len(words) - len(at) - int(high.sum())
        times = self.clock.run((words[high] & 0xFFFFFFF).astype(np.int64))
        found = words[at]
        time = times[_last(high, at)]
        low = (found >> 22 & 63).astype(np.int64)
        return _timed(
            found >> 11 & 0x7FF,
            found & 0x7FF,
            what[at],
            np.where(time < 0, -1, time << 6 | low),
            tally,
        )


class Evt21:
    """Words of 64 bits: up to 32 events of one row each."""

    kind = np.dtype("<u8")

    def __init__(self) -> None:
        self.clock = _Clock(28)

    def events(self, words: np.ndarray, tally: Tally) -> Events:
        """The events of the next words."""
        what = words >> 60
        high = what == 8
        at = np.flatnonzero(what <= 1)
        tally.noted[_OTHER] += len(words) - len(at) - int(high.sum())
        times = self.clock.run((words[high] >> 32 & 0xFFFFFFF).astype(np.int64))
        found = words[at]
        time = times[_last(high, at)]
        time = np.where(time < 0, -1, time << 6 | (found >> 54 & 63).astype(np.int64))
        word, bit = _spread(found.astype(np.uint32), 32)
        found = found[word]
        x = (found >> 43 & 0x7FF).astype(np.int64) + bit
        return _timed(x, found >> 32 & 0x7FF, what[at][word], time[word], tally)


class Evt21Legacy(Evt21):
    """The same with the halves of each word swapped, as `endianness=legacy` says."""

    def events(self, words: np.ndarray, tally: Tally) -> Events:
        """The events of the next words."""
        return super().events(words >> 32 | words << 32, tally)


class Evt3:
    """Words of 16 bits: parts of times, rows, columns, and 12 or 8 pixels of a row at once."""

    kind = np.dtype("<u2")

    def __init__(self) -> None:
        self.clock = _Clock(12)
        self.low = self.y = self.base = self.side = 0

    def events(self, words: np.ndarray, tally: Tally) -> Events:
        """The events of the next words."""
        what = (words >> 12).astype(np.uint8)  # half the bytes to compare
        vector = (what >= 3) & (what <= 5)
        timed, row, single = (what == 6) | (what == 8), what == 0, what == 2
        many = bool(vector.any())
        at = np.flatnonzero(single | ((what == 4) | (what == 5)) if many else single)
        times_at, rows_at = np.flatnonzero(timed), np.flatnonzero(row)
        used = len(times_at) + len(rows_at) + len(at) + int((what == 3).sum() if many else 0)
        tally.noted[_OTHER] += len(words) - used
        times = self._times(what[times_at] == 8, words[times_at] & 0xFFF)
        rows = np.concatenate(([self.y], words[rows_at] & 0x7FF))
        self.y = int(rows[-1])
        time, y = times[_last(timed, at)], rows[_last(row, at)]
        found = words[at] & 0xFFF  # column and polarity; or which pixels
        if not many:
            return _timed(found & 0x7FF, y, found >> 11, time, tally)
        starts, sides = (found & 0x7FF).astype(np.int64), found >> 11
        masks, vectors = np.ones(len(at), np.uint16), what[at] != 2
        masks[vectors] = np.where(what[at][vectors] == 5, found[vectors] & 0xFF, found[vectors])
        starts[vectors], sides[vectors] = self._starts(what[vector], words[vector])
        counts = np.bitwise_count(masks).astype(np.int64)
        word = np.repeat(np.arange(len(at)), counts)
        bit = np.zeros(len(word), np.int64)
        bit[vectors[word]] = _spread(masks[vectors], 12)[1]
        return _timed(starts[word] + bit, y[word], sides[word], time[word], tally)

    def _times(self, is_high: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Whole times after each word of time, and first the one before these."""
        value = value.astype(np.int64)
        before = self.clock.high
        highs = self.clock.run(value[is_high])
        changed = np.diff(value[is_high], prepend=before) != 0
        sets = ~is_high
        sets[np.flatnonzero(is_high)[changed]] = True  # a new high part begins with a low one of 0
        lows = np.concatenate(([self.low], np.where(is_high, 0, value)[sets]))
        low = lows[np.concatenate(([0], np.cumsum(sets)))]
        high = highs[np.concatenate(([0], np.cumsum(is_high)))]
        self.low = int(low[-1])
        return np.where(high < 0, -1, high << 12 | low)

    def _starts(self, what: np.ndarray, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Column and polarity of each word of vectors: its base's, moved on by those since."""
        is_base = what == 3
        based, values = np.cumsum(is_base), words[is_base].astype(np.int64)
        widths = np.where(is_base, 0, np.where(what == 4, 12, 8))
        moved = np.cumsum(widths) - widths
        starts = np.concatenate(([self.base], (values & 0x7FF) - moved[is_base]))[based] + moved
        sides = np.concatenate(([self.side], values >> 11 & 1))[based]
        self.base, self.side = int(starts[-1] + widths[-1]), int(sides[-1])
        return starts[~is_base], sides[~is_base]


def _timed(
    x: np.ndarray, y: np.ndarray, polarity: np.ndarray, time: np.ndarray, tally: Tally
) -> Events:
    found = events_of(x, y, polarity, time)
    if len(time) and int(time.min()) < 0:
        timeless = time < 0
        tally.events += int(timeless.sum())
        tally.left_out[_TIMELESS] += int(timeless.sum())
        found = found[~timeless]
    return found


_DECODERS: dict[str, Callable[[], Evt2 | Evt21 | Evt3]] = {
    "evt2": Evt2,
    "evt21": Evt21,
    "evt21 legacy": Evt21Legacy,
    "evt3": Evt3,
}


def read_raw(file: BinaryIO, where: str, tally: Tally) -> Iterator[Events]:
    """The events of a RAW file, block by block.

    Raises
    ------
    DataError
        If its header names no format that is read here.
    """
    header = _header(file)
    told = header.get("format", header.get("evt", ""))
    name = told.split(";")[0].strip().lower().replace(".", "")
    name = {"20": "evt2", "21": "evt21", "30": "evt3"}.get(name, name)
    if name == "evt21" and "legacy" in told.lower():
        name = "evt21 legacy"
    if name not in _DECODERS:
        raise DataError(
            f"{where} must say in its header that it is EVT2, EVT2.1 or EVT3, not {told!r}; "
            "write it anew with the camera's tools"
        )
    decoder, start = _DECODERS[name](), _start(header)
    for words in _words(file, decoder.kind, tally):
        yield _later(decoder.events(words, tally), start)


def read_dat(file: BinaryIO, where: str, tally: Tally) -> Iterator[Events]:
    """The events of a DAT file: 32 bits of time, then x (14), y (14) and polarity (4).

    Version 1 has x in 9 bits, y in 8, polarity in 1. The kinds of event 0 and 12 are the same.

    Raises
    ------
    DataError
        If its events are of another kind.
    """
    header = _header(file)
    old = header.get("version", "2").strip() == "1"
    kind = file.read(2)
    if len(kind) == 2 and (kind[0] not in (0, 12) or kind[1] != 8):
        raise DataError(
            f"{where} must hold events of pixels (kind 0 or 12, 8 bytes), not kind {kind[0]} of "
            f"{kind[1]} bytes"
        )
    clock, start = _Clock(32), _start(header)
    for words in _words(file, np.dtype("<u8"), tally):
        time = clock.run((words & 0xFFFFFFFF).astype(np.int64))[1:] + start
        place = words >> 32
        if old:
            yield events_of(place & 0x1FF, place >> 9 & 0xFF, place >> 17 & 1, time)
        else:
            yield events_of(place & 0x3FFF, place >> 14 & 0x3FFF, place >> 28 & 1, time)


def _header(file: BinaryIO) -> dict[str, str]:
    """Lines that begin with ``%``, as names and values; the file is then behind them."""
    found: dict[str, str] = {}
    while True:
        at = file.tell()
        line = file.readline()
        if not line.startswith(b"%"):
            file.seek(at)
            return found
        name, _, value = line[1:].decode("latin-1").strip().partition(" ")
        found[name.lower()] = value.strip()
        if name.lower() == "end":
            return found


def _start(header: dict[str, str]) -> int:
    """Microseconds that faery took off all times of a file, and wrote into its header."""
    told = header.get("t0", "")
    return int(told) if told.isdecimal() else 0


def _later(events: Events, start: int) -> Events:
    return events_of(events.x, events.y, events.polarity, events.time + start) if start else events


def _words(
    file: BinaryIO, kind: np.dtype[np.unsignedinteger], tally: Tally
) -> Iterator[np.ndarray]:
    while content := file.read(_BLOCK * kind.itemsize):
        if rest := len(content) % kind.itemsize:
            tally.noted["bytes after the last whole word"] += rest
            content = content[:-rest]
        yield np.frombuffer(content, kind)
