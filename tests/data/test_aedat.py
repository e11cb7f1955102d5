"""AEDAT 2.0 and 3.1 against what their makers' programs have."""

from __future__ import annotations

import io

import pytest
from data.test_evt import rows_of
from event_formats import aedat2, aedat2_davis, aedat31, made

from neurocuda_hw.data import aedat
from neurocuda_hw.data.events import Tally, joined
from neurocuda_hw.ground.errors import DataError


def read(content: bytes, tally: Tally | None = None) -> list[tuple[int, ...]]:
    """What is read of a file."""
    return rows_of(joined(aedat.read_aedat(io.BytesIO(content), "'a.aedat'", tally or Tally())))


@pytest.mark.parametrize("block", [2**19, 24])
@pytest.mark.parametrize("encode", [aedat2, aedat2_davis])
def test_version_2(monkeypatch: pytest.MonkeyPatch, block: int, encode) -> None:
    monkeypatch.setattr(aedat, "_BLOCK", block)
    rows = made(300, width=128, height=128, last=2**31)
    assert read(encode(rows)) == rows


def test_version_2_past_the_end_of_its_times() -> None:
    rows = made(300, width=128, height=128, last=2**34)
    assert read(aedat2(rows)) == rows


def test_words_of_frames_are_told() -> None:
    rows, tally = made(30, width=128, height=128), Tally()
    read(aedat2_davis(rows), tally)
    assert tally.noted["words that are no events of pixels (triggers, frames, motion)"] == 30


def test_version_31() -> None:
    rows = made(500, width=346, height=260, last=2**33)  # overflows of 31 bits: in packets' heads
    rows = [row for at in range(0, 500, 10) for row in rows[at : at + 10]]
    tally = Tally()
    found = read(aedat31(rows, packet=1, invalid=2), tally)
    assert found == rows
    assert tally.noted["events that are marked as not valid"] == 1000
    assert tally.noted["words that are no events of pixels (triggers, frames, motion)"] == 1


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match=r"^'a\.aedat' must be AEDAT of version 2\.0, 3\.1 or 4\.0"):
        read(b"#!AER-DAT1.0\r\n1234")
    with pytest.raises(DataError, match=r"^'a\.aedat' is cut, or damaged, in a packet of 100 x 8 "):
        read(aedat31(made(200))[:-5])
    tally = Tally()
    assert len(read(aedat31(made(200)) + b"123", tally)) == 200
    assert tally.noted["bytes after the last whole packet"] == 3
