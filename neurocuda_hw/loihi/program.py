"""`compile`: a network mapped on to a chip, ready to run, to be verified and to be costed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.words import GIVEN, some
from neurocuda_hw.loihi.energy import core_energy, step_energy
from neurocuda_hw.loihi.events import EventCounter, Events
from neurocuda_hw.loihi.limits import CHIPS, ChipLimits
from neurocuda_hw.loihi.lower import Lowered, lower
from neurocuda_hw.loihi.mapping import Mapping, map_network
from neurocuda_hw.loihi.microcode import Overflow
from neurocuda_hw.loihi.profiles import LOIHI1_SILICON, LOIHI2_SCALED, PROFILES, Profile
from neurocuda_hw.loihi.simulator import ChipSimulator, Progress
from neurocuda_hw.loihi.timing import Timing, step_times
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts

GRADED = (
    "payloads of 32 bits: published; that one costs what a spike costs, and its division what an "
    "update costs: assumed"
)
DISCLAIMER = "modelled, not measured: no figure here comes from silicon run by this package"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport:
    """What a run would cost on the chip, by the constants of `profile`.

    Parameters
    ----------
    events : Events
        Every event of every core in every step.
    timing : Timing
    energy : dict of str to array (S, K), pJ
    counts : Bursts
        Who sends all spikes of a neuron as one graded spike.
    without : CostReport, optional
        The same inputs without such counts.
    """

    mapping: Mapping
    profile: Profile
    events: Events
    timing: Timing
    energy: dict[str, np.ndarray]
    counts: Bursts = NO_BURSTS
    without: CostReport | None = None

    @property
    def ns_per_inference(self) -> float:
        """Mean time of an inference."""
        return float(self.timing.inference.mean())

    @property
    def pj_per_inference(self) -> float:
        """Mean dynamic energy of an inference."""
        return float(sum(e.sum(axis=1).mean() for e in self.energy.values()))

    def utilisation(self) -> np.ndarray:
        """Share of each step that each core works, mean over samples, ``(K, C)``: a heat map."""
        share = (self.timing.core / self.timing.step[..., None]).mean(axis=0)
        found: np.ndarray = np.minimum(share, 1.0)
        return found

    def summary(self) -> dict[str, float | int | str]:
        """Chip, profile, cores, and mean time (ns) and dynamic energy (pJ) per step and inference,
        as plain values."""
        steps = int(self.timing.step.shape[1])
        return {
            "chip": self.mapping.limits.name,
            "profile": self.profile.name,
            "chips": self.mapping.chips,
            "cores": self.mapping.cores,
            "samples": self.events.samples,
            "steps": steps,
            "ns_per_step": self.ns_per_inference / steps,
            "ns_per_inference": self.ns_per_inference,
            "pj_per_inference": self.pj_per_inference,
            "synaptic_ops_per_inference": float(self.events.synaptic_ops.sum())
            / self.events.samples,
            "note": DISCLAIMER,
        }

    def text(self) -> str:
        """The whole report for people, with every constant's label and source."""
        totals = {k: v / self.events.samples for k, v in self.events.totals().items()}
        step = self.timing.step
        parts, counts = np.unique(self.timing.limited_by, return_counts=True)
        limits = zip(parts, counts, strict=True)
        limited = ", ".join(f"{n} of {step.size} by {part}" for part, n in limits)
        rows = [
            self.mapping.report(),
            "",
            f"events per inference, mean of {self.events.samples}:",
            *(f"  {name:<15}{value:>14.1f}" for name, value in totals.items()),
            "",
            f"time ({DISCLAIMER}):",
            f"  per inference {self.ns_per_inference / 1e3:.2f} us in {step.shape[1]} steps",
            f"  per step {step.mean():.0f} ns mean, {step.max():.0f} ns longest",
            f"  steps limited: {limited}",
            f"dynamic energy: {self.pj_per_inference / 1e6:.3f} uJ per inference",
            *(f"  {n:<15}{e.sum(axis=1).mean() / 1e6:>14.4f} uJ" for n, e in self.energy.items()),
            *self._told(),
            "",
            self.profile.table(),
        ]
        return "\n".join(rows)

    def _told(self) -> Iterator[str]:
        """What graded counts change."""
        if not self.counts.counts:
            return
        most = max(self.counts.counts.values())
        senders = some(len(self.counts.counts), "population")
        yield f"graded counts: {senders}, up to {most} spikes in one"
        yield f"  {GRADED}"
        if self.without is not None:
            steps, us = self.without.timing.step.shape[1], self.without.ns_per_inference / 1e3
            energy = self.without.pj_per_inference / 1e6
            yield f"  without them {us:.2f} us in {steps} steps and {energy:.3f} uJ per inference"

    def data(self) -> dict[str, Any]:
        """The report as plain values (for JSON): the fit; per core its place (column and row among
        all cores), fill, work and energy; per step time and energy; every constant."""
        names, fill = self.mapping.fill()
        limits, samples = self.mapping.limits, self.events.samples
        graded: dict[str, Any] = {}
        if self.counts.counts:
            graded = {"counts": dict(self.counts.counts), "label": GRADED}
        if self.without is not None:
            graded["without"] = self.without.summary()
        return {
            **({"graded_counts": graded} if graded else {}),
            "note": DISCLAIMER,
            "chip": limits.name,
            "profile": self.profile.name,
            "structure": self.profile.structure,
            "cores": self.mapping.cores,
            "chips": self.mapping.chips,
            "chip_cores": limits.cores.value,
            "chip_grid": [2 * n for n in limits.tiles],
            "samples": samples,
            "fit": [asdict(fit) for fit in self.mapping.fits()],
            "limits": {name: asdict(limit) for name, limit in limits.limits().items()},
            "events_per_inference": {
                name: value / samples for name, value in self.events.totals().items()
            },
            "ns_per_inference": self.ns_per_inference,
            "pj_per_inference": self.pj_per_inference,
            "ns_per_step": self.timing.step.mean(axis=0).tolist(),
            "ns_per_step_by_part": {
                name: part.mean(axis=0).tolist() for name, part in self.timing.parts.items()
            },
            "pj_per_step_by_class": {
                name: part.mean(axis=0).tolist() for name, part in self.energy.items()
            },
            "pj_by_class": {name: float(e.sum(axis=1).mean()) for name, e in self.energy.items()},
            "core_population": [
                "+".join(p.population for p in self.mapping.parts if p.core == core)
                for core in range(self.mapping.cores)
            ],
            "core_place": [self.mapping.place_of_core(n) for n in range(self.mapping.cores)],
            "core_synaptic_ops": (self.events.synaptic_ops.sum(axis=(0, 1)) / samples).tolist(),
            "core_fill": {"limits": list(names), "cores": fill.tolist()},
            "core_utilisation": self.utilisation().tolist(),
            "core_pj": core_energy(self.events, self.profile).mean(axis=0).sum(axis=0).tolist(),
            "constants": {name: asdict(c) for name, c in self.profile.constants().items()},
            "barrier": {
                "points": [list(point) for point in self.profile.barrier],
                "label": self.profile.barrier_label,
                "source": self.profile.barrier_source,
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LoihiRun:
    """A run: `trace` in the network's own steps, `report` if its cost was asked for."""

    trace: Trace
    report: CostReport | None
    overflows: tuple[Overflow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoihiProgram:
    """A network on a chip."""

    network: Network
    lowered: Lowered
    mapping: Mapping
    profile: Profile

    def run(
        self,
        inputs: object,
        *,
        cost: bool = True,
        membranes: bool = False,
        batch: int | None = None,
        overflow: str = "raise",
        progress: Progress | None = None,
    ) -> LoihiRun:
        """Runs any number of samples.

        Parameters
        ----------
        inputs : array or tensor of int
            As `reference.check_inputs` takes them.
        cost : bool
            Whether to count every event and report time and energy.
        membranes : bool
            Whether the trace holds every membrane.
        overflow : str
            ``"raise"``, or ``"wrap"`` to let registers wrap and list where.

        Raises
        ------
        DataError
            If `inputs` has the wrong type, shape or range.
        LoihiOverflowError
            If a register of 24 bits overflows; it names neuron and step.
        """
        counter = EventCounter(self.mapping) if cost else None
        simulator = ChipSimulator(self.lowered, overflow=overflow)
        trace = simulator.run(
            inputs,
            membranes=membranes,
            batch=batch,
            progress=progress,
            observe=counter.observe if counter else None,
        )
        report = None
        if counter is not None:
            events = counter.events()
            report = CostReport(
                mapping=self.mapping,
                profile=self.profile,
                events=events,
                timing=step_times(events, self.profile, self.mapping.tiles),
                energy=step_energy(events, self.profile),
                counts=self.lowered.counts,
            )
        return LoihiRun(trace=trace, report=report, overflows=tuple(simulator.overflows))

    def files(self, inputs: object | None = None, origin: str = GIVEN) -> dict[str, bytes]:
        """What ``nchw build --target loihi`` writes, ``{relative path: content}``.

        The mapping, and with `inputs` the cost report of running them, which says their `origin`.
        """
        found = {"loihi/mapping.txt": (self.mapping.report() + "\n").encode()}
        found["loihi/limits.txt"] = (self.lowered.limits.table() + "\n").encode()
        if inputs is not None:
            report = self.run(inputs).report
            assert report is not None
            if self.lowered.counts.counts:
                plain = replace(self, lowered=lower(self.network, self.lowered.limits))
                plain = replace(plain, mapping=replace(self.mapping, lowered=plain.lowered))
                report = replace(report, without=plain.run(inputs).report)
            told = f"{report.text()}\n\nTime and energy are those of {origin}.\n"
            found["loihi/report.txt"] = told.encode()
            data = {"inputs": origin} | report.data()
            found["loihi/report.json"] = json.dumps(data, indent=1).encode()
        return found


def compile(
    network: Network,
    chip: str = "loihi2",
    *,
    profile: str | None = None,
    chips: int = 1,
    input_on_chip: bool = False,
    pack: bool = False,
    graded_counts: bool = False,
) -> LoihiProgram:
    """Maps a network on to a chip.

    Parameters
    ----------
    chip : str
        ``loihi2`` or ``loihi1``.
    profile : str, optional
        A name of `PROFILES`; default the scaled Loihi 2 or the silicon fit of Loihi 1.
    chips, input_on_chip, pack
        See `map_network`.
    graded_counts : bool
        Send all spikes of a neuron as one graded spike, wherever that is exact; see `graded`.

    Raises
    ------
    ModelError
        If the chip cannot compute the network exactly; the message says what and the way out.
    MappingError
        If it does not fit; the message holds the table.
    """
    limits = _limits(chip)
    if profile is not None and profile not in PROFILES:
        raise ModelError(f"profile must be one of {', '.join(PROFILES)}, not {profile!r}")
    default = LOIHI2_SCALED if chip == "loihi2" else LOIHI1_SILICON
    lowered = lower(network, limits, graded_counts)
    return LoihiProgram(
        network=network,
        lowered=lowered,
        mapping=map_network(lowered, chips=chips, input_on_chip=input_on_chip, pack=pack),
        profile=default if profile is None else PROFILES[profile],
    )


def run(
    network: Network,
    inputs: object,
    chip: str = "loihi2",
    *,
    profile: str | None = None,
    chips: int = 1,
    cost: bool = True,
    membranes: bool = False,
    batch: int | None = None,
    progress: Progress | None = None,
    graded_counts: bool = False,
) -> LoihiRun:
    """Maps a network on to a chip and runs it: `compile` and `LoihiProgram.run` in one call.

    Parameters
    ----------
    inputs : array or tensor of int
        As `reference.check_inputs` takes them: samples first.
    chip, profile, chips, graded_counts
        See `compile`.
    cost, membranes, batch, progress
        See `LoihiProgram.run`.

    Returns
    -------
    LoihiRun
        ``.trace`` is a `Trace` in the network's own steps, to be compared with the golden one;
        ``.report.summary()`` is time and energy in a few numbers, ``.report.text()`` all of it.

    Raises
    ------
    ModelError
        If the chip cannot compute the network exactly.
    MappingError
        If it does not fit; the message holds the table.
    DataError
        If `inputs` has the wrong type, shape or range.
    LoihiOverflowError
        If a register of 24 bits overflows; it names neuron and step.
    """
    program = compile(network, chip, profile=profile, chips=chips, graded_counts=graded_counts)
    return program.run(inputs, cost=cost, membranes=membranes, batch=batch, progress=progress)


def spikes(
    network: Network,
    inputs: object,
    chip: str = "loihi2",
    *,
    progress: Progress | None = None,
    graded_counts: bool = False,
) -> Trace:
    """Every spike of the chip, however many cores that takes: spikes do not depend on the mapping.

    `graded_counts` as in `compile`.

    Raises
    ------
    ModelError
        If the chip cannot compute the network exactly.
    DataError
        If `inputs` has the wrong type, shape or range.
    """
    lowered = lower(network, _limits(chip), graded_counts)
    return ChipSimulator(lowered).run(inputs, progress=progress)


def _limits(chip: str) -> ChipLimits:
    if chip not in CHIPS:
        raise ModelError(f"chip must be one of {', '.join(CHIPS)}, not {chip!r}")
    return CHIPS[chip]
