"""Verification: every spike of every population, and every output, equal to the golden trace.

The golden trace is checked against the reference first, then each target against the golden trace
(see `targets`). Exit codes: 0 equal, 1 a divergence, 2 bad input, 3 a tool is missing or failed, 4
too little was compared to say equal (see `targets.evidence`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.ground.showing import html_table
from neurocuda_hw.ground.words import GIVEN, RANDOM, some
from neurocuda_hw.network import Network
from neurocuda_hw.network.golden import read_manifest
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.trace import Trace, load_trace
from neurocuda_hw.passes.choice import choose
from neurocuda_hw.passes.study import Study
from neurocuda_hw.project.build import TRACE
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.simulation.mutate import MutantResult
from neurocuda_hw.targets.base import Target
from neurocuda_hw.targets.built import Built, the_build
from neurocuda_hw.targets.checks import ROW_HEADS, Check, Request
from neurocuda_hw.targets.evidence import EXIT_CODE, none_caught
from neurocuda_hw.targets.table import BENCHES, TABLE


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Verification:
    """All checks of one network.

    Parameters
    ----------
    name : str
    network : str
        Hash of the network.
    inputs : str
        Where the golden trace's inputs came from.
    checks : tuple of Check
    mutants : tuple of MutantResult
        What became of each mutant; see `mutate`.
    allow_little : bool
        Whether too little to say "equal" is no failure.
    """

    name: str
    network: str
    inputs: str = GIVEN
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

    def __repr__(self) -> str:
        told = ", ".join(f"{c.target} {c.verdict}" for c in self.checks)
        mutants = f", {some(len(self.mutants), 'mutant')}" if self.mutants else ""
        return f"Verification({self.name!r}, network {self.network[:12]}: {told}{mutants})"

    def _repr_html_(self) -> str:
        """One row for each check, for notebooks."""
        rows = [check.row for check in self.checks]
        if self.mutants:
            outcomes = ("caught", "missed", "not exercised")
            told = ", ".join(f"{self.count(o)} {o}" for o in outcomes)
            rows.append(("mutants", told, "", "", "", ""))
        return html_table(f"{self.name}, network {self.network[:12]}", ROW_HEADS, rows)

    def count(self, outcome: str) -> int:
        """Mutants of one outcome."""
        return sum(m.outcome == outcome for m in self.mutants)

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "name": self.name,
            "network": self.network,
            "inputs": self.inputs,
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """What is verified: a network, and the build folder that it lies in, where it is one's."""

    name: str
    network: Network
    built: Built | None = None

    @classmethod
    def of(cls, given: Subject | Network | str | Path) -> Subject:
        """Reads a model file or a build folder; raises ModelError if it is neither."""
        if isinstance(given, Subject):
            return given
        if isinstance(given, Network):
            return cls(name=given.name, network=given)
        path = Path(given)
        if not path.is_dir():
            return cls(name=path.name, network=load(path))
        built = the_build(path)
        return cls(name=path.name, network=load(path / "model.pt"), built=built)


def verify(
    subject: Subject | Network | str | Path | None,
    *,
    golden: str | Path | Trace | None = None,
    inputs: np.ndarray | None = None,
    request: Request | None = None,
) -> list[Verification]:
    """Verifies a network, a build folder, or every entry of a golden folder.

    Parameters
    ----------
    subject : Network, path or None
        A network, a file that `model_file.save` wrote, a folder that `build.build` wrote (or what
        `Subject.of` read of them), or None where `golden` is a folder with its own models.
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
    wrong = [t for t in asked.targets if t not in BENCHES]
    if wrong or not asked.targets:
        raise DataError(f"targets must be of {', '.join(BENCHES)}, not {', '.join(wrong)!r}")
    given = None if subject is None else Subject.of(subject)
    folder = Path(golden) if isinstance(golden, (str, Path)) else None
    if folder is not None and folder.is_dir():
        models = [(entry, load(folder / entry.model)) for entry in read_manifest(folder)]
        if given is not None:
            models = [(e, given.network) for e, found in models if found == given.network]
            if not models:
                raise ModelError(
                    f"the golden folder {str(folder)!r} must have a trace of network "
                    f"{given.network.hash[:12]}; record one with 'nchw golden'"
                )
        built = None if given is None else given.built
        return [
            _verify(
                Subject(name=entry.name, network=network, built=built),
                load_trace(folder / entry.trace, membranes=False),
                str(folder / entry.trace),
                asked,
            )
            for entry, network in models
        ]
    if given is None:
        raise DataError("name a model, a build folder, or a golden folder to verify")
    trace, origin = (golden, asked.origin) if isinstance(golden, Trace) else (None, asked.origin)
    if folder is not None:
        trace, origin = load_trace(folder, membranes=False), str(folder)
    if trace is None and inputs is None and given.built is not None:
        trace = load_trace(given.built.path / TRACE, membranes=False)
        origin = f"the folder's own golden trace{given.built.told_inputs}"
    if trace is None:
        if inputs is None:
            inputs, origin = default_inputs(given.network), RANDOM
        reference = Reference(given.network)
        trace = reference.trace(inputs[: asked.samples], progress=asked.stage("reference"))
    return [_verify(given, trace, origin, asked)]


def _verify(subject: Subject, trace: Trace, origin: str, asked: Request) -> Verification:
    """Every bench that was asked for, in the order of the table; then what can be broken is."""
    if asked.samples is not None:
        trace = trace.select(slice(0, asked.samples))
    study = Study(subject.network, trace=trace, lanes=asked.lanes)
    if any(t.bursts and t.within(subject.built) is None and _runs(t, asked) for t in TABLE):
        study = choose(study, asked.bursts).study  # what `build` would choose
    checks: list[Check] = []
    mutants: list[MutantResult] = []
    for target in TABLE:
        for bench in target.benches:
            if bench.name in asked.targets:
                checks.append(bench.check(study, subject.built, asked))
        if asked.mutate and target.benches and all(c.same for c in checks):
            mutants += target.mutants(study, subject.built, asked)
    return Verification(
        name=subject.name,
        network=subject.network.hash,
        inputs=origin,
        checks=tuple(checks),
        mutants=tuple(mutants),
        allow_little=asked.allow_little,
    )


def _runs(target: Target, asked: Request) -> bool:
    return asked.mutate > 0 or any(bench.name in asked.targets for bench in target.benches)


def exit_code(results: Sequence[Verification]) -> int:
    """Of several: a divergence anywhere, else too little anywhere, else 0."""
    return min((r.exit_code for r in results if r.exit_code), default=0)
