"""The checks: one target's spikes and outputs against the golden trace.

``reference`` is the trace itself, recorded again; ``verilog`` runs the Verilog in Verilator at full
rate, ``cocotb`` with stalls, resets and register accesses; ``hls`` compiles the C++; ``loihi`` runs
the chip's model.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from neurocuda_hw.ground.errors import DataError, ModelError, ToolError
from neurocuda_hw.ground.programs import Tool, require, run
from neurocuda_hw.ground.toolchain import find_cocotb, find_verilator
from neurocuda_hw.hls import Model, verify_hls
from neurocuda_hw.loihi import spikes as loihi_spikes
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Divergence, Trace, first_divergence
from neurocuda_hw.project.build import build_files, ip_of, read_report, write_folder
from neurocuda_hw.project.evidence import Evidence, counted
from neurocuda_hw.reference.reference import Reference, explain
from neurocuda_hw.rtl.emit import Design, emit
from neurocuda_hw.rtl.register_map import Registers
from neurocuda_hw.simulation.benches import RUN_FOLDER
from neurocuda_hw.simulation.simulate import SimulationResult, Simulator, Stalls

Progress = Callable[[str, int, int], None]
TARGETS = ("reference", "verilog", "cocotb", "hls", "loihi")
_WITHOUT_VERILOG = ("hls", "loihi", "nir")
_COCOTB_SAMPLES = 20  # cocotb runs some ten thousand cycles per second
_BOUNDED_SAMPLES = 20
_COCOTB_LIMIT = 3600.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Evidence):
    """One target against the golden trace, and what was compared.

    Parameters
    ----------
    target : str
        Of `TARGETS`.
    same : bool
        Whether nothing differs; see `equal`.
    unequal : dict of str to int
        Samples that differ, by spiking population, and ``outputs``.
    divergence : Divergence, optional
        The first one, with the membrane and the events that led to it.
    fault : str
        A broken protocol, a deadlock, or failed cocotb tests.
    cycles, latency_cycles : int
    cycles_per_inference : float
        Of Verilog only; see `simulate.SimulationResult`.
    activity : dict of str to (dict of str to int)
        What each layer of the Verilog spends its cycles on; see `simulate.SimulationResult`.
    seconds : float
        Of simulation.
    """

    target: str
    same: bool
    unequal: dict[str, int] = field(default_factory=dict)
    divergence: Divergence | None = None
    fault: str = ""
    cycles: int = 0
    latency_cycles: int = 0
    cycles_per_inference: float = 0.0
    activity: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """``equal``, ``different``, or ``too little`` (see `evidence`)."""
        return "different" if not self.same else "too little" if self.little else "equal"

    @property
    def equal(self) -> bool:
        """Whether nothing differs, and enough was compared to say so."""
        return self.verdict == "equal"

    @property
    def message(self) -> str:
        """What is wrong, for people; empty where nothing is."""
        told = "" if self.divergence is None else str(self.divergence)
        return "\n".join(text for text in (told, self.fault) if text)

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``--json`` and the record."""
        names = ("equal", "verdict", "silent", "little", "message")
        return asdict(self) | {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What shall be verified, and how.

    Parameters
    ----------
    targets : sequence of str
        Of `TARGETS`.
    samples : int, optional
        How many of the golden samples; all where None. The cocotb bench runs 20 at most.
    allow_little : bool
        Whether too little to say "equal" is no failure; see `evidence`.
    mutate : int
        Random bits to flip; 0 for no mutants at all.
    seed : int
        Of the mutants.
    lanes : dict of str to int, optional
        Of the Verilog that is made for a network; a build folder has its own.
    stalls : Stalls
        Of the bulk harness.
    progress : callable, optional
        Called with (what is being done, done, in all).
    """

    targets: Sequence[str] = ("reference", "verilog")
    samples: int | None = None
    allow_little: bool = False
    mutate: int = 0
    seed: int = 0
    lanes: dict[str, int] | None = None
    stalls: Stalls = field(default_factory=Stalls)
    progress: Progress | None = None

    def __post_init__(self) -> None:
        wrong = [t for t in self.targets if t not in TARGETS]
        if wrong or not self.targets:
            raise DataError(f"targets must be of {', '.join(TARGETS)}, not {', '.join(wrong)!r}")
        if self.samples is not None and self.samples < 1:
            raise DataError(f"samples must be at least 1, not {self.samples!r}")
        if self.mutate < 0:
            raise DataError(f"mutate must be at least 0, not {self.mutate!r}")

    def stage(self, what: str) -> Callable[[int, int], None] | None:
        """The progress callback of one stage."""
        call = self.progress
        return (lambda done, total: call(what, done, total)) if call else None


def design_of(
    network: Network, folder: Path | None, asked: Request
) -> tuple[dict[str, bytes], int, Design | None]:
    """Files and word width of the Verilog: the build folder's own if it holds any, else freshly
    emitted."""
    report = None if folder is None else read_report(folder)
    if folder is None or report is None or report.get("target") in _WITHOUT_VERILOG:
        design = emit(network, asked.lanes)
        return design.files, design.tdata_bits, design
    found = [*(folder / "rtl").rglob("*"), *(folder / "ip").glob("*")]
    try:
        files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in found if p.is_file()}
        if not any(path.startswith(f"{RUN_FOLDER}/") for path in files):
            raise FileNotFoundError(2, "no memory files")
        return files, int(report["stream"]["word_bits"]), None
    except (OSError, KeyError, TypeError) as error:
        raise ModelError(
            f"build folder {str(folder)!r} is damaged ({error}); build it again"
        ) from error


def same_design(network: Network, folder: Path | None, files: dict[str, bytes]) -> Design:
    """The design of a build folder, emitted again: mutants need it to be what the folder holds."""
    assert folder is not None
    report = read_report(folder)
    assert report is not None
    lanes = {p["name"]: int(p["lanes"]) for p in report["populations"] if p["lanes"]}
    design = emit(network, lanes)
    if any(files.get(path) != content for path, content in design.files.items()):
        raise ModelError(
            f"build folder {str(folder)!r} must hold what this version builds, for mutants to be "
            "made; build it again, or leave --mutate out"
        )
    return design


def check_reference(network: Network, trace: Trace, asked: Request | None = None) -> Check:
    """The golden trace against the reference, run again."""
    progress = asked.stage("reference") if asked else None
    found = Reference(network).trace(trace.inputs, progress=progress)
    place = first_divergence(network, found, trace)
    return Check(
        target="reference",
        same=place is None,
        **counted(trace),
        unequal=_unequal(found, trace),
        divergence=explain(network, found, place) if place else None,
    )


def check_verilog(
    network: Network, simulator: Simulator, trace: Trace, asked: Request | None = None
) -> Check:
    """Compiled Verilog against the golden trace."""
    if asked and asked.progress:
        asked.progress("verilog", 0, trace.samples)
    result: SimulationResult = simulator.run(trace, stalls=asked.stalls if asked else None)
    done = trace.select(slice(0, result.samples))
    place = first_divergence(network, done, result.observed) if result.samples else None
    if asked and asked.progress:
        asked.progress("verilog", result.samples, trace.samples)
    if (place is None) != (result.equal or bool(result.fault)):
        raise ToolError("the bulk harness and the comparison of its traces disagree; report this")
    return Check(
        target="verilog",
        same=result.equal,
        **counted(done),
        unequal={**result.unequal_samples, "outputs": result.unequal_outputs},
        divergence=explain(network, done, place) if place else None,
        fault=result.fault,
        cycles=result.cycles,
        latency_cycles=result.latency_cycles,
        cycles_per_inference=result.cycles_per_inference,
        activity=result.activity,
        seconds=result.seconds,
    )


def check_cocotb(
    network: Network, folder: Path | None, trace: Trace, asked: Request | None = None
) -> Check:
    """The cocotb benches, on a build folder made for them (with the Verilog of `folder`, if given);
    that of the IP block only where `folder` has one."""
    require(find_verilator())
    cocotb = require(find_cocotb())
    request = asked or Request()
    short = trace.select(slice(0, _COCOTB_SAMPLES))
    files, word_bits, design = design_of(network, folder, request)
    with tempfile.TemporaryDirectory(prefix="nchw_") as name:
        work = Path(name) / "build"
        if design is None:
            lanes = {p.name: 0 for p in network.targets}
            design = Design(files={}, tdata_bits=word_bits, lanes=lanes, state_bits={})
        else:
            files = files | ip_of(network, design, Registers.COUNTERS)
        written = build_files(network, replace(design, files={}), short)
        write_folder({**written, **_hardware(files)}, work, network=network)
        bench = Tool(
            name="cocotb bench", command=(cocotb.where, str(work / "sim" / "run_cocotb.py"))
        )
        extra = {"NCHW_COCOTB_SAMPLES": str(short.samples), "PYTHON": sys.executable}
        extra |= {"MAKEFLAGS": "", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        done = run(
            bench,
            [],
            cwd=work,
            extra=extra,
            accept=(0, 1),
            what="simulation",
            timeout=_COCOTB_LIMIT,
        )
    return Check(
        target="cocotb",
        same=done.returncode == 0,
        **counted(short),
        fault="" if done.returncode == 0 else _cocotb_failures(done.stdout),
    )


def check_hls(
    network: Network, trace: Trace, asked: Request | None = None, folder: Path | None = None
) -> Check:
    """The C++ for Vitis HLS, compiled with the vendor's types, against the golden trace, and again
    between FIFOs of the declared depths for 20 samples at most: that of the build folder where it
    holds some, else freshly emitted."""
    if asked and asked.progress:
        asked.progress("hls", 0, trace.samples)
    lanes, files = asked.lanes if asked else None, _hls_files(folder)
    with tempfile.TemporaryDirectory(prefix="nchw_") as name:
        result = verify_hls(network, trace, name, lanes=lanes, files=files)
        if result.equal:
            short = trace.select(slice(0, _BOUNDED_SAMPLES))
            bounded = verify_hls(
                network, short, name, lanes=lanes, files=files, model=Model.BOUNDED, optimise=1
            )
            result = result if bounded.equal else bounded
    if asked and asked.progress:
        asked.progress("hls", trace.samples, trace.samples)
    place = result.divergence
    return Check(
        target="hls",
        same=result.equal,
        **counted(trace.select(slice(0, result.samples))),
        unequal={**result.unequal_samples, "outputs": result.unequal_outputs},
        divergence=explain(network, trace, place) if place else None,
        fault=result.fault,
        seconds=result.seconds,
    )


def _hls_files(folder: Path | None) -> dict[str, bytes] | None:
    """The C++ project of a build folder by path; None where it holds none."""
    report = read_report(folder) if folder is not None else None
    if folder is None or report is None or report["target"] not in ("hls", "all"):
        return None
    under = "hls/" if report["target"] == "all" else ""
    names = [n for n in report["files"] if n.startswith(under) and not n.startswith("golden/")]
    try:
        return {name.removeprefix(under): (folder / name).read_bytes() for name in names}
    except OSError as error:
        raise ModelError(
            f"build folder {str(folder)!r} is damaged ({error}); build it again"
        ) from error


def check_loihi(network: Network, trace: Trace, asked: Request | None = None) -> Check:
    """The model of Loihi 2 against the golden trace, each layer shifted by its depth in steps."""
    progress = asked.stage("loihi") if asked else None
    found = loihi_spikes(network, trace.inputs, progress=progress)
    place = first_divergence(network, trace, found)
    return Check(
        target="loihi",
        same=place is None,
        **counted(trace),
        unequal=_unequal(trace, found),
        divergence=explain(network, trace, place) if place else None,
    )


def _hardware(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in files.items() if path.startswith(("rtl/", "ip/"))}


def _cocotb_failures(text: str) -> str:
    """The assertion of the first failed test, or the last lines."""
    lines = text.splitlines()
    found = [line.strip() for line in lines if "AssertionError: " in line]
    if found:
        return found[0].removeprefix("AssertionError: ")
    return "the cocotb bench failed:\n" + "\n".join(lines[-20:])


def _unequal(expected: Trace, got: Trace) -> dict[str, int]:
    """Samples that differ, by population and in the outputs."""
    found = {
        name: int((expected.spikes[name] != got.spikes[name]).any(axis=(1, 2)).sum())
        for name in expected.sizes
    }
    return found | {"outputs": int((expected.outputs != got.outputs).any(axis=1).sum())}
