"""Prophesee's formats against their definitions, word by word."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from event_formats import dat, evt2, evt3, evt3_read, evt3_words, evt21, made

from neurocuda_hw.data import evt
from neurocuda_hw.data.events import Events, Tally, joined
from neurocuda_hw.ground.errors import DataError


def rows_of(events: Events) -> list[tuple[int, ...]]:
    """Events as rows of Python's numbers."""
    columns = (events.x, events.y, events.polarity, events.time)
    return [tuple(map(int, row)) for row in zip(*columns, strict=True)]


def raw(content: bytes, tally: Tally | None = None) -> list[tuple[int, ...]]:
    """What is read of a RAW file."""
    return rows_of(joined(evt.read_raw(io.BytesIO(content), "'r.raw'", tally or Tally())))


@pytest.fixture(params=[2**16, 7])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in one block, and in very small ones: what is known goes on from block to block."""
    monkeypatch.setattr(evt, "_BLOCK", request.param)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("encode", [evt2, evt21, lambda rows: evt21(rows, legacy=True), evt3])
def test_what_was_written_is_read(encode) -> None:
    rows = made(600, width=1200, height=700, last=60_000_000)  # the 24 bits of EVT3 end 3 times
    assert raw(encode(rows)) == rows


@pytest.mark.usefixtures("blocks")
def test_evt3_of_any_words() -> None:
    rng = np.random.default_rng(3)  # with vectors that go on past the last column
    kinds = rng.choice([0, 2, 2, 2, 3, 4, 5, 6, 8, 10, 14, 15], 4000)
    words = kinds << 12 | rng.integers(0, 4096, 4000)
    words = np.where((kinds == 3) & (rng.random(4000) < 0.5), words | 0x7F8, words).astype(
        np.uint16
    )
    tally = Tally()
    found = raw(b"% format EVT3;width=1280\n" + words.tobytes(), tally)
    want = evt3_read(words.tolist())
    assert len(want) > 2000
    assert found == want
    others = int(np.isin(kinds, (10, 14, 15)).sum())
    assert tally.noted["words that are no events of pixels (triggers, monitoring)"] == others


def test_times_that_wrap_or_go_back() -> None:
    high = [4094, 4095, 0, 2, 1, 2100]  # past the end, then back, then on by half of the range
    words = [w for h in high for w in (8 << 12 | h, 6 << 12 | 7, 2 << 12 | h & 7)]
    lap = 1 << 12
    times = [(h << 12) + 7 for h in (4094, 4095, lap, lap + 2, lap + 1, lap + 2100)]
    assert [t for *_, t in raw(b"% format EVT3\n" + struct.pack("<18H", *words))] == times
    assert [t for *_, t in evt3_read(words)] == times


def test_events_without_a_time_are_counted() -> None:
    rows = made(20)
    words = [2 << 12 | 5, 6 << 12 | 9, 2 << 12 | 6, *evt3_words(rows)]
    tally = Tally()
    found = raw(b"% format EVT3\n" + struct.pack(f"<{len(words)}H", *words) + b"\1", tally)
    assert found == rows
    assert tally.left_out["before the first word of time"] == 2
    assert tally.events == 2  # the others are counted where they are binned
    assert tally.noted["bytes after the last whole word"] == 1


def test_what_faery_took_off_is_added() -> None:
    rows = made(30)
    start = rows[0][3]
    shifted = [(x, y, p, t - start) for x, y, p, t in rows]
    content = evt2(shifted).replace(b"% format", f"% t0 {start}\n% format".encode())
    assert raw(content) == rows


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("kind", [0, 12])
def test_dat(kind: int) -> None:
    rows = made(300, width=1000, height=700, last=10_000_000_000)  # 32 bits end twice
    content = dat(rows, kind=kind)
    assert rows_of(joined(evt.read_dat(io.BytesIO(content), "'d.dat'", Tally()))) == rows
    small = made(50, width=300, height=200)
    old = dat(small, kind=kind, version=1)
    assert rows_of(joined(evt.read_dat(io.BytesIO(old), "'d.dat'", Tally()))) == small


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match=r"^'r\.raw' must say in its header that it is EVT2, EVT2"):
        raw(b"% format EVT4\n1234")
    with pytest.raises(DataError, match=r"^'d\.dat' must hold events of pixels .*not kind 14 of 8"):
        list(evt.read_dat(io.BytesIO(dat([], kind=14)), "'d.dat'", Tally()))


def test_an_empty_file() -> None:
    for content in (evt2([]), evt3([]), evt21([])):
        assert raw(content) == []
    assert rows_of(joined(evt.read_dat(io.BytesIO(dat([])), "'d.dat'", Tally()))) == []
