"""What a build folder says of itself: network, spikes, cycles, and what was compared with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.ground.files import read_file
from neurocuda_hw.network import Network, Population
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.neurons import Input
from neurocuda_hw.network.ranges import network_ranges
from neurocuda_hw.network.trace import Trace, load_trace
from neurocuda_hw.passes.study import Study
from neurocuda_hw.project.build import RECORD, TRACE
from neurocuda_hw.project.record import read_record
from neurocuda_hw.targets.base import Target
from neurocuda_hw.targets.built import REPORT, Built
from neurocuda_hw.targets.table import parts

LOIHI = "loihi/report.json"
# keys of `loihi/report.json` that a report shows
LOIHI_KEYS = (
    "fit",
    "limits",
    "constants",
    "barrier",
    "core_place",
    "core_fill",
    "core_synaptic_ops",
    "core_utilisation",
    "ns_per_step_by_part",
    "pj_by_class",
    "pj_per_inference",
    "ns_per_inference",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFacts:
    """One population, as a row of the tables.

    Parameters
    ----------
    kind : str
        Neuron, and its reset rule or encoding.
    weights, weight_bits : int
        Of all projections that end here.
    membrane : (lowest, highest)
        What is proved of it; `membrane_bits` wide.
    window : (start, stop)
        Steps in which it may send events.
    lanes : int
        Of the build; 0 where that has none.
    spikes, least, most : float
        Events per inference: mean, and of the samples with the fewest and the most.
    rate : float
        Share of its neurons that send an event in a step of its window.
    cycles : float, optional
        Predicted per inference.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    neurons: int
    weights: int
    weight_bits: int
    membrane: tuple[int, int]
    membrane_bits: int
    window: tuple[int, int]
    lanes: int
    sends: bool
    spikes: float
    least: int
    most: int
    rate: float
    cycles: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a report tells.

    Parameters
    ----------
    report : dict
        ``report.json``.
    parts : tuple of Target
        What it holds files of.
    checks : dict
        Checks by target, of ``verification.json``; empty where there is none.
    mutants : dict, optional
        What became of broken designs.
    record_fault : str
        Why the record could not be read.
    digest : str
        Of this build, to compare with that of each check.
    changed : tuple of str
        Files that are not as the build wrote them.
    loihi : dict, optional
        ``loihi/report.json``.
    pace : float, optional
        Predicted cycles per inference of the slowest layer.
    """

    folder: Path
    report: dict[str, Any]
    target: str
    parts: tuple[Target, ...]
    network: Network
    trace: Trace | None
    layers: tuple[LayerFacts, ...]
    checks: dict[str, dict[str, Any]]
    mutants: dict[str, Any] | None
    record_fault: str
    digest: str
    changed: tuple[str, ...]
    loihi: dict[str, Any] | None
    pace: float | None


def read_facts(folder: str | Path) -> Facts:
    """Everything that is known of a build folder.

    Raises
    ------
    ModelError
        If it is no build folder, or is damaged.
    DataError
        If a file cannot be read.
    """
    place = Path(folder)
    built = _built(place)
    report, chosen = built.report, parts(built.target)
    network = load(place / "model.pt")
    head = report["network"]
    if network.hash != head["hash"]:
        raise ModelError(
            f"build folder {str(place)!r} is damaged: model.pt is network {network.hash[:12]}, "
            f"{REPORT} tells of {str(head['hash'])[:12]}; build it again"
        )
    trace = load_trace(place / TRACE, membranes=False) if TRACE in report["files"] else None
    try:
        study = Study(network, trace=trace)
    except (ModelError, DataError) as error:
        raise ModelError(f"build folder {str(place)!r} is damaged: {TRACE}: {error}") from error
    known = trace is not None and len(chosen) > 0
    cycles, pace = chosen[0].cycles(study, built) if known else ({}, 0.0)
    checks, mutants, fault = _record(place)
    return Facts(
        folder=place,
        report=report,
        target=built.target,
        parts=chosen,
        network=network,
        trace=trace,
        layers=_layers(network, trace, report, cycles),
        checks=checks,
        mutants=mutants,
        record_fault=fault,
        digest=built.digest,
        changed=built.changed,
        loihi=_loihi(place) if LOIHI in report["files"] else None,
        pace=pace or None,
    )


def _built(folder: Path) -> Built:
    path = folder / REPORT
    if not path.is_file():
        reason = "it has no report.json" if folder.is_dir() else "there is no such folder"
        raise ModelError(
            f"{str(folder)!r} must be a folder that 'nchw build' wrote: "
            + (f"{reason}" if not folder.is_file() else "it is a file")
        )
    return Built.of(folder, read_file(path, "report"))


def _record(folder: Path) -> tuple[dict[str, dict[str, Any]], dict[str, Any] | None, str]:
    if not (folder / RECORD).exists():
        return {}, None, ""
    try:
        record = read_record(folder)
    except (DataError, ModelError) as error:
        return {}, None, str(error)
    return record["checks"], record["mutants"], ""


def _loihi(folder: Path) -> dict[str, Any]:
    path = folder / LOIHI
    try:
        data = json.loads(read_file(path, "report of the chip"))
        missing = [key for key in LOIHI_KEYS if key not in data]
        if missing:
            raise ValueError(f"it has no {missing[0]}")
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"{str(path)!r} is damaged or of another version ({error}); build the folder again"
        ) from error
    found: dict[str, Any] = data
    return found


def sent(network: Network, trace: Trace, population: Population) -> np.ndarray:
    """Events of a population by sample and step, ``(S, T)``: spikes, or non-zero inputs."""
    steps = np.zeros((trace.samples, trace.timesteps), dtype=np.int64)
    if population.spiking:
        steps[:] = np.bitwise_count(trace.spikes[population.name]).sum(axis=2)
    elif population.fed:
        events = np.count_nonzero(trace.inputs.reshape(*_lead(population, trace), -1), axis=-1)
        if population.neuron.held:
            steps[:] = events[:, None]
        else:
            window = network.window(population.name)
            steps[:, window.start : window.start + events.shape[1]] = events
    return steps


def _lead(population: Population, trace: Trace) -> tuple[int, ...]:
    """Axes of the inputs before those of one step's values."""
    return trace.inputs.shape[: trace.inputs.ndim - len(population.shape)]


