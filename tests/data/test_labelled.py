"""Labelled sets of recordings: folders, archives, lists, parts."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from event_formats import evt3, made, nmnist

from neurocuda_hw.data.events import Events, Tally
from neurocuda_hw.data.labelled import is_labelled, load_recordings, open_labelled
from neurocuda_hw.data.nmnist import encode
from neurocuda_hw.ground.errors import DataError


def content(number: int) -> bytes:
    """One recording."""
    return nmnist(made(60, seed=number))


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


WRITERS = {
    "folder": lambda tmp, files: write_folder(tmp / "set", files),
    "tar": lambda tmp, files: write_tar(tmp / "set.tar.gz", files),
    "zip": lambda tmp, files: write_zip(tmp / "set.zip", files),
}


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest, tmp_path: Path):
    """Writes files as a folder, and as archives."""
    return lambda files: WRITERS[request.param](tmp_path, files)


def bytes_of(recordings: list[Events]) -> list[bytes]:
    return [encode(events) for events in recordings]


def test_a_list_as_that_of_the_small_set(write) -> None:
    files = {f"{i}.bs2": content(i) for i in (1, 2, 10)}
    place = write(files | {"train1K.txt": b"#sample #class\n1\t5\n2\t0\n10\t9\n"})
    assert is_labelled(place)
    recordings, labels = load_recordings(place)
    assert labels.tolist() == [5, 0, 9]
    assert bytes_of(recordings) == [files[f"{i}.bs2"] for i in (1, 2, 10)]
    assert open_labelled(place).parts == ("train",)
    assert open_labelled(place).notes == ()


def test_other_text_is_no_list(write) -> None:
    files = {f"{label}/{i}.bs2": content(i) for i, label in enumerate((1, 1, 4))}
    found = open_labelled(write(files | {"notes.txt": b"1 9\nhello\n"}))
    assert found.labels.tolist() == [1, 1, 4]
    assert found.notes == ()


def test_what_a_list_leaves_out_is_told(write) -> None:
    files = {f"{i}.bs2": content(i) for i in range(5)}
    found = open_labelled(write(files | {"labels.txt": b"0 3\n4 8\n17 1\n"}))
    assert found.labels.tolist() == [3, 8]
    assert found.notes == (
        "1 of the 3 recordings that 'labels.txt' lists are not there",
        "3 of 5 recordings are in no list, and left out",
    )


def test_names_that_two_recordings_have(write) -> None:
    files = {f"{folder}/7.bs2": content(i) for i, folder in enumerate(("a", "b"))}
    found = open_labelled(write(files | {"labels.txt": b"a/7 3\n7 5\n"}))
    assert [(str(e.name), e.label) for e in found.entries] == [("a/7.bs2", 3)]
    assert len(found.notes) == 2


def test_a_line_that_is_no_line_of_a_list(write) -> None:
    place = write({"1.bs2": content(1), "labels.txt": b"1 nine\n"})
    with pytest.raises(
        DataError, match=r"^each line of the list 'labels\.txt' must be a recording"
    ):
        open_labelled(place)


@pytest.mark.parametrize("names", [("Train", "Test"), ("training", "testing")])
def test_parts_are_kept_apart(write, names: tuple[str, str]) -> None:
    files = {
        f"N-MNIST/{part}/{label}/{i:05}.bin": content(10 * at + label)
        for at, part in enumerate(names)
        for label in range(10)
        for i in range(4)
    }
    found = open_labelled(write(files))
    assert len(found.entries) == 80
    test = found.part("test")
    assert (len(test.entries), test.parts) == (40, ("test",))
    taken, told = test.taken(20)
    assert sorted(taken.labels.tolist()) == sorted([*range(10)] * 2)
    assert told.endswith(", 20 of its 40 test samples, 10 classes, drawn by seed 0")
    for entry, events in zip(taken.entries, taken.recordings(), strict=True):
        assert entry.name.parts[1] == names[1]
        assert encode(events) == content(10 + entry.label)


def test_lists_name_parts(write) -> None:
    files = {f"{i}.bs2": content(i) for i in range(3)}
    head = b"#sample #class\n"
    lists = {"train1K.txt": head + b"0 1\n1 2\n", "test100.txt": head + b"2 0\n"}
    found = open_labelled(write(files | lists))
    assert found.part("test").labels.tolist() == [0]
    assert found.part("train").labels.tolist() == [1, 2]
    assert found.notes == ()


def test_other_formats(write) -> None:
    rows = made(50)
    found = open_labelled(write({"3/a.raw": evt3(rows), "5/b.bin": nmnist(rows)}))
    first, second = found.recordings()
    assert encode(first) == encode(second) == nmnist(rows)


def test_a_damaged_recording_is_named(write) -> None:
    place = write({"3/00017.bin": b"1234567", "4/00018.bin": b""})
    with pytest.raises(DataError, match=r"set.*/3/00017\.bin' must be whole events of 5 bytes"):
        load_recordings(place)


def test_an_overrun_is_counted(write) -> None:
    tally = Tally()
    recordings, _ = load_recordings(write({"3/1.bin": bytes([0, 240, 0, 0, 0])}), tally=tally)
    assert (len(recordings[0]), sum(tally.noted.values())) == (0, 1)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must hold labelled recordings of events: files with a "):
        open_labelled(tmp_path)
    with pytest.raises(DataError, match=r"^cannot read the recordings '.*': No such file"):
        open_labelled(tmp_path / "none.tar.gz")
    (tmp_path / "bad.tar.gz").write_bytes(b"\x1f\x8bnonsense")
    with pytest.raises(DataError, match=r"must be a folder, or a whole tar or zip file: "):
        open_labelled(tmp_path / "bad.tar.gz")
    (tmp_path / "bad.zip").write_bytes(b"PKnonsense")
    with pytest.raises(DataError, match=r"must be a folder, or a whole tar or zip file: "):
        open_labelled(tmp_path / "bad.zip")


def test_what_looks_like_recordings(tmp_path: Path) -> None:
    """Not a folder of other data with its archive beside it, such as CIFAR-10's."""
    folders = {name: tmp_path / name for name in ("packed", "classes", "cifar", "empty")}
    for folder in folders.values():
        folder.mkdir()
    for name in ("packed", "cifar"):
        write_tar(folders[name] / "data.tar.gz", {"1.bs2": b"12345"})
    (folders["cifar"] / "data_batch_1.bin").write_bytes(b"12345")
    (folders["classes"] / "3").mkdir()
    (folders["classes"] / "3" / "1.bin").write_bytes(b"12345")
    assert [n for n, folder in folders.items() if is_labelled(folder)] == ["packed", "classes"]
    assert is_labelled(folders["packed"] / "data.tar.gz")
    assert not is_labelled(folders["cifar"] / "data_batch_1.bin")
    np.savez(tmp_path / "images.npz", x=np.zeros((2, 3)), y=np.zeros(2, int))
    assert not is_labelled(tmp_path / "images.npz")


def test_spike_trains_of_shd(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "shd_test.h5"
    rng = np.random.default_rng(0)
    times = [np.sort(rng.random(n)).astype(np.float16) for n in (20, 5, 0)]
    units = [rng.integers(0, 700, len(t)) for t in times]
    with h5py.File(path, "w") as file:
        file["labels"] = np.array([4, 0, 19])
        for name, parts, kind in (("times", times, "f2"), ("units", units, "u2")):
            made = file.create_dataset(f"spikes/{name}", (3,), h5py.vlen_dtype(np.dtype(kind)))
            for at, part in enumerate(parts):
                made[at] = part
    found = open_labelled(path)
    assert (found.labels.tolist(), found.parts, is_labelled(path)) == ([4, 0, 19], ("test",), True)
    for events, time, unit in zip(found.recordings(), times, units, strict=True):
        assert events.x.tolist() == unit.tolist()
        assert events.time.tolist() == np.rint(time.astype(np.float64) * 1e6).astype(int).tolist()
        assert not events.y.any()
