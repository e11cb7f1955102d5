"""The harness that takes pins out of the clock: it finds every port, and connects all."""

from __future__ import annotations

import pytest

from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.synth.harness import harness, ports

OLD = """module other(x);
  input [4:0] x;
endmodule
module top(clk, rst, a, data, ready);
  input clk;
  wire clk;
  input rst;
  input a;
  wire a;
  output [7:0] data;
  reg [7:0] data;
  output ready;
  wire [6:0] input_of_none;
endmodule
"""
NEW = """module top (
  input wire clk, // the clock
  input wire rst,
  input wire a,
  output reg [7:0] data,
  output wire ready
);
endmodule
"""


@pytest.mark.parametrize("verilog", [OLD, NEW])
def test_ports_of_the_module_in_both_styles(verilog: str) -> None:
    assert ports(verilog, "top") == ({"clk": 1, "rst": 1, "a": 1}, {"data": 8, "ready": 1})


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(ToolError, match=r"must hold a module 'none'; build the folder again"):
        ports(OLD, "none")


def test_every_port_has_bits_of_its_own() -> None:
    text = harness(OLD, "top")
    for connected in (".a(sent[0 +: 1])", ".data(found[0 +: 8])", ".ready(found[8 +: 1])"):
        assert connected in text
    assert "reg [1:0] sent;" in text
    assert "wire [8:0] found;" in text
