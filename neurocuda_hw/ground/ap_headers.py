"""Finds the vendor's ``ap_int.h``, which C simulations of the HLS target are compiled with.

Looked for in this order: the folder that ``NCHW_AP_INCLUDE`` names, an installed Vitis
(``XILINX_HLS``, ``XILINX_VITIS``, then its program on PATH), the wheel of hls4ml, which holds the
same headers under the Apache-2.0 licence. Nothing is imported from hls4ml, and no header is copied.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from neurocuda_hw.ground.programs import Tool
from neurocuda_hw.ground.toolchain import find_vitis, wheel_version

NAME = "ap_int headers"
_GET = (
    "pip install 'neurocuda_hw[hls]', or install Vitis HLS and set XILINX_HLS; 'make fast' in a "
    "build folder needs none"
)


def find_ap_headers() -> Tool:
    """The folder of ``ap_int.h`` as `Tool.where`; where it is from as `Tool.version`."""
    named = os.environ.get("NCHW_AP_INCLUDE")
    if named:
        if _holds(Path(named)):
            return Tool(name=NAME, command=(named,), version="NCHW_AP_INCLUDE")
        problem = f"NCHW_AP_INCLUDE must name a folder with ap_int.h, not {named!r}"
        return Tool(name=NAME, problem=f"{problem}; unset it or correct it")
    for folder, version in (*_vitis(), *_wheel()):
        if _holds(folder):
            return Tool(name=NAME, command=(str(folder),), version=version)
    return Tool(name=NAME, problem=f"ap_int.h was not found; {_GET}")


def _holds(folder: Path) -> bool:
    return (folder / "ap_int.h").is_file()


def _vitis() -> list[tuple[Path, str]]:
    roots = [Path(os.environ[v]) for v in ("XILINX_HLS", "XILINX_VITIS") if os.environ.get(v)]
    vitis = find_vitis()
    if vitis.usable:
        roots.append(Path(vitis.where).resolve().parents[1])
    return [(root / "include", "Vitis HLS") for root in roots]


def _wheel() -> list[tuple[Path, str]]:
    spec = importlib.util.find_spec("hls4ml")
    folders = (spec.submodule_search_locations or ()) if spec else ()
    version = f"of hls4ml {wheel_version('hls4ml')}"
    return [(Path(f) / "templates" / "vivado" / "ap_types", version) for f in folders]
