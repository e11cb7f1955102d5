"""Recordings of event cameras: the N-MNIST format, and its events binned into steps.

An event is five bytes: x, y, then the polarity in one bit and the time in 23 (microseconds, high
byte first). Orchard et al., "Converting static image datasets to spiking neuromorphic datasets
using saccades", Frontiers in Neuroscience 9 (2015).
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from neurocuda_hw.ground.archives import check_size
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.ground.files import read_file

NMNIST_SHAPE = (2, 34, 34)
_BYTES = 5
_SUFFIXES = (".bs2", ".bin")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Events:
    """One recording, in order of time.

    Parameters
    ----------
    x, y, polarity : int64 array (N,)
        Column, row, and 0 (darker) or 1 (brighter).
    time : int64 array (N,)
        Microseconds since the start.
    """

    x: np.ndarray
    y: np.ndarray
    polarity: np.ndarray
    time: np.ndarray

    def __len__(self) -> int:
        return len(self.time)


def decode(content: bytes, where: str = "recording") -> Events:
    """The events of one N-MNIST file.

    Raises
    ------
    DataError
        If it is truncated or empty; `where` names it in the message.
    """
    if not content or len(content) % _BYTES:
        raise DataError(
            f"{where} must be whole events of {_BYTES} bytes, not {len(content)} bytes; "
            "copy it again"
        )
    raw = np.frombuffer(content, dtype=np.uint8).reshape(-1, _BYTES).astype(np.int64)
    time = (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
    order = np.argsort(time, kind="stable")
    return Events(x=raw[order, 0], y=raw[order, 1], polarity=raw[order, 2] >> 7, time=time[order])


def encode(events: Events) -> bytes:
    """The inverse of `decode`."""
    high = events.polarity << 7 | events.time >> 16
    columns = (events.x, events.y, high, events.time >> 8 & 255, events.time & 255)
    return np.stack(columns, axis=1).astype(np.uint8).tobytes()


def bin_events(
    events: Events,
    *,
    steps: int,
    step_us: int = 1000,
    shape: tuple[int, int, int] = NMNIST_SHAPE,
    highest: int | None = None,
) -> np.ndarray:
    """Counts of events per step, polarity and pixel.

    Parameters
    ----------
    steps, step_us : int
        How many steps of how many microseconds; later events are left out.
    shape : tuple
        ``(2, H, W)``.
    highest : int, optional
        Counts are clipped at this: 1 for binary spikes, ``2**payload_bits - 1`` for graded ones.

    Returns
    -------
    uint8 array ``(steps, 2, H, W)``

    Raises
    ------
    DataError
        If an event lies outside the shape.
    """
    if steps < 1 or step_us < 1:
        raise ValueError(f"steps and step_us must be at least 1, not {steps!r}, {step_us!r}")
    columns = {"x": (events.x, shape[2]), "y": (events.y, shape[1])}
    for axis, (values, size) in columns.items():
        if len(values) and int(values.max()) >= size:
            raise DataError(f"event {axis} must be 0 to {size - 1}, not {int(values.max())}")
    kept = events.time < steps * step_us
    place = (events.time[kept] // step_us, events.polarity[kept], events.y[kept], events.x[kept])
    counts = np.bincount(
        np.ravel_multi_index(place, (steps, *shape)), minlength=steps * int(np.prod(shape))
    )
    return (
        np.minimum(counts, 255 if highest is None else highest)
        .astype(np.uint8)
        .reshape(steps, *shape)
    )


def load_nmnist(path: str | Path, limit: int | None = None) -> tuple[list[Events], np.ndarray]:
    """Recordings and labels of an N-MNIST folder or archive.

    Parameters
    ----------
    path : str or Path
        A folder or tar file (compressed or not), or a folder with one tar file. Either it holds
        ``N.bs2`` files and a text file with a line "sample class" for each, or one folder per
        class, ``0/`` to ``9/``, of ``.bin`` files, as the original data set does.
    limit : int, optional
        Read the first so many only, in order of their labels' file, or of their names.

    Returns
    -------
    (recordings, labels)
        One `Events` each; int64 ``(N,)``.

    Raises
    ------
    DataError
        If there is no such data, or it is damaged.
    """
    files = dict(_files(_archive(Path(path))))
    recordings = {name: content for name, content in files.items() if name.suffix in _SUFFIXES}
    labelled = _labelled(recordings, [c for n, c in files.items() if n.suffix == ".txt"])
    if not labelled:
        raise DataError(
            f"{str(path)!r} must hold N-MNIST recordings: N.bs2 files with a text file of their "
            "classes, or folders 0 to 9 of .bin files; the data set is at garrickorchard.com"
        )
    chosen = labelled[:limit]
    labels = np.array([label for _, label in chosen], dtype=np.int64)
    return [decode(recordings[name], repr(str(name))) for name, _ in chosen], labels


def load_frames(
    path: str | Path, *, steps: int, step_us: int, highest: int, limit: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """`load_nmnist`, and `bin_events` of each: uint8 ``(N, steps, 2, 34, 34)``, int64 ``(N,)``."""
    recordings, labels = load_nmnist(path, limit)
    frames = [bin_events(r, steps=steps, step_us=step_us, highest=highest) for r in recordings]
    return np.stack(frames), labels


def is_nmnist(path: str | Path) -> bool:
    """Whether a file or folder looks like what `load_nmnist` reads."""
    place = _archive(Path(path))
    if place.is_file():
        return tarfile.is_tarfile(place)
    if not place.is_dir():
        return False
    return any(place.rglob("*.bs2")) or any(place.rglob("[0-9]/*.bin"))


def _archive(path: Path) -> Path:
    """The one tar file of a folder that holds it as it was downloaded; else the path itself."""
    names = [f for f in path.rglob("*") if {".tar", ".tgz"} & {*f.suffixes}]
    packed = [f for f in names if f.is_file()]
    alone = len(packed) == 1 and not any(f.suffix in _SUFFIXES for f in path.rglob("*"))
    return packed[0] if alone else path


def _files(path: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Names (relative) and contents of the recordings and lists in a folder or an archive."""
    wanted = (*_SUFFIXES, ".txt")
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix in wanted and file.is_file():
                yield PurePosixPath(file.relative_to(path).as_posix()), read_file(file, "recording")
        return
    content = read_file(path, "recordings")
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            total = 0
            for member in archive:
                total += member.size
                check_size(total, len(content))
                name = PurePosixPath(member.name)
                opened = archive.extractfile(member) if name.suffix in wanted else None
                if opened is not None:
                    yield name, opened.read()
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} must be a folder or a whole tar file: {error}") from error


def _labelled(
    names: Iterable[PurePosixPath], lists: list[bytes]
) -> list[tuple[PurePosixPath, int]]:
    """Each recording with its class, from a list of (sample, class) or from its folder's name."""
    names = sorted(names)
    stems = {name.stem: name for name in names}
    for content in lists:
        rows = [line.split() for line in content.decode("ascii", "replace").splitlines()]
        pairs = [row for row in rows if len(row) == 2 and row[1].isdecimal()]
        found = [(stems[stem], int(label)) for stem, label in pairs if stem in stems]
        if found:
            return found
    return [(name, int(name.parent.name)) for name in names if name.parent.name.isdecimal()]
