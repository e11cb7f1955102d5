"""The same Verilog in a second simulator: Icarus, whose registers are undefined until written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurocuda_hw.targets.base import Bench, Target, unusable
from neurocuda_hw.targets.built import Built
from neurocuda_hw.targets.verilog import Verilog

if TYPE_CHECKING:
    from neurocuda_hw.passes.study import Study
    from neurocuda_hw.targets.checks import Check, Request


class Icarus(Target):
    """The generated Verilog, in Icarus."""

    name = "icarus"
    also = (Verilog.name, *Verilog.also)
    product = "this Verilog"
    bursts = True

    def __init__(self) -> None:
        self.benches = (
            Bench(
                name="icarus",
                compares="this folder's Verilog, run by Icarus Verilog",
                check=self.check,
            ),
        )

    def missing(self) -> str:
        """Icarus, and what compiles the program that compares."""
        from neurocuda_hw.ground.toolchain import find_compiler, find_icarus, find_make

        return unusable(find_icarus(), find_compiler(), find_make())

    def check(self, study: Study, built: Built | None, asked: Request) -> Check:
        """The Verilog in Icarus against the golden trace."""
        from neurocuda_hw.simulation.icarus import run_icarus
        from neurocuda_hw.targets.verilog import bursts_of, check_of, hardware

        built, golden = self.own(built), study.trace
        bursts = study.sent if built is None else bursts_of(built)
        asked.tell("icarus", 0, golden.samples)
        result = run_icarus(study.network, *hardware(study, built), golden, bursts)
        asked.tell("icarus", result.samples, golden.samples)
        return check_of(study.network, golden, result, self.name)
