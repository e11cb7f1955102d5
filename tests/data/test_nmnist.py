"""The N-MNIST format."""

import numpy as np
import pytest
from event_formats import made, nmnist

from neurocuda_hw.data.events import Events, Tally
from neurocuda_hw.data.nmnist import decode, encode
from neurocuda_hw.ground.errors import DataError


def rows_of(events: Events) -> list[tuple[int, ...]]:
    columns = (events.x, events.y, events.polarity, events.time)
    return [tuple(map(int, row)) for row in zip(*columns, strict=True)]


def test_one_event_by_hand():
    assert rows_of(decode(bytes([3, 7, 0x80 | 0x01, 0x02, 0x03]))) == [(3, 7, 1, 0x010203)]


def test_what_was_written_is_read_in_its_order():
    rows = made(200, last=2**23)
    rows[5], rows[90] = rows[90], rows[5]
    events = decode(nmnist(rows))
    assert rows_of(events) == rows
    assert encode(events) == nmnist(rows)


def test_an_overrun_mark_is_no_event():
    """As the authors' own reader of the data set (Event-Python) has it."""
    rows = [(1, 2, 0, 10), (0, 240, 0, 20), (3, 4, 1, 30), (9, 240, 1, 0), (5, 6, 0, 40)]
    tally = Tally()
    found = rows_of(decode(nmnist(rows), "'7.bs2'", tally))
    assert found == [(1, 2, 0, 10), (3, 4, 1, 30 + 8192), (5, 6, 0, 40 + 16384)]
    assert tally.noted == {"overrun marks (y = 240), 8,192 µs each": 2}


def test_an_empty_recording_is_one():
    assert len(decode(b"")) == 0


def test_truncated_recording():
    with pytest.raises(
        DataError, match=r"^'7\.bs2' must be whole events of 5 bytes, not 7 bytes; copy it again$"
    ):
        decode(b"1234567", "'7.bs2'")


def test_types():
    assert decode(nmnist(made(20))).time.dtype == np.int64
