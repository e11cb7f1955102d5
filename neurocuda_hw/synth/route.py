"""Places and routes a netlist with nextpnr: the clock that it can take, and what limits it.

Parts are those in the package and speed grade of common boards; ECP5 of the slowest grade, 6.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from neurocuda_hw.ground.errors import ModelError, OutputError, ToolError
from neurocuda_hw.ground.programs import Tool, require, run
from neurocuda_hw.ground.toolchain import find_fpga
from neurocuda_hw.passes.devices import Device, Family
from neurocuda_hw.synth.harness import HARNESS, harness
from neurocuda_hw.synth.paths import CriticalPath, Names, critical_path
from neurocuda_hw.synth.yosys import Progress, synthesise

NEXTPNR = {
    Family.ECP5: "nextpnr-ecp5",
    Family.ICE40: "nextpnr-ice40",
    Family.GOWIN: "nextpnr-gowin",
}
_PARTS: Mapping[str, tuple[str, ...]] = {
    "ice40lp384": ("--lp384", "--package", "qn32"),
    "ice40lp1k": ("--lp1k", "--package", "cm121"),
    "ice40lp4k": ("--lp4k", "--package", "cm225"),
    "ice40lp8k": ("--lp8k", "--package", "cm225"),
    "ice40hx1k": ("--hx1k", "--package", "tq144"),
    "ice40hx4k": ("--hx4k", "--package", "tq144"),
    "ice40hx8k": ("--hx8k", "--package", "ct256"),
    "ice40up3k": ("--up3k", "--package", "sg48"),
    "ice40up5k": ("--up5k", "--package", "sg48"),
    "lfe5u-12f": ("--12k", "--package", "CABGA381", "--speed", "6"),
    "lfe5u-25f": ("--25k", "--package", "CABGA381", "--speed", "6"),
    "lfe5u-45f": ("--45k", "--package", "CABGA381", "--speed", "6"),
    "lfe5u-85f": ("--85k", "--package", "CABGA381", "--speed", "6"),
    "gw1nr-9": ("--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C"),
    "gw2ar-18": ("--device", "GW2AR-LV18QN88C8/I7", "--vopt", "family=GW2A-18C"),
}
# Gowin's nextpnr wants a place for every pin; any will do
_GOWIN_PINS = {"clk": 52, "rst": 25, "i": 26, "o": 27}
_WANTED = 150  # MHz, that nextpnr works for; asked for less it leaves off sooner
_STAGES = ("Packing", "Running main analytical placer", "Routing", "Critical path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """What was routed.

    Parameters
    ----------
    mhz : tuple of float
        Fmax of each seed, in MHz.
    path : CriticalPath
        Of the seed in the middle.
    tool : Tool
        The nextpnr that did it.
    """

    mhz: tuple[float, ...]
    path: CriticalPath
    tool: Tool

    @property
    def median(self) -> float:
        """MHz of the seed in the middle."""
        return median(self.mhz)


def part_options(device: str) -> tuple[str, ...]:
    """What nextpnr is told of a device."""
    return _PARTS[device]


def router(device: Device) -> Tool:
    """The nextpnr for a device.

    Raises
    ------
    ModelError
        If there is none.
    ToolError
        If it is missing.
    """
    if device.family not in NEXTPNR:
        raise ModelError(
            f"no open tool can time {device.name} ({device.family.value}): --route is for "
            f"{', '.join(family.value for family in NEXTPNR)}; time it in the vendor's tool"
        )
    if device.name not in _PARTS:
        raise ModelError(f"nextpnr has no {device.name}; --route takes {', '.join(_PARTS)}")
    return require(find_fpga(NEXTPNR[device.family]))


def route(
    files: Mapping[str, bytes],
    device: Device,
    *,
    seeds: int = 5,
    top: str = "nchw_top",
    use_dsps: bool = True,
    progress: Progress | None = None,
) -> Routed:
    """The clock of a design between registers, in the harness of `synth.harness`.

    Parameters
    ----------
    files : mapping of str to bytes
        ``rtl/*.v`` and ``rtl/mem/*.mem``.
    seeds : int
        How often it is placed, from seed 1 on.
    progress : callable, optional
        Called with (stage, done, in all).

    Raises
    ------
    ToolError
        If a tool is missing or fails, as it does where the design is too large.
    """
    tool = router(device)
    source = next((text for path, text in files.items() if path.endswith(f"{top}.v")), b"")
    files = {**files, f"rtl/{HARNESS}.v": harness(source.decode(), top).encode()}
    with tempfile.TemporaryDirectory(prefix="nchw_route_") as name:
        folder = Path(name)
        netlist = folder / "netlist.json"
        synthesise(
            files,
            device.family,
            top=HARNESS,
            use_dsps=use_dsps,
            progress=progress,
            netlist=netlist,
        )
        arguments = ["--json", netlist.name, "--freq", f"{_WANTED}"]
        if device.family is Family.GOWIN:
            pins = "".join(f'IO_LOC "{pin}" {place};\n' for pin, place in _GOWIN_PINS.items())
            _write(folder / "pins.cst", pins)
            arguments += ["--vopt", "cst=pins.cst"]
        reports = []
        for seed in range(1, seeds + 1):
            where = f"seed {seed} of {seeds}"
            report = place(tool, device, [*arguments, "--seed", f"{seed}"], folder, where, progress)
            reports.append((fmax(report), report))
        names = Names(json.loads(netlist.read_text()), HARNESS)
    reports.sort(key=lambda found: found[0])
    return Routed(
        mhz=tuple(mhz for mhz, _ in reports),
        path=slowest(reports[len(reports) // 2][1], names),
        tool=tool,
    )


def place(
    tool: Tool,
    device: Device,
    arguments: Sequence[str],
    folder: Path,
    stage: str,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Runs nextpnr in `folder` for a device and returns its report; timing may fail."""
    name = "timing.json"

    def follow(line: str) -> None:
        for number, said in enumerate(_STAGES):
            if progress and said in line:
                progress(f"{tool.name}, {stage}", number, len(_STAGES))

    always = [*_PARTS[device.name], "--report", name, "--timing-allow-fail"]
    run(tool, [*always, *arguments], cwd=folder, on_line=follow, what="place and route")
    if progress:
        progress(f"{tool.name}, {stage}", len(_STAGES), len(_STAGES))
    try:
        found: dict[str, Any] = json.loads((folder / name).read_text())
    except (OSError, ValueError) as error:
        raise ToolError(f"{tool.name} left no report; use version 0.4 or newer") from error
    return found


def fmax(report: Mapping[str, Any]) -> float:
    """MHz of the slowest clock of a report."""
    clocks = report["fmax"].values()
    if not clocks:
        raise ToolError("nextpnr found no clock in the design; it holds no registers")
    return min(float(clock["achieved"]) for clock in clocks)


def slowest(report: Mapping[str, Any], names: Names) -> CriticalPath:
    """The critical path between registers of a report, in words."""
    found = [
        part["path"]
        for part in report["critical_paths"]
        if "async" not in part["from"] + part["to"] and part["path"]
    ]
    longest = max(found, key=lambda path: sum(hop["delay"] for hop in path))
    return critical_path(longest, names)


def as_plain(found: Routed) -> dict[str, Any]:
    """The clock and the path as plain values, for JSON."""
    path = found.path
    return {
        "mhz": round(found.median, 2),
        "mhz_of_seeds": [round(mhz, 2) for mhz in found.mhz],
        "tool": f"{found.tool.name} {found.tool.version}",
        "critical_path": {
            "from": path.start,
            "to": path.end,
            "ns": round(path.logic + path.wires, 2),
            "logic_ns": round(path.logic, 2),
            "wires_ns": round(path.wires, 2),
            "levels": path.levels,
            "through": [hop.place for hop in path.through],
        },
    }


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror}") from error
