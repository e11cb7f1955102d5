"""``nchw run``: a build's network on a device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from host.networks import FakeDevice, refusal
from shell import Shell
from tools import need

from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator
from neurocuda_hw.host.nchw_host import Reason, read_facts
from neurocuda_hw.network.trace import Trace, load_trace


@pytest.fixture
def built(nchw: Shell) -> tuple[Shell, Trace]:
    """A build in ``build``, and its golden trace."""
    result = nchw("build", "network.pt", "--data", "data.npz", "--samples", 6, "-o", "build")
    assert result.code == 0, result.err
    return nchw, load_trace("build/golden/trace.npz")


def device_of(trace: Trace, **options: object) -> FakeDevice:
    """A device that speaks for the build."""
    facts = read_facts(Path("build/host/nchw_host.json"))
    return FakeDevice(facts, trace, **options)  # type: ignore[arg-type]


def test_golden_samples_and_data_run_on_the_device(built: tuple[Shell, Trace]) -> None:
    nchw, trace = built
    with device_of(trace) as device:
        result = nchw("run", "build", "--serial", device.where)
        assert (result.code, result.err) == (0, "")
        assert result.out == "6 samples of the golden trace: outputs equal.\n"
        result = nchw("run", "build", "--serial", device.where, "--golden", "--samples", 2)
        assert result.out == "2 samples of the golden trace: outputs equal.\n"
        more = ("--data", "data.npz", "--samples", 6, "--json")
        result = nchw("run", "build", "--serial", device.where, *more)
        assert result.code == 0
        assert (result.json["samples"], result.json["equal"]) == (6, True)
        assert 0 <= result.json["right"] <= 6


def test_the_first_wrong_output_is_named(built: tuple[Shell, Trace]) -> None:
    nchw, trace = built
    outputs = trace.outputs.copy()
    outputs[4, 2] -= 3
    wrong = Trace(
        network_hash=trace.network_hash,
        timesteps=trace.timesteps,
        sizes=trace.sizes,
        inputs=trace.inputs,
        spikes=trace.spikes,
        outputs=outputs,
    )
    with device_of(wrong) as device:
        result = nchw("run", "build", "--serial", device.where)
    assert result.code == 1
    want, got = trace.outputs[4, 2], outputs[4, 2]
    told = f"first divergence: sample 4, output 2: expected {want}, got {got}\n"
    assert result.out == told


def test_no_answer_is_exit_code_3(built: tuple[Shell, Trace]) -> None:
    nchw, trace = built
    with device_of(trace, harm=lambda request: refusal(Reason.HALF)) as device:
        result = nchw("run", "build", "--serial", device.where, "--patience", 0.2)
    assert result.code == 3
    assert result.err == "nchw: the device does not answer HELLO: the last answer was HALF\n"
    result = nchw("run", "build", "--tcp", "127.0.0.1:1")
    assert result.code == 3
    assert result.err.startswith("nchw: nothing listens at 127.0.0.1:1")


def test_wrong_usage_is_refused(built: tuple[Shell, Trace]) -> None:
    nchw, _ = built
    np.save("x.npy", np.zeros((1, 1, 6), np.int8))
    for arguments, complaint in (
        (["build"], "name the device by one of --serial, --tcp and --simulate"),
        (["build", "--tcp", "a:1", "--simulate"], "name the device by one of"),
        (["build", "--tcp", "here"], "--tcp must be HOST:PORT, not 'here'"),
        (
            ["build", "--tcp", "a:1", "--golden", "--inputs", "x.npy"],
            "--golden excludes --data and --inputs",
        ),
    ):
        result = nchw("run", *arguments)
        assert result.code == 2
        assert complaint in result.err
    Path("build/host/nchw_host.json").write_text("{}")
    result = nchw("run", "build", "--tcp", "127.0.0.1:1")
    assert result.code == 2
    assert "'build/host/nchw_host.json' must be what 'nchw build' wrote" in result.err


@pytest.mark.slow
def test_the_simulated_device_runs_the_folders_verilog(built: tuple[Shell, Trace]) -> None:
    need(find_verilator(), find_compiler(), find_make())
    nchw, _ = built
    result = nchw("run", "build", "--simulate")
    assert (result.code, result.out) == (0, "6 samples of the golden trace: outputs equal.\n")
    memory = next(Path("build/rtl/mem").glob("*.weight.mem"))
    memory.write_text("\n".join("0" * len(line) for line in memory.read_text().split()) + "\n")
    result = nchw("run", "build", "--simulate")
    assert result.code == 1
    assert result.out.startswith("first divergence: sample ")


def test_builds_have_the_bridge_where_it_is_asked_for(nchw: Shell) -> None:
    result = nchw("build", "network.pt", "--serial", 104, "-o", "build")
    assert result.code == 0
    assert {p.name for p in Path("build/serial").iterdir()} == {"nchw_serial.v", "nchw_bridge.v"}
    assert "== 7'h67" in Path("build/serial/nchw_bridge.v").read_text()  # 103, the last cycle
    result = nchw("build", "network.pt", "--target", "hls", "--serial", 104, "-o", "other")
    assert result.code == 2
    assert "--serial is for Verilog: --target verilog" in result.err
