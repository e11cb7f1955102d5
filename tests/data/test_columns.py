"""Events in columns: text, NumPy, HDF5."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from data.test_evt import rows_of
from event_formats import made, text

from neurocuda_hw.data import columns
from neurocuda_hw.data.events import Tally, joined
from neurocuda_hw.data.recordings import is_recording, read_events
from neurocuda_hw.ground.errors import DataError

ROWS = made(300, width=640, height=480)
X, Y, P, T = np.array(ROWS).T


def read(content: bytes) -> list[tuple[int, ...]]:
    """What is read of a text."""
    return rows_of(joined(columns.read_text(io.BytesIO(content), "'t.csv'", Tally())))


def test_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_ROWS", 7)
    assert read(text(ROWS)) == ROWS
    assert read(text(ROWS, head="")) == ROWS
    assert read(text(ROWS, head="# a recording\n\n") + b"\n" * 9 + b"# the end\n") == ROWS
    assert read(text(ROWS, head="t,x@640,y@480,on\n")) == ROWS
    assert read(b"") == []


def test_other_columns_seconds_and_signs() -> None:
    lines = [f"{x} {y} {2 * p - 1} {t / 1e6:.6f}\n" for x, y, p, t in ROWS]
    assert read(("x y polarity timestamp\n" + "".join(lines)).encode()) == ROWS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1,2,three,0\n", r"^'t\.csv' must hold lines of numbers: "),
        (b"t,x,y,p\n1,2,3\n", r"^'t\.csv' must have the columns t, x, y, p, not 3$"),
        (b"a,b,c,d\n1,2,3,4\n", r"^'t\.csv' must have the columns t, x, y and p, not a, b, c, d$"),
        (b"1,2,3,9\n", r"^'t\.csv': polarities must be 0 and 1, or -1 and 1, not 9 to 9$"),
    ],
)
def test_text_that_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(content)


def test_arrays(tmp_path: Path) -> None:
    made_of = [("x", "<u2"), ("y", "<u2"), ("p", "?"), ("ts", "<u8")]
    whole = np.zeros(300, dtype=made_of)
    whole["x"], whole["y"], whole["p"], whole["ts"] = X, Y, P, T
    np.save(tmp_path / "whole.npy", whole)
    np.savez(tmp_path / "one.npz", events=whole)
    np.savez(tmp_path / "four.npz", x=X, y=Y, p=P, t=T)
    np.savez(tmp_path / "images.npz", x=X, y=Y)
    np.save(tmp_path / "plain.npy", X)
    for name in ("whole.npy", "one.npz", "four.npz"):
        assert rows_of(read_events(tmp_path / name)) == ROWS
        assert is_recording(tmp_path / name)
    for name in ("images.npz", "plain.npy"):
        assert not is_recording(tmp_path / name)
    with pytest.raises(DataError, match=r"must hold a structured array with x, y, t and p, not "):
        read_events(tmp_path / "plain.npy")
    with pytest.raises(DataError, match=r"must have the columns t, x, y and p, not x, y$"):
        read_events(tmp_path / "images.npz")


def test_hdf5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py")
    pytest.importorskip("hdf5plugin")
    monkeypatch.setattr(columns, "_ROWS", 70)
    with h5py.File(tmp_path / "dsec.h5", "w") as file:
        for name, column in (("x", X), ("y", Y), ("p", P), ("t", T - 5)):
            file[f"events/{name}"] = column
        file["ms_to_idx"], file["t_offset"] = np.arange(3), np.int64(5)
    whole = np.zeros(300, dtype=[("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    whole["x"], whole["y"], whole["p"], whole["t"] = X, Y, P, T
    with h5py.File(tmp_path / "metavision.hdf5", "w") as file:
        file["CD/events"] = whole
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = np.zeros(3)
    for name in ("dsec.h5", "metavision.hdf5"):
        assert rows_of(read_events(tmp_path / name)) == ROWS
    with pytest.raises(DataError, match=r"must hold events \(DSEC\), CD/events \(Metavision\), "):
        read_events(tmp_path / "other.h5")


def test_items_of_tonic() -> None:
    """Its data sets have int16 places, int64 microseconds, and a polarity of bool or int."""
    for sign in (np.int8, np.bool_):
        kind = [("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", sign)]
        item = np.array([(x, y, t, p) for x, y, p, t in ROWS], kind)
        assert rows_of(columns.events_in(item)) == ROWS
    trains = np.array([(t, x, 1) for x, _, _, t in ROWS], [("t", "i8"), ("x", "i8"), ("p", "i8")])
    assert rows_of(columns.events_in(trains)) == [(x, 0, 1, t) for x, _, _, t in ROWS]
    with pytest.raises(
        DataError, match="the array must hold a structured array with x, y, t and p"
    ):
        columns.events_in(np.zeros((3, 4)))
