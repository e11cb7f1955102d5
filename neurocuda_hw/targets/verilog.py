"""Verilog, simulated by Verilator: at full rate in the bulk harness, with stalls in cocotb.

A build holds the hardware (``rtl/``), an IP block around it (``ip/``), both test benches (``sim/``)
and golden spikes, and is simulated with ``make`` alone.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurocuda_hw.ground.errors import ModelError, ToolError
from neurocuda_hw.targets.base import Bench, Options, Target, unusable
from neurocuda_hw.targets.built import REPORT, Built, head
from neurocuda_hw.targets.described import describe

if TYPE_CHECKING:
    from neurocuda_hw.network import Network
    from neurocuda_hw.network.trace import Trace
    from neurocuda_hw.passes.bursts import Bursts
    from neurocuda_hw.passes.mapping import Ways
    from neurocuda_hw.passes.study import Study
    from neurocuda_hw.rtl.emit import Design
    from neurocuda_hw.simulation.mutate import MutantResult
    from neurocuda_hw.simulation.simulate import SimulationResult, Simulator
    from neurocuda_hw.targets.checks import Check, Request

COCOTB_SAMPLES = 20  # cocotb runs some ten thousand cycles per second
_COCOTB_LIMIT = 3600.0  # seconds


class Verilog(Target):
    """The generated Verilog."""

    name = "verilog"
    computes = "generated Verilog, simulated cycle by cycle with Verilator"
    options: tuple[str, ...] = ("lanes", "bursts")
    builds = "Verilog"
    title = "Verilog"
    product = "this Verilog"
    gates = True
    bursts = True
    also = ("ecp5", "ice40", "gowin")

    def __init__(self) -> None:
        self.benches: tuple[Bench, ...] = (
            Bench(
                name="verilog",
                compares="this folder's Verilog, compiled with Verilator",
                check=self.check_bulk,
            ),
            Bench(
                name="cocotb",
                compares="this folder's Verilog in the cocotb bench: stalls and resets",
                check=self.check_cocotb,
            ),
        )

    def missing(self) -> str:
        """Verilator and what compiles its C++."""
        from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator

        return unusable(find_verilator(), find_compiler(), find_make())

    def prepare(self, study: Study, **options: Any) -> Any:
        """A `Simulator` of the Verilog that `build` writes for these options."""
        return simulator_of(chosen(study.network, options), None)

    def observe(self, product: Any, expected: Trace) -> tuple[Trace, str]:
        """Runs the bulk harness."""
        result = product.run(expected)
        return result.observed, result.fault

    def files(self, study: Study, options: Options) -> dict[str, bytes]:
        """Hardware, IP block, front block and serial bridge if asked for, host programs, test
        benches, golden spikes."""
        from neurocuda_hw.host.facts import facts_of
        from neurocuda_hw.host.files import host_files
        from neurocuda_hw.rtl.bridge import bridge_files
        from neurocuda_hw.rtl.emit import emit
        from neurocuda_hw.rtl.prefix import prefixed

        design, network = study.once(emit), study.network
        files = design.files | ip_of(network, design, options.registers)
        facts = facts_of(
            network, design.state_bits[network.output.name], raster=design.bursts.raster
        )
        files |= host_files(facts)
        if options.divisor is not None:
            files |= bridge_files(study, divisor=options.divisor)
        if options.front is not None:
            from neurocuda_hw.targets.front import files_of

            files |= files_of(network, design.tdata_bits, options)
        files |= bench_of(network, study.trace, design.tdata_bits, study.sent)
        return prefixed(files, options.prefix)

    def facts(self, study: Study) -> dict[str, Any]:
        """Tools, populations with their widths, sizes."""
        from neurocuda_hw.rtl.emit import emit

        return describe(study.network, study.once(emit))

    def next_steps(self, folder: Path) -> str:
        """How to simulate it."""
        return f"Next: make -C {folder} sim   nchw verify {folder}"

    def cycles(self, study: Study, built: Built) -> tuple[dict[str, float], float]:
        """Rows of weights that events visit and rows of state that sweeps walk."""
        from neurocuda_hw.passes.cycles import network_work

        study = study_of(study, built)
        found = {n: work.bound for n, work in network_work(study.plans, study.activity).items()}
        return found, max(found.values())

    def check_bulk(self, study: Study, built: Built | None, asked: Request) -> Check:
        """Compiled Verilog against the golden trace."""
        asked.tell("compiling", 0, 1)
        simulator, golden = study.once(simulator_of, self.own(built)), study.trace
        asked.tell("verilog", 0, golden.samples)
        result = simulator.run(golden, stalls=asked.stalls)
        asked.tell("verilog", result.samples, golden.samples)
        check = check_of(study.network, golden, result)
        own = self.own(built)
        if check.same and own is not None and "front" in own.report:
            from neurocuda_hw.targets.front import fault_of

            asked.tell("front block", 0, 1)
            fault = fault_of(study.network, own, asked)
            check = replace(check, same=not fault, fault=fault)
        return check

    def check_cocotb(self, study: Study, built: Built | None, asked: Request) -> Check:
        """The cocotb benches on a folder made for them; that of the IP block only where a build
        folder has one."""
        from neurocuda_hw.ground.programs import Tool, require, run
        from neurocuda_hw.ground.toolchain import find_cocotb, find_verilator
        from neurocuda_hw.targets.checks import Check
        from neurocuda_hw.targets.evidence import counted

        require(find_verilator())
        cocotb, short = require(find_cocotb()), study.trace.select(slice(0, COCOTB_SAMPLES))
        with tempfile.TemporaryDirectory(prefix="nchw_") as name:
            work = Path(name)
            for path, content in cocotb_files(study, self.own(built), short).items():
                (work / path).parent.mkdir(parents=True, exist_ok=True)
                (work / path).write_bytes(content)
            script = work / "sim" / "run_cocotb.py"
            extra = {"NCHW_COCOTB_SAMPLES": str(short.samples), "PYTHON": sys.executable}
            extra |= {"MAKEFLAGS": "", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
            done = run(
                Tool(name="cocotb bench", command=(cocotb.where, str(script))),
                [],
                cwd=work,
                extra=extra,
                accept=(0, 1),
                what="simulation",
                timeout=_COCOTB_LIMIT,
            )
        same = done.returncode == 0
        fault = "" if same else _cocotb_failures(done.stdout)
        return Check(target="cocotb", same=same, fault=fault, **counted(short))

    def mutants(self, study: Study, built: Built | None, asked: Request) -> list[MutantResult]:
        """Runs broken memory files on the Verilog, which must be what is emitted now."""
        from neurocuda_hw.rtl.emit import emit
        from neurocuda_hw.simulation.mutate import run_mutants

        built = self.own(built)
        if built is not None:
            study = study_of(study, built)
        design, (held, _) = study.once(emit), hardware(study, built)
        if built is not None and any(held.get(p) != c for p, c in design.files.items()):
            raise ModelError(
                f"build folder {str(built.path)!r} must hold what this version builds, for "
                "mutants to be made; build it again, or leave --mutate out"
            )
        return run_mutants(
            study.network,
            study.once(simulator_of, built),
            design,
            study.trace,
            count=asked.mutate,
            seed=asked.seed,
            progress=asked.stage("mutants"),
        )


def study_of(study: Study, built: Built) -> Study:
    """`study` with the lanes, bursts and ways of a build."""
    return study.laid_out(lanes_of(built), bursts_of(built), ways_of(built))


def chosen(network: Network, options: dict[str, Any]) -> Study:
    """What `build` makes of a network without inputs, with its ``lanes`` and ``bursts``."""
    from neurocuda_hw.data.stimulus import default_inputs
    from neurocuda_hw.passes.choice import choose
    from neurocuda_hw.passes.study import Study
    from neurocuda_hw.reference.reference import Reference

    trace = Reference(network).trace(default_inputs(network))
    study = Study(network, trace=trace, lanes=options.get("lanes"))
    return choose(study, options.get("bursts", "auto")).study


def lanes_of(built: Built) -> dict[str, int]:
    """Lanes of each population of a build."""
    try:
        return {p["name"]: p["lanes"] for p in built.report["populations"]}
    except KeyError as error:
        raise built.damaged(error) from error


def bursts_of(built: Built) -> Bursts:
    """What a build sends as bursts."""
    from neurocuda_hw.passes.bursts import NO_BURSTS, RASTER, Bursts

    told = built.report.get("bursts") or {}
    if not told.get("counts"):
        return NO_BURSTS
    try:
        maxima, merged = frozenset(told["maxima"]), bool(told["merged"])
    except (KeyError, TypeError) as error:
        raise built.damaged(error) from error
    streams = told.get("streams") or {}
    rows = built.report.get("populations", [])  # C++ alone says nothing of them
    lines = {p["name"]: p["line"] for p in rows if "line" in p}
    return Bursts(
        counts=told["counts"],
        maxima=maxima,
        merged=merged,
        streams=bool(streams.get("chosen")),
        raster=bool(streams.get("chosen")) and streams.get("order") == RASTER,
        lines=lines,
    )


def ways_of(built: Built) -> dict[str, Ways]:
    """How the layers of a build are made, where the synthesiser is told."""
    from neurocuda_hw.passes.mapping import Style, Ways

    try:
        return {
            p["name"]: Ways(
                styles={name: Style(style) for name, style in p["ways"]["memories"].items()},
                soft=bool(p["ways"]["soft"]),
            )
            for p in built.report["populations"]
            if "ways" in p
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise built.damaged(error) from error


def hardware(study: Study, built: Built | None) -> tuple[dict[str, bytes], int]:
    """Verilog and all that runs with it, and its word width: the folder's own, else emitted."""
    from neurocuda_hw.rtl.emit import emit
    from neurocuda_hw.rtl.prefix import PLAIN, prefixed
    from neurocuda_hw.simulation.benches import RUN_FOLDER

    if built is None:
        design = study.once(emit)
        return design.files, design.tdata_bits
    # what the build wrote and nothing else; all that runs it is the package's own, and knows it by
    # the names that it has without a prefix
    files = built.read(p for p in built.report["files"] if p.startswith(("rtl/", "ip/")))
    files = prefixed(files, PLAIN, built.report.get("prefix", PLAIN))
    try:
        if not any(path.startswith(f"{RUN_FOLDER}/") for path in files):
            raise FileNotFoundError(2, "no memory files")
        return files, built.report["stream"]["word_bits"]
    except (OSError, KeyError) as error:
        raise built.damaged(error) from error


