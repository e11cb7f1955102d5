"""The N-MNIST format: decoding, binning, and folders and archives of it."""

import io
import tarfile

import numpy as np
import pytest

from neurocuda_hw.data.events import Events, bin_events, decode, encode, is_nmnist, load_nmnist
from neurocuda_hw.ground.errors import DataError


def recording(seed: int, count: int = 200) -> Events:
    rng = np.random.default_rng(seed)
    return Events(
        x=rng.integers(0, 34, count),
        y=rng.integers(0, 34, count),
        polarity=rng.integers(0, 2, count),
        time=np.sort(rng.integers(0, 2**23, count)),
    )


def test_one_event_by_hand():
    events = decode(bytes([3, 7, 0x80 | 0x01, 0x02, 0x03]))
    fields = (events.x, events.y, events.polarity, events.time)
    assert [int(field[0]) for field in fields] == [3, 7, 1, 0x010203]


def test_encode_is_the_inverse():
    events = recording(1)
    again = decode(encode(events))
    for field in ("x", "y", "polarity", "time"):
        assert np.array_equal(getattr(events, field), getattr(again, field)), field


def test_events_come_out_in_order_of_time():
    content = encode(recording(2))
    backwards = b"".join(content[i : i + 5] for i in range(len(content) - 5, -1, -5))
    assert (np.diff(decode(backwards).time) >= 0).all()


def test_bins_count_as_a_loop_does():
    events = recording(3, 3000)
    want = np.zeros((50, 2, 34, 34), dtype=np.int64)
    for x, y, p, t in zip(events.x, events.y, events.polarity, events.time, strict=True):
        if t < 50 * 100_000:
            want[t // 100_000, p, y, x] += 1
    assert want.max() > 1
    assert np.array_equal(bin_events(events, steps=50, step_us=100_000), want)
    clipped = bin_events(events, steps=50, step_us=100_000, highest=1)
    assert np.array_equal(clipped, np.minimum(want, 1))


def test_truncated_recording():
    with pytest.raises(
        DataError, match=r"^'7\.bs2' must be whole events of 5 bytes, not 7 bytes; copy it again$"
    ):
        decode(b"1234567", "'7.bs2'")


def test_event_outside():
    with pytest.raises(DataError, match=r"^event y must be 0 to 33, not 240$"):
        bin_events(decode(bytes([0, 240, 0, 0, 0])), steps=1)


def write_archive(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_listed_recordings_from_folder_and_archive(tmp_path):
    files = {f"{i}.bs2": encode(recording(i)) for i in (1, 2, 10)}
    files["train1K.txt"] = b"#sample #class\n1\t5\n2\t0\n10\t9\n"
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    write_archive(tmp_path / "all.tar.gz", files)
    for place in (folder, tmp_path / "all.tar.gz"):
        recordings, labels = load_nmnist(place)
        assert labels.tolist() == [5, 0, 9]
        assert [encode(r) for r in recordings] == [files[f"{i}.bs2"] for i in (1, 2, 10)]
        assert load_nmnist(place, limit=2)[1].tolist() == [5, 0]


def test_one_folder_per_class(tmp_path):
    for label in (0, 7):
        (tmp_path / "Train" / str(label)).mkdir(parents=True)
        (tmp_path / "Train" / str(label) / "00001.bin").write_bytes(encode(recording(label)))
    recordings, labels = load_nmnist(tmp_path)
    assert labels.tolist() == [0, 7]
    assert encode(recordings[1]) == encode(recording(7))


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match=r"must hold N-MNIST recordings: N\.bs2 files"):
        load_nmnist(tmp_path)
    with pytest.raises(DataError, match=r"^cannot read the recordings '.*': No such file"):
        load_nmnist(tmp_path / "none.tar.gz")
    (tmp_path / "bad.tar.gz").write_bytes(b"\x1f\x8bnonsense")
    with pytest.raises(DataError, match=r"must be a folder or a whole tar file: "):
        load_nmnist(tmp_path / "bad.tar.gz")


def test_what_looks_like_recordings(tmp_path):
    """Not a folder of other data with its archive beside it, such as CIFAR-10's."""
    folders = {name: tmp_path / name for name in ("packed", "classes", "cifar", "empty")}
    for folder in folders.values():
        folder.mkdir()
    for name in ("packed", "cifar"):
        write_archive(folders[name] / "data.tar.gz", {"1.bs2": b"12345"})
    (folders["cifar"] / "data_batch_1.bin").write_bytes(b"12345")
    (folders["classes"] / "3").mkdir()
    (folders["classes"] / "3" / "1.bin").write_bytes(b"12345")
    assert [name for name, folder in folders.items() if is_nmnist(folder)] == ["packed", "classes"]
    assert is_nmnist(folders["packed"] / "data.tar.gz")
    assert not is_nmnist(folders["cifar"] / "data_batch_1.bin")
