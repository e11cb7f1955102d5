"""What was asked to be compared, and what a comparison with the golden trace found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.ground.showing import Brief, html_table
from neurocuda_hw.ground.words import GIVEN
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Divergence, Trace, first_divergence
from neurocuda_hw.passes.study import Lanes
from neurocuda_hw.reference.reference import explain
from neurocuda_hw.simulation.simulate import Stalls
from neurocuda_hw.targets.evidence import Evidence, counted
from neurocuda_hw.targets.families import NETLISTS

Progress = Callable[[str, int, int], None]
ROW_HEADS = ("check", "verdict", ">samples", ">spikes", ">cycles per inference", "what is wrong")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Check(Brief, Evidence):
    """One target against the golden trace, and what was compared.

    Parameters
    ----------
    target : str
        Names of `table.BENCHES`.
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
    activity: dict[str, dict[str, int]] = field(default_factory=dict, repr=False)
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

    def _repr_html_(self) -> str:
        """One row, for notebooks."""
        return html_table("", ROW_HEADS, [self.row])

    @property
    def row(self) -> tuple[str, ...]:
        """What `ROW_HEADS` name, as words."""
        return (
            self.target,
            self.verdict,
            f"{self.samples:,}",
            f"{sum(self.spikes.values()):,}",
            f"{self.cycles_per_inference:,.1f}" if self.cycles_per_inference else "",
            self.message or self.little,
        )

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
        Names of `table.BENCHES`.
    samples : int, optional
        How many of the golden samples; all where None. The cocotb bench runs 20 at most.
    allow_little : bool
        Whether too little to say "equal" is no failure; see `evidence`.
    mutate : int
        Random bits to flip; 0 for no mutants at all.
    seed : int
        Of the mutants.
    lanes : dict of str to int, or a function of the study, optional
        Of the Verilog that is made for a network; a build folder has its own.
    bursts : str
        Whether that Verilog sends bursts: ``auto``, ``on`` or ``off``; see `passes.choice`.
    stalls : Stalls
        Of the bulk harness.
    family : str
        Of whose cells the netlist is made: one of `NETLISTS`.
    origin : str
        Where inputs that are given come from, for those who read the results.
    progress : callable, optional
        Called with (what is being done, done, in all).
    """

    targets: Sequence[str] = ("reference", "verilog")
    samples: int | None = None
    allow_little: bool = False
    mutate: int = 0
    seed: int = 0
    lanes: Lanes = None
    bursts: str = "auto"
    stalls: Stalls = field(default_factory=Stalls)
    family: str = "ice40"
    origin: str = GIVEN
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.samples is not None and self.samples < 1:
            raise DataError(f"samples must be at least 1, not {self.samples!r}")
        if self.mutate < 0:
            raise DataError(f"mutate must be at least 0, not {self.mutate!r}")
        if self.family not in NETLISTS:
            raise DataError(f"family must be of {', '.join(NETLISTS)}, not {self.family!r}")

    def stage(self, what: str) -> Callable[[int, int], None] | None:
        """The progress callback of one stage."""
        call = self.progress
        return (lambda done, total: call(what, done, total)) if call else None

    def tell(self, what: str, done: int, total: int) -> None:
        """Calls `progress`, if there is one."""
        if self.progress:
            self.progress(what, done, total)


def compared(
    target: str, network: Network, expected: Trace, got: Trace, *, fault: str = "", **told: Any
) -> Check:
    """The check of a target that computed `got`, a part of `expected` if a `fault` ended it."""
    done = expected.select(slice(0, got.samples))
    place = first_divergence(network, done, got) if got.samples else None
    unequal = {
        name: int((done.spikes[name] != got.spikes[name]).any(axis=(1, 2)).sum())
        for name in done.sizes
    }
    unequal["outputs"] = int((done.outputs != got.outputs).any(axis=1).sum())
    return Check(
        target=target,
        same=place is None and not fault,
        **counted(done),
        unequal=unequal,
        divergence=None if place is None else explain(network, done, place),
        fault=fault,
        **told,
    )
