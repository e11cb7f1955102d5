"""Recordings of event cameras: every format that is read, and labelled sets of them."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeAlias

import numpy as np

from neurocuda_hw.data import aedat, columns, evt, nmnist
from neurocuda_hw.data.events import Events, Tally, events_of, joined
from neurocuda_hw.ground.archives import npz_names
from neurocuda_hw.ground.errors import DataError, first_line

Reader: TypeAlias = Callable[[BinaryIO, str, Tally], Iterator[Events]]


def _read_nmnist(file: BinaryIO, where: str, tally: Tally) -> Iterator[Events]:
    yield nmnist.decode(file.read(), where, tally)


def _read_aedat(file: BinaryIO, where: str, tally: Tally) -> Iterator[Events]:
    """AEDAT of any version; 4 is faery's."""
    newest = file.read(12) == b"#!AER-DAT4.0"
    file.seek(0)
    return (_read_faery if newest else aedat.read_aedat)(file, where, tally)


def _read_faery(file: BinaryIO, where: str, tally: Tally) -> Iterator[Events]:
    """What faery reads right: AEDAT 4 and ES."""
    import faery

    kind = "es" if file.read(12) == b"Event Stream" else "aedat"
    file.seek(0)
    with tempfile.TemporaryDirectory(prefix="nchw_") as folder:
        path = getattr(file, "name", None)
        if path is None:  # of an archive: faery takes files only
            path = os.path.join(folder, "recording")
            Path(path).write_bytes(file.read())
        try:
            for part in faery.events_stream_from_file(path, file_type=kind):
                polarity, time = part["on"].astype(np.uint8), part["t"].astype(np.int64)
                yield events_of(part["x"], part["y"], polarity, time)
        except Exception as error:  # faery raises whatever its parts do
            raise DataError(f"{where} cannot be read: {first_line(error)}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of recordings: what names end in, and what reads it."""

    name: str
    suffixes: tuple[str, ...]
    read: Reader


FORMATS = (
    Format(name="N-MNIST", suffixes=(".bs2", ".bin"), read=_read_nmnist),
    Format(name="Prophesee RAW", suffixes=(".raw",), read=evt.read_raw),
    Format(name="Prophesee DAT", suffixes=(".dat",), read=evt.read_dat),
    Format(name="AEDAT", suffixes=(".aedat", ".aedat4"), read=_read_aedat),
    Format(name="Event Stream", suffixes=(".es",), read=_read_faery),
    Format(name="CSV", suffixes=(".csv",), read=columns.read_text),
    Format(name="NumPy", suffixes=(".npy", ".npz"), read=columns.read_numpy),
    Format(name="HDF5", suffixes=(".h5", ".hdf5"), read=columns.read_hdf5),
)
BY_SUFFIX = {suffix: form for form in FORMATS for suffix in form.suffixes}


def read_events(path: str | Path, tally: Tally | None = None) -> Events:
    """All events of one recording, in its order.

    Parameters
    ----------
    path : str or Path
        A file of one of `FORMATS`, by the end of its name.
    tally : Tally, optional
        What is no event of a pixel, and events without a time, are counted there.

    Raises
    ------
    DataError
        If there is none, it is of no known format, or it is damaged.
    ModuleNotFoundError
        If it needs the extra ``events``.
    """
    return joined(stream_events(path, Tally() if tally is None else tally))


def stream_events(path: str | Path, tally: Tally) -> Iterator[Events]:
    """The same, part by part, so that a recording may be larger than memory."""
    place = Path(path)
    form = format_of(PurePosixPath(place))
    if form is None:
        raise DataError(
            f"{str(path)!r} must be a recording of events ({', '.join(BY_SUFFIX)}) by its name"
        )
    try:
        with open(place, "rb") as file:
            yield from form.read(file, repr(str(path)), tally)
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise DataError(f"cannot read the recording {str(path)!r}: {reason}") from error


def bytes_events(content: bytes, name: PurePosixPath, where: str, tally: Tally) -> Events:
    """The events of a recording that is in an archive."""
    form = BY_SUFFIX[name.suffix.lower()]
    return joined(form.read(io.BytesIO(content), where, tally))


def format_of(name: PurePosixPath) -> Format | None:
    """What reads a file of this name; None where nothing does."""
    return BY_SUFFIX.get(name.suffix.lower())


def is_recording(path: str | Path) -> bool:
    """Whether a file is one recording: by its name, a .npy or .npz also by its arrays.

    A ``.bin`` by itself is none: other data is called so too.
    """
    place = Path(path)
    form = format_of(PurePosixPath(place))
    if form is None or not place.is_file() or place.suffix.lower() == ".bin":
        return False
    if form.name != "NumPy":
        return True
    try:
        if place.suffix.lower() == ".npz":
            content = place.read_bytes()
            names = npz_names(content)
            return columns.is_columns(names) or names == ["events"]
        array = np.load(place, mmap_mode="r", allow_pickle=False)
        return array.dtype.names is not None
    except (OSError, ValueError, EOFError):
        return False
