"""Loaders of the standard formats, and what they say about files that are not."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from neurocuda_hw.data import datasets
from neurocuda_hw.ground.errors import DataError

SAMPLE = Path(__file__).parents[2] / "examples" / "data" / "mnist_sample.npz"


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    """The idx file of an array of bytes."""
    return (
        struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()
    )


@pytest.fixture
def images() -> np.ndarray:
    """Three images of bytes."""
    return np.random.default_rng(0).integers(0, 256, (3, 4, 5)).astype(np.uint8)


def write_mnist(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """A folder as MNIST's: training files gzipped, test files plain."""
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(images[:2]))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(labels[:2]))


def test_idx_folder(tmp_path: Path, images: np.ndarray) -> None:
    write_mnist(tmp_path, images, np.array([7, 1, 2], dtype=np.uint8))
    x, y = datasets.load(tmp_path, "train")
    assert (x.dtype, x.shape, y.dtype, y.tolist()) == (
        np.float32,
        (3, 1, 4, 5),
        np.int64,
        [7, 1, 2],
    )
    assert np.array_equal(np.rint(x[:, 0] * 255), images)
    assert datasets.load(tmp_path)[0].shape == (2, 1, 4, 5)


def test_cifar_folder(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    pixels = draw.integers(0, 256, (6, 3, 32, 32)).astype(np.uint8)
    for number in range(6):
        record = bytes([number]) + pixels[number].tobytes()
        name = "test_batch" if number == 5 else f"data_batch_{number + 1}"
        (tmp_path / f"{name}.bin.gz").write_bytes(gzip.compress(record))
    x, y = datasets.load(tmp_path, "train")
    assert (x.shape, y.tolist()) == ((5, 3, 32, 32), [0, 1, 2, 3, 4])
    assert np.array_equal(np.rint(x * 255), pixels[:5])
    one, label = datasets.load(tmp_path / "test_batch.bin.gz")
    assert (one.shape, label.tolist()) == ((1, 3, 32, 32), [5])


def test_npz(tmp_path: Path) -> None:
    x, y = np.linspace(-1, 1, 12, dtype=np.float64).reshape(2, 6), np.array([1, 0])
    np.savez(tmp_path / "plain.npz", x=x, y=y)
    for split in ("train", "test"):
        got, labels = datasets.load(tmp_path / "plain.npz", split)
        assert got.dtype == np.float32
        assert np.allclose(got, x)
        assert labels.tolist() == [1, 0]


def test_shipped_sample() -> None:
    x, y = datasets.load(SAMPLE, "train")
    assert (x.shape, x.min(), x.max(), len(set(y.tolist()))) == ((1000, 1, 28, 28), 0, 1, 10)
    assert datasets.load(SAMPLE)[0].shape == (500, 1, 28, 28)


def refuses(path: Path, message: str, split: str = "test") -> None:
    """Loading `path` raises a DataError with this whole message."""
    with pytest.raises(DataError) as caught:
        datasets.load(path, split)
    assert str(caught.value) == message


def test_missing(tmp_path: Path) -> None:
    place = tmp_path / "nowhere"
    refuses(
        place,
        f"there is no data at {str(place)!r}; name a folder of idx or CIFAR binary files, or a "
        ".npz with x and y",
    )
    refuses(
        tmp_path,
        f"folder {str(tmp_path)!r} must hold t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte "
        "(MNIST), or test_batch.bin (CIFAR-10), each gzipped or not",
    )


def test_damaged_idx(tmp_path: Path, images: np.ndarray) -> None:
    write_mnist(tmp_path, images, np.array([7, 1, 2], dtype=np.uint8))
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    refuses(tmp_path, f"{str(path)!r} must have 56 bytes for (2, 4, 5), not 55")
    path.write_bytes(b"\0\0\x08\x03\0")
    refuses(tmp_path, f"{str(path)!r} is truncated: its header must have 16 bytes")
    path.write_bytes(b"PK\x03\x04")
    refuses(tmp_path, f"{str(path)!r} is no idx file")


def test_damaged_gzip(tmp_path: Path, images: np.ndarray) -> None:
    write_mnist(tmp_path, images, np.array([7, 1, 2], dtype=np.uint8))
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"^cannot read '.*train-images-idx3-ubyte\.gz': "):
        datasets.load(tmp_path, "train")


def test_labels_that_do_not_fit(tmp_path: Path, images: np.ndarray) -> None:
    write_mnist(tmp_path, images, np.array([7, 1], dtype=np.uint8))
    refuses(
        tmp_path,
        f"{str(tmp_path)!r}: x must be numbers with one row per label (2), not uint8 (3, 4, 5)",
        "train",
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.ones(2)}, "must hold x and y, or x_test and y_test, not a"),
        (
            {"x": np.ones((2, 3)), "y": np.ones(2)},
            ": labels must be integers (N,), not float64 (2,)",
        ),
        (
            {"x": np.array([[np.nan, 1]]), "y": np.array([1])},
            ": x must be finite, not NaN or infinite",
        ),
        (
            {"x": np.ones((0, 3)), "y": np.ones(0, dtype=int)},
            "must hold at least one sample, not none",
        ),
    ],
)
def test_bad_npz(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    refuses(path, f"{str(path)!r}{'' if message[0] == ':' else ' '}{message}")


def test_truncated_npz_and_strange_file(tmp_path: Path) -> None:
    path = tmp_path / "cut.npz"
    path.write_bytes(SAMPLE.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"cut\.npz' is not a readable \.npz: "):
        datasets.load(path)
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    refuses(text, f"{str(text)!r} must be a folder, a .npz or a CIFAR .bin file")
    batch = tmp_path / "data_batch_1.bin"
    batch.write_bytes(b"12345")
    refuses(batch, f"{str(batch)!r} must be whole CIFAR-10 records of 3073 bytes, not 5 bytes")


def test_split_must_be_known() -> None:
    with pytest.raises(ValueError, match=r"^split must be 'train' or 'test', not 'val'$"):
        datasets.load(SAMPLE, "val")
