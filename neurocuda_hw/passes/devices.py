"""Devices that a network can be folded for: what each of them holds, and where that is written.

A name is the part's without package and speed grade: ``xc7a35t``, ``lfe5u-25f``, ``ice40up5k``.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import Enum

from neurocuda_hw.ground.errors import ModelError


class Family(Enum):
    """Devices that share one fabric; the value is how people call it."""

    SERIES7 = "Xilinx 7 series"
    ULTRASCALE_PLUS = "Xilinx UltraScale+"
    ECP5 = "Lattice ECP5"
    ICE40 = "Lattice iCE40"
    GOWIN = "Gowin LittleBee and Arora"

    @property
    def lut_inputs(self) -> int:
        """Inputs of one look-up table."""
        return 6 if self in (Family.SERIES7, Family.ULTRASCALE_PLUS) else 4

    @property
    def block_name(self) -> str:
        """The block memory that figures count."""
        own = {Family.ECP5: "DP16KD", Family.ICE40: "RAM40_4K", Family.GOWIN: "BSRAM"}
        return own.get(self, "RAMB36")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One part.

    Parameters
    ----------
    luts, flipflops : int
        Look-up tables (of 6 inputs in Xilinx parts, of 4 in others) and flip-flops.
    blocks : int
        Block memories: RAMB36 (36 kbit), DP16KD or BSRAM (18 kbit) or RAM40_4K (4 kbit).
    dsps : int
        Multipliers.
    source : str
        Data sheet that says so.
    ultras : int
        UltraRAMs, each 4096 words of 72 bits without initial content.
    """

    name: str
    family: Family
    luts: int
    flipflops: int
    blocks: int
    dsps: int
    source: str
    ultras: int = 0


def _row(
    name: str,
    family: Family,
    luts: int,
    flipflops: int,
    blocks: int,
    dsps: int,
    source: str,
    ultras: int = 0,
) -> Device:
    return Device(
        name=name,
        family=family,
        luts=luts,
        flipflops=flipflops,
        blocks=blocks,
        dsps=dsps,
        source=source,
        ultras=ultras,
    )


_7, _UP = Family.SERIES7, Family.ULTRASCALE_PLUS
_DS180, _DS190, _DS891 = "AMD DS180", "AMD DS190", "AMD DS891"
_ECP5, _HX, _UP5K = "Lattice FPGA-DS-02012", "Lattice FPGA-DS-02029", "Lattice FPGA-DS-02008"

