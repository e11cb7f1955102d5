"""Bitstreams: the Verilog behind a serial line, placed and routed for a board.

A build holds what one of `Verilog` does, the bridge (``serial/``) and what the board needs
(``board/``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.targets.base import Bench, Options, unusable
from neurocuda_hw.targets.verilog import Verilog

if TYPE_CHECKING:
    from neurocuda_hw.boards.table import Board
    from neurocuda_hw.passes.devices import Device, Family
    from neurocuda_hw.passes.study import Study

FACTS = "board/board.json"


class Bitstream(Verilog):
    """Bitstreams for the boards of one family."""

    computes = ""
    options = ()
    boards = True

    def __init__(self, name: str, family: Family) -> None:
        self.name, self.family = name, family
        self.builds = self.title = f"a bitstream for a board ({family.value})"
        self.product = "this design"
        self.benches: tuple[Bench, ...] = ()

    def missing(self) -> str:
        """yosys, nextpnr and what packs the bitstream."""
        from neurocuda_hw.boards.flow import tools_of

        return unusable(*tools_of(self.family))

    def joins(self, options: Options) -> bool:
        """No: it needs a board's name, and minutes."""
        return False

    def files(self, study: Study, options: Options) -> dict[str, bytes]:
        """Those of the Verilog, the bridge, the bitstream, and what makes it again."""
        from neurocuda_hw.boards.implement import implement
        from neurocuda_hw.rtl.bridge import bridge_files
        from neurocuda_hw.rtl.emit import emit

        made = implement(
            study.once(emit).files,
            lambda divisor: bridge_files(study, divisor=divisor),
            self.board(options.board),
            clock=options.clock,
            baud=options.baud,
            progress=options.progress,
        )
        told = json.dumps(made.facts, indent=1) + "\n"
        return super().files(study, options) | made.files | {FACTS: told.encode()}

    def board(self, name: str | None) -> Board:
        """The board of that name."""
        from neurocuda_hw.boards.table import boards_of

        boards = boards_of(self.family)
        if name not in boards:
            given = f", not {name}" if name else ""
            raise ModelError(f"--target {self.name} needs --board {'|'.join(boards)}{given}")
        return boards[name]

    def room(self, board: str | None) -> Device | None:
        """The board's FPGA without what the bridge takes."""
        return self.board(board).room

    def next_steps(self, folder: Path) -> str:
        """The clock, and how the bitstream is loaded."""
        told: dict[str, Any] = json.loads((folder / FACTS).read_text())
        return (
            f"{told['board']} runs at {told['mhz']:.4g} MHz (routed: {told['routed_mhz']:.1f} MHz, "
            f"limited by {' -> '.join(told['critical_path'])}).\n"
            f"Next: make -C {folder / 'board'} load   nchw verify {folder}"
        )
