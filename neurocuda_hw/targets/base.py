"""What a target says of itself: what it writes, how it is compared, what it computes.

A target is one file of this folder and one row of `table.TABLE`; `project`, `report`, the command
line and `backends.compile` ask the table, and none of them knows a target by its name. The modules
of this folder load numpy, torch and amaranth only when they work: the command line reads the table
to know its options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurocuda_hw.ground.errors import DivergenceError, ModelError
from neurocuda_hw.ground.words import GIVEN
from neurocuda_hw.targets.built import ALL, Built

if TYPE_CHECKING:
    import numpy as np
    import torch

    from neurocuda_hw.network.trace import Trace
    from neurocuda_hw.passes.devices import Device
    from neurocuda_hw.passes.study import Study
    from neurocuda_hw.reference.snn import SpikingNetwork
    from neurocuda_hw.simulation.mutate import MutantResult
    from neurocuda_hw.targets.checks import Check, Request


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