# Multipliers are counted as MULT18X18D, SB_MAC16 and MULT18X18; iCE40 LP and HX have none.
DEVICES: tuple[Device, ...] = (
    #    part          family         LUT     FF      blocks DSP  source  UltraRAM
    _row("ice40lp384", Family.ICE40, 384, 384, 0, 0, _HX),
    _row("ice40lp1k", Family.ICE40, 1_280, 1_280, 16, 0, _HX),
    _row("ice40lp4k", Family.ICE40, 3_520, 3_520, 20, 0, _HX),
    _row("ice40lp8k", Family.ICE40, 7_680, 7_680, 32, 0, _HX),
    _row("ice40hx1k", Family.ICE40, 1_280, 1_280, 16, 0, _HX),
    _row("ice40hx4k", Family.ICE40, 3_520, 3_520, 20, 0, _HX),
    _row("ice40hx8k", Family.ICE40, 7_680, 7_680, 32, 0, _HX),
    _row("ice40up3k", Family.ICE40, 2_800, 2_800, 20, 4, _UP5K),
    _row("ice40up5k", Family.ICE40, 5_280, 5_280, 30, 8, _UP5K),
    _row("lfe5u-12f", Family.ECP5, 12_000, 12_000, 32, 28, _ECP5),
    _row("lfe5u-25f", Family.ECP5, 24_000, 24_000, 56, 28, _ECP5),
    _row("lfe5u-45f", Family.ECP5, 44_000, 44_000, 108, 72, _ECP5),
    _row("lfe5u-85f", Family.ECP5, 84_000, 84_000, 208, 156, _ECP5),
    _row("gw1nr-9", Family.GOWIN, 8_640, 6_480, 26, 20, "Gowin DS117"),
    _row("gw2ar-18", Family.GOWIN, 20_736, 15_552, 46, 48, "Gowin DS226"),
    _row("xc7s6", _7, 3_752, 7_504, 5, 10, _DS180),
    _row("xc7s15", _7, 8_000, 16_000, 10, 20, _DS180),
    _row("xc7s25", _7, 14_600, 29_200, 45, 80, _DS180),
    _row("xc7s50", _7, 32_600, 65_200, 75, 120, _DS180),
    _row("xc7s100", _7, 64_000, 128_000, 120, 160, _DS180),
    _row("xc7a12t", _7, 8_000, 16_000, 20, 40, _DS180),
    _row("xc7a15t", _7, 10_400, 20_800, 25, 45, _DS180),
    _row("xc7a25t", _7, 14_600, 29_200, 45, 80, _DS180),
    _row("xc7a35t", _7, 20_800, 41_600, 50, 90, _DS180),
    _row("xc7a50t", _7, 32_600, 65_200, 75, 120, _DS180),
    _row("xc7a75t", _7, 47_200, 94_400, 105, 180, _DS180),
    _row("xc7a100t", _7, 63_400, 126_800, 135, 240, _DS180),
    _row("xc7a200t", _7, 134_600, 269_200, 365, 740, _DS180),
    _row("xc7k70t", _7, 41_000, 82_000, 135, 240, _DS180),
    _row("xc7k160t", _7, 101_400, 202_800, 325, 600, _DS180),
    _row("xc7k325t", _7, 203_800, 407_600, 445, 840, _DS180),
    _row("xc7z007s", _7, 14_400, 28_800, 50, 66, _DS190),
    _row("xc7z010", _7, 17_600, 35_200, 60, 80, _DS190),
    _row("xc7z012s", _7, 34_400, 68_800, 72, 120, _DS190),
    _row("xc7z014s", _7, 40_600, 81_200, 107, 170, _DS190),
    _row("xc7z015", _7, 46_200, 92_400, 95, 160, _DS190),
    _row("xc7z020", _7, 53_200, 106_400, 140, 220, _DS190),
    _row("xc7z030", _7, 78_600, 157_200, 265, 400, _DS190),
    _row("xc7z035", _7, 171_900, 343_800, 500, 900, _DS190),
    _row("xc7z045", _7, 218_600, 437_200, 545, 900, _DS190),
    _row("xc7z100", _7, 277_400, 554_800, 755, 2_020, _DS190),
    _row("xczu1", _UP, 37_440, 74_880, 108, 216, _DS891),
    _row("xczu2", _UP, 47_232, 94_464, 150, 240, _DS891),
    _row("xczu3", _UP, 70_560, 141_120, 216, 360, _DS891),
    _row("xczu4", _UP, 87_840, 175_680, 128, 728, _DS891, 48),
    _row("xczu5", _UP, 117_120, 234_240, 144, 1_248, _DS891, 64),
    _row("xczu7", _UP, 230_400, 460_800, 312, 1_728, _DS891, 96),
    _row("xczu9", _UP, 274_080, 548_160, 912, 2_520, _DS891),
)


def find_device(name: str) -> Device:
    """The device of that name; package and speed grade may follow it (``xc7a35tcpg236-1``).

    Raises
    ------
    ModelError
        If there is none; the message names the nearest and all of its family.
    """
    wanted = re.sub(r"\s+", "", name).lower()
    wanted = re.sub(r"^xczu(\d+)(cg|eg|ev)", r"xczu\1", wanted)
    exact = [d for d in DEVICES if d.name == wanted]
    longer = [d for d in DEVICES if wanted.startswith(d.name)]
    found = exact or sorted(longer, key=lambda d: len(d.name))[-1:]
    rest = wanted[len(found[0].name) :] if found else ""
    if found and (not rest or re.fullmatch(r"-?\d*[a-z]{2,4}\d+.*|-\w+|i", rest)):
        return found[0]
    names = [d.name for d in DEVICES]
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ModelError(f"device must be one of {', '.join(names)}, not {name!r}{hint}")