def serial_files(built: Built) -> tuple[Network, dict[str, bytes], int]:
    """The network, the folder's Verilog behind a bridge, and its word width: for a simulation."""
    from neurocuda_hw.network.model_file import load
    from neurocuda_hw.passes.study import Study
    from neurocuda_hw.rtl.bridge import bridge_files
    from neurocuda_hw.simulation.serial import DIVISOR

    study = study_of(Study(load(built.path / "model.pt")), built)
    files, word_bits = hardware(study, built)
    return study.network, files | bridge_files(study, divisor=DIVISOR), word_bits


def simulator_of(study: Study, built: Built | None) -> Simulator:
    """The compiled bulk harness."""
    from neurocuda_hw.simulation.simulate import Simulator

    bursts = study.sent if built is None else bursts_of(built)
    return Simulator(study.network, *hardware(study, built), bursts)


def check_of(
    network: Network, golden: Trace, result: SimulationResult, target: str = "verilog"
) -> Check:
    """What the bulk harness found, which must be what its observed spikes say."""
    from neurocuda_hw.targets.checks import compared

    check = compared(
        target,
        network,
        golden,
        result.observed,
        fault=result.fault,
        cycles=result.cycles,
        latency_cycles=result.latency_cycles,
        cycles_per_inference=result.cycles_per_inference,
        activity=result.activity,
        seconds=result.seconds,
    )
    if (check.divergence is None) != (result.equal or bool(result.fault)):
        raise ToolError("the bulk harness and the comparison of its traces disagree; report this")
    return check


