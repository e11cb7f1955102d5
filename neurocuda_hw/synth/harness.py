"""A thin harness of four pins, so that neither pins nor the paths to them limit the clock.

Every input of the design comes from a register, and every output ends in one, as it does where the
design stands between two others. The registers are chains: shifted in on ``i``, folded out on
``o``, with one LUT between two of them at most.
"""

from __future__ import annotations

import re

from neurocuda_hw.ground.errors import ToolError

HARNESS = "nchw_timed"
DESIGN = "design"  # the instance: the first part of every name within it
PINS = ("clk", "rst", "i", "o")
_PORT = re.compile(
    r"^\s*(input|output)\s+(?:(?:wire|reg|logic)\s+)?(?:\[(\d+):0\]\s*)?(\w+)\s*[,;)]?", re.M
)


def ports(verilog: str, top: str) -> tuple[dict[str, int], dict[str, int]]:
    """Widths of the inputs and of the outputs of module `top`.

    Raises
    ------
    ToolError
        If it is not there.
    """
    found = re.search(rf"^module {top}\b.*?^endmodule", verilog, re.M | re.S)
    if found is None:
        raise ToolError(f"the Verilog must hold a module {top!r}; build the folder again")
    sides: dict[str, dict[str, int]] = {"input": {}, "output": {}}
    for side, high, name in _PORT.findall(found.group()):
        sides[side][name] = int(high or 0) + 1
    return sides["input"], sides["output"]


def harness(verilog: str, top: str) -> str:
    """Verilog of the harness `HARNESS` around module `top` of `verilog`."""
    inputs, outputs = ports(verilog, top)
    pairs = [".clk(clk)", ".rst(reset)"]
    sent = seen = 0
    for name, width in inputs.items():
        if name not in ("clk", "rst"):
            pairs.append(f".{name}(sent[{sent} +: {width}])")
            sent += width
    for name, width in outputs.items():
        pairs.append(f".{name}(found[{seen} +: {width}])")
        seen += width
    connected = ",\n    ".join(pairs)
    return f"""module {HARNESS}(input clk, input rst, input i, output o);
  reg reset;
  reg [{sent}:0] sent;
  reg [{seen - 1}:0] kept;
  reg [{seen}:0] folded;
  wire [{seen - 1}:0] found;
  assign o = folded[{seen}];
  always @(posedge clk) begin
    reset <= rst;
    sent <= {{sent, i}};
    kept <= found;
    folded <= {{folded ^ kept, sent[{sent}]}};
  end
  {top} {DESIGN}(
    {connected}
  );
endmodule
"""
