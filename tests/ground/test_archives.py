"""Archives that claim to be larger than is read are refused before memory is taken."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from small import small_network

from neurocuda_hw.commands.stimuli import read_array
from neurocuda_hw.conversion.trained import load_trained
from neurocuda_hw.data import datasets
from neurocuda_hw.data.labelled import load_recordings
from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground import archives
from neurocuda_hw.ground.archives import gunzipped, read_npy, read_npz
from neurocuda_hw.ground.errors import NeurocudaError
from neurocuda_hw.network.model_file import load, load_plain, save
from neurocuda_hw.network.trace import load_trace
from neurocuda_hw.nir import hdf5
from neurocuda_hw.reference.reference import Reference

MIB = 2**20


@pytest.fixture(autouse=True)
def _limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small limit, so that no test needs a large file."""
    assert archives.LARGEST_BYTES == hdf5.LARGEST_BYTES
    monkeypatch.setattr(archives, "LARGEST_BYTES", 2 * MIB)


def _zipped(path: Path, member: str = "x.npy") -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((4, MIB), dtype=np.uint8))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, buffer.getvalue())


def _tarred(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("0/a.bin")
        info.size = 4 * MIB
        archive.addfile(info, io.BytesIO(bytes(4 * MIB)))


@pytest.mark.parametrize(
    ("name", "write", "read"),
    [
        ("t.npz", _zipped, load_trace),
        ("x.npz", _zipped, lambda path: read_array(str(path))),
        ("d.npz", _zipped, datasets.load),
        ("n.pt", lambda path: _zipped(path, "n/data.pkl"), load),
        ("m.pt2", lambda path: _zipped(path, "m/models/model.json"), load_trained),
        ("e.tar.gz", _tarred, load_recordings),
        ("b.bin.gz", lambda p: p.write_bytes(gzip.compress(bytes(4 * MIB))), datasets.load),
    ],
)
def test_no_reader_expands_more_than_the_limit(
    tmp_path: Path, name: str, write: Callable[[Path], None], read: Callable[[Path], object]
) -> None:
    write(tmp_path / name)
    assert (tmp_path / name).stat().st_size < MIB // 8
    tracemalloc.start()
    try:
        with pytest.raises(NeurocudaError, match=r"expands to [34] MiB, and at most 2 MiB are"):
            read(tmp_path / name)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < (34 * MIB if name.endswith(".bin.gz") else 2 * MIB)  # which is read in pieces


def test_a_file_that_is_itself_large_is_read(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(MIB)}, tmp_path / "w.pt")
    assert load_plain(tmp_path / "w.pt")["w"].numel() == MIB


def test_an_array_that_claims_more_than_it_holds() -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<i8", "fortran_order": False, "shape": (10**9,)}
    )
    with pytest.raises(ValueError, match=r"of int64 must be 8,000,000,000 bytes, not 3$"):
        read_npy(buffer.getvalue() + b"abc")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.npy", buffer.getvalue())
    with pytest.raises(ValueError, match=r"8,000,000,000 bytes, not 0$"):
        read_npz(packed.getvalue(), ["x"])


def test_a_tensor_that_claims_more_than_it_holds(tmp_path: Path) -> None:
    network = small_network()
    save(network, tmp_path / "n.pt")
    content = torch.load(tmp_path / "n.pt", weights_only=True)
    weight = content["network"]["projections"][0]["synapse"]["weight"]
    one = weight[:1, :1, :1, :1].clone()
    content["network"]["projections"][0]["synapse"]["weight"] = one.expand(weight.shape)
    torch.save(content, tmp_path / "n.pt")
    with pytest.raises(NeurocudaError, match=r"a tensor claims more values than it holds"):
        load(tmp_path / "n.pt")


def test_small_integers_stay_small_and_membranes_may_stay_in_the_file(tmp_path: Path) -> None:
    network = small_network()
    trace = Reference(network).trace(default_inputs(network, 4), membranes=True)
    (tmp_path / "t.npz").write_bytes(trace.to_bytes())
    read = load_trace(tmp_path / "t.npz", membranes=False)
    assert (read.inputs.dtype, read.membranes) == (np.int8, {})
    assert Reference(network).trace(read.inputs).inputs.dtype == np.int8
    whole = load_trace(tmp_path / "t.npz")
    assert {name: array.dtype.itemsize <= 2 for name, array in whole.membranes.items()} == {
        "conv": True,
        "hidden": True,
    }
    assert whole.to_bytes() == trace.to_bytes()


def test_gzip_of_two_members() -> None:
    assert gunzipped(gzip.compress(b"ab") + gzip.compress(b"c")) == b"abc"