def cocotb_files(study: Study, built: Built | None, golden: Trace) -> dict[str, bytes]:
    """A folder for the cocotb benches: the hardware, what is known of it, golden spikes."""
    from neurocuda_hw.rtl.emit import emit

    files, word_bits = hardware(study, built)
    if built is None:
        design = study.once(emit)
        report = head(study.network, "verilog") | describe(study.network, design)
        report["bursts"] = {"counts": dict(study.bursts.counts), "merged": study.bursts.merged}
        files = files | ip_of(study.network, design, Options().registers)
    else:
        report = built.report
    bursts = study.sent if built is None else bursts_of(built)
    files = files | bench_of(study.network, golden, word_bits, bursts)
    return files | {REPORT: json.dumps(report).encode()}


def ip_of(network: Network, design: Design, registers: str) -> dict[str, bytes]:
    """The files of the IP block around `design`; none where there are to be no registers."""
    from neurocuda_hw.rtl.ip import ip_files
    from neurocuda_hw.rtl.register_map import Registers

    chosen = Registers(registers)
    if chosen is Registers.NONE:
        return {}
    return ip_files(
        network,
        tdata_bits=design.tdata_bits,
        counters=chosen is Registers.COUNTERS,
        sources=list(design.files),
        bursts=design.bursts,
    )


def bench_of(network: Network, golden: Trace, word_bits: int, bursts: Bursts) -> dict[str, bytes]:
    """The test benches with what they send and expect."""
    from neurocuda_hw.data.stimulus import expected_bytes, stimulus_bytes
    from neurocuda_hw.simulation.benches import bench_files

    return bench_files(network, word_bits, bursts) | {
        "golden/stimulus.bin": stimulus_bytes(
            network, golden.inputs, word_bits, raster=bursts.raster
        ),
        "golden/expected.bin": expected_bytes(golden),
    }


def _cocotb_failures(text: str) -> str:
    """The assertion of the first failed test, or the last lines."""
    lines = text.splitlines()
    found = [line.strip() for line in lines if "AssertionError: " in line]
    if found:
        return found[0].removeprefix("AssertionError: ")
    return "the cocotb bench failed:\n" + "\n".join(lines[-20:])
