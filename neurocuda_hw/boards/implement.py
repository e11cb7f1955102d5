"""Runs the tools: a bitstream whose clock the routed design keeps, or a sentence."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurocuda_hw.boards.flow import (
    ABSORB,
    REPORT,
    TOP,
    Step,
    constraints,
    flat,
    makefile,
    steps,
    tools_of,
    top,
)
from neurocuda_hw.boards.pll import choose_pll
from neurocuda_hw.boards.table import Board
from neurocuda_hw.ground.errors import ModelError, OutputError
from neurocuda_hw.ground.programs import Tool, require, run
from neurocuda_hw.ground.progress import Progress
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.synth import absorb
from neurocuda_hw.synth.absorb import absorb_in
from neurocuda_hw.synth.paths import CriticalPath, Names
from neurocuda_hw.synth.route import fmax, slowest

BAUD = 115_200
FOLDER = "board"
TRIES = 4
_OFF = 0.02  # of the rate; the line bears 3 % between both ends
FIRST = 100.0  # MHz that are tried first; what is met by the first placement says the next
_MARGIN = 0.97  # of the clock that was met, for the next try: another placement differs by as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Bitstream:
    """What was made.

    Parameters
    ----------
    files : dict of str to bytes
        Of a build folder: ``board/`` with the bitstream, ``serial/`` with the bridge.
    facts : dict
        For ``report.json``: board, part, clock and the routed one, baud rate, path, tools.
    """

    files: dict[str, bytes]
    facts: dict[str, Any]


def implement(
    rtl: Mapping[str, bytes],
    serial: Callable[[int], dict[str, bytes]],
    board: Board,
    *,
    clock: float | None = None,
    baud: int = BAUD,
    progress: Progress | None = None,
) -> Bitstream:
    """A bitstream of a network on a board.

    Parameters
    ----------
    rtl : mapping of str to bytes
        The network's Verilog and memory files.
    serial : callable
        Gives the bridge's files for a number of cycles per bit.
    clock : float, optional
        MHz; the PLL gives the fastest of at most so much. Where None, a clock that is met is found.

    Raises
    ------
    ToolError
        If a tool or package is missing, or fails.
    ModelError
        If the clock is not met, or cannot be made.
    """
    pins, limit = board.pins, clock or FIRST
    tools = tools_of(board.family)
    for tool in tools:
        require(tool)
    met = 0.0
    for attempt in range(1, TRIES + 1):
        pll = choose_pll(board.family, pins.mhz, limit)
        if pll is None:
            raise ModelError(
                f"the clock of {board.name} must be one that its {pins.mhz:g} MHz can make, not "
                f"{limit:.1f} MHz; give a higher --clock, or fewer lanes if it was not met"
            )
        bridge = serial(divisor_of(pll.mhz, baud))
        named, where = constraints(board, pins)
        own = {"top.v": top(board, pins, pll, baud).encode(), named: where.encode()}
        if board.family is Family.ECP5:
            own[ABSORB] = Path(absorb.__file__).read_bytes()
        sources = flat({**rtl, **bridge}) | own
        todo = steps(board, sorted(name for name in sources if name.endswith(".v")), pll.mhz)
        stage = f"{board.name} at {pll.mhz:.1f} MHz"
        absorbs = ABSORB in own
        bits, report, path = _run(sources, todo, tools, stage, progress or _silent, absorbs=absorbs)
        met = fmax(report)
        if met >= pll.mhz:
            break
        if clock is not None:
            raise ModelError(
                f"{board.name} does not keep {pll.mhz:.1f} MHz: it takes {met:.1f} MHz, limited by "
                f"{path.start} -> {path.end}; give --clock {int(met)}, or leave --clock out"
            )
        limit = met * _MARGIN**attempt
    else:
        raise ModelError(
            f"{board.name} kept none of {TRIES} clocks; give a --clock well below {met:.0f} MHz"
        )
    own |= {todo[-1].makes: bits, "Makefile": makefile(board, todo).encode()}
    return Bitstream(
        files={**bridge, **{f"{FOLDER}/{name}": content for name, content in own.items()}},
        facts={
            "board": board.name,
            "device": board.device,
            "bitstream": f"{FOLDER}/{todo[-1].makes}",
            "mhz": round(pll.mhz, 4),
            "routed_mhz": round(met, 2),
            "pll": dict(pll.settings),
            "baud": baud,
            "critical_path": [path.start, path.end],
            "utilization": used(report),
            "tools": [f"{tool.name} {tool.version}".strip() for tool in tools],
        },
    )


def divisor_of(mhz: float, baud: int) -> int:
    """Cycles of a bit of the serial line.

    Raises
    ------
    ModelError
        If the bridge cannot count so far, or the rate would be more than 2 % off.
    """
    exact = mhz * 1e6 / baud
    divisor = round(exact)
    if not 4 <= divisor < 1 << 16 or abs(divisor / exact - 1) > _OFF:
        slowest_rate, fastest = mhz * 1e6 / 65_535, mhz * 1e6 / 25
        raise ModelError(
            f"baud must be a rate that {mhz:.4g} MHz divides to, such as {slowest_rate:,.0f} to "
            f"{fastest:,.0f}, not {baud:,}"
        )
    return divisor


def _run(
    sources: Mapping[str, bytes],
    todo: Sequence[Step],
    tools: Sequence[Tool],
    stage: str,
    progress: Progress,
    *,
    absorbs: bool,
) -> tuple[bytes, dict[str, Any], CriticalPath]:
    """Runs the commands in a folder of their own: the bitstream, nextpnr's report, its path."""
    with tempfile.TemporaryDirectory(prefix="nchw_board_") as name:
        folder = Path(name)
        try:
            for path, content in sources.items():
                (folder / path).write_bytes(content)
        except OSError as error:
            raise OutputError(f"cannot write {name!r}: {error.strerror}") from error
        for number, (tool, step) in enumerate(zip(tools, todo, strict=True)):
            progress(f"{stage}: {tool.name}", number, len(todo))
            run(tool, step.arguments, cwd=folder, what=stage)
            if absorbs and not number:
                absorb_in(folder / step.makes, TOP)
        progress(stage, len(todo), len(todo))
        report = json.loads((folder / REPORT).read_text())
        names = Names(json.loads((folder / todo[0].makes).read_text()), TOP)
        return (folder / todo[-1].makes).read_bytes(), report, slowest(report, names)


def _silent(stage: str, done: int, total: int) -> None:
    """Says nothing."""


def used(report: Mapping[str, Any]) -> dict[str, list[int]]:
    """What is used and what is there, of each kind of cell that is used."""
    return {
        kind: [int(count["used"]), int(count["available"])]
        for kind, count in report["utilization"].items()
        if count["used"]
    }
