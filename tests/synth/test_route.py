"""The clock of a design: found by nextpnr between registers, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from small import SPIKES, chain
from tools import need

from neurocuda_hw.ground.errors import ModelError, ToolError
from neurocuda_hw.ground.toolchain import find_fpga, find_yosys
from neurocuda_hw.network import IF, Readout
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.passes.devices import DEVICES, Family, find_device
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.synth.route import NEXTPNR, as_plain, fmax, route, router, slowest


def tiny_files() -> dict[str, bytes]:
    rng = np.random.default_rng(5)
    network = chain(
        3,
        {"spikes": ((8,), SPIKES), "hidden": ((4,), IF(threshold=5)), "out": ((2,), Readout())},
        Dense(weight=rng.integers(-4, 4, (4, 8))),
        Dense(weight=rng.integers(-4, 4, (2, 4))),
    )
    return emit(network, {"hidden": 1, "out": 1}).files


@pytest.mark.slow
def test_a_small_design_is_routed_and_its_path_named() -> None:
    need(find_yosys(), find_fpga("nextpnr-ice40"))
    told: list[str] = []
    found = route(
        tiny_files(),
        find_device("ice40hx1k"),
        seeds=2,
        use_dsps=False,
        progress=lambda stage, done, total: told.append(stage),
    )
    assert len(found.mhz) == 2
    assert 30 < min(found.mhz) <= found.median <= max(found.mhz) < 300
    plain = as_plain(found)["critical_path"]
    longest = 1e3 / plain["ns"]
    assert min(found.mhz) - 1 < longest < max(found.mhz) + 1
    for end in (plain["from"], plain["to"]):
        assert "$" not in end
        assert end.startswith(("layer_", "packets"))
    assert told[-1] == "nextpnr-ice40, seed 2 of 2"


def test_parts_that_no_tool_here_can_time() -> None:
    with pytest.raises(ModelError) as error:
        router(find_device("xc7a35t"))
    assert str(error.value) == (
        "no open tool can time xc7a35t (Xilinx 7 series): --route is for Lattice ECP5, Lattice "
        "iCE40, Gowin LittleBee and Arora; time it in the vendor's tool"
    )
    assert error.value.exit_code == 2


def test_missing_router(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(ToolError, match=r"^nextpnr-ecp5 was not found; pip install") as error:
        router(find_device("lfe5u-25f"))
    assert error.value.exit_code == 3


def test_every_part_of_the_families_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurocuda_hw.synth.route.require", lambda tool: tool)
    for device in DEVICES:
        if device.family not in (Family.SERIES7, Family.ULTRASCALE_PLUS):
            assert router(device).name == NEXTPNR[device.family]


def test_only_paths_between_registers_limit_the_clock() -> None:
    def path(start: str, end: str, delay: float) -> dict[str, object]:
        ends = {"from": {"cell": "a_TRELLIS_FF_Q"}, "to": {"cell": "b_TRELLIS_FF_Q"}}
        return {"from": start, "to": end, "path": [{"type": "setup", "delay": delay, **ends}]}

    report = {
        "fmax": {"clk": {"achieved": 55.0}, "other": {"achieved": 66.0}},
        "critical_paths": [
            path("<async>", "posedge clk", 90.0),
            path("posedge clk", "posedge clk", 4.0),
            path("posedge clk", "<async>", 80.0),
        ],
    }

    class Plain:
        cell = register = staticmethod(lambda name: name[0])

    assert slowest(report, Plain()).logic == 4.0  # type: ignore[arg-type]
    assert fmax(report) == 55.0