def _layers(
    network: Network, trace: Trace | None, report: dict[str, Any], cycles: dict[str, float]
) -> tuple[LayerFacts, ...]:
    ranges = network_ranges(network)
    lanes = {p["name"]: int(p.get("lanes", 0)) for p in report.get("populations", ())}
    lanes |= {name: int(n) for name, n in (report.get("lanes") or {}).items()}
    layers = []
    for population in network.populations:
        name = population.name
        synapses = [p.synapse for p in network.incoming(name)]
        membrane, window = ranges[name].membrane, network.window(name)
        events = np.zeros((1, 1)) if trace is None else sent(network, trace, population)
        per_sample = events.sum(axis=1)
        places = population.size * window.steps
        layers.append(
            LayerFacts(
                name=name,
                kind=_kind(population),
                shape=population.shape,
                neurons=population.size,
                weights=sum(s.weight.size for s in synapses),
                weight_bits=max((s.weight_bits for s in synapses), default=0),
                membrane=(membrane.lowest, membrane.highest),
                membrane_bits=membrane.bits if synapses else 0,
                window=(window.start, window.stop),
                lanes=lanes.get(name, 0),
                sends=population.spiking or not synapses,
                spikes=float(per_sample.mean()),
                least=int(per_sample.min()),
                most=int(per_sample.max()),
                rate=float(per_sample.mean()) / places if places else 0.0,
                cycles=cycles.get(name),
            )
        )
    return tuple(layers)


def _kind(population: Population) -> str:
    neuron: Any = population.neuron
    name = type(neuron).__name__
    if population.spiking:
        return f"{name}, reset {neuron.reset.value}"
    return f"{name}, {neuron.encoding.value}" if isinstance(neuron, Input) else name
