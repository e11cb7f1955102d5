"""Which memory cells a memory becomes: the choice that yosys makes, made here without it.

A memory of ``depth`` words of ``width`` bits may be put into blocks that are read w bits wide, each
of R(w) rows. It is then cut into ``c = ceil(depth / R)`` slices that lie side by side, which takes
``n = ceil(c * width / w)`` blocks and a c-to-1 multiplexer per bit. Where slices are written, they
share a block only by whole bytes, of those bits that it can write alone. yosys (``memory_libmap``)
takes the cheapest of all widths and kinds of cell, registers or plain logic included::

    cost = n * cost of a cell + width * (c - 1) / 2

with the costs of its own libraries, which are repeated here. A `Style` leaves it the cells of one
kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from neurocuda_hw.passes.devices import Family


class Style(Enum):
    """What a memory can be told to be made of; the value is that of Vivado's ``ram_style``."""

    BLOCK = "block"
    DISTRIBUTED = "distributed"
    ULTRA = "ultra"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How a layer is made, where the synthesiser is told.

    Parameters
    ----------
    styles : mapping of str to Style
        Of memories, by their names in `passes.memories`.
    soft : bool
        Lanes multiply in look-up tables, though the device has multipliers.
    """

    styles: Mapping[str, Style] = field(default_factory=dict)
    soft: bool = False


AUTOMATIC = Ways()


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A memory with one read port, and one write port unless it is a ROM.

    Parameters
    ----------
    width : int
        Bits of a word, those of a ROM that never change left out.
    rom : bool
    registered : bool
        It is read through a register, as block memories must be.
    """

    name: str
    depth: int
    width: int
    rom: bool
    registered: bool = True

    @property
    def bits(self) -> int:
        """Bits in all."""
        return self.depth * self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A kind of memory cell: it is `widths` wide, with half the rows at each width in turn.

    `byte` is how many bits are written together; `scaled` the part of the cost that unused bits
    save.
    """

    rows: int
    widths: tuple[int, ...]
    cost: float
    unit: float
    style: Style
    byte: int = 1 << 16
    scaled: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What a memory became: block memories, LUTs that hold bits, or neither (logic, registers).

    `slices` is c, the inputs of the multiplexer behind it; `ultras` counts UltraRAMs.
    """

    blocks: float = 0
    memory_luts: int = 0
    logic: bool = False
    slices: int = 1
    ultras: int = 0


_BLOCK, _LUTS, _ULTRA = Style.BLOCK, Style.DISTRIBUTED, Style.ULTRA
_XILINX = (
    Cell(rows=2**14, widths=(1, 2, 4, 9, 18, 36), cost=129, unit=0.5, style=_BLOCK, byte=9),
    Cell(rows=2**15, widths=(1, 2, 4, 9, 18, 36, 72), cost=257, unit=1.0, style=_BLOCK, byte=9),
)
_CASCADE = Cell(rows=2**16, widths=(1, 2, 4, 9), cost=513, unit=2.0, style=_BLOCK, byte=9)
_CELLS: dict[Family, tuple[Cell, ...]] = {
    Family.SERIES7: (
        *_XILINX,
        _CASCADE,
        Cell(rows=32, widths=(6,), cost=8, unit=4, style=_LUTS, scaled=7),
        Cell(rows=64, widths=(3,), cost=8, unit=4, style=_LUTS, scaled=7),
    ),
    Family.ULTRASCALE_PLUS: (
        *_XILINX,
        Cell(rows=32, widths=(14,), cost=16, unit=8, style=_LUTS, scaled=16),
        Cell(rows=64, widths=(7,), cost=16, unit=8, style=_LUTS, scaled=16),
        Cell(rows=4096, widths=(72,), cost=1024, unit=1, style=_ULTRA, byte=9),
    ),
    Family.ECP5: (
        Cell(rows=2**14, widths=(1, 2, 4, 9, 18, 36), cost=128, unit=1.0, style=_BLOCK, byte=9),
        Cell(rows=16, widths=(4,), cost=4, unit=6, style=_LUTS),
    ),
    Family.GOWIN: (
        Cell(rows=2**14, widths=(1, 2, 4, 9, 18, 36), cost=128, unit=1.0, style=_BLOCK, byte=9),
        Cell(rows=16, widths=(4,), cost=4, unit=4, style=_LUTS, scaled=4),
    ),
    Family.ICE40: (
        Cell(rows=2**11, widths=(2, 4, 8, 16), cost=64, unit=1.0, style=_BLOCK, byte=1),
    ),
}
_ROM_BIT = {Family.SERIES7: 1 / 64, Family.ULTRASCALE_PLUS: 1 / 64}
_OTHER_ROM_BIT = 1 / 16


def map_memory(memory: Memory, family: Family, style: Style | None = None) -> Mapped:
    """The cheapest way that `family` offers; of a `style`, if one is asked for."""
    best = Mapped(logic=True)
    if style is _LUTS and memory.rom:
        return best
    rom_bit = _ROM_BIT.get(family, _OTHER_ROM_BIT)
    lowest = memory.bits * (rom_bit if memory.rom else 1) if style is None else math.inf
    for cell in _CELLS[family]:
        lut = cell.style is _LUTS
        if memory.rom if lut else not memory.registered:
            continue
        if cell.style is not style and (style or cell.style is _ULTRA):  # never unasked
            continue
        for place, width in enumerate(cell.widths):
            slices = -(-memory.depth // (cell.rows >> place))
            cost, count = _cost(memory, cell, width, slices)
            if cost < lowest:
                lowest = cost
                best = Mapped(
                    blocks=count * cell.unit if cell.style is _BLOCK else 0,
                    memory_luts=round(count * cell.unit) if lut else 0,
                    slices=slices,
                    ultras=count if cell.style is _ULTRA else 0,
                )
    return best


def _cost(memory: Memory, cell: Cell, width: int, slices: int) -> tuple[float, int]:
    """Cost of a way, and how many cells it takes."""
    byte = 1 if memory.rom or slices == 1 else min(cell.byte, width)
    count = -(-slices * -(-memory.width // byte) * byte // width)
    unused = count * width - slices * memory.width
    saved = cell.scaled * unused / width
    return count * cell.cost - saved + memory.width * (slices - 1) / 2 + 2, count
