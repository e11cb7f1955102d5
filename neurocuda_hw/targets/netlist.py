"""The same hardware after synthesis: gates, flip-flops and block memories of a family of FPGAs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurocuda_hw.targets.base import Bench, Target, unusable
from neurocuda_hw.targets.built import Built
from neurocuda_hw.targets.families import NETLISTS
from neurocuda_hw.targets.verilog import Verilog

if TYPE_CHECKING:
    from neurocuda_hw.passes.study import Study
    from neurocuda_hw.targets.checks import Check, Request


class Netlist(Target):
    """What yosys makes of the generated Verilog, in Verilator."""

    name = "netlist"
    also = (Verilog.name, *Verilog.also)
    product = "this Verilog"
    bursts = True

    def __init__(self) -> None:
        self.benches = (
            Bench(
                name="netlist",
                compares="this folder's Verilog after synthesis by yosys (see --family)",
                check=self.check,
            ),
        )

    def missing(self) -> str:
        """yosys, and what simulates its netlist."""
        from neurocuda_hw.ground.toolchain import (
            find_compiler,
            find_make,
            find_verilator,
            find_yosys,
        )

        return unusable(find_yosys(), find_verilator(), find_compiler(), find_make())

    def check(self, study: Study, built: Built | None, asked: Request) -> Check:
        """The netlist against the golden trace."""
        from neurocuda_hw.ground.programs import require
        from neurocuda_hw.ground.toolchain import find_verilator
        from neurocuda_hw.simulation.simulate import Simulator
        from neurocuda_hw.synth.netlist import make_netlist
        from neurocuda_hw.targets.verilog import bursts_of, check_of, hardware

        require(find_verilator())
        built, golden, family = self.own(built), study.trace, NETLISTS[asked.family]
        bursts = study.sent if built is None else bursts_of(built)
        files, word_bits = hardware(study, built)
        asked.tell(f"netlist: synthesis for {family.value}", 0, golden.samples)
        made = make_netlist({p: c for p, c in files.items() if p.startswith("rtl/")}, family)
        asked.tell("netlist: compiling and running", 0, golden.samples)
        simulator = Simulator(study.network, made, word_bits, bursts, gates=True)
        result = simulator.run(golden, stalls=asked.stalls)
        asked.tell("netlist", result.samples, golden.samples)
        return check_of(study.network, golden, result, self.name)
