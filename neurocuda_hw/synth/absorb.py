"""Puts registers into ECP5's block memories and multipliers, which yosys leaves beside them.

A block memory gives its word 5.6 ns after the clock, a multiplier needs 3.9 ns: with their own
registers, the ways to and from them are cycles of their own. Where each output of a ``DP16KD`` port
leads to one plain flip-flop, or each input of a ``MULT18X18D`` comes from one, that is the same
hardware. Plain is a flip-flop of the rising edge without enable and reset. Words of 36 bits take
both ports of a memory and stay as they are.

    python3 absorb.py NETLIST.json TOP
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Cell = dict[str, Any]
Pin = tuple[str, str]  # of a cell, by name
_OFF = (["0"], ["x"], None)
_ON = (["1"], ["x"], None)


def absorb(netlist: dict[str, Any], top: str) -> int:
    """Changes module `top` of yosys' JSON; returns how many flip-flops went into other cells."""
    return _Module(netlist["modules"][top]).absorbed()


def absorb_in(path: Path, top: str) -> None:
    """The same of a file."""
    netlist = json.loads(path.read_text())
    absorb(netlist, top)
    path.write_text(json.dumps(netlist))


class _Module:
    def __init__(self, module: dict[str, Any]) -> None:
        self.cells: dict[str, Cell] = module["cells"]
        self.drivers: dict[int, Pin] = {}
        self.readers: dict[int, list[Pin]] = defaultdict(list)
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                for bit in bits:
                    if cell["port_directions"][port] == "output":
                        self.drivers[bit] = (name, port)
                    else:
                        self.readers[bit].append((name, port))
        for port in module["ports"].values():
            for bit in port["bits"]:
                self.readers[bit].append(("", ""))

    def absorbed(self) -> int:
        before = len(self.cells)
        gone: set[str] = set()
        for cell in list(self.cells.values()):
            if cell["type"] == "DP16KD":
                gone |= self._outputs(cell, "A") | self._outputs(cell, "B")
        for side in "AB":
            gone |= self._inputs(side)
        for name in gone:
            del self.cells[name]
        return before - len(self.cells)

    def _outputs(self, memory: Cell, side: str) -> set[str]:
        """Flip-flops that became the output register of one port of a block memory."""
        parameters, pins = memory["parameters"], memory["connections"]
        used = {p: pins[p][0] for p in _data(memory, f"DO{side}") if self.readers[pins[p][0]]}
        wide = int(parameters[f"DATA_WIDTH_{side}"], 2) > 18
        resets = pins.get(f"RST{side}") not in _OFF
        plain = parameters[f"REGMODE_{side}"] == "NOREG" and pins[f"OCE{side}"] == ["1"]
        if wide or resets or not plain:
            return set()
        found = {port: self._flipflop(self.readers[bit]) for port, bit in used.items()}
        clocks = {tuple(self.cells[n]["connections"]["CLK"]) for n in found.values() if n}
        if None in found.values() or clocks != {tuple(pins[f"CLK{side}"])}:
            return set()
        parameters[f"REGMODE_{side}"] = "OUTREG"
        for port, name in found.items():
            assert name is not None
            pins[port] = self.cells[name]["connections"]["Q"]
        return {name for name in found.values() if name}

    def _inputs(self, side: str) -> set[str]:
        """Flip-flops that became input registers of this side of multipliers.

        One may lead to several of them; it goes if it leads nowhere else.
        """
        multipliers = {n: c for n, c in self.cells.items() if c["type"] == "MULT18X18D"}
        sources: dict[str, dict[str, str]] = {}  # of each multiplier: flip-flops by its ports
        for name, cell in multipliers.items():
            bits = {port: cell["connections"][port][0] for port in _data(cell, side)}
            plain = {port: self._before(bit) for port, bit in bits.items() if isinstance(bit, int)}
            clocks = {self.cells[ff]["connections"]["CLK"][0] for ff in plain.values() if ff}
            if None not in plain.values() and len(clocks) == 1:
                sources[name] = {port: ff for port, ff in plain.items() if ff}
        while True:  # whoever shares a flip-flop with one that cannot cannot either
            spared = {
                ff
                for of_cell in sources.values()
                for ff in of_cell.values()
                for user, port in self.readers[self.cells[ff]["connections"]["Q"][0]]
                if user not in sources or port[:1] != side
            }
            kept = {n: of for n, of in sources.items() if not spared & set(of.values())}
            if len(kept) == len(sources):
                break
            sources = kept
        for name, of_cell in sources.items():
            clock = self.cells[next(iter(of_cell.values()))]["connections"]["CLK"]
            cell = multipliers[name]
            cell["parameters"] |= {
                f"REG_INPUT{side}_CLK": "CLK0",
                f"REG_INPUT{side}_CE": "CE0",
                f"REG_INPUT{side}_RST": "RST0",
            }
            for port, driver in (("CLK0", clock), ("CE0", ["1"]), ("RST0", ["0"])):
                cell["connections"][port] = driver
                cell["port_directions"][port] = "input"
            for port, ff in of_cell.items():
                cell["connections"][port] = [_input(self.cells[ff])]
        return {ff for of_cell in sources.values() for ff in of_cell.values()}

    def _before(self, bit: int) -> str | None:
        """The plain flip-flop that drives a bit."""
        name, _ = self.drivers.get(bit, ("", ""))
        return name if name and _is_plain(self.cells[name]) else None

    def _flipflop(self, readers: list[Pin]) -> str | None:
        """The plain flip-flop that is the only reader."""
        if len(readers) != 1:
            return None
        name, port = readers[0]
        return name if name and port in ("DI", "M") and _is_plain(self.cells[name]) else None


def _data(cell: Cell, prefix: str) -> Iterator[str]:
    """Ports called `prefix` and a number."""
    return (
        port
        for port in cell["connections"]
        if port.startswith(prefix) and port[len(prefix) :].isdigit()
    )


def _is_plain(cell: Cell) -> bool:
    pins, parameters = cell["connections"], cell["parameters"]
    return (
        cell["type"] == "TRELLIS_FF"
        and pins.get("LSR") in _OFF
        and pins.get("CE") in _ON
        and (parameters["CEMUX"].strip(), parameters["CLKMUX"]) == ("1", "CLK")
        and parameters["REGSET"] == "RESET"
    )


def _input(flipflop: Cell) -> int | str:
    pins = flipflop["connections"]
    found: int | str = pins["DI" if "DI" in pins else "M"][0]
    return found


if __name__ == "__main__":
    absorb_in(Path(sys.argv[1]), sys.argv[2])
