"""One recording in every format: what this package and what others read of it.

The bytes are written by the formats' definitions (tests/event_formats.py). Where another reader
makes something else of them, that is what the table says, so that a change there is seen.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import event_formats
import numpy as np
import pytest
from data.test_evt import rows_of
from event_formats import made

from neurocuda_hw.data.events import Tally
from neurocuda_hw.data.recordings import FORMATS, is_recording, read_events
from neurocuda_hw.ground.errors import DataError

SIDE = 128
ROWS = made(1000, width=SIDE, height=SIDE)
COLUMNS = tuple(np.array(ROWS).T)
START = ROWS[0][3]


def raw(name: str, content: bytes) -> bytes:
    """With the head that readers ask for."""
    head, _, words = content.partition(b"\n% format ")
    kind, _, words = words.partition(b"\n")
    size = f"\n% geometry {SIDE}x{SIDE}\n% end\n".encode()
    return head + b"\n% format " + kind + f";height={SIDE};width={SIDE}".encode() + size + words


WRITTEN: dict[str, Callable[[], bytes]] = {
    "evt2.raw": lambda: raw("EVT2", event_formats.evt2(ROWS)),
    "evt21.raw": lambda: raw("EVT21", event_formats.evt21(ROWS)),
    "evt21 legacy.raw": lambda: raw("EVT21", event_formats.evt21(ROWS, legacy=True)),
    "evt3.raw": lambda: raw("EVT3", event_formats.evt3(ROWS)),
    "kind 12.dat": lambda: event_formats.dat(ROWS),
    "kind 0.dat": lambda: event_formats.dat(ROWS, kind=0),
    "version 2.aedat": lambda: event_formats.aedat2(ROWS),
    "version 2 davis.aedat": lambda: event_formats.aedat2_davis(ROWS),
    "version 3.aedat": lambda: event_formats.aedat31(ROWS),
    "recording.bin": lambda: event_formats.nmnist(ROWS),
    "recording.bs2": lambda: event_formats.nmnist(ROWS),
    "recording.csv": lambda: event_formats.text(ROWS),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the recording in every format."""
    folder = tmp_path_factory.mktemp("formats")
    for name, content in WRITTEN.items():
        (folder / name).write_bytes(content())
    names = [("x", "<u2"), ("y", "<u2"), ("p", "?"), ("t", "<u8")]
    whole = np.zeros(len(ROWS), dtype=names)
    for name, column in zip("xypt", COLUMNS, strict=True):
        whole[name] = column
    np.save(folder / "recording.npy", whole)
    np.savez(folder / "recording.npz", **dict(zip("xypt", COLUMNS, strict=True)))
    return folder


@pytest.mark.parametrize("name", [*WRITTEN, "recording.npy", "recording.npz"])
def test_every_format_gives_the_same_events(place: Path, name: str) -> None:
    tally = Tally()
    assert rows_of(read_events(place / name, tally)) == ROWS
    assert not +tally.left_out
    assert is_recording(place / name) == (not name.endswith(".bin"))


def written_by_faery(folder: Path) -> dict[str, str]:
    """The recording as faery writes it."""
    faery = pytest.importorskip("faery", reason="pip install 'neurocuda_hw[events]'")
    events = np.zeros(len(ROWS), dtype=faery.EVENTS_DTYPE)
    for name, column in zip(("x", "y", "on", "t"), COLUMNS, strict=True):
        events[name] = column
    options: dict[str, dict[str, Any]] = {
        "lz4.aedat4": {},
        "zstd.aedat4": {"compression": ("zstd", 3)},
        "plain.aedat4": {"compression": None},
        "f.es": {"zero_t0": False},
        "f2.raw": {"version": "evt2"},
        "f3.raw": {"version": "evt3"},
        "f.dat": {"version": "dat2"},
        "f.csv": {},
    }
    for name, more in options.items():
        stream = faery.events_stream_from_array(events, (SIDE, SIDE))
        stream.to_file(folder / name, **more)
    return {name: name for name in options}


def test_what_faery_writes(tmp_path: Path) -> None:
    for name in written_by_faery(tmp_path):
        events = read_events(tmp_path / name)
        assert rows_of(events) == ROWS, name
        assert {c.dtype.kind for c in (events.x, events.y, events.polarity, events.time)} <= {*"iu"}


def by_faery(path: Path) -> tuple[Any, ...]:
    parts = list(importlib.import_module("faery").events_stream_from_file(path))
    found = np.concatenate(parts)
    return found["x"], found["y"], found["on"], found["t"]


