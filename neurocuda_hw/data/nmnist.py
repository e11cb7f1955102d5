"""The N-MNIST format: x, y, then the polarity in one bit and the time in 23 (µs, high byte first).

A y of 240, which no sensor of it has, is no event: 8,192 µs are added to all times after it, as the
data set's authors read it. Orchard et al., "Converting static image datasets to spiking
neuromorphic datasets using saccades", Frontiers in Neuroscience 9 (2015).
"""

from __future__ import annotations

import numpy as np

from neurocuda_hw.data.events import Events, Tally, events_of
from neurocuda_hw.ground.errors import DataError

SHAPE = (2, 34, 34)
_BYTES = 5
_OVERRUN_Y, _OVERRUN_US = 240, 1 << 13


def decode(content: bytes, where: str = "recording", tally: Tally | None = None) -> Events:
    """The events of one N-MNIST file, in its order; none of an empty one.

    Raises
    ------
    DataError
        If it is truncated; `where` names it in the message.
    """
    if len(content) % _BYTES:
        raise DataError(
            f"{where} must be whole events of {_BYTES} bytes, not {len(content)} bytes; "
            "copy it again"
        )
    raw = np.frombuffer(content, dtype=np.uint8).reshape(-1, _BYTES).astype(np.int64)
    time = (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
    found = events_of(raw[:, 0], raw[:, 1], raw[:, 2] >> 7, time)
    overrun = found.y == _OVERRUN_Y
    if not overrun.any():
        return found
    if tally is not None:
        tally.noted[f"overrun marks (y = {_OVERRUN_Y}), {_OVERRUN_US:,} µs each"] += overrun.sum()
    time += np.cumsum(overrun) * _OVERRUN_US
    return found[~overrun]


def encode(events: Events) -> bytes:
    """The inverse of `decode`."""
    high = events.polarity << 7 | events.time >> 16
    columns = (events.x, events.y, high, events.time >> 8 & 255, events.time & 255)
    return np.stack(columns, axis=1).astype(np.uint8).tobytes()
