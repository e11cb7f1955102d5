#!/usr/bin/env bash
# yosys 0.70 refuses `(* rom_style = "distributed" *)`, which Vivado documents, on any ROM: it looks
# for a distributed RAM cell, and its libraries prune those for ROMs. `rom_style = "logic"`, which
# Vivado does not know, gives what is meant: look-up tables. A RAM takes "distributed" well.
# Prints:
#   pyosys 0.70
#   rom block: 1 RAMB36E2, 0 LUT
#   rom distributed: ERROR: no valid mapping found for memory t.words
#   rom logic: 0 RAMB36E2, 256 LUT
#   ram distributed: 0 RAMB36E2, 40 RAM64M8
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet pyosys==0.70
cd "$place"
venv/bin/python - <<'PY'
import importlib.metadata
import random
import subprocess
import sys

print("pyosys", importlib.metadata.version("pyosys"))
draw = random.Random(1)
with open("w.mem", "w") as file:
    file.writelines(f"{draw.getrandbits(64):016x}\n" for _ in range(144))
ROM = """module t(input clk, input [7:0] a, output reg [63:0] d);
    (* rom_style = "STYLE" *) reg [63:0] words [0:143];
    initial $readmemh("w.mem", words);
    always @(posedge clk) d <= words[a];
endmodule
"""
RAM = """module t(input clk, input w, input [7:0] b, input [63:0] e, input [7:0] a, output reg [63:0] d);
    (* ram_style = "STYLE" *) reg [63:0] words [0:255];
    always @(posedge clk) begin
        if (w) words[b] <= e;
        d <= words[a];
    end
endmodule
"""
RUN = """
import sys
from pyosys import libyosys
design = libyosys.Design()
libyosys.run_pass("read_verilog t.v", design)
libyosys.run_pass("synth_xilinx -family xcup -noiopad -top t", design)
libyosys.run_pass("tee -q -o stat.txt stat", design)
"""


def made(text, style):
    """Cells of a memory, or what yosys says of it."""
    open("t.v", "w").write(text.replace("STYLE", style))
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True)
    if done.returncode:
        return next(line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line)
    cells = {}
    for words in map(str.split, open("stat.txt")):
        if len(words) == 2 and words[0].isdigit():
            cells[words[1]] = int(words[0])
    if text is RAM:
        return f"{cells.get('RAMB36E2', 0)} RAMB36E2, {cells.get('RAM64M8', 0)} RAM64M8"
    luts = sum(n for cell, n in cells.items() if cell.startswith("LUT"))
    return f"{cells.get('RAMB36E2', 0)} RAMB36E2, {luts} LUT"


seen = [made(ROM, "block"), made(ROM, "distributed"), made(ROM, "logic"), made(RAM, "distributed")]
for name, what in zip(("rom block", "rom distributed", "rom logic", "ram distributed"), seen):
    print(f"{name}: {what}")
assert seen == [
    "1 RAMB36E2, 0 LUT",
    "ERROR: no valid mapping found for memory t.words",
    "0 RAMB36E2, 256 LUT",
    "0 RAMB36E2, 40 RAM64M8",
], seen
PY