def by_evlib(path: Path) -> tuple[Any, ...]:
    found = importlib.import_module("evlib").load_events(str(path)).collect()
    time = found["t"].dt.total_microseconds()
    return tuple(c.to_numpy() for c in (found["x"], found["y"], found["polarity"], time))


def by_expelliarmus(path: Path) -> tuple[Any, ...]:
    name = path.name
    kind = "dat" if name.endswith("dat") else "evt2" if "2" in name else "evt3"
    found = importlib.import_module("expelliarmus").Wizard(encoding=kind).read(path)
    return found["x"], found["y"], found["p"], found["t"]


def by_evt3(path: Path) -> tuple[Any, ...]:
    found = importlib.import_module("evt3").decode_file(str(path))
    return found.x, found.y, found.polarity, found.timestamp


def by_aedat(path: Path) -> tuple[Any, ...]:
    decoder = importlib.import_module("aedat").Decoder(path)
    found = np.concatenate([p["events"] for p in decoder if "events" in p])
    return found["x"], found["y"], found["on"], found["t"]


def compared(read: Callable[[Path], tuple[Any, ...]], path: Path) -> str:
    """How what a reader makes of a file differs from what was written."""
    try:
        found = [np.asarray(column).astype(np.int64) for column in read(path)]
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not here")
    except BaseException as error:  # whatever they raise, panics too
        if isinstance(error, KeyboardInterrupt):
            raise
        return "refused"
    if len(found[0]) != len(ROWS):
        return f"{len(found[0]):,} events"
    told = []
    for name, column, want in zip("xypt", found, COLUMNS, strict=True):
        if not np.array_equal(column, want):
            signs = name == "p" and np.array_equal(column, 2 * want - 1)
            late = name == "t" and len(set((column - want).tolist())) == 1
            told.append("p is -1, 1" if signs else "t without t0" if late else f"{name} differs")
    return ", ".join(told) or "equal"


# what others make of the same bytes: docs/events.md has this table
OTHERS = {
    by_faery: {  # 0.7.1
        "evt2.raw": "equal", "evt3.raw": "equal", "kind 12.dat": "equal", "recording.csv": "equal",
        "evt21.raw": "refused", "evt21 legacy.raw": "refused", "kind 0.dat": "refused",
        "version 2.aedat": "refused", "version 3.aedat": "refused",
        "lz4.aedat4": "equal", "zstd.aedat4": "equal", "plain.aedat4": "equal", "f.es": "equal",
        "f2.raw": "equal", "f3.raw": "equal", "f.dat": "equal",
    },
    by_evlib: {  # 0.13.2
        "evt2.raw": "p is -1, 1", "evt21.raw": "p is -1, 1", "evt3.raw": "p is -1, 1",
        "version 2.aedat": "0 events", "version 3.aedat": "0 events",
        "lz4.aedat4": "p is -1, 1", "zstd.aedat4": "refused", "kind 12.dat": "refused",
        "f2.raw": "p is -1, 1, t without t0", "f3.raw": "p is -1, 1, t without t0",
    },
    by_expelliarmus: {  # 1.1.12
        "evt2.raw": "equal", "evt3.raw": "t differs", "kind 0.dat": "equal", "kind 12.dat": "equal",
        "f2.raw": "t without t0", "f.dat": "t without t0",
    },
    by_evt3: {"evt3.raw": "equal", "f3.raw": "t without t0"},  # 0.4.1
    by_aedat: {"lz4.aedat4": "equal", "zstd.aedat4": "equal", "plain.aedat4": "equal"},  # 2.3.0
}  # fmt: skip


@pytest.mark.parametrize("reader", OTHERS, ids=lambda r: r.__name__[3:])
def test_what_others_read(place: Path, tmp_path: Path, reader: Any) -> None:
    written = written_by_faery(tmp_path)
    found = {
        name: compared(reader, (tmp_path if name in written else place) / name)
        for name in OTHERS[reader]
    }
    assert found == OTHERS[reader]


def test_names_and_formats(tmp_path: Path) -> None:
    suffixes = [suffix for form in FORMATS for suffix in form.suffixes]
    assert len(suffixes) == len(set(suffixes))
    (tmp_path / "r.mp4").write_bytes(b"")
    with pytest.raises(DataError, match=r"must be a recording of events \(\.bs2, \.bin, \.raw, "):
        read_events(tmp_path / "r.mp4")
    with pytest.raises(DataError, match=r"^cannot read the recording '.*none\.raw': No such file"):
        read_events(tmp_path / "none.raw")
    for suffix in (".bin", ".csv"):
        (tmp_path / f"empty{suffix}").write_bytes(b"")
        assert len(read_events(tmp_path / f"empty{suffix}")) == 0
