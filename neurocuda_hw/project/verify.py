"""Verification: every spike of every population, and every output, equal to the golden trace.

The golden trace is checked against the reference first, then each target against the golden trace
(see `checks`). Exit codes: 0 equal, 1 a divergence, 2 bad input, 3 a tool is missing or failed, 4
too little was compared to say equal (see `evidence`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.network import Network
from neurocuda_hw.network.golden import read_manifest
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.trace import Trace, load_trace
from neurocuda_hw.project.build import check_trace, read_report
from neurocuda_hw.project.checks import (
    Check,
    Request,
    check_cocotb,
    check_hls,
    check_loihi,
    check_reference,
    check_verilog,
    design_of,
    same_design,
)
from neurocuda_hw.project.evidence import EXIT_CODE, none_caught
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.simulation.mutate import MutantResult, run_mutants
from neurocuda_hw.simulation.simulate import Simulator


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All checks of one network.

    Parameters
    ----------
    name : str
    network : str
        Hash of the network.
    checks : tuple of Check
    mutants : tuple of MutantResult
        What became of each mutant; see `mutate`.
    allow_little : bool
        Whether too little to say "equal" is no failure.
    """

    name: str
    network: str
    checks: tuple[Check, ...]
    mutants: tuple[MutantResult, ...] = ()
    allow_little: bool = False

    @property
    def different(self) -> bool:
        """Whether something differed, or a mutant slipped through."""
        return not all(c.same for c in self.checks) or self.count("missed") > 0

    @property
    def little(self) -> str:
        """Why too little was compared to say "equal"; empty where it was enough."""
        reasons = [f"{c.target}: {c.little}" for c in self.checks if c.little]
        mutants = none_caught(*(self.count(o) for o in ("caught", "missed", "not exercised")))
        return "; ".join([*reasons, mutants] if mutants else reasons)

    @property
    def equal(self) -> bool:
        """Whether nothing differed, no mutant slipped through, and enough was compared."""
        return not self.different and not self.little

    @property
    def exit_code(self) -> int:
        """0, 1 or 4; errors carry their own."""
        if self.different:
            return 1
        return EXIT_CODE if self.little and not self.allow_little else 0

    def count(self, outcome: str) -> int:
        """Mutants of one outcome."""
        return sum(m.outcome == outcome for m in self.mutants)

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "name": self.name,
            "network": self.network,
            "equal": self.equal,
            "little": self.little,
            "exit_code": self.exit_code,
            "checks": [c.to_json() for c in self.checks],
            "mutants": {
                "caught": self.count("caught"),
                "missed": self.count("missed"),
                "not_exercised": self.count("not exercised"),
                "list": [asdict(m) for m in self.mutants],
            },
        }


def verify(
    subject: str | Path | Network | None,
    *,
    golden: str | Path | Trace | None = None,
    inputs: np.ndarray | None = None,
    request: Request | None = None,
) -> list[Verification]:
    """Verifies a network, a build folder, or every entry of a golden folder.

    Parameters
    ----------
    subject : Network, path or None
        A network, a file that `model_file.save` wrote, a folder that `build.build` wrote, or None
        where `golden` is a folder with its own models.
    golden : Trace or path, optional
        A trace, its file, or a golden folder with a manifest. Where missing: the build folder's
        own, else one that is recorded of `inputs`.
    inputs : int array, optional
        Inputs to record a trace of; see `stimulus.default_inputs` for what is taken without.

    Raises
    ------
    ModelError, DataError
        If something given is unusable (exit code 2).
    ToolError
        If a tool is missing or fails (exit code 3).
    """
    asked = request or Request()
    folder = Path(golden) if isinstance(golden, (str, Path)) else None
    if folder is not None and folder.is_dir():
        entries = read_manifest(folder)
        if subject is not None:
            network, _ = _subject(subject)
            entries = [e for e in entries if load(folder / e.model).hash == network.hash]
            if not entries:
                raise ModelError(
                    f"the golden folder {str(folder)!r} must have a trace of network "
                    f"{network.hash[:12]}; record one with 'nchw golden'"
                )
        return [
            _verify(
                entry.name,
                folder / entry.model if subject is None else subject,
                load_trace(folder / entry.trace),
                asked,
            )
            for entry in entries
        ]
    if subject is None:
        raise DataError("name a model, a build folder, or a golden folder to verify")
    trace = golden if isinstance(golden, Trace) else load_trace(folder) if folder else None
    name = subject.name if isinstance(subject, Network) else Path(subject).name
    if trace is None:
        trace = _recorded(subject, inputs, asked)
    return [_verify(name, subject, trace, asked)]


def _subject(subject: str | Path | Network) -> tuple[Network, Path | None]:
    """The network, and the build folder where it is one."""
    if isinstance(subject, Network):
        return subject, None
    path = Path(subject)
    if not path.is_dir():
        return load(path), None
    if read_report(path) is None:
        raise ModelError(f"{str(path)!r} must be a folder that 'nchw build' wrote")
    return load(path / "model.pt"), path


def _recorded(subject: str | Path | Network, inputs: np.ndarray | None, asked: Request) -> Trace:
    network, folder = _subject(subject)
    if folder is not None and inputs is None:
        return load_trace(folder / "golden" / "trace.npz")
    given = default_inputs(network) if inputs is None else inputs
    return Reference(network).trace(given[: asked.samples], progress=asked.stage("reference"))


def _verify(name: str, subject: str | Path | Network, trace: Trace, asked: Request) -> Verification:
    network, folder = _subject(subject)
    check_trace(network, trace)
    if asked.samples is not None:
        trace = trace.select(slice(0, asked.samples))
    checks = []
    if "reference" in asked.targets:
        checks.append(check_reference(network, trace, asked))
    mutants: list[MutantResult] = []
    if "verilog" in asked.targets or asked.mutate:
        files, word_bits, design = design_of(network, folder, asked)
        if asked.mutate and design is None:
            design = same_design(network, folder, files)
        if asked.progress:
            asked.progress("compiling", 0, 1)
        simulator = Simulator(network, files, word_bits)
        if "verilog" in asked.targets:
            checks.append(check_verilog(network, simulator, trace, asked))
        if design is not None and asked.mutate and all(c.same for c in checks):
            mutants = run_mutants(
                network,
                simulator,
                design,
                trace,
                count=asked.mutate,
                seed=asked.seed,
                progress=asked.stage("mutants"),
            )
    if "cocotb" in asked.targets:
        checks.append(check_cocotb(network, folder, trace, asked))
    if "hls" in asked.targets:
        checks.append(check_hls(network, trace, asked, folder))
    if "loihi" in asked.targets:
        checks.append(check_loihi(network, trace, asked))
    return Verification(
        name=name,
        network=network.hash,
        checks=tuple(checks),
        mutants=tuple(mutants),
        allow_little=asked.allow_little,
    )


def exit_code(results: Sequence[Verification]) -> int:
    """Of several: a divergence anywhere, else too little anywhere, else 0."""
    return min((r.exit_code for r in results if r.exit_code), default=0)
