from __future__ import annotations

import json
from pathlib import Path

import pytest
from small import small_network

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network.golden import Entry, manifest_bytes, read_manifest
from neurocuda_hw.network.model_file import save
from neurocuda_hw.reference.reference import Reference

ENTRY = Entry(name="small", model="small.pt", trace="small.npz")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = small_network()
    save(network, tmp_path / "small.pt")
    trace = Reference(network).trace(default_inputs(network, 3))
    (tmp_path / "small.npz").write_bytes(trace.to_bytes())
    content = manifest_bytes(tmp_path, [ENTRY], command="make golden")
    (tmp_path / "manifest.json").write_bytes(content)
    return tmp_path


def test_manifest_is_read_back(folder: Path) -> None:
    assert read_manifest(folder) == [ENTRY]
    assert json.loads((folder / "manifest.json").read_text())["command"] == "make golden"


@pytest.mark.parametrize("file", ["small.pt", "small.npz"])
def test_altered_file(folder: Path, file: str) -> None:
    content = bytearray((folder / file).read_bytes())
    content[100] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(ModelError) as error:
        read_manifest(folder)
    assert str(error.value).startswith(f"golden file '{folder / file}' must have the sha256 ")
    assert str(error.value).endswith("; make the golden folder again")


@pytest.mark.parametrize("file", ["small.pt", "manifest.json"])
def test_missing_file(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(ModelError) as error:
        read_manifest(folder)
    assert str(error.value) == f"golden folder '{folder}' lacks the file '{folder / file}'"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": "neurocuda_hw.golden", "version": 2, "entries": []}',
        '{"format": "neurocuda_hw.golden", "version": 1, "entries": [{"name": "a"}]}',
        '{"format": "neurocuda_hw.golden", "version": 1, "entries": 3}',
    ],
)
def test_damaged_manifest(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ModelError) as error:
        read_manifest(folder)
    assert str(error.value).startswith(
        f"'{folder / 'manifest.json'}' must be a manifest of golden traces ("
    )
    assert str(error.value).endswith("; make it again")


def test_empty_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(manifest_bytes(folder, []))
    with pytest.raises(ModelError) as error:
        read_manifest(folder)
    assert str(error.value) == (
        f"'{folder / 'manifest.json'}' must list at least one golden trace, not none"
    )
