"""A design after synthesis: a netlist of a family's cells, and models of them to run it with.

Models of logic, registers and small memories are yosys' own, and all of iCE40's are. Block memories
and multipliers of the others, which yosys does not describe, are in ``models/``, a file each. The
spike taps are kept as wires of the netlist, so that every layer can be compared: of what is placed
on a device it differs in the gates that make them. ECP5's has the registers where `absorb` puts
them.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.programs import run
from neurocuda_hw.ground.toolchain import find_yosys, yosys_share
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.synth.absorb import absorb
from neurocuda_hw.synth.yosys import synthesised

_MODELS = Path(__file__).parent / "models"
_BLOCK = "nchw_block"  # what the block memories are made of
_LIBRARY = {
    Family.ICE40: ("ice40/cells_sim.v",),
    Family.ECP5: ("ecp5/common_sim.vh", "ecp5/ccu2c_sim.vh", "ecp5/cells_sim.v"),
    Family.SERIES7: ("xilinx/cells_sim.v",),
}
_KEEP_TAPS = "setattr -set keep 1 {top}/w:tap_*"
_MODULE = re.compile(r"^module\s+(\w+).*?^endmodule", re.MULTILINE | re.DOTALL)
_SPECIFY = re.compile(r"^\s*specify\b.*?\bendspecify", re.MULTILINE | re.DOTALL)
# cells are left without what they have no use for, and their models are others' style
_WAIVERS = "".join(
    f"/* verilator lint_off {rule} */\n"
    for rule in (
        *("PINMISSING", "WIDTHEXPAND", "WIDTHTRUNC", "MULTIDRIVEN", "INITIALDLY", "TIMESCALEMOD"),
        *("CASEINCOMPLETE", "UNOPTFLAT", "UNSIGNED", "CMPCONST", "BLKSEQ", "PROCASSINIT"),
    )
)


def make_netlist(
    files: Mapping[str, bytes], family: Family, *, top: str = "nchw_top"
) -> dict[str, bytes]:
    """The netlist of a design, and models of its cells: what `simulation` runs in its place.

    Parameters
    ----------
    files : mapping of str to bytes
        ``rtl/*.v`` and ``rtl/mem/*.mem``; others are left out.

    Raises
    ------
    ToolError
        If yosys is missing or fails, has no models, or leaves a cell that has none.
    """
    left = synthesised(
        files,
        family,
        top=top,
        before=_KEEP_TAPS.format(top=top),
        after="write_json netlist.json",
        keep="netlist.json",
    )
    if family is Family.ECP5:
        netlist = json.loads(left)
        absorb(netlist, top)
        left = json.dumps(netlist).encode()
    text = _verilog(left)
    return {
        f"rtl/{top}.v": (_WAIVERS + text).encode(),
        "rtl/cells.v": (_WAIVERS + models(text, family)).encode(),
    }


def _verilog(netlist: bytes) -> str:
    """yosys' JSON as Verilog."""
    with tempfile.TemporaryDirectory(prefix="nchw_netlist_") as name:
        folder = Path(name)
        (folder / "netlist.json").write_bytes(netlist)
        script = "read_json netlist.json; write_verilog -noattr -noexpr netlist.v"
        run(find_yosys(), ["-q", "-p", script], cwd=folder, what="writing the netlist")
        return (folder / "netlist.v").read_text()


def models(netlist: str, family: Family) -> str:
    """The models of the cells in a netlist; those that they are made of, too."""
    found, missing = {}, _cells(netlist)
    head, library = _library(family)
    while missing:
        name = missing.pop()
        if name in found:
            continue
        own = _MODELS / f"{name}.v"
        text = own.read_text() if own.is_file() else library.get(name)
        if text is None:
            raise ToolError(f"there is no model of cell {name} of {family.value} to simulate with")
        found[name] = text
        missing |= {other for other in (*library, _BLOCK) if re.search(rf"\b{other}\s+#?\(", text)}
        missing |= {
            other for other in library if re.search(rf"^\s*{other}\s+#", text, re.MULTILINE)
        }
    return "\n".join([*head, *(found[name] for name in sorted(found)), ""])


def _cells(netlist: str) -> set[str]:
    """The types of the instances in a netlist that yosys wrote."""
    return set(re.findall(r"^  (\w+) (?:#\(|\S+ +\($)", netlist, re.MULTILINE)) - {"module"}


def _library(family: Family) -> tuple[list[str], dict[str, str]]:
    """yosys' models of a family, by name, and the macros before them."""
    share = yosys_share(find_yosys())
    if family not in _LIBRARY or share is None:
        raise ToolError(
            f"netlists are of {', '.join(f.value for f in _LIBRARY)} and need yosys' own models; "
            "pip install 'neurocuda_hw[synth]'"
        )
    texts = [(share / path).read_text() for path in _LIBRARY[family] if (share / path).is_file()]
    before = texts[0].split("\nmodule ")[0].splitlines() if texts else []
    head = [line for line in before if line.startswith("`") and "include" not in line]
    return head, {m[1]: _SPECIFY.sub("", m[0]) for text in texts for m in _MODULE.finditer(text)}
