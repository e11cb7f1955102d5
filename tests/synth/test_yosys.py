"""Synthesis of an emitted design, of damaged Verilog, and without yosys."""

from __future__ import annotations

import numpy as np
import pytest
from small import SPIKES, chain
from tools import need

from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.programs import Tool, run
from neurocuda_hw.ground.toolchain import find_yosys
from neurocuda_hw.network import IF, Network, Readout
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.passes.area import network_area, total
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.rtl.emit import emit, plan_network
from neurocuda_hw.synth import synthesise


def network() -> Network:
    """Spikes (64,) to 16 to 4 neurons."""
    rng = np.random.default_rng(2)
    threshold = rng.integers(20, 60, 16)
    return chain(
        4,
        {
            "spikes": ((64,), SPIKES),
            "hidden": ((16,), IF(threshold=threshold, bias=1)),
            "out": ((4,), Readout()),
        },
        Dense(weight=rng.integers(-128, 128, (16, 64))),
        Dense(weight=rng.integers(-8, 8, (4, 16))),
        name="tiny",
    )


@pytest.mark.slow
def test_area_of_a_design_is_near_its_prediction() -> None:
    need(find_yosys())
    lanes = {"hidden": 8, "out": 2}
    told: list[tuple[str, int, int]] = []
    area = synthesise(
        emit(network(), lanes).files,
        Family.SERIES7,
        progress=lambda stage, done, of: told.append((stage, done, of)),
    )
    predicted = total(network_area(network(), plan_network(network(), lanes), Family.SERIES7))
    assert area.blocks == predicted.blocks
    assert area.dsps == predicted.dsps == 0
    assert area.luts == pytest.approx(predicted.luts, rel=0.25)
    assert area.flipflops > 100
    assert told[-1][0] == "yosys"
    assert told[-1][1] == told[-1][2]
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_damaged_verilog_is_told_with_what_yosys_said() -> None:
    need(find_yosys())
    with pytest.raises(ToolError) as error:
        synthesise({"rtl/nchw_top.v": b"module nchw_top(input a; endmodule"}, Family.SERIES7)
    assert str(error.value).startswith("yosys (synthesis) failed with exit code 1:\n")
    assert "syntax error" in str(error.value)


def test_no_verilog_at_all() -> None:
    with pytest.raises(ToolError) as error:
        synthesise({"rtl/mem/a.mem": b"0\n"}, Family.ECP5)
    assert str(error.value) == "synthesis needs Verilog; these files hold none"


def test_without_yosys(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Tool(name="yosys", problem="yosys was not found; install it")
    monkeypatch.setattr("neurocuda_hw.synth.yosys.find_yosys", lambda: missing)
    with pytest.raises(ToolError) as error:
        synthesise({"rtl/a.v": b"module a; endmodule"}, Family.ICE40)
    assert str(error.value) == "yosys was not found; install it"


def test_lines_of_a_long_run_arrive_as_they_are_printed() -> None:
    lines: list[str] = []
    shell = Tool(name="sh", command=("sh", "-c"))
    run(shell, ["echo one; echo two >&2"], on_line=lines.append)
    assert sorted(lines) == ["one\n", "two\n"]
    with pytest.raises(ToolError) as error:
        run(shell, ["echo lost; exit 4"], what="test")
    assert str(error.value) == "sh (test) failed with exit code 4:\nlost"
