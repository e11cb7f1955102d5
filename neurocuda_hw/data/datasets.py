"""Labelled images from the formats people have them in: idx, ``.npz``, CIFAR-10 binary."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from neurocuda_hw.ground.archives import gunzipped, npz_names, read_npz
from neurocuda_hw.ground.errors import DataError, no_data

_CIFAR_RECORD = 1 + 3 * 32 * 32
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_IDX_STEMS = {"train": "train", "test": "t10k"}


def load(
    path: str | Path, split: str = "test", *, raw: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of a file or folder.

    Parameters
    ----------
    path : str or Path
        A folder with the idx files of MNIST (``train-images-idx3-ubyte``, ...) or with the CIFAR-10
        binary batches (``data_batch_1.bin``, ..., ``test_batch.bin``), each gzipped or not; one
        such batch; or a ``.npz`` with the arrays ``x_train``, ``y_train``, ``x_test``, ``y_test``,
        or just ``x`` and ``y``.
    split : str
        ``"train"`` or ``"test"``; a file that holds one set only gives that one for either.
    raw : bool
        Leave the numbers as they are in the file: bytes stay bytes, of any number of axes.

    Returns
    -------
    (x, y)
        float32 ``(N, C, H, W)``, or of the file's own shape if it has other axes; bytes become 0 to
        1, floats stay as they are. int64 ``(N,)``.

    Raises
    ------
    DataError
        If nothing of these formats is there, or it is damaged.
    """
    if split not in _IDX_STEMS:
        raise ValueError(f"split must be 'train' or 'test', not {split!r}")
    place = Path(path)
    if not place.exists():
        raise no_data(path)
    if place.is_dir():
        images, labels = _load_folder(place, split)
    elif place.suffix == ".npz":
        images, labels = _load_npz(place, split)
    elif place.name.removesuffix(".gz").endswith(".bin"):
        images, labels = _load_cifar([place])
    else:
        raise DataError(f"{str(path)!r} must be a folder, a .npz or a CIFAR .bin file")
    real, labels = _checked(images, labels, str(path))
    return (images if raw else real), labels


def part_of(path: str | Path, split: str = "test") -> str:
    """The part of the data that `load` gives: `split`, or nothing of a file that has only one."""
    place = Path(path)
    if place.is_dir():
        return split
    if place.suffix != ".npz":
        return ""
    return split if f"x_{split}" in npz_names(place.read_bytes()) else ""


def read_idx(path: str | Path) -> np.ndarray:
    """The array of one idx file, gzipped or not.

    Raises
    ------
    DataError
        If the file is no idx file or is truncated.
    """
    content = _read(Path(path))
    where = str(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise DataError(f"{where!r} is no idx file")
    kind, rank = np.dtype(_IDX_TYPES[content[2]]), content[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise DataError(f"{where!r} is truncated: its header must have {start} bytes")
    shape = struct.unpack(f">{rank}I", content[4:start])
    want = start + int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    if len(content) != want:
        raise DataError(f"{where!r} must have {want} bytes for {shape}, not {len(content)}")
    return np.frombuffer(content, dtype=kind, offset=start).reshape(shape)


def _load_folder(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    stem = _IDX_STEMS[split]
    images = _find(folder, f"{stem}-images-idx3-ubyte", f"{stem}-images.idx3-ubyte")
    labels = _find(folder, f"{stem}-labels-idx1-ubyte", f"{stem}-labels.idx1-ubyte")
    if images and labels:
        return read_idx(images), read_idx(labels)
    names = ["test_batch"] if split == "test" else [f"data_batch_{i}" for i in range(1, 6)]
    batches = [_find(folder, f"{name}.bin") for name in names]
    found = [batch for batch in batches if batch]
    if len(found) == len(names):
        return _load_cifar(found)
    raise DataError(
        f"folder {str(folder)!r} must hold {stem}-images-idx3-ubyte and {stem}-labels-idx1-ubyte "
        f"(MNIST), or {', '.join(f'{name}.bin' for name in names)} (CIFAR-10), each gzipped or not"
    )


def _find(folder: Path, *names: str) -> Path | None:
    for name in names:
        for candidate in (folder / name, folder / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    return None


def _load_cifar(paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    parts = []
    for path in paths:
        content = _read(path)
        if not content or len(content) % _CIFAR_RECORD:
            raise DataError(
                f"{str(path)!r} must be whole CIFAR-10 records of {_CIFAR_RECORD} bytes, "
                f"not {len(content)} bytes"
            )
        parts.append(np.frombuffer(content, dtype=np.uint8).reshape(-1, _CIFAR_RECORD))
    records = np.concatenate(parts)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def _load_npz(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        content = path.read_bytes()
        names = npz_names(content)
        for x, y in ((f"x_{split}", f"y_{split}"), ("x", "y")):
            if x in names and y in names:
                found = read_npz(content, (x, y))
                return found[x], found[y]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{str(path)!r} is not a readable .npz: {error}") from error
    raise DataError(
        f"{str(path)!r} must hold x and y, or x_{split} and y_{split}, not "
        + (", ".join(names) or "nothing")
    )


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gunzipped(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"cannot read {str(path)!r}: {error}") from error


def _checked(images: np.ndarray, labels: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{where!r}: labels must be integers (N,), not {labels.dtype} {labels.shape}"
        )
    if images.ndim < 2 or len(images) != len(labels) or images.dtype.kind not in "iuf":
        raise DataError(
            f"{where!r}: x must be numbers with one row per label ({len(labels)}), not "
            f"{images.dtype} {images.shape}"
        )
    if len(images) == 0:
        raise DataError(f"{where!r} must hold at least one sample, not none")
    real = images.astype(np.float32)
    if images.dtype == np.uint8:
        real /= 255
    elif not np.isfinite(real).all():
        raise DataError(f"{where!r}: x must be finite, not NaN or infinite")
    if real.ndim == 3:
        real = real[:, None]
    return real, labels.astype(np.int64)
