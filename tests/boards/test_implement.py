"""A bitstream is made at a clock that is met, or not at all; small designs, or tools that act."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from synth.test_route import tiny_files
from tools import need

from neurocuda_hw.boards import implement as module
from neurocuda_hw.boards.implement import divisor_of, implement
from neurocuda_hw.boards.table import boards_of
from neurocuda_hw.ground.errors import ModelError, ToolError
from neurocuda_hw.ground.programs import Tool
from neurocuda_hw.ground.toolchain import find_fpga, find_yosys
from neurocuda_hw.passes.devices import Family

BOARD = boards_of(Family.ICE40)["upduino"]
PATH = [
    {"type": "clk-to-q", "delay": 20.0, "from": {"cell": "a.x"}, "to": {"cell": "a.x"}},
    {"type": "setup", "delay": 20.0, "from": {"cell": "b.y"}, "to": {"cell": "b.y"}},
]


class Acting:
    """Tools that leave what real ones do; the router meets `met` MHz, in turn."""

    def __init__(self, *met: float) -> None:
        self.met, self.asked = list(met), []

    def __call__(self, tool: Tool, arguments: Sequence[str], *, cwd: Path, **how: Any) -> None:
        if tool.name == "yosys":
            (cwd / "netlist.json").write_text(
                json.dumps({"modules": {"board": {"cells": {}, "netnames": {}}}})
            )
        elif tool.name.startswith("nextpnr"):
            self.asked.append(float(arguments[arguments.index("--freq") + 1]))
            report = {
                "fmax": {"core_clk": {"achieved": self.met.pop(0), "constraint": 1}},
                "critical_paths": [{"from": "posedge c", "to": "posedge c", "path": PATH}],
                "utilization": {"LC": {"used": 3, "available": 9}, "PLL": {"used": 0}},
            }
            (cwd / "timing.json").write_text(json.dumps(report))
        else:
            (cwd / "nchw.bin").write_bytes(b"bits")


@pytest.fixture
def acting(monkeypatch: pytest.MonkeyPatch) -> Any:
    def act(*met: float) -> Acting:
        tools = Acting(*met)
        monkeypatch.setattr(module, "run", tools)
        names = ("yosys", "nextpnr-ice40", "icepack")
        monkeypatch.setattr(module, "tools_of", lambda of: [Tool(name=name) for name in names])
        return tools

    return act


def serial(divisor: int) -> dict[str, bytes]:
    return {"serial/nchw_serial.v": f"// {divisor}".encode()}


def test_a_clock_that_is_not_met_is_lowered_to_one_that_is(acting: Any) -> None:
    tools = acting(26.0, 24.9, 30.0)
    made = implement({}, serial, BOARD)
    assert tools.asked == [99.0, pytest.approx(25.125), pytest.approx(23.25)]
    facts = made.facts
    assert (facts["mhz"], facts["routed_mhz"]) == (23.25, 30.0)
    assert facts["critical_path"] == ["a: x", "b: y"]
    assert facts["utilization"] == {"LC": [3, 9]}
    assert made.files["serial/nchw_serial.v"] == b"// 202"  # 23.25 MHz / 115200 baud
    assert made.files["board/nchw.bin"] == b"bits"
    assert set(made.files) == {
        "serial/nchw_serial.v",
        *(f"board/{name}" for name in ("nchw.bin", "top.v", "pins.pcf", "Makefile")),
    }


def test_a_clock_that_was_asked_for_is_met_or_refused(acting: Any) -> None:
    acting(26.0)
    with pytest.raises(ModelError) as error:
        implement({}, serial, BOARD, clock=30.0)
    assert str(error.value) == (
        "upduino does not keep 30.0 MHz: it takes 26.0 MHz, limited by a: x -> b: y; give "
        "--clock 26, or leave --clock out"
    )
    acting(31.0)
    assert implement({}, serial, BOARD, clock=30.0).facts["mhz"] == 30.0


def test_a_clock_that_no_pll_makes(acting: Any) -> None:
    acting()
    with pytest.raises(ModelError, match=r"must be one that its 12 MHz can make, not 5.0 MHz"):
        implement({}, serial, BOARD, clock=5.0)


@pytest.mark.parametrize(
    ("mhz", "baud", "divisor"), [(50, 115_200, 434), (12, 3_000_000, 4), (24, 400, 60_000)]
)
def test_a_bit_lasts_a_whole_number_of_cycles(mhz: float, baud: int, divisor: int) -> None:
    assert divisor_of(mhz, baud) == divisor


@pytest.mark.parametrize(("mhz", "baud"), [(100, 300), (12, 4_000_000), (12, 2_700_000)])
def test_rates_that_the_clock_does_not_divide_to(mhz: float, baud: int) -> None:
    with pytest.raises(ModelError, match=rf"^baud must be a rate that {mhz} MHz divides to, such"):
        divisor_of(mhz, baud)


def test_missing_tool_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = Tool(name="icepack", problem="none; get it")
    monkeypatch.setattr(module, "tools_of", lambda of: [Tool(name="yosys"), lacking])
    monkeypatch.setattr(module, "run", lambda *given, **how: pytest.fail("nothing may run"))
    with pytest.raises(ToolError, match=r"^none; get it$") as error:
        implement({}, serial, BOARD)
    assert error.value.exit_code == 3


@pytest.mark.slow
def test_a_real_bitstream_of_a_tiny_design() -> None:
    need(find_yosys(), find_fpga("nextpnr-ice40"), find_fpga("icepack"))
    stand_in = b"""module nchw_serial(input clk, rst, rx, output reg tx);
  wire [31:0] out;
  always @(posedge clk) tx <= ^out;
  nchw_top network(.clk(clk), .rst(rst), .s_axis_tdata({32{rx}}), .s_axis_tkeep(4'hf),
    .s_axis_tlast(rx), .s_axis_tvalid(rx), .m_axis_tdata(out), .m_axis_tready(1'b1));
endmodule
"""
    made = implement(
        tiny_files(), lambda divisor: {"serial/nchw_serial.v": stand_in}, BOARD, clock=12.0
    )
    assert made.files["board/nchw.bin"][:2] == b"\xff\x00"  # how an iCE40 bitstream begins
    assert len(made.files["board/nchw.bin"]) > 100_000
    assert made.facts["routed_mhz"] >= made.facts["mhz"] == 12
    assert made.facts["utilization"]["ICESTORM_LC"][0] > 100
