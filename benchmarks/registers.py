"""What the register block costs in LUTs and flip-flops by synth_xilinx, without and with counters.

    python benchmarks/registers.py [MODEL] [--json]

MODEL is golden/mnist_mlp.pt where none is named. The core is not part of it: it is the same file
with any register block and with none.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path

from neurocuda_hw.ground.programs import require, run
from neurocuda_hw.ground.toolchain import find_yosys
from neurocuda_hw.network import Network
from neurocuda_hw.network.model_file import load
from neurocuda_hw.rtl.memory import RAM_VERILOG, MemoryFiles
from neurocuda_hw.rtl.registers import RegisterBlock
from neurocuda_hw.rtl.verilog import to_verilog

MODEL = Path(__file__).parents[1] / "golden" / "mnist_mlp.pt"
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=MODEL)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    network = load(given.model)
    found = {
        "network": network.name,
        "layers": len(network.targets),
        "control": cost(network, counters=False),
        "counters": cost(network, counters=True),
    }
    if given.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{found['network']}, {found['layers']} layers: the register block alone")
    for kind in ("control", "counters"):
        cells = found[kind]
        lut, flip_flops, bram36 = cells["lut"], cells["flip_flops"], cells["bram36"]
        print(f"  --registers {kind:8}  {lut:5} LUT  {flip_flops:5} FF  {bram36} BRAM36")


if __name__ == "__main__":
    main()
