"""Labelled sets of recordings: folders and archives of one file each, and SHD's one file.

Classes come from a list or from the folders. A list is a text file whose name or first line says
so: it is called ``labels.txt`` or ``classes.txt``, or it begins with ``#sample #class`` as those of
N-MNIST's small set do; every other line is the name of a recording without its suffix (with its
folders, where two have the same), and its class. Folders of recordings are called ``0``, ``1``, ...
A part of the set is what a folder above, or a list, has in its name: train or test.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from neurocuda_hw.data.choosing import chosen_text, spread
from neurocuda_hw.data.events import Events, Tally, events_of
from neurocuda_hw.data.recordings import BY_SUFFIX, bytes_events
from neurocuda_hw.ground.archives import check_size
from neurocuda_hw.ground.errors import DataError, first_line
from neurocuda_hw.ground.files import read_file

_PARTS = ("train", "test")
_LISTS = ("labels.txt", "classes.txt")
_HDF5 = (".h5", ".hdf5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One recording of a set: its name, its class, and ``train``, ``test`` or nothing."""

    name: PurePosixPath
    label: int
    part: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """A set of recordings, read when they are asked for."""

    path: Path
    entries: tuple[Entry, ...]
    notes: tuple[str, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(dict.fromkeys(entry.part for entry in self.entries))

    def part(self, name: str) -> Labelled:
        """That part of it, or all of it where it has no such part."""
        chosen = tuple(entry for entry in self.entries if entry.part == name)
        return Labelled(path=self.path, entries=chosen or self.entries, notes=self.notes)

    def taken(self, count: int | None) -> tuple[Labelled, str]:
        """As many, spread over the classes; and what was taken, for people."""
        labels = np.array([entry.label for entry in self.entries])
        indices = spread(labels, count)
        entries = tuple(self.entries[i] for i in indices)
        named = self.parts[0] if len(self.parts) == 1 else ""
        told = chosen_text(str(self.path), labels, indices, named)
        return Labelled(path=self.path, entries=entries, notes=self.notes), told

    @property
    def labels(self) -> np.ndarray:
        """Classes, int64 ``(N,)``."""
        return np.array([entry.label for entry in self.entries], dtype=np.int64)

    def recordings(self, tally: Tally | None = None) -> list[Events]:
        """The events of each, in order of the entries.

        Raises
        ------
        DataError
            If one is damaged; it is named.
        """
        tally = Tally() if tally is None else tally
        if self.path.suffix.lower() in _HDF5:
            return _read_shd(self.path, [int(entry.name.name) for entry in self.entries])
        contents = _contents(self.path, {entry.name for entry in self.entries})
        where = str(self.path)
        return [
            bytes_events(contents[e.name], e.name, repr(f"{where}/{e.name}"), tally)
            for e in self.entries
        ]


def open_labelled(path: str | Path) -> Labelled:
    """A labelled set of recordings.

    Parameters
    ----------
    path : str or Path
        A folder, a tar or zip file, a folder with one tar file, or an HDF5 file of spike trains
        (SHD, SSC).

    Raises
    ------
    DataError
        If there is no such data, or it is damaged.
    """
    place = _archive(Path(path))
    if place.suffix.lower() in _HDF5:
        return Labelled(path=place, entries=_shd_entries(place), notes=())
    names = _names(place)
    recordings = sorted(name for name in names if name.suffix.lower() in BY_SUFFIX)
    texts = [name for name in names if name.suffix == ".txt"]
    lists = {
        n: content for n, content in _contents(place, set(texts)).items() if _is_list(n, content)
    }
    entries, notes = _listed(recordings, lists) if lists else (_foldered(recordings), [])
    if not entries:
        raise DataError(
            f"{str(path)!r} must hold labelled recordings of events: files with a list of their "
            "classes (labels.txt), or folders 0 to 9 of them; N-MNIST is at garrickorchard.com"
        )
    if missing := len(recordings) - len({entry.name for entry in entries}):
        where = "in no list" if lists else "in no folder that is called by a class"
        notes.append(f"{missing} of {len(recordings)} recordings are {where}, and left out")
    return Labelled(path=place, entries=tuple(entries), notes=tuple(notes))


def load_recordings(
    path: str | Path, limit: int | None = None, tally: Tally | None = None
) -> tuple[list[Events], np.ndarray]:
    """Recordings of a labelled set, and their classes: all, or `limit` spread over the classes."""
    chosen, _ = open_labelled(path).taken(limit)
    return chosen.recordings(tally), chosen.labels


def is_labelled(path: str | Path) -> bool:
    """Whether a file or folder looks like what `open_labelled` reads."""
    place = _archive(Path(path))
    if place.is_file():
        if place.suffix.lower() in _HDF5:
            return _is_shd(place)
        if place.suffix.lower() == ".npz":
            return False
        return tarfile.is_tarfile(place) or zipfile.is_zipfile(place)
    if not place.is_dir():
        return False
    # folders of other data have files of the other suffixes too
    sure = (".bs2", ".raw", ".dat", ".aedat", ".aedat4", ".es")
    return any(f.suffix.lower() in sure for f in place.rglob("*")) or any(
        f.suffix.lower() in BY_SUFFIX for f in place.rglob("[0-9]*/*")
    )


def _archive(path: Path) -> Path:
    """The one tar file of a folder that holds it as it was downloaded; else the path itself."""
    if not path.is_dir():
        return path
    names = [f for f in path.rglob("*") if {".tar", ".tgz"} & {*f.suffixes}]
    packed = [f for f in names if f.is_file()]
    alone = len(packed) == 1 and not any(f.suffix in (".bs2", ".bin") for f in path.rglob("*"))
    return packed[0] if alone else path


def _foldered(recordings: Iterable[PurePosixPath]) -> list[Entry]:
    return [
        Entry(name=name, label=int(name.parent.name), part=_part(name.parent.parts))
        for name in recordings
        if name.parent.name.isdecimal()
    ]


def _listed(
    recordings: list[PurePosixPath], lists: dict[PurePosixPath, bytes]
) -> tuple[list[Entry], list[str]]:
    """What the lists say, and what must be told of them."""
    stems = Counter(name.stem for name in recordings)
    named = {name.stem: name for name in recordings if stems[name.stem] == 1}
    named |= {name.with_suffix("").as_posix(): name for name in recordings}
    entries, notes = [], []
    for place, content in sorted(lists.items()):
        lines = content.decode("utf-8", "replace").splitlines()
        rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
        for row in rows:
            if len(row) != 2 or not row[1].isdecimal():
                raise DataError(
                    f"each line of the list {str(place)!r} must be a recording and its class, not "
                    f"{' '.join(row)!r}"
                )
        found = [(named[name], int(label)) for name, label in rows if name in named]
        part = _part((place.stem,))
        for name, label in found:
            of = part or _part(name.parent.parts)
            entries.append(Entry(name=name, label=label, part=of))
        if len(found) < len(rows):
            notes.append(
                f"{len(rows) - len(found)} of the {len(rows)} recordings that {str(place)!r} lists "
                "are not there"
            )
    return entries, notes


def _is_list(name: PurePosixPath, content: bytes) -> bool:
    first = content[:200].decode("utf-8", "replace").lower().split()[:2]
    return name.name.lower() in _LISTS or first == ["#sample", "#class"]


def _part(words: Iterable[str]) -> str:
    """The part that a folder's or a list's name says, or nothing."""
    for word in words:
        for part in _PARTS:
            if word.lower().startswith(part):
                return part
    return ""


def _names(path: Path) -> list[PurePosixPath]:
    """Files of a folder or an archive, relative to it."""
    if path.is_dir():
        return sorted(
            PurePosixPath(f.relative_to(path).as_posix()) for f in path.rglob("*") if f.is_file()
        )
    return _archived(path, None, names_only=True)[0]


def _contents(path: Path, wanted: set[PurePosixPath]) -> dict[PurePosixPath, bytes]:
    """The bytes of some files of a folder or an archive."""
    if path.is_dir():
        return {name: read_file(path / name, "recording") for name in wanted}
    return _archived(path, wanted)[1]


def _archived(
    path: Path, wanted: set[PurePosixPath] | None, names_only: bool = False
) -> tuple[list[PurePosixPath], dict[PurePosixPath, bytes]]:
    content = read_file(path, "recordings")
    names: list[PurePosixPath] = []
    found: dict[PurePosixPath, bytes] = {}
    total = 0
    try:
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                for entry in packed.infolist():
                    name = PurePosixPath(entry.filename)
                    names += [] if entry.is_dir() else [name]
                    if wanted is not None and name in wanted:
                        total += entry.file_size
                        check_size(total, len(content))
                        found[name] = packed.read(entry)
            return names, found
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                total += member.size
                check_size(total, len(content))
                name = PurePosixPath(member.name)
                names += [name] if member.isfile() else []
                opened = archive.extractfile(member) if wanted and name in wanted else None
                if opened is not None:
                    found[name] = opened.read()
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise DataError(
            f"{str(path)!r} must be a folder, or a whole tar or zip file: {first_line(error)}"
        ) from error
    return names, found


def _is_shd(path: Path) -> bool:
    try:
        import h5py
    except ModuleNotFoundError:  # whoever reads it says so
        return False
    try:
        with h5py.File(path, "r") as file:
            return "labels" in file and "spikes" in file
    except OSError:
        return False


def _shd_entries(path: Path) -> tuple[Entry, ...]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            labels = file["labels"][:].tolist()
    except (OSError, KeyError) as error:
        raise DataError(
            f"{str(path)!r} must hold spikes and labels: {first_line(error)}"
        ) from error
    part = _part(path.stem.split("_"))
    return tuple(
        Entry(name=PurePosixPath(str(i)), label=int(label), part=part)
        for i, label in enumerate(labels)
    )


def _read_shd(path: Path, numbers: list[int]) -> list[Events]:
    """Spike trains: the unit is x; times are seconds, whatever precision stores them."""
    import h5py

    found = []
    with h5py.File(path, "r") as file:
        for number in numbers:
            time = np.asarray(file["spikes/times"][number], dtype=np.float64)
            units = np.asarray(file["spikes/units"][number], dtype=np.int64)
            zeros = np.zeros(len(units), np.int64)
            found.append(events_of(units, zeros, zeros, np.rint(time * 1e6).astype(np.int64)))
    return found
