"""Yosys' own SAT solver on assertions in Verilog."""

from __future__ import annotations

from pathlib import Path

from neurocuda_hw.ground.programs import require, run
from neurocuda_hw.ground.toolchain import find_yosys, parse_version

_LOWERS = (0, 38)  # from then on assertions are cells that have to be lowered


def prove(folder: Path, top: str, sat: str) -> str:
    """Runs the solver on the Verilog of `folder`; raises ToolError where something fails."""
    yosys = require(find_yosys())
    lower = "chformal -lower; " if parse_version(yosys.version) >= _LOWERS else ""
    script = (
        f"read_verilog -formal -sv *.v; prep -flatten -top {top}; memory_map; opt -full; "
        f"async2sync; {lower}opt_clean; sat {sat} -prove-asserts -set-assumes -verify"
    )
    return run(yosys, ["-p", script], cwd=folder).stdout
