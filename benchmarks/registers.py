"""What the register block costs in LUTs and flip-flops by synth_xilinx, without and with counters.

    python -m benchmarks registers [MODEL]

The core is not part of it: it is the same file
with any register block and with none.
"""

from __future__ import annotations

import re
import tempfile
from argparse import Namespace
from pathlib import Path

from neurocuda_hw.ground.programs import require, run
from neurocuda_hw.ground.toolchain import find_yosys
from neurocuda_hw.network import Network
from neurocuda_hw.network.model_file import load
from neurocuda_hw.rtl.memory import RAM_VERILOG, MemoryFiles
from neurocuda_hw.rtl.registers import RegisterBlock
from neurocuda_hw.rtl.verilog import to_verilog

LUTS_OF_RAM = {"RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2}  # of a slice, as LUT RAM


def cost(network: Network, *, counters: bool) -> dict[str, float]:
    """Cells of one register block."""
    block = RegisterBlock(network, tdata_bits=32, counters=counters)
    with tempfile.TemporaryDirectory(prefix="nchw_") as name:
        folder = Path(name)
        (folder / "registers.v").write_bytes(to_verilog(block, "nchw_registers", MemoryFiles()))
        (folder / "ram.v").write_text(RAM_VERILOG)
        script = "read_verilog registers.v ram.v; synth_xilinx -flatten -top nchw_registers; stat"
        told = run(require(find_yosys()), ["-p", script], cwd=folder).stdout
    cells = told[told.rindex("Number of cells") :] if "Number of cells" in told else told
    found = re.findall(r"^\s+(\d+)\s+(?:[\d.]+\s+)?([A-Z]\w+)\s*$", cells, re.MULTILINE)
    counts = {kind: int(number) for number, kind in found}
    lut = sum(n for kind, n in counts.items() if re.fullmatch(r"LUT\d", kind))
    lut += sum(counts.get(kind, 0) * luts for kind, luts in LUTS_OF_RAM.items())
    flip_flops = sum(n for kind, n in counts.items() if kind.startswith("FD"))
    bram36 = counts.get("RAMB36E1", 0) + counts.get("RAMB18E1", 0) / 2
    return {"lut": lut, "flip_flops": flip_flops, "bram36": bram36}


def measure(given: Namespace) -> dict[str, object]:
    """Cells of the block with control alone, and with counters."""
    network = load(given.model)
    return {
        "network": network.name,
        "layers": len(network.targets),
        "control": cost(network, counters=False),
        "counters": cost(network, counters=True),
    }
