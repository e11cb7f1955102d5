"""What the cells of a netlist take of a device.

Every LUT cell counts as one LUT, whatever its inputs, and so does an inverter: two small ones could
share a look-up table of six inputs, but that is up to placement. Wide multiplexers (MUXF7 and on)
and carries stand beside the LUTs and take none. Memory made of LUTs counts with those that hold it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.passes.devices import Family

_XILINX_LUTS = {"INV": 1, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1} | {
    f"LUT{n}": 1 for n in range(1, 7)
}
_XILINX_MEMORY = {"RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8}
_XILINX_MEMORY |= {"RAM16X1D": 2, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8}
_XILINX_MEMORY |= {"RAM16X1S": 1, "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4}
_XILINX_MEMORY |= {"RAM512X1S": 8, "RAM32X2S": 2, "RAM32X16DR8": 8, "RAM64X8SW": 8}
_XILINX_BLOCKS = {"RAMB36E1": 1.0, "RAMB18E1": 0.5, "RAMB36E2": 1.0, "RAMB18E2": 0.5}
_ICE40_BLOCKS = ("SB_RAM40_4K", "SB_RAM40_4KNR", "SB_RAM40_4KNW", "SB_RAM40_4KNRNW")
_GOWIN_BLOCKS = ("pROM", "pROMX9", "SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B")
_LUTS: dict[Family, dict[str, int]] = {
    Family.SERIES7: _XILINX_LUTS,
    Family.ULTRASCALE_PLUS: _XILINX_LUTS,
    Family.ECP5: {"LUT4": 1, "CCU2C": 2},
    Family.ICE40: {"SB_LUT4": 1},
    Family.GOWIN: {"LUT1": 1, "LUT2": 1, "LUT3": 1, "LUT4": 1, "ALU": 1, "INV": 1},
}
_MEMORY: dict[Family, dict[str, int]] = {
    Family.SERIES7: _XILINX_MEMORY,
    Family.ULTRASCALE_PLUS: _XILINX_MEMORY,
    Family.ECP5: {"TRELLIS_DPR16X4": 6},  # four that hold bits, two whose slice writes them
    Family.ICE40: {},
    Family.GOWIN: {"RAM16SDP1": 1, "RAM16SDP2": 2, "RAM16SDP4": 4},
}
_BLOCKS: dict[Family, dict[str, float]] = {
    Family.SERIES7: _XILINX_BLOCKS,
    Family.ULTRASCALE_PLUS: _XILINX_BLOCKS,
    Family.ECP5: {"DP16KD": 1.0, "PDPW16KD": 1.0},
    Family.ICE40: dict.fromkeys(_ICE40_BLOCKS, 1.0),
    Family.GOWIN: dict.fromkeys(_GOWIN_BLOCKS, 1.0),
}
_CARRIES = ("CARRY4", "CARRY8", "CCU2C", "SB_CARRY", "ALU")
_ULTRAS = ("URAM288", "URAM288_BASE")
_DSPS = ("DSP48E1", "DSP48E2", "MULT18X18D", "SB_MAC16", "MULT18X18", "MULT9X9")
_FLIPFLOPS = ("FDRE", "FDSE", "FDCE", "FDPE", "TRELLIS_FF", "SB_DFF", "DFF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """What a design takes.

    Parameters
    ----------
    luts : int
        Look-up tables, those of memories included.
    memory_luts : int
        Of which in memories.
    blocks : float
        Block memories, in the unit of the family: a RAMB18 is half a RAMB36.
    ultras : int
        UltraRAMs.
    cells : dict of str to int
        The netlist itself.
    """

    family: Family
    luts: int
    memory_luts: int
    flipflops: int
    carries: int
    blocks: float
    dsps: int
    ultras: int = 0
    cells: Mapping[str, int] = field(default_factory=dict)


def count_cells(cells: Mapping[str, int], family: Family) -> Area:
    """Area of a netlist of `cells`, by type.

    Raises
    ------
    ToolError
        If the netlist holds memory or logic that no cell of the family is made of.
    """
    strange = sorted(name for name in cells if name.startswith("$") and name != "$scopeinfo")
    if strange:
        raise ToolError(f"yosys left {strange[0]} unmapped for {family.value}; use a newer yosys")
    memory = sum(_MEMORY[family].get(name, 0) * n for name, n in cells.items())
    return Area(
        family=family,
        luts=sum(_LUTS[family].get(name, 0) * n for name, n in cells.items()) + memory,
        memory_luts=memory,
        flipflops=sum(n for name, n in cells.items() if name.startswith(_FLIPFLOPS)),
        carries=sum(n for name, n in cells.items() if name in _CARRIES),
        blocks=sum(_BLOCKS[family].get(name, 0.0) * n for name, n in cells.items()),
        dsps=sum(n for name, n in cells.items() if name in _DSPS),
        ultras=sum(n for name, n in cells.items() if name in _ULTRAS),
        cells=dict(cells),
    )
