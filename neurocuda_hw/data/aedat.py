"""AEDAT 2.0 and 3.1, as iniVation's pages on file formats and its programs have them.

2.0: pairs (address, µs) of 32 bits, high byte first; what an address means depends on the chip.
jAER, which writes them, mirrors x, counts y from the bottom, and takes a 1 in the lowest bit of a
DVS128 for darker. 3.1: packets with a header each, low byte first; an event has a mark that it is
valid.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from neurocuda_hw.data.events import Events, Tally, events_of
from neurocuda_hw.ground.errors import DataError

_BLOCK = 2**19  # bytes
_CHIPS = {"davis240": (240, 180), "davis346": (346, 260), "davis640": (640, 480)}
_OTHER = "words that are no events of pixels (triggers, frames, motion)"
_POLARITY = 1  # type of a packet


def read_aedat(file: BinaryIO, where: str, tally: Tally) -> Iterator[Events]:
    """The events of an AEDAT file of version 2.0 or 3.1.

    Raises
    ------
    DataError
        If it is of another version, or a packet is cut.
    """
    header, start = [], 0
    while (line := file.readline()).startswith(b"#"):
        header.append(line.decode("latin-1").strip())
        start = file.tell()
        if line.startswith(b"#!END-HEADER"):
            break
    file.seek(start)
    version = header[0].partition("AER-DAT")[2] if header else ""
    if version.startswith("2"):
        yield from _version2(file, " ".join(header).lower(), tally)
    elif version.startswith("3.1"):
        yield from _version3(file, where, tally)
    else:
        raise DataError(
            f"{where} must be AEDAT of version 2.0, 3.1 or 4.0 by its first line, not {version!r}"
        )


def _version2(file: BinaryIO, header: str, tally: Tally) -> Iterator[Events]:
    chip = re.search(r"davis(240|346|640)", header)
    laps, before = 0, None
    while content := file.read(_BLOCK):
        if rest := len(content) % 8:
            tally.noted["bytes after the last whole event"] += rest
            content = content[:-rest]
        words = np.frombuffer(content, ">u4").reshape(-1, 2).astype(np.int64)
        address, stored = words[:, 0], words[:, 1]
        steps = np.diff(stored, prepend=stored[:1] if before is None else before)
        passed = laps + np.cumsum(steps <= -(1 << 31))
        if len(stored):
            laps, before = int(passed[-1]), stored[-1:]
        time = stored + (passed << 32)
        if chip:
            width, height = _CHIPS[chip[0]]
            good = (address & 0x80000400) == 0  # neither of a frame nor of motion
            x, y, polarity = address >> 12 & 0x3FF, address >> 22 & 0x1FF, address >> 11 & 1
        else:
            width = height = 128
            good = (address & 0x8000) == 0
            x, y, polarity = address >> 1 & 0x7F, address >> 8 & 0x7F, 1 - (address & 1)
        tally.noted[_OTHER] += int((~good).sum())
        yield events_of(width - 1 - x, height - 1 - y, polarity, time)[good]


def _version3(file: BinaryIO, where: str, tally: Tally) -> Iterator[Events]:
    head = struct.Struct("<hhiiiiii")
    while content := file.read(head.size):
        if len(content) < head.size:
            tally.noted["bytes after the last whole packet"] += len(content)
            return
        kind, _, size, _, overflow, _, count, _ = head.unpack(content)
        content = file.read(size * count) if size > 0 and count >= 0 else b""
        if len(content) != size * count or (kind == _POLARITY and size != 8):
            raise DataError(f"{where} is cut, or damaged, in a packet of {count} x {size} bytes")
        if kind != _POLARITY:
            tally.noted[_OTHER] += count
            continue
        words = np.frombuffer(content, "<u4").reshape(-1, 2)
        data, time = words[:, 0], words[:, 1].astype(np.int64) + (overflow << 31)
        valid = (data & 1) == 1
        tally.noted["events that are marked as not valid"] += int((~valid).sum())
        yield events_of(data >> 17, data >> 2 & 0x7FFF, data >> 1 & 1, time)[valid]
