"""What a target says of itself: what it writes, how it is compared, what it computes.

A target is one file of this folder and one row of `table.TABLE`; `project`, `report`, the command
line and `backends.compile` ask the table, and none of them knows a target by its name. The modules
of this folder load numpy, torch and amaranth only when they work: the command line reads the table
to know its options.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurocuda_hw.ground.errors import DivergenceError, ModelError, first_line
from neurocuda_hw.ground.words import GIVEN

if TYPE_CHECKING:
    import numpy as np
    import torch

    from neurocuda_hw.network import Network
    from neurocuda_hw.network.trace import Trace
    from neurocuda_hw.passes.devices import Device
    from neurocuda_hw.passes.study import Study
    from neurocuda_hw.reference.snn import SpikingNetwork
    from neurocuda_hw.simulation.mutate import MutantResult
    from neurocuda_hw.targets.checks import Check, Request

FORMAT = "neurocuda_hw.build"
FORMAT_VERSION = 1
REPORT = "report.json"
ALL = "all"  # what a folder is built for that holds all targets that `join` it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Built:
    """A build folder, whose ``report.json`` was read; `digest` is its sha256."""

    path: Path
    report: dict[str, Any]
    digest: str

    @classmethod
    def of(cls, path: Path, content: bytes) -> Built:
        """The folder `path` with this ``report.json``; raises ModelError if it is none.

        What is read of it later is checked here: it may be edited, or of another version.
        """
        try:
            report = json.loads(content)
            if isinstance(report, dict) and report.get("format") != FORMAT:
                raise ModelError(_no_build(path, f"its {REPORT} is of something else"))
            _check(report)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(
                f"{str(path / REPORT)!r} is damaged ({type(error).__name__}: "
                f"{first_line(error)}); build the folder again"
            ) from error
        return cls(path=path, report=report, digest=hashlib.sha256(content).hexdigest())

    @property
    def target(self) -> str:
        """What it was built for."""
        return str(self.report.get("target"))

    @property
    def told_inputs(self) -> str:
        """Where its golden inputs came from, in brackets; empty if an earlier version built it."""
        told = self.report.get("golden")
        inputs = told.get("inputs") if isinstance(told, dict) else None
        return f" ({inputs})" if inputs else ""

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """The content of some of its files."""
        try:
            return {path: (self.path / path).read_bytes() for path in paths}
        except OSError as error:
            raise self.damaged(error) from error

    @property
    def changed(self) -> tuple[str, ...]:
        """Files that are missing or not as the build wrote them, by what the report says."""
        found = []
        for name, digest in self.report["files"].items():
            try:
                content = (self.path / name).read_bytes()
            except OSError:
                found.append(f"{name} (missing)")
                continue
            if hashlib.sha256(content).hexdigest() != digest:
                found.append(name)
        return tuple(found)

    def damaged(self, error: Exception) -> ModelError:
        """The error to raise where it does not hold what a build wrote."""
        return ModelError(f"build folder {str(self.path)!r} is damaged ({error}); build it again")


def _check(report: dict[str, Any]) -> None:
    """Raises an error of any kind unless a report holds what one of this version does."""
    if report["version"] != FORMAT_VERSION:
        raise ValueError(f"its version is {report['version']!r}, not {FORMAT_VERSION}")
    for key in ("name", "hash"):
        _must_be(report["network"][key], str, f"the network's {key}")
    _must_be(report["target"], str, "target")
    for name, digest in _must_be(report["files"], dict, "files").items():
        _must_be(digest, str, f"the hash of {name}")
        parts = name.replace("\\", "/").split("/")
        if ".." in parts or not parts[0] or ":" in parts[0]:
            raise ValueError(f"file {name!r} must be in the folder")
    for population in _must_be(report.get("populations", []), list, "populations"):
        _must_be(population["name"], str, "the name of a population")
        if _must_be(population["lanes"], int, "lanes") < 0:
            raise ValueError(f"lanes must be at least 0, not {population['lanes']}")
        if _must_be(population.get("line", 1), int, "line") < 1:
            raise ValueError(f"line must be at least 1, not {population['line']}")
    for name, most in _must_be(report.get("bursts", {}).get("counts", {}), dict, "bursts").items():
        if _must_be(most, int, f"the bursts of {name}") < 1:
            raise ValueError(f"the bursts of {name} must be at least 1, not {most}")
    _must_be(report.get("bursts", {}).get("streams", {}), dict, "streams")
    for name, lanes in _must_be(report.get("lanes") or {}, dict, "lanes").items():
        if _must_be(lanes, int, f"the lanes of {name}") < 1:
            raise ValueError(f"the lanes of {name} must be at least 1, not {lanes}")
    _check_told(report)
    if "front" in report:
        front = _must_be(report["front"], dict, "front")
        for name in ("downsample", "step_us"):
            _must_be(front[name], int, f"{name} of the front block")
        if front["kind"] not in ("evt3", "aer"):
            raise ValueError(f"the front block's kind must be evt3 or aer, not {front['kind']!r}")
        _must_be(front["grid"], str, "the front block's grid")
        left, top = (_must_be(n, int, "a number of the crop") for n in front["crop"])
        if min(left, top, front["downsample"] - 1, front["step_us"] - 1) < 0:
            raise ValueError(f"the front block must not be {front}")
    if "stream" in report and report["stream"]["word_bits"] not in (32, 64):
        raise ValueError(f"word_bits must be 32 or 64, not {report['stream']['word_bits']!r}")


def _check_told(report: dict[str, Any]) -> None:
    """The same of what `Options.told` added."""
    _must_be(report.get("golden", {}), dict, "golden")
    _must_be(report.get("prefix", ""), str, "prefix")
    accuracy = _must_be(report.get("accuracy", {}), dict, "accuracy")
    for name in accuracy and ("samples", "right"):
        if _must_be(accuracy[name], int, f"{name} of the accuracy") < (name == "samples"):
            raise ValueError(f"{name} of the accuracy must not be {accuracy[name]}")
    conversion = _must_be(report.get("conversion", {}), dict, "conversion")
    for name in conversion and ("ann_accuracy", "qcfs_accuracy", "integer_accuracy"):
        if conversion[name] is not None:
            float(_must_be(conversion[name], float, name))
    for name in conversion and ("samples", "data", "strategy", "unequal"):
        conversion[name]
    if "bursts" in report:
        bursts = _must_be(report["bursts"], dict, "bursts")
        _must_be(bursts["says"], str, "what is said of bursts")
        bool(bursts["chosen"])
        for figures in (bursts["with"], bursts.get("without", bursts["with"])):
            for name in ("cycles", "luts", "blocks", "dsps"):
                float(figures[name])
    if "folding" in report:
        folding = _must_be(report["folding"], dict, "folding")
        for part in (folding, folding["shared"], folding["usable"], *folding["layers"]):
            for name in ("luts", "blocks", "dsps"):
                float(part[name])
        float(folding["cycles"])
        for layer in folding["layers"]:
            _must_be(layer["lanes"], int, "lanes of the folding")
            float(layer["cycles"])


def _must_be(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{what} must be {kind.__name__}, not {value!r:.40}")
    return value


def the_build(path: Path) -> Built:
    """The build in `path`; raises ModelError, with the reason, if there is none."""
    built = read_built(path)
    if built is not None:
        return built
    if not path.is_dir():
        reason = "it is a file" if path.exists() else "there is no such folder"
        raise ModelError(_no_build(path, reason))
    raise ModelError(_no_build(path, f"it has no {REPORT}"))


def _no_build(path: Path, reason: str) -> str:
    """What to say of a folder that is no build; of a part of one, which folder is meant."""
    over = next((p for p in path.absolute().parents if _holds_build(p)), None)
    way_out = f"; it lies in the build {str(over)!r}: name that" if over else ""
    return f"{str(path)!r} must be a folder that 'nchw build' wrote: {reason}{way_out}"


def _holds_build(path: Path) -> bool:
    try:
        return read_built(path) is not None
    except ModelError:
        return False


def read_built(path: Path) -> Built | None:
    """The build in `path`, or None if it has no report; raises ModelError if that is damaged."""
    try:
        content = (path / REPORT).read_bytes()
    except OSError:
        return None
    return Built.of(path, content)


def head(network: Network, target: str) -> dict[str, Any]:
    """What ``report.json`` begins with."""
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "target": target,
        "network": {
            "name": network.name,
            "hash": network.hash,
            "timesteps": network.timesteps,
            "input": network.input.name,
            "output": network.output.name,
        },
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user may say of the files, beside lanes.

    Parameters
    ----------
    registers : str
        A value of `rtl.register_map.Registers`: what the IP block has beside the network.
    chips : int
        Chips of Loihi that may be used.
    graded_counts : bool
        Whether Loihi 2 sends all spikes of a neuron as one graded spike, where that is exact.
    writing : mapping
        Arguments of `nir.to_nir`.
    inputs : str
        Where the golden inputs came from, for those who read the reports.
    front : mapping, optional
        A camera's front block: arguments of `rtl.front_plan.FrontPlan`, beside network and width.
    board : str, optional
        Of `boards.table`, for targets that write bitstreams.
    clock : float, optional
        MHz that it shall run at; as fast as it can where None.
    baud : int
        Of its serial line.
    progress : callable, optional
        Called with (stage, done, in all) by what takes minutes.
    divisor : int, optional
        Clock cycles of a bit of the serial line; no bridge where None.
    words : sequence of arrays
        The camera's words of some recordings, which `nchw verify` sends to that block.
    prefix : str
        What the names of modules and files begin with; see `rtl.prefix`.
    told : mapping
        What ``report.json`` says beside: ``conversion``, ``accuracy``, ``bursts``,
        ``folding``.
    """

    registers: str = "counters"
    chips: int = 1
    graded_counts: bool = False
    writing: Mapping[str, Any] = field(default_factory=dict)
    inputs: str = GIVEN
    front: Mapping[str, Any] | None = None
    board: str | None = None
    clock: float | None = None
    baud: int = 115_200
    progress: Callable[[str, int, int], None] | None = None
    divisor: int | None = None
    words: Sequence[np.ndarray] = ()
    prefix: str = "nchw"
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One way to compare a target with the golden trace.

    Parameters
    ----------
    name : str
        Of its checks, in the record of a build and on the command line.
    compares : str
        What is compared, for people.
    check : callable
        Of a study, the build folder whose files shall be run (None: they are made), the request.
    """

    name: str
    compares: str
    check: Callable[[Study, Built | None, Request], Check]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledModel:
    """A network that is ready to run on one target.

    Parameters
    ----------
    snn : SpikingNetwork
        What was compiled: it quantises inputs and scales logits.
    target : str
    product : object
        What the target made of it: a `Simulator`, a `LoihiProgram`, ...
    """

    snn: SpikingNetwork
    target: str
    product: Any


class Target:
    """One target; each does what it overrides, and says so in its attributes.

    Attributes
    ----------
    computes : str
        What `prepare` and `observe` run; empty where `compile` has no such target.
    options : tuple of str
        Arguments of `prepare`.
    builds : str
        What `files` gives, for the help of ``nchw build``; empty where it writes nothing.
    title, product : str
        What a build is called in reports: ``Verilog``, ``this Verilog``.
    also : tuple of str
        Targets whose builds hold its files, too.
    subfolder, place : str
        In a folder of several targets: where its files go, and what of the folder is its own.
    gates : bool
        Whether it is synthesised for FPGAs (``--device``, ``nchw synth``).
    boards : bool
        Whether ``--board`` is for it, and says the device.
    bursts : bool
        Whether ``--bursts`` is for it.
    graded : bool
        Whether ``--graded-counts`` is for it.
    scheduled : bool
        Whether its `facts` say what is asked of a vendor's tool; see `hls.schedule`.
    exports : bool
        Whether ``--export`` is for it.
    benches : tuple of Bench
        What compares it with the golden trace; the first is what ``nchw verify`` runs.
    """

    name: str
    computes: str = ""
    options: tuple[str, ...] = ()
    builds: str = ""
    title: str = ""
    product: str = "this build"
    also: tuple[str, ...] = ()
    subfolder: str = ""
    place: str = ""
    gates: bool = False
    boards: bool = False
    bursts: bool = False
    graded: bool = False
    scheduled: bool = False
    exports: bool = False
    benches: tuple[Bench, ...] = ()

    def missing(self) -> str:
        """What this machine lacks to compute with it, and how to get it; empty if nothing."""
        return ""

    def prepare(self, study: Study, **options: Any) -> Any:
        """What `observe` runs."""
        raise NotImplementedError

    def observe(self, product: Any, expected: Trace) -> tuple[Trace, str]:
        """What it computes of the inputs of `expected`, and what went wrong meanwhile."""
        raise NotImplementedError

    def files(self, study: Study, options: Options) -> dict[str, bytes]:
        """Its files of a build, by path; ``golden/trace.npz`` and ``report.json`` are added."""
        raise NotImplementedError

    def joins(self, options: Options) -> bool:
        """Whether it is part of a build for all targets."""
        return bool(self.builds)

    def facts(self, study: Study) -> dict[str, Any]:
        """What ``report.json`` says of its files."""
        return {}

    def room(self, board: str | None) -> Device | None:
        """What of a board's FPGA is left to the network; None where it is built for no board.

        Raises
        ------
        ModelError
            If it has no such board, or needs one.
        """
        if board is not None:
            raise ModelError(f"--board is for bitstreams, not for --target {self.name}")
        return None

    def next_steps(self, folder: Path) -> str:
        """What to do with a build, or what it says."""
        return f"Next: nchw verify {folder} --target {self.name}"

    def cycles(self, study: Study, built: Built) -> tuple[dict[str, float], float]:
        """Predicted cycles per inference, by layer and of the slowest process."""
        return {}, 0.0

    def mutants(self, study: Study, built: Built | None, asked: Request) -> list[MutantResult]:
        """What becomes of designs that are broken on purpose; none by default."""
        return []

    def within(self, built: Built | None) -> str | None:
        """Where in a build folder its files lie; None where there are none of them."""
        if built is None or built.target not in (self.name, *self.also, ALL):
            return None
        return self.subfolder if built.target == ALL else ""

    def own(self, built: Built | None) -> Built | None:
        """The build folder if it holds what this target runs."""
        return None if self.within(built) is None else built

    def trace(self, compiled: CompiledModel, inputs: np.ndarray) -> Trace:
        """Every spike for integer inputs, as the target computes it.

        Raises
        ------
        DivergenceError
            If it computed anything else than the reference.
        """
        from neurocuda_hw.targets.checks import compared

        expected = compiled.snn.reference().trace(inputs)
        found, fault = self.observe(compiled.product, expected)
        check = compared(self.name, compiled.snn.network, expected, found, fault=fault)
        if not check.same:
            raise DivergenceError(
                f"target {self.name!r} differs from the reference: {check.message}"
            )
        return found

    def run(self, compiled: CompiledModel, x: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Logits ``(B, classes)`` of real inputs, float64, in the trained model's units.

        Raises
        ------
        DataError
            If the inputs do not fit the network.
        DivergenceError
            If simulated hardware computed anything else than the reference.
        """
        found = self.trace(compiled, compiled.snn.quantise(x))
        return compiled.snn.logits(found.outputs)


def unusable(*tools: Any) -> str:
    """What to say of the first tool that is not usable."""
    return next((f"{tool.name}: {tool.problem}" for tool in tools if not tool.usable), "")
