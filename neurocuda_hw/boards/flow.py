"""What makes a bitstream: the sources, the tools' command lines, and a Makefile of the same.

All tools run in one folder that holds every source by its bare name, as ``$readmemh`` wants it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from neurocuda_hw.boards.pll import Pll, verilog
from neurocuda_hw.boards.table import Board, Pins
from neurocuda_hw.ground.programs import Tool
from neurocuda_hw.ground.toolchain import find_fpga, find_yosys
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.synth.route import NEXTPNR, part_options
from neurocuda_hw.synth.yosys import commands

TOP = "board"
REPORT = "timing.json"
ABSORB = "absorb.py"  # ECP5: what is done with yosys' netlist; `synth.absorb`
_ALLOW = "--timing-allow-fail"
_PACK = {Family.ECP5: "ecppack", Family.ICE40: "icepack", Family.GOWIN: "gowin_pack"}
_BITS = {Family.ECP5: "nchw.bit", Family.ICE40: "nchw.bin", Family.GOWIN: "nchw.fs"}
_LOADER = "openFPGALoader"

_TOP = """\
// {board}: pins, PLL, reset, and the network behind a serial line ({baud} baud, 8N1).
// clk is the board's {given:g} MHz, core_clk is {mhz:.6g} MHz.
module board(input clk, input rx, output tx{more});
  wire core_clk, locked;
{pll}
  // the reset ends eight cycles after the clock is steady, and begins at once where it is not
  reg [7:0] steady = 0;
  always @(posedge core_clk or negedge locked)
    if (!locked) steady <= 0;
    else steady <= {{steady[6:0], 1'b1}};
{held}  nchw_serial serial(.clk(core_clk), .rst(!steady[7]), .rx(rx), .tx(tx));
endmodule
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command: a tool as `ground.toolchain` calls it, its arguments, the file that it makes."""

    tool: str
    arguments: tuple[str, ...]
    makes: str


def top(board: Board, pins: Pins, pll: Pll, baud: int) -> str:
    """``top.v``: what lies between the pins and ``nchw_serial``."""
    high = [f"high_{n}" for n, _ in enumerate(board.high)]
    return _TOP.format(
        board=board.name,
        baud=baud,
        given=pins.mhz,
        mhz=pll.mhz,
        more="".join(f", output {name}" for name in high),
        pll=verilog(board.family, pll, pins.mhz, pad=board.pad).rstrip("\n"),
        held="".join(f"  assign {name} = 1'b1;\n" for name in high),
    )


def constraints(board: Board, pins: Pins) -> tuple[str, str]:
    """The file that places the pins: its name, and its text."""
    places = {"clk": pins.clk, "rx": pins.rx, "tx": pins.tx}
    places |= {f"high_{n}": pin for n, pin in enumerate(board.high)}
    if board.family is Family.ECP5:
        lines = [
            f'LOCATE COMP "{name}" SITE "{pin}";\nIOBUF PORT "{name}" IO_TYPE=LVCMOS33;'
            for name, pin in places.items()
        ]
        lines.append(f'FREQUENCY PORT "clk" {pins.mhz:g} MHZ;')
        return "pins.lpf", "\n".join(lines) + "\n"
    if board.family is Family.ICE40:
        return "pins.pcf", "".join(f"set_io {name} {pin}\n" for name, pin in places.items())
    lines = [
        f'IO_LOC "{name}" {pin};\nIO_PORT "{name}" IO_TYPE=LVCMOS33;'
        for name, pin in places.items()
    ]
    return "pins.cst", "\n".join(lines) + "\n"


def steps(board: Board, sources: list[str], mhz: float) -> tuple[Step, ...]:
    """From Verilog to the bitstream, for a clock of `mhz`."""
    family = board.family
    hard = family is not Family.ICE40  # few of them have multipliers, and few those
    script = "; ".join(commands(sources, family, TOP, use_dsps=hard, netlist="netlist.json"))
    synthesis = Step(tool="yosys", arguments=("-q", "-p", script), makes="netlist.json")
    common = (*part_options(board.device), "--json", "netlist.json", "--freq", f"{mhz:.6g}")
    common += ("--seed", "1", "--report", REPORT, _ALLOW)
    place: tuple[str, ...]
    if family is Family.ECP5:
        place, routed = ("--lpf", "pins.lpf", "--textcfg", "routed.config"), "routed.config"
        packing: tuple[str, ...] = ("--compress", routed, "nchw.bit")
    elif family is Family.ICE40:
        place, routed = ("--pcf", "pins.pcf", "--asc", "routed.asc"), "routed.asc"
        packing = (routed, "nchw.bin")
    else:
        place, routed = ("--vopt", "cst=pins.cst", "--write", "routed.json"), "routed.json"
        packing = ("-d", "GW1N-9C", "-o", "nchw.fs", routed)
    return (
        synthesis,
        Step(tool=NEXTPNR[family], arguments=(*common, *place), makes=routed),
        Step(
            tool=_PACK[family],
            arguments=packing,
            makes=_BITS[family],
        ),
    )


def makefile(board: Board, done: tuple[Step, ...]) -> str:
    """The same for those who change something, or have other versions of the tools."""
    names = {"nextpnr-gowin": "nextpnr-himbaechel"}
    programs = {step.tool: step.tool.upper().replace("-", "_") for step in done}
    lines = [
        f"# The bitstream of {board.name}, made again: make -C board; make -C board load",
        *(f"{variable} ?= {names.get(tool, tool)}" for tool, variable in programs.items()),
        f"LOADER ?= {_LOADER}",
        "PYTHON ?= python3",
        "",
        f"{done[-1].makes}: work/{done[-1].makes}",
        "\tcp $< $@",
    ]
    before = "work/sources"
    for step in done:
        told = (a for a in step.arguments if a != _ALLOW)  # by hand, a clock must be met
        quoted = " ".join(map(shlex.quote, told)).replace("$", "$$")
        lines += [
            f"work/{step.makes}: {before}",
            f"\tcd work && $({programs[step.tool]}) {quoted}",
        ]
        if step is done[0] and board.family is Family.ECP5:
            lines.append(f"\tcd work && $(PYTHON) ../{ABSORB} {step.makes} {TOP}")
        before = f"work/{step.makes}"
    lines += [
        "work/sources: $(wildcard ../rtl/*.v ../rtl/mem/*.mem ../serial/*.v) top.v",
        "\tmkdir -p work && cp $^ $(wildcard pins.*) work && touch $@",
        f"load: {done[-1].makes}",
        f"\t$(LOADER) -b {board.loader} $<",
        "clean:",
        "\trm -rf work",
        ".PHONY: load clean",
    ]
    return "\n".join(lines) + "\n"


def tools_of(family: Family) -> list[Tool]:
    """What makes bitstreams for a family."""
    return [find_yosys(), *map(find_fpga, (NEXTPNR[family], _PACK[family]))]


def flat(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Sources and memory files by bare name."""
    return {PurePosixPath(p).name: c for p, c in files.items() if p.endswith((".v", ".mem"))}
