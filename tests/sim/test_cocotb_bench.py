"""The cocotb bench on the hand-written design, whole and broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_design import tiny_design, tiny_network
from tools import need

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.toolchain import find_cocotb, find_compiler, find_verilator
from neurocuda_hw.project.build import write_folder
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import Design
from neurocuda_hw.targets.built import REPORT, head
from neurocuda_hw.targets.described import describe
from neurocuda_hw.targets.verilog import bench_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build folder with the hand-written design."""
    need(find_verilator(), find_compiler(), find_cocotb())
    network = tiny_network(spiking=True)
    trace = Reference(network).trace(default_inputs(network, 12))
    design = Design(files=tiny_design(network), tdata_bits=32, lanes={}, state_bits={})
    path = tmp_path_factory.mktemp("cocotb") / "build"
    report = head(network, "verilog") | describe(network, design)
    files = design.files | bench_of(network, trace, 32, design.bursts)
    write_folder(files | {REPORT: json.dumps(report).encode()}, path, network=network)
    return path


def bench(folder: Path, fault: str = "") -> subprocess.CompletedProcess[str]:
    network = tiny_network(spiking=True)
    content = tiny_design(network, fault)["rtl/mem/fault.mem"]
    (folder / "rtl" / "mem" / "fault.mem").write_bytes(content)
    return subprocess.run(
        [sys.executable, folder / "sim" / "run_cocotb.py"],
        env={**os.environ, "NCHW_COCOTB_SAMPLES": "12"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_right_design_passes(folder: Path) -> None:
    done = bench(folder)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("cocotb: 6 tests, 0 failed\n")
    assert "--public-flat-rw" not in done.stdout


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("hang", "no transfer for "),
        ("twice", "population 'a__b': neuron 0 fired twice"),
        ("extra_marker", "first divergence: sample "),
        ("no_tlast", "TLAST is 0 on output word or step of inference 0, which must be 1"),
        ("early_tlast", "TLAST is 1 on output word or step of inference 0, which must be 0"),
        ("bad_address", "population 'a__b': address 7 is of no neuron"),
        ("dirty_start", "first divergence: sample "),
    ],
)
def test_broken_design_fails(folder: Path, fault: str, message: str) -> None:
    done = bench(folder, fault)
    assert done.returncode == 1
    assert f"AssertionError: {message}" in done.stdout
