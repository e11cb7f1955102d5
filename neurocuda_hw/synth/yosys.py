"""Runs yosys on a design: the Verilog and memory files of an emitter, in a folder of their own."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from neurocuda_hw.ground.errors import OutputError, ToolError
from neurocuda_hw.ground.programs import run
from neurocuda_hw.ground.toolchain import find_yosys
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.synth.area import Area, count_cells

Progress = Callable[[str, int, int], None]

_COMMANDS = {
    Family.SERIES7: "synth_xilinx -family xc7 -noiopad",
    Family.ULTRASCALE_PLUS: "synth_xilinx -family xcup -noiopad",
    Family.ECP5: "synth_ecp5",
    Family.ICE40: "synth_ice40",
    Family.GOWIN: "synth_gowin -family gw1n -setundef",
}
_PASS = re.compile(r"\d+\.\d+\. Executing ")
_STATISTICS = "cells.json"
_BARE = "delete */t:$scopeinfo"  # nextpnr before 0.8 takes what says where cells were for cells
_PASSES = {Family.SERIES7: 70, Family.ULTRASCALE_PLUS: 70}
_LEAST_PASSES = 60


def synthesise(
    files: Mapping[str, bytes],
    family: Family,
    *,
    top: str = "nchw_top",
    flatten: bool = False,
    use_dsps: bool = True,
    progress: Progress | None = None,
    netlist: Path | None = None,
) -> Area:
    """Area of a design.

    Parameters
    ----------
    files : mapping of str to bytes
        ``rtl/*.v`` and ``rtl/mem/*.mem``; others are left out.
    flatten : bool
        Optimise across components (Xilinx; yosys does so for Lattice in any case). Without, each
        component is mapped by itself, as the prediction in `passes.area` counts it.
    use_dsps : bool
        Multipliers may become those of the device; iCE40 LP and HX have none.
    progress : callable, optional
        Called with ("yosys", passes done, passes in all, about).
    netlist : Path, optional
        Where the netlist is written, as JSON for nextpnr.

    Raises
    ------
    ToolError
        If yosys is missing or fails.
    OutputError
        If the files cannot be written to the folder for temporary files.
    """
    sources = [path for path in files if path.endswith(".v")]
    if not sources:
        raise ToolError("synthesis needs Verilog; these files hold none")
    with tempfile.TemporaryDirectory(prefix="nchw_synth_") as name:
        folder = Path(name)
        try:
            for path in files:
                if path.endswith((".v", ".mem")):
                    (folder / PurePosixPath(path).name).write_bytes(files[path])
            (folder / "synth.ys").write_text(
                _script(sources, family, top, flatten=flatten, use_dsps=use_dsps, netlist=netlist)
            )
        except OSError as error:
            raise OutputError(f"cannot write {name!r}: {error.strerror}") from error
        _run(folder, family, progress)
        return count_cells(_cells(folder / _STATISTICS, top), family)


def _script(
    sources: list[str],
    family: Family,
    top: str,
    *,
    flatten: bool,
    use_dsps: bool,
    netlist: Path | None,
) -> str:
    xilinx = family in (Family.SERIES7, Family.ULTRASCALE_PLUS)
    options = " -flatten" if flatten and xilinx else ""
    if family is Family.ICE40:
        options += " -dsp" if use_dsps else ""
    elif not use_dsps:
        options += " -nodsp"
    names = " ".join(PurePosixPath(path).name for path in sources)
    return (
        f"read_verilog {names}\n{_COMMANDS[family]}{options} -top {top}\n"
        f"flatten\ntee -q -o {_STATISTICS} stat -json\n"
    ) + (f"{_BARE}\nwrite_json {netlist.absolute()}\n" if netlist else "")


def _run(folder: Path, family: Family, progress: Progress | None) -> None:
    done, total = 0, _PASSES.get(family, _LEAST_PASSES)

    def follow(line: str) -> None:
        nonlocal done
        if progress and _PASS.match(line):
            done += 1
            progress("yosys", min(done, total - 1), total)

    run(find_yosys(), ["-s", "synth.ys"], cwd=folder, on_line=follow, what="synthesis")
    if progress:
        progress("yosys", total, total)


def _cells(path: Path, top: str) -> dict[str, int]:
    """Cells by type, as yosys counted them."""
    try:
        modules = json.loads(path.read_text())["modules"]
        cells = next(m for name, m in modules.items() if name.lstrip("\\") == top)
        return {str(name): int(n) for name, n in cells["num_cells_by_type"].items()}
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise ToolError(
            f"yosys left no count of the cells of {top}; use version 0.40 or newer"
        ) from error
