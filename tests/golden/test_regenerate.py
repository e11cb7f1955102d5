"""The committed golden folder: what its manifest says, and made again byte for byte."""

from __future__ import annotations

import importlib.util
import json
import platform
import shutil
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from oracle import Oracle

from neurocuda_hw.network.golden import read_manifest
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.neurons import LIF
from neurocuda_hw.network.trace import load_trace
from neurocuda_hw.reference.reference import Reference

FOLDER = Path(__file__).parents[2] / "golden"
NAMES = ["mnist_mlp", "mnist_cnn", "mixed"]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """golden/regenerate.py as a module."""
    spec = importlib.util.spec_from_file_location("regenerate", FOLDER / "regenerate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_manifest_vouches_for_every_file() -> None:
    entries = read_manifest(FOLDER)
    assert [entry.name for entry in entries] == NAMES
    listed = {entry.model for entry in entries} | {entry.trace for entry in entries}
    assert {p.name for p in FOLDER.iterdir() if p.suffix in (".pt", ".npz")} == listed


def test_is_small() -> None:
    assert sum(p.stat().st_size for p in FOLDER.glob("*.*")) < 500_000


@pytest.mark.parametrize("name", NAMES)
def test_traces_are_what_the_reference_does(name: str) -> None:
    network, golden = load(FOLDER / f"{name}.pt"), load_trace(FOLDER / f"{name}.npz")
    assert golden.to_bytes() == Reference(network).trace(golden.inputs).to_bytes()
    assert all(golden.counts(p.name).sum() > 0 for p in network.populations if p.spiking)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist_mlp", "mixed"])
def test_traces_are_what_the_oracle_does(name: str) -> None:
    network, golden = load(FOLDER / f"{name}.pt"), load_trace(FOLDER / f"{name}.npz")
    oracle = Oracle(network)
    for sample in range(1 if name == "mnist_mlp" else golden.samples):
        expected = oracle.run(golden.inputs[sample])
        assert golden.outputs[sample].tolist() == expected.outputs
        for population in golden.sizes:
            assert golden.bits(population, sample).tolist() == expected.spikes[population]


def test_mnist_networks_read_digits() -> None:
    with np.load(FOLDER.parent / "examples" / "data" / "mnist_sample.npz") as sample:
        labels = sample["y_test"]
    for name in ("mnist_mlp", "mnist_cnn"):
        outputs = load_trace(FOLDER / f"{name}.npz").outputs
        assert outputs.argmax(axis=1).tolist() == labels[: len(outputs)].tolist()


def test_mixed_network_has_what_the_others_lack() -> None:
    network = load(FOLDER / "mixed.pt")
    pools = [p.synapse.pool for p in network.projections if p.synapse.pool is not None]
    assert any(pool.stride != pool.kernel for pool in pools)
    assert any(p.delay for p in network.projections)
    assert any(isinstance(p.neuron, LIF) for p in network.populations)
    assert len(network.incoming("second")) == 2


@pytest.mark.slow
def test_regenerates_byte_for_byte(script: ModuleType, tmp_path: Path) -> None:
    for name in script.MNIST:
        shutil.copy(FOLDER / f"{name}.pt", tmp_path)
    script.regenerate(tmp_path)
    made_with = json.loads((FOLDER / "manifest.json").read_text())["versions"]
    here = {
        "torch": torch.__version__.partition("+")[0],
        "numpy": np.__version__,
        "python": platform.python_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
    }
    for path in sorted(tmp_path.iterdir()):
        golden = FOLDER / path.name
        if path.suffix == ".npz":
            assert load_trace(path).to_bytes() == load_trace(golden).to_bytes(), path.name
        if path.suffix == ".pt":
            assert load(path).hash == load(golden).hash, path.name
        if here == made_with:  # other versions may pack the same content in other bytes
            assert path.read_bytes() == golden.read_bytes(), path.name
    assert len(list(tmp_path.iterdir())) == 7
