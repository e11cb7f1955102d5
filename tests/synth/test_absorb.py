"""Registers that go into block memories and multipliers of ECP5, and those that must not."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from neurocuda_hw.passes.devices import Family
from neurocuda_hw.synth import synthesise
from neurocuda_hw.synth.absorb import absorb

PLAIN = {"CEMUX": "1 ", "CLKMUX": "CLK", "GSR": "DISABLED", "LSRMUX": "LSR", "REGSET": "RESET"}
CLOCK = 2


def cell(kind: str, outputs: dict[str, Any], inputs: dict[str, Any], **parameters: str) -> Any:
    """A cell as yosys writes it."""
    sides = dict.fromkeys(outputs, "output") | dict.fromkeys(inputs, "input")
    pins = {port: [bit] for port, bit in (outputs | inputs).items()}
    return {
        "type": kind,
        "parameters": parameters,
        "port_directions": sides,
        "connections": pins,
    }


def register(given: Any, out: Any, **pins: Any) -> Any:
    """A plain flip-flop, unless `pins` say otherwise."""
    inputs = {"CLK": CLOCK, "DI": given, "LSR": "0"} | pins
    return cell("TRELLIS_FF", {"Q": out}, inputs, **PLAIN)


def design() -> dict[str, Any]:
    """Memory -> two registers -> two multipliers that share one of them on side A."""
    memory = cell(
        "DP16KD",
        {"DOA0": 10, "DOA1": 11},
        {"CLKA": CLOCK, "OCEA": "1", "CLKB": "0", "OCEB": "0"},
        DATA_WIDTH_A="10010",
        DATA_WIDTH_B="10010",
        REGMODE_A="NOREG",
        REGMODE_B="NOREG",
    )
    cells = {"memory": memory, "one": register(10, 20), "two": register(11, 21)}
    cells |= {"a": register(20, 30), "b": register(21, 31), "c": register(21, 32)}
    for name, other in (("first", 31), ("second", 32)):
        cells[name] = cell(
            "MULT18X18D", {"P0": 40}, {"A0": 30, "A1": "0", "B0": other, "B1": other}
        )
    return {"modules": {"top": {"cells": cells, "ports": {"o": {"bits": [50]}}}}}


def left(netlist: dict[str, Any]) -> set[str]:
    """The flip-flops that are still there."""
    cells = netlist["modules"]["top"]["cells"]
    return {name for name, c in cells.items() if c["type"] == "TRELLIS_FF"}


def test_plain_registers_go_in() -> None:
    netlist = design()
    assert absorb(netlist, "top") == 5
    cells = netlist["modules"]["top"]["cells"]
    assert not left(netlist)
    memory = cells["memory"]
    assert (memory["parameters"]["REGMODE_A"], memory["parameters"]["REGMODE_B"]) == (
        "OUTREG",
        "NOREG",
    )
    assert (memory["connections"]["DOA0"], memory["connections"]["DOA1"]) == ([20], [21])
    for name in ("first", "second"):
        pins = cells[name]["connections"]
        assert (pins["A0"], pins["A1"], pins["B0"], pins["B1"]) == ([20], ["0"], [21], [21])
        assert (pins["CLK0"], pins["CE0"], pins["RST0"]) == ([CLOCK], ["1"], ["0"])
        assert cells[name]["parameters"]["REG_INPUTA_CLK"] == "CLK0"


@pytest.mark.parametrize(
    ("name", "pins", "parameters"),
    [
        ("one", {"CE": 7}, {"CEMUX": "CE"}),
        ("one", {"LSR": 7}, {}),
        ("one", {"CLK": 3}, {}),
        ("one", {}, {"CLKMUX": "INV"}),
        ("one", {}, {"REGSET": "SET"}),
        ("a", {"LSR": 7}, {}),
        ("b", {"CE": 7}, {"CEMUX": "CE"}),
    ],
)
def test_others_stay(name: str, pins: dict[str, Any], parameters: dict[str, str]) -> None:
    netlist = design()
    cells = netlist["modules"]["top"]["cells"]
    own = cells[name]["connections"]
    cells[name] = register(own["DI"][0], own["Q"][0], **pins)
    cells[name]["parameters"] |= parameters
    absorb(netlist, "top")
    assert left(netlist) == {"one": {"one", "two"}, "a": {"a"}, "b": {"b"}}[name]


def test_a_register_that_is_read_elsewhere_stays() -> None:
    netlist = design()
    module = netlist["modules"]["top"]
    module["ports"]["o"]["bits"] = [30]
    absorb(netlist, "top")
    assert left(netlist) == {"a"}  # both multipliers share it
    netlist = design()
    netlist["modules"]["top"]["ports"]["o"]["bits"] = [10]
    absorb(netlist, "top")
    assert left(netlist) == {"one", "two"}


def test_words_of_both_ports_stay() -> None:
    netlist = design()
    netlist["modules"]["top"]["cells"]["memory"]["parameters"]["DATA_WIDTH_A"] = "100100"
    before = copy.deepcopy(netlist["modules"]["top"]["cells"]["memory"])
    absorb(netlist, "top")
    assert netlist["modules"]["top"]["cells"]["memory"] == before


VERILOG = """
module top(input clk, input [10:0] at, input [7:0] by, output reg [16:0] sum);
    reg [8:0] words [0:2047];
    initial $readmemh("words.mem", words);
    reg [8:0] read, word, factor;
    reg [7:0] other;
    wire signed [16:0] product = $signed(factor) * $signed(other);
    always @(posedge clk) begin
        read <= words[at];
        word <= read;
        factor <= word ^ 9'h155;
        other <= by;
        sum <= sum + product;
    end
endmodule
"""


@pytest.mark.slow
def test_what_yosys_makes(tmp_path: Path) -> None:
    words = "\n".join(f"{n * 37 & 511:x}" for n in range(2048))
    files = {"rtl/top.v": VERILOG.encode(), "rtl/mem/words.mem": words.encode()}
    netlist = tmp_path / "netlist.json"
    synthesise(files, Family.ECP5, top="top", netlist=netlist)
    cells = json.loads(netlist.read_text())["modules"]["top"]["cells"].values()
    kinds = Counter(c["type"] for c in cells)
    assert (kinds["DP16KD"], kinds["MULT18X18D"], kinds["TRELLIS_FF"]) == (1, 1, 17)
    (memory,) = (c for c in cells if c["type"] == "DP16KD")
    assert "OUTREG" in (memory["parameters"]["REGMODE_A"], memory["parameters"]["REGMODE_B"])
