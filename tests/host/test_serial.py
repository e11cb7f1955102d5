"""The real host programs against the real Verilog on a simulated serial line, good and bad."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from host.noise import BadLine
from small import small_network
from tools import need

from neurocuda_hw.build import build
from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator
from neurocuda_hw.network import Network
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.trace import load_trace
from neurocuda_hw.simulation.serial import SerialDevice, serial_device
from neurocuda_hw.targets.built import the_build
from neurocuda_hw.targets.verilog import serial_files

ROOT = Path(__file__).parents[2]
FAST = ("--baud", "1000000")  # a simulation is not as slow as the line that it stands for


@dataclass(frozen=True)
class Case:
    """A build whose host program is compiled, and its device, which runs."""

    folder: Path
    device: SerialDevice

    def run(self, program: str, where: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Replays golden samples by the host program in Python or C."""
        host = self.folder / "host"
        if program == "C":
            command = [host / "nchw_host", "--golden", self.folder / "golden", "--serial", where]
        else:
            command = [sys.executable, host / "nchw_host.py", "--golden", "--tcp", where]
        return subprocess.run(
            [*command, *FAST, *more], capture_output=True, text=True, timeout=300, check=False
        )


def made(network: Network, inputs: np.ndarray, folder: Path) -> Path:
    """A build with its host program compiled."""
    build(network, folder, inputs=inputs)
    done = subprocess.run(
        ["make", "-C", str(folder / "host")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """The small network."""
    need(find_verilator(), find_compiler(), find_make())
    network = small_network()
    folder = made(network, default_inputs(network, 24), tmp_path_factory.mktemp("serial") / "build")
    with serial_device(*serial_files(the_build(folder))) as device:
        yield Case(folder=folder, device=device)


def test_the_program_in_python_finds_all_equal(case: Case) -> None:
    done = case.run("Python", case.device.where)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("24 samples equal")


@pytest.mark.parametrize("program", ["Python", "C"])
def test_a_bad_line_costs_time_and_nothing_else(case: Case, program: str) -> None:
    line = BadLine(case.device.where, seed=3, every=150, limit=60, terminal=program == "C")
    with line:
        done = case.run(program, line.where)
    assert (done.returncode, done.stderr) == (0, ""), line.told
    assert done.stdout.startswith("24 samples equal")
    assert len(line.faults) == 3, line.told


def test_a_reset_in_between_is_noticed_and_begun_anew(case: Case) -> None:
    stop = threading.Event()

    def press() -> None:
        while not stop.wait(0.3):
            os.kill(case.device.process.pid, signal.SIGUSR1)

    button = threading.Thread(target=press)
    button.start()
    try:
        done = case.run("Python", case.device.where)
    finally:
        stop.set()
        button.join()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("24 samples equal")
    assert not done.stdout.endswith("begun anew 0 times\n")


def test_a_wrong_answer_is_named(case: Case, tmp_path: Path) -> None:
    trace = load_trace(case.folder / "golden" / "trace.npz")
    outputs = trace.outputs.copy()
    outputs[5, 1] += 1
    (tmp_path / "golden").mkdir()
    (tmp_path / "host").mkdir()
    for path in (case.folder / "host").iterdir():
        (tmp_path / "host" / path.name).write_bytes(path.read_bytes())
    content = type(trace)(
        **{name: getattr(trace, name) for name in trace.__slots__} | {"outputs": outputs}
    ).to_bytes()
    (tmp_path / "golden" / "trace.npz").write_bytes(content)
    done = Case(folder=tmp_path, device=case.device).run("Python", case.device.where)
    want, got = outputs[5, 1], trace.outputs[5, 1]
    assert done.returncode == 1
    assert done.stdout == (f"first divergence: sample 5, output 1: expected {want}, got {got}\n")


def test_another_network_is_refused(case: Case, tmp_path: Path) -> None:
    other = tmp_path / "host"
    other.mkdir()
    (tmp_path / "golden").symlink_to(case.folder / "golden")
    for path in (case.folder / "host").iterdir():
        text = path.read_bytes().replace(small_network().hash.encode(), b"ab" * 32)
        (other / path.name).write_bytes(text)
    np.save(tmp_path / "x.npy", default_inputs(small_network(), 1))
    done = subprocess.run(
        [
            *(sys.executable, other / "nchw_host.py", "--tcp", case.device.where),
            *("--inputs", tmp_path / "x.npy"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"nchw_host: the device must hold network {'ab' * 6}, not {small_network().hash[:12]}; "
        "write the bitstream of this build to it\n"
    )


@pytest.mark.parametrize("program", ["Python", "C"])
def test_a_line_without_a_device_ends_in_time(case: Case, program: str) -> None:
    line = BadLine(case.device.where, seed=0, every=1, limit=10**9, terminal=program == "C")
    begun = time.monotonic()
    with line:
        done = case.run(program, line.where, "--patience", "1")
    assert done.returncode == 3
    assert "the device does not answer" in done.stderr
    assert time.monotonic() - begun < 20


@pytest.mark.slow
@pytest.mark.parametrize("program", ["Python", "C"])
def test_digits_come_right_through_200_faults(program: str, tmp_path: Path) -> None:
    need(find_verilator(), find_compiler(), find_make())
    network = load(ROOT / "golden" / "mnist_mlp.pt")
    sample = np.load(ROOT / "examples" / "data" / "mnist_sample.npz")
    images, labels = sample["x_test"][:50], sample["y_test"][:50]
    inputs = network.input.quantise(images.reshape(50, *network.input.shape) / images.max())
    folder = made(network, inputs, tmp_path / "build")
    outputs = load_trace(folder / "golden" / "trace.npz").outputs
    assert (outputs.argmax(1) == labels).sum() >= 45
    digits = 0
    with serial_device(*serial_files(the_build(folder))) as device:
        line = BadLine(device.where, seed=1, every=300, limit=200, terminal=program == "C")
        with line:
            while line.faults.total() < 200:
                done = Case(folder=folder, device=device).run(program, line.where)
                assert (done.returncode, done.stderr) == (0, ""), line.told
                digits += 50
                print(f"{program}: {done.stdout.strip()} ({line.told})")
    assert digits >= 20
