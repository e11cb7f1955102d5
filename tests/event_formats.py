"""Events written in each format by the format's own definition, and read back word by word.

Nothing here is shared with the package: a fault there cannot hide behind the same fault here.
"""

from __future__ import annotations

import struct

import numpy as np

# columns, rows, polarities, times: what every encoder takes
Row = tuple[int, int, int, int]


def made(count: int, *, seed: int = 0, width: int = 34, height: int = 34, last: int = 300_000):
    """Random events in order of time: with rows of neighbours, equal times, and jumps."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(0, last, count))
    time[1::5] = time[0::5][: len(time[1::5])]
    time.sort()
    x, y, p = (
        rng.integers(0, width, count),
        rng.integers(0, height, count),
        rng.integers(0, 2, count),
    )
    for number, at in enumerate(range(0, count - 40, 40)):  # neighbours at one time: vectors
        length = min(width, 30) if number % 3 == 0 else 9
        run = slice(at, at + length)
        start = rng.integers(0, width - length + 1)
        time[run], y[run], p[run], x[run] = time[at], y[at], p[at], start + np.arange(length)
    time.sort()
    return [tuple(map(int, row)) for row in zip(x, y, p, time, strict=True)]


def evt2(rows) -> bytes:
    """Words of 32 bits; the high part is sent where it changes."""
    words, high = [], None
    for x, y, p, t in rows:
        if t >> 6 != high:
            high = t >> 6
            words.append(8 << 28 | high & 0xFFFFFFF)
        words.append(p << 28 | (t & 63) << 22 | x << 11 | y)
    return b"% evt 2.0\n% format EVT2\n" + struct.pack(f"<{len(words)}I", *words)


def evt21(rows, *, legacy=False) -> bytes:
    """Words of 64 bits; neighbours of one row, time and polarity share one."""
    words, high, at = [], None, 0
    while at < len(rows):
        x, y, p, t = rows[at]
        base, mask = x & ~31, 0
        last = -1
        while at < len(rows) and rows[at][1:] == (y, p, t):
            bit = rows[at][0] - base
            if not last < bit < 32:
                break
            mask, last, at = mask | 1 << bit, bit, at + 1
        if t >> 6 != high:
            high = t >> 6
            words.append(8 << 60 | (high & 0xFFFFFFF) << 32)
        words.append(p << 60 | (t & 63) << 54 | base << 43 | y << 32 | mask)
    if legacy:
        words = [(w >> 32 | w << 32) & (1 << 64) - 1 for w in words]
    kind = b"EVT21;endianness=legacy" if legacy else b"EVT21"
    return b"% evt 2.1\n% format " + kind + b"\n" + struct.pack(f"<{len(words)}Q", *words)


def evt3_words(rows, *, vectors=True) -> list[int]:
    """Words of 16 bits; what did not change is not sent again."""
    words = []
    high = low = row = None
    at = 0
    while at < len(rows):
        x, y, p, t = rows[at]
        if t >> 12 != high:
            high, low = t >> 12, None
            words.append(8 << 12 | high & 0xFFF)
        if t & 0xFFF != low:
            low = t & 0xFFF
            words.append(6 << 12 | low)
        if y != row:
            row = y
            words.append(y)
        run = 1
        while vectors and at + run < len(rows) and rows[at + run] == (x + run, y, p, t):
            run += 1
        if run >= 3:
            words.append(3 << 12 | p << 11 | x)
            left = run
            while left >= 12:
                words.append(4 << 12 | 0xFFF)
                left -= 12
            if left > 8:
                words.append(4 << 12 | (1 << left) - 1)
            elif left:
                words.append(5 << 12 | (1 << left) - 1)
            at += run
        else:
            words.append(2 << 12 | p << 11 | x)
            at += 1
    return words


def evt3(rows, *, vectors=True) -> bytes:
    """A file of them."""
    words = evt3_words(rows, vectors=vectors)
    return b"% evt 3.0\n% format EVT3\n" + struct.pack(f"<{len(words)}H", *words)


def evt3_read(words) -> list[Row]:
    """Word by word, as OpenEB has it."""
    found, high, low, laps, y, base, bits = [], None, 0, 0, 0, 0, 0
    for word in words:
        kind, value = word >> 12, word & 0xFFF
        if kind == 8:
            if high is not None and high >= value + 2048:
                laps += 1
            low = low if value == high else 0
            high = value
        elif kind == 6:
            low = value
        elif kind == 0:
            y = value & 0x7FF
        elif kind == 3:
            base, bits = value & 0x7FF, value >> 11
        elif kind in (2, 4, 5):
            time = None if high is None else laps << 24 | high << 12 | low
            if kind == 2:
                pixels = [value & 0x7FF]
                p = value >> 11
            else:
                width = 12 if kind == 4 else 8
                pixels = [base + i for i in range(width) if value >> i & 1]
                p, base = bits, base + width
            if time is not None:
                found += [(x, y, p, time) for x in pixels]
    return found


def dat(rows, *, kind=12, version=2) -> bytes:
    """32 bits of time, then x, y, polarity."""
    head = f"% Data file\n% Version {version}\n".encode() + bytes([kind, 8])
    if version == 1:
        return head + b"".join(
            struct.pack("<II", t & 0xFFFFFFFF, x | y << 9 | p << 17) for x, y, p, t in rows
        )
    return head + b"".join(
        struct.pack("<II", t & 0xFFFFFFFF, x | y << 14 | p << 28) for x, y, p, t in rows
    )


def aedat2(rows) -> bytes:
    """DVS128 as jAER writes it: mirrored, upwards, 1 is darker."""
    head = b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n"
    return head + b"".join(
        struct.pack(">II", (127 - x) << 1 | (127 - y) << 8 | 1 - p, t & 0xFFFFFFFF)
        for x, y, p, t in rows
    )


def aedat2_davis(rows) -> bytes:
    """DAVIS240 as jAER writes it, with a word of a frame between any two events."""
    head = b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n"
    words = []
    for x, y, p, t in rows:
        words.append(struct.pack(">II", (239 - x) << 12 | (179 - y) << 22 | p << 11, t))
        words.append(struct.pack(">II", 1 << 31 | 5, t))
    return head + b"".join(words)


def aedat31(rows, *, packet=100, invalid=0) -> bytes:
    """Packets of events; the upper bits of the time are in the packet's head."""
    found = [b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"]
    found.append(struct.pack("<hhiiiiii", 0, 0, 8, 4, 0, 1, 1, 1) + bytes(8))  # a special event
    for at in range(0, len(rows), packet):
        part = rows[at : at + packet]
        over = part[0][3] >> 31
        part = [row for row in part if row[3] >> 31 == over] + [
            row for row in part if row[3] >> 31 != over
        ]
        data = b"".join(
            struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t & 0x7FFFFFFF) for x, y, p, t in part
        )
        data += struct.pack("<II", 3 << 17, part[-1][3] & 0x7FFFFFFF) * invalid
        count = len(part) + invalid
        found.append(struct.pack("<hhiiiiii", 1, 0, 8, 4, over, count, count, len(part)) + data)
    return b"".join(found)


def nmnist(rows) -> bytes:
    """Five bytes an event."""
    return b"".join(
        bytes([x, y, p << 7 | t >> 16 & 127, t >> 8 & 255, t & 255]) for x, y, p, t in rows
    )


def text(rows, *, head="t,x,y,p\n") -> bytes:
    """A line an event."""
    return head.encode() + b"".join(f"{t},{x},{y},{p}\n".encode() for x, y, p, t in rows)
