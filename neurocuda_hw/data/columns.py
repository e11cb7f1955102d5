"""Events in columns: text, NumPy's arrays, HDF5.

Times are microseconds where they are whole numbers, and seconds where they are real ones;
polarities 0 and 1, or -1 and 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO

import numpy as np

from neurocuda_hw.data.events import Events, Tally, events_of
from neurocuda_hw.ground.archives import npz_names, read_npy, read_npz
from neurocuda_hw.ground.errors import DataError, first_line

_NAMES = {
    "time": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "x": ("x", "xs", "units", "addr"),
    "y": ("y", "ys"),
    "polarity": ("p", "ps", "pol", "polarity", "on"),
}
_ROWS = 2**18


def read_text(file: BinaryIO, where: str, tally: Tally) -> Iterator[Events]:
    """The events of a CSV: a line each, columns by the names of its first line, or t, x, y, p.

    Raises
    ------
    DataError
        If a line does not hold numbers, or a column is missing.
    """
    text = (line.decode("utf-8", "replace") for line in file)
    first = next(text, "")
    while first.startswith(("#", "%")) or (first and not first.strip()):
        first = next(text, "")
    comma = next((c for c in ",;\t" if c in first), None)
    cells = [cell.strip().lower() for cell in first.split(comma)]
    named = all(cell[:1].isalpha() for cell in cells)
    # `x@640` is faery's: a size stands in the head
    names = [cell.partition("@")[0] for cell in cells] if named else ["t", "x", "y", "p"]
    if not first:
        return
    told = (line for line in text if line.strip() and not line.startswith(("#", "%")))
    ahead = [] if named else [first]
    while lines := [*ahead, *islice(told, _ROWS)]:
        ahead = []
        try:
            rows = np.loadtxt(lines, delimiter=comma, ndmin=2)
        except ValueError as error:
            raise DataError(f"{where} must hold lines of numbers: {first_line(error)}") from error
        if rows.shape[1] != len(names):
            raise DataError(
                f"{where} must have the columns {', '.join(names)}, not {rows.shape[1]}"
            )
        columns = {name: rows[:, at] for at, name in enumerate(names)}
        if not any("." in line for line in lines):  # all that double precision holds
            columns = {name: column.astype(np.int64) for name, column in columns.items()}
        yield columns_of(columns, where)


def read_numpy(file: BinaryIO, where: str, tally: Tally) -> Iterator[Events]:
    """The events of a .npy or .npz: a structured array, or an array of each column.

    Raises
    ------
    DataError
        If there are no such columns, or the file is damaged.
    """
    content = file.read()
    try:
        if content.startswith(b"PK"):
            found: Any = read_npz(content, npz_names(content))
            if len(found) == 1:
                (found,) = found.values()
        else:
            found = read_npy(content)
    except Exception as error:  # damaged bytes break zip and numpy in any way they can
        raise DataError(f"{where} must be a .npy or .npz: {first_line(error)}") from error
    if not isinstance(found, dict):
        yield events_in(found, where)
        return
    yield columns_of(found, where)


def is_columns(names: list[str]) -> bool:
    """Whether arrays of these names are events."""
    lower = {name.lower() for name in names}
    return all(lower & set(_NAMES[n]) for n in ("time", "x", "y"))


def events_in(array: np.ndarray, where: str = "the array") -> Events:
    """Events of a structured array, such as the first of an item of tonic's data sets.

    Its fields are x, y, t and p by their usual names; whole times are microseconds, real ones
    seconds. Without y all events are in row 0, as spikes of SHD are.

    Raises
    ------
    DataError
        If it has no such fields.
    """
    if array.dtype.names is None:
        raise DataError(
            f"{where} must hold a structured array with x, y, t and p, not {array.dtype}"
        )
    return columns_of({name: array[name].ravel() for name in array.dtype.names}, where)


def columns_of(columns: Mapping[str, Any], where: str, start: int = 0) -> Events:
    """Events of named columns; `start` is added to times in microseconds."""
    lower = {name.lower(): np.asarray(value) for name, value in columns.items()}
    found: dict[str, np.ndarray] = {}
    for field, names in _NAMES.items():
        name = next((n for n in names if n in lower), None)
        if name is None and field in ("time", "x"):
            raise DataError(
                f"{where} must have the columns t, x, y and p, not {', '.join(lower) or 'nothing'}"
            )
        if name is not None:
            found[field] = lower[name]
    time, x = found["time"], found["x"]
    y, polarity = (found.get(n, np.zeros(len(x), np.int64)) for n in ("y", "polarity"))
    if len({len(column) for column in (time, x, y, polarity)}) != 1:
        raise DataError(f"{where} must have as many times as columns, rows and polarities")
    if time.dtype.kind == "f":
        time = np.rint(time.astype(np.float64) * 1e6)
    if len(polarity) and (polarity.min() < -1 or polarity.max() > 1):
        raise DataError(
            f"{where}: polarities must be 0 and 1, or -1 and 1, not {polarity.min()} to "
            f"{polarity.max()}"
        )
    return events_of(
        x.astype(np.int64),
        y.astype(np.int64),
        (polarity > 0).astype(np.int64),
        time.astype(np.int64) + start,
    )


def read_hdf5(file: BinaryIO, where: str, tally: Tally) -> Iterator[Events]:
    """The events of an HDF5 file as DSEC and Metavision write them, a block at a time.

    Raises
    ------
    DataError
        If there is neither ``events`` nor ``CD/events``, or a filter is missing.
    """
    with opened_hdf5(file, where) as opened:
        for place in ("events", "CD/events"):
            if place in opened:
                break
        else:
            raise DataError(
                f"{where} must hold events (DSEC), CD/events (Metavision), or spikes with labels "
                f"(SHD), not {', '.join(opened) or 'nothing'}"
            )
        group = opened[place]
        named = getattr(getattr(group, "dtype", None), "names", None)
        count = len(group) if named else len(next(iter(group.values())))
        start = int(opened["t_offset"][()]) if "t_offset" in opened else 0
        for at in range(0, count, _ROWS):
            part = slice(at, at + _ROWS)
            try:
                if named:
                    rows = group[part]
                    columns = {name: rows[name] for name in named}
                else:
                    wanted = {n for names in _NAMES.values() for n in names}
                    columns = {n: v[part] for n, v in group.items() if n.lower() in wanted}
            except OSError as error:
                raise DataError(
                    f"{where} cannot be unpacked: {first_line(error)}; Metavision's own filter "
                    "(ECF) comes with its tools: write the file anew as RAW"
                ) from error
            yield columns_of(columns, where, start)


def opened_hdf5(file: BinaryIO, where: str) -> Any:
    """An HDF5 file, to be used by ``with``; DSEC's compression is known."""
    import hdf5plugin  # noqa: F401, I001 - it tells h5py of Blosc; the extra is known by it
    import h5py

    try:
        return h5py.File(file, "r")
    except OSError as error:
        raise DataError(f"{where} is not a readable HDF5 file: {first_line(error)}") from error
