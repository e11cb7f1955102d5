"""Archives that are read: no more than `LARGEST_BYTES` come out of one, whatever it claims."""

from __future__ import annotations

import gzip
import io
import math
import zipfile
from collections.abc import Iterable

import numpy as np

LARGEST_BYTES = 2**31  # as in `nir.hdf5`, which stands alone


class TooLarge(ValueError):
    """An archive claims more than is read of one."""

    def __init__(self, claimed: int) -> None:
        limit = f"{LARGEST_BYTES >> 20:,} MiB"
        super().__init__(f"it expands to {claimed >> 20:,} MiB, and at most {limit} are read")


def check_size(claimed: int, stored: int = 0) -> None:
    """Raises TooLarge for so many bytes, unless the file itself is as large."""
    if claimed > max(LARGEST_BYTES, stored):
        raise TooLarge(claimed)


def open_zip(content: bytes) -> zipfile.ZipFile:
    """A zip archive whose members, all together, are not too large.

    No reader takes more of a member than the archive says, so that is what counts.
    """
    archive = zipfile.ZipFile(io.BytesIO(content))
    check_size(sum(member.file_size for member in archive.infolist()), len(content))
    return archive


def gunzipped(content: bytes) -> bytes:
    """What was compressed with gzip; raises TooLarge, OSError, EOFError or zlib.error."""
    parts, total = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        while part := file.read(2**24):
            total += len(part)
            check_size(total)
            parts.append(part)
    return b"".join(parts)


def read_npy(content: bytes) -> np.ndarray:
    """The array of a ``.npy``, never of objects; memory is taken once its size is known to be so.

    Raises
    ------
    ValueError
        If it is none, or claims more values than it holds.
    """
    file = io.BytesIO(content)
    form = np.lib.format
    first = form.read_magic(file) == (1, 0)
    shape, _, kind = (form.read_array_header_1_0 if first else form.read_array_header_2_0)(file)
    held, claimed = len(content) - file.tell(), math.prod(shape) * kind.itemsize
    if not kind.hasobject and claimed != held:
        raise ValueError(f"{shape} of {kind} must be {claimed:,} bytes, not {held:,}")
    found: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    return found


def npz_names(content: bytes) -> list[str]:
    """The names of the arrays of a ``.npz``."""
    with open_zip(content) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def read_npz(content: bytes, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The arrays of a ``.npz`` with these names; the others are not expanded."""
    with open_zip(content) as archive:
        return {name: read_npy(archive.read(f"{name}.npy")) for name in names}
