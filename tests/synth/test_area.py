"""Cells counted as LUTs, block memories and multipliers."""

from __future__ import annotations

import pytest

from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.synth import count_cells


def test_seven_series() -> None:
    cells = {"LUT2": 3, "LUT6": 5, "INV": 2, "RAM32M": 2, "RAM64M": 1, "SRL16E": 1}
    cells |= {"FDRE": 7, "FDSE": 1, "CARRY4": 4, "RAMB36E1": 2, "RAMB18E1": 3, "DSP48E1": 6}
    cells |= {"MUXF7": 9, "BUFG": 1, "$scopeinfo": 12}
    area = count_cells(cells, Family.SERIES7)
    assert (area.luts, area.memory_luts, area.flipflops) == (11 + 12, 12, 8)
    assert (area.carries, area.blocks, area.dsps) == (4, 3.5, 6)
    assert area.cells == cells


def test_lattice() -> None:
    ecp5 = {"LUT4": 10, "CCU2C": 3, "TRELLIS_DPR16X4": 2, "TRELLIS_FF": 5, "DP16KD": 4}
    area = count_cells(ecp5 | {"MULT18X18D": 1, "PFUMX": 8}, Family.ECP5)
    assert (area.luts, area.memory_luts, area.flipflops) == (10 + 6 + 12, 12, 5)
    assert (area.blocks, area.dsps) == (4, 1)
    ice40 = {"SB_LUT4": 9, "SB_CARRY": 4, "SB_DFFE": 2, "SB_DFFSR": 1, "SB_RAM40_4K": 3}
    area = count_cells(ice40, Family.ICE40)
    assert (area.luts, area.flipflops, area.blocks, area.dsps) == (9, 3, 3, 0)


def test_what_was_not_mapped_is_refused() -> None:
    with pytest.raises(ToolError) as error:
        count_cells({"LUT4": 1, "$mem_v2": 1}, Family.ECP5)
    assert str(error.value) == ("yosys left $mem_v2 unmapped for Lattice ECP5; use a newer yosys")
