"""The critical path of a routed design in the words of the source: components and registers.

Tools name cells after themselves (``$procmux$781``, ``..._TRELLIS_FF_Q_7``). The nets that a cell
drives keep the names of the source, so a cell is called after the deepest of those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neurocuda_hw.synth.harness import DESIGN

_REGISTERS = re.compile(r"TRELLIS_FF|SB_DFF|DFF")
_BLOCKS = re.compile(r"DP16KD|PDPW16KD|SB_RAM40|SDPX?9?B?$|DPX?9?B?$|pROM|SPX?9?$|RAM16SDP|DPR16X4")
_PRODUCTS = re.compile(r"MULT|SB_MAC16")
_MADE = re.compile(  # where the part of a name begins that a tool made: of cells, ports, pieces
    r"(?:\.\d+)+(?:_[A-Z]|$)|\$"
    r"|_(?:TRELLIS|LUT\d|PFUMX|L6MUX|CCU2C|DP16KD|PDPW|MULT|SB_|DFF|ALU|MUX2|SDP|pROM|RAM16|DPX?9?B)"
)
_PACKED = ("", "_LC", "_DFFLC", "_RAM", "_DSP")  # what nextpnr adds to a cell's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """A stretch of a path: what is passed, and how long logic and wires took, in ns."""

    place: str
    logic: float
    wires: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalPath:
    """From a register to a register, both as ``component: register``.

    Parameters
    ----------
    through : tuple of Hop
        Components that are passed, in order, the first with the register's own delay, the last
        with the setup time.
    levels : int
        Cells of logic between the two.
    """

    start: str
    end: str
    through: tuple[Hop, ...]
    levels: int

    @property
    def logic(self) -> float:
        """ns in cells."""
        return sum(hop.logic for hop in self.through)

    @property
    def wires(self) -> float:
        """ns between them."""
        return sum(hop.wires for hop in self.through)

    def __str__(self) -> str:
        return (
            f"{self.start} to {self.end}: {self.logic + self.wires:.1f} ns, {self.logic:.1f} of it "
            f"in {self.levels} cells of logic, {self.wires:.1f} in wires"
        )


class Names:
    """What the cells of a netlist are called in the source.

    Parameters
    ----------
    netlist : mapping
        yosys' JSON, flat.
    """

    def __init__(self, netlist: Mapping[str, Any], top: str) -> None:
        module = netlist["modules"][top]
        self._cells: Mapping[str, Any] = module["cells"]
        self._nets: dict[int, str] = {}
        for name, net in module["netnames"].items():
            if not net.get("hide_name") and (said := _said(name)):
                for bit in net["bits"]:
                    if isinstance(bit, int):
                        self._nets[bit] = max(self._nets.get(bit, ""), said, key=_worth)
        self._after: dict[int, str] = {}  # the register behind a bit of logic
        for name, cell in self._cells.items():
            if _REGISTERS.search(cell["type"]):
                for bit in cell["connections"].get("D", cell["connections"].get("DI", ())):
                    self._after[bit] = name

    def cell(self, name: str) -> str:
        """A cell's name in the source; registers and memories say what they are."""
        found = next((n for n in self._own(name) if n in self._cells), None)
        if found is None:
            return _said(name) or name
        cell = self._cells[found]
        if _BLOCKS.search(cell["type"]):
            return f"{_said(found) or found} (memory)"
        called = self._driven(cell) or _said(found) or found
        return f"{called} (multiplier)" if _PRODUCTS.search(cell["type"]) else called

    def register(self, name: str) -> str:
        """The same of a path's end: where a LUT is packed with its register, the register's."""
        for own in self._own(name):
            cell = self._cells.get(own)
            if cell and not (_REGISTERS.search(cell["type"]) or _BLOCKS.search(cell["type"])):
                after = [r for bit in _outputs(cell) if (r := self._after.get(bit))]
                return self.cell(after[0] if after else own)
        return self.cell(name)

    def _own(self, name: str) -> Iterator[str]:
        return (name.removesuffix(packed) for packed in _PACKED if name.endswith(packed))

    def _driven(self, cell: Mapping[str, Any]) -> str:
        called = [self._nets[bit] for bit in _outputs(cell) if bit in self._nets]
        return max(called, key=_worth, default="")


def _outputs(cell: Mapping[str, Any]) -> list[int]:
    ways = cell.get("port_directions", {})
    return [
        bit
        for port, bits in cell["connections"].items()
        if ways.get(port) == "output"
        for bit in bits
        if isinstance(bit, int)
    ]


def _said(name: str) -> str:
    """The part of a name that the source gave; empty if none."""
    own = _MADE.split(name.removeprefix("\\").removeprefix(f"{DESIGN}."))[0]
    return "" if own.startswith("_") else own


def _worth(name: str) -> tuple[int, int]:
    """Deeper components say more; of names as deep the shorter."""
    return name.count(".") if name else -1, -len(name)


def _parted(name: str) -> str:
    """``layer_hidden.sweep.row`` as ``layer_hidden.sweep: row``."""
    component, _, own = name.rpartition(".")
    return ": ".join(part for part in (component, own) if part)


def critical_path(path: Sequence[Mapping[str, Any]], names: Names) -> CriticalPath:
    """A path of nextpnr's report, in words."""
    hops: list[list[Any]] = []
    levels = 0
    for part in path:
        wires = part["type"] == "routing"
        levels += part["type"] == "logic"
        # nextpnr 0.4 names another cell as the one that a path comes from
        cell = part["to" if part["type"] == "clk-to-q" else "from"]["cell"]
        place = names.cell(cell).rpartition(".")[0]
        if not hops or hops[-1][0] != place:
            hops.append([place, 0.0, 0.0])
        hops[-1][1 + wires] += part["delay"]
    return CriticalPath(
        start=_parted(names.register(path[0]["to"]["cell"])),
        end=_parted(names.register(path[-1]["to"]["cell"])),
        through=tuple(Hop(place=p, logic=logic, wires=w) for p, logic, w in hops),
        levels=levels,
    )
