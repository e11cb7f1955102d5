"""Breaks a design on purpose, to prove that its verification can fail.

Each mutant is a network with one thing changed: a bit of a weight or a threshold, a threshold
halved, two lanes swapped; where spikes are sent as bursts, counts that end at L - 1, and dividers
that round up. Its memory files run on the original Verilog against the original golden trace. The
reference, run on the mutated network, says beforehand which spikes must change: so a mutant that
changes nothing for these inputs is told from one that slipped through. Where lines are sent,
`simulation.marks` breaks their marks, too: no network does what such a design does, so it is run,
and caught unless every spike and output stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import Spiking, Window
from neurocuda_hw.network.trace import Trace, first_divergence
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts, find_bursts
from neurocuda_hw.passes.plan import Parameter
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import Design, emit, plan_network
from neurocuda_hw.rtl.spoiler import SpoiltTop
from neurocuda_hw.simulation.marks import spoilt_marks
from neurocuda_hw.simulation.simulate import Simulator

Progress = Callable[[int, int], None]
_SEARCHED = 256  # samples in which the reference looks for what a mutant changes
_SIMULATED = 24  # samples that the hardware runs: the first ones, and those that change
_TRIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A network that differs in one place from the original."""

    kind: str
    place: str
    network: Network


@dataclass(frozen=True, slots=True, kw_only=True)
class MutantResult:
    """What became of a mutant.

    Parameters
    ----------
    kind, place : str
        What was changed, and where in the network and in the memory files.
    outcome : str
        ``caught``: the comparison failed where the reference says it must, or a broken mark broke
        the protocol. ``not exercised``: no spike and no output changes for these inputs, and none
        did. ``missed``: anything else.
    detail : str
        The first divergence, or what was wrong.
    """

    kind: str
    place: str
    outcome: str
    detail: str = ""


def bit_flips(network: Network, rng: np.random.Generator) -> Iterator[Mutant]:
    """Endless single-bit changes of weights and thresholds; each projection comes as often."""
    places: list[Projection | Population] = [*network.projections]
    places += [p for p in network.populations if p.spiking and _several_thresholds(p)]
    while True:
        place = places[int(rng.integers(len(places)))]
        if isinstance(place, Projection):
            weight = np.array(place.synapse.weight)
            flat, index, bit = _flip(weight, place.synapse.weight_bits, rng)
            where = f"{place.label} weight{_index(weight.shape, index)} bit {bit}"
            changed = _with_weight(network, place, flat)
            yield Mutant(kind="weight bit", place=where, network=changed)
        else:
            threshold = _thresholds(place)
            bits = int(threshold.max()).bit_length()
            flat, index, bit = _flip(threshold, bits + 1, rng, unsigned=True)
            if flat.min() < 1:
                continue
            where = f"{place.name} threshold{_index(threshold.shape, index)} bit {bit}"
            changed = _with_neuron(network, place, threshold=flat)
            yield Mutant(kind="threshold bit", place=where, network=changed)


def lane_swaps(
    network: Network, lanes: dict[str, int], rng: np.random.Generator
) -> Iterator[Mutant]:
    """For each population with several lanes: the weights of two of its lanes exchanged."""
    for population in network.targets:
        width = min(lanes.get(population.name, 1), population.chw[0])
        projections = network.incoming(population.name)
        if width < 2 or not projections:
            continue
        first, second = (int(i) for i in rng.choice(width, 2, replace=False))
        channels = np.arange(population.chw[0])
        cells = population.size // population.chw[0]
        whole = channels[: len(channels) // width * width]
        swapped = channels.copy()
        swapped[whole[whole % width == first]] = whole[whole % width == second]
        swapped[whole[whole % width == second]] = whole[whole % width == first]
        projection = projections[0]
        weight = projection.synapse.weight
        per_neuron = len(weight) == population.size and cells > 1
        rows = (swapped[:, None] * cells + np.arange(cells)).ravel() if per_neuron else swapped
        changed = _with_weight(network, projection, weight[rows])
        place = f"{projection.label} lanes {first} and {second}"
        yield Mutant(kind="swapped lanes", place=place, network=changed)


def halved_thresholds(network: Network, lanes: dict[str, int], bursts: Bursts) -> Iterator[Mutant]:
    """For each spiking population: one threshold halved; all of them where they are all the same.

    Of several, one is taken that leaves every width as it was, if there is one.
    """
    wanted = _widths(network, lanes, bursts)
    for population in network.populations:
        if not population.spiking:
            continue
        threshold = _thresholds(population)
        several = _several_thresholds(population)
        order = np.argsort(threshold, axis=None).tolist() if several else []
        halved = np.where(threshold > 1, threshold // 2, threshold + 1)
        changed, where = _with_neuron(network, population, threshold=halved), " halved"
        for index in order[:_TRIES]:
            one = threshold.copy()
            one.flat[index] = halved.flat[index]
            candidate = _with_neuron(network, population, threshold=one)
            if _widths(candidate, lanes, bursts) == wanted:
                changed, where = candidate, f"{_index(threshold.shape, index)} halved"
                break
        place = f"{population.name} threshold{where}"
        yield Mutant(kind="threshold", place=place, network=changed)


def shortened_windows(network: Network, bursts: Bursts) -> Iterator[Mutant]:
    """For each window of bursts: one step less, so that counts end at L - 1.

    All its populations at once: a maximum has the window of its sources.
    """
    for window in dict.fromkeys(map(network.window, bursts.counts)):
        names = [name for name in bursts.counts if network.window(name) == window]
        if window.steps == 1:
            continue
        changed = network
        shorter = Window(start=window.start, stop=window.stop - 1)
        for name in names:
            changed = _with_neuron(changed, changed[name], window=shorter)
        place = f"{', '.join(names)} to {shorter.steps} of {window.steps}"
        yield Mutant(kind="count", place=place, network=changed)


def rounded_divisions(network: Network, bursts: Bursts) -> Iterator[Mutant]:
    """For each population that divides: N = ceil(v / threshold), said by its initial state."""
    for name in bursts.counts:
        if name in bursts.maxima:
            continue
        population = network[name]
        threshold = _thresholds(population)
        if threshold.max() > 1:
            initial = population.neuron.v_init + threshold - 1
            changed = _with_neuron(network, population, v_init=initial)
            yield Mutant(kind="divider", place=f"{name} rounds up", network=changed)


def run_mutants(
    network: Network,
    simulator: Simulator,
    design: Design,
    golden: Trace,
    *,
    count: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[MutantResult]:
    """Runs `count` bit flips, and per population a lane swap, a threshold, count, divider changed,
    and marks of lines.

    Parameters
    ----------
    simulator : Simulator
        Of `design`.
    golden : Trace
        Of `network`; its first samples are used, and those in which the mutant shows.
    """
    rng = np.random.default_rng(seed)
    expected = golden.select(slice(0, _SEARCHED))
    results = []
    bursts = design.bursts
    others = [
        *lane_swaps(network, design.lanes, rng),
        *halved_thresholds(network, design.lanes, bursts),
        *shortened_windows(network, bursts),
        *rounded_divisions(network, bursts),
    ]
    others = [mutant for mutant in others if _kept(mutant.network, bursts) is not None]
    flips = bit_flips(network, rng)
    plans = plan_network(network, design.lanes, bursts)
    marks = list(spoilt_marks(network, plans, expected))
    total = count + len(others) + len(marks)
    for done in range(count + len(others)):
        if done < count:
            mutant, mutated = _same_verilog(network, flips, design)
        else:
            mutant = others[done - count]
            kept = _kept(mutant.network, bursts) or NO_BURSTS
            mutated = emit(mutant.network, design.lanes, kept, design.ways)
        results.append(_judge(network, simulator, design, expected, mutant, mutated))
        if progress:
            progress(done + 1, total)
    if marks:
        spoilt = emit(network, design.lanes, bursts, design.ways, described=SpoiltTop)
        simulator = Simulator(network, spoilt.files, spoilt.tdata_bits, spoilt.bursts)
    for kind, place, memory in marks:
        outcome, detail = _ran(network, simulator, expected, memory)
        results.append(MutantResult(kind=kind, place=place, outcome=outcome, detail=detail))
        if progress:
            progress(len(results), total)
    return results


def _ran(
    network: Network, simulator: Simulator, golden: Trace, memory: dict[str, bytes]
) -> tuple[str, str]:
    """What became of a design that no network tells of, up to the first sample that differs."""
    golden = golden.select(slice(0, _SIMULATED))
    result = simulator.run(golden, memories=memory, stop=True)
    seen = golden.select(slice(0, result.samples))
    differs = first_divergence(network, seen, result.observed)
    if result.equal != (differs is None and not result.fault):
        return "missed", f"the harness must have said: {differs or result.fault or 'equal'}"
    return ("not exercised", "") if result.equal else ("caught", str(differs or result.fault))


def _same_verilog(
    network: Network, mutants: Iterator[Mutant], design: Design
) -> tuple[Mutant, Design]:
    """The next mutant whose widths are those of the original, so that only memory files differ."""
    wanted = _widths(network, design.lanes, design.bursts)
    for _ in range(_TRIES):
        mutant = next(mutants)
        kept = _kept(mutant.network, design.bursts) is not None
        if kept and _widths(mutant.network, design.lanes, design.bursts) == wanted:
            break
    return mutant, emit(mutant.network, design.lanes, design.bursts, design.ways)


def _kept(network: Network, bursts: Bursts) -> Bursts | None:
    """The bursts of a mutant; None where it cannot send them as the original does."""
    found = find_bursts(network) if bursts.counts else bursts
    alike = found.counts.keys() == bursts.counts.keys() and found.maxima == bursts.maxima
    if not alike or found.merged != bursts.merged:
        return None
    return replace(found, streams=bursts.streams, raster=bursts.raster)


def _widths(network: Network, lanes: dict[str, int], bursts: Bursts) -> list[object]:
    """What decides the Verilog: the plan of each layer without the content of its memories."""
    found: list[object] = []
    for plan in plan_network(network, lanes, bursts).values():
        for field in fields(plan):
            value = getattr(plan, field.name)
            if isinstance(value, Parameter):
                found.append((value.bits, value.uniform, value.rows.shape))
            elif isinstance(value, (int, tuple)):
                found.append(value if not isinstance(value, tuple) else _numbers(value))
    return found


def _numbers(values: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(value for value in values if isinstance(value, int))


def _verilog(design: Design) -> dict[str, bytes]:
    return {path: text for path, text in design.files.items() if path.endswith(".v")}


def _judge(
    network: Network,
    simulator: Simulator,
    design: Design,
    golden: Trace,
    mutant: Mutant,
    mutated: Design,
) -> MutantResult:
    changed = {
        path.rsplit("/", 1)[1]: content
        for path, content in mutated.files.items()
        if path.endswith(".mem") and design.files.get(path) != content
    }
    if _verilog(mutated) != _verilog(design):
        simulator = Simulator(network, mutated.files, mutated.tdata_bits, mutated.bursts)
        place = f"{mutant.place} (Verilog built again)"
    else:
        place = f"{mutant.place} ({_where(design, changed)})"
    predicted = Reference(mutant.network).trace(golden.inputs)
    predicted = replace(predicted, network_hash=golden.network_hash)
    want = first_divergence(network, golden, predicted)
    samples = _telling(golden, predicted)
    golden, predicted = golden.select(samples), predicted.select(samples)
    result = simulator.run(golden, memories=changed, jobs=1)
    outcome, detail = "caught", ""
    if result.fault or result.samples != golden.samples:
        outcome, detail = "missed", f"the protocol broke: {result.fault}"
    elif (other := first_divergence(network, predicted, result.observed)) is not None:
        outcome, detail = "missed", f"the hardware is not the mutated network: {other}"
    elif result.equal != (want is None):
        outcome, detail = "missed", f"the harness must have said: {want}"
    elif want is None:
        outcome = "not exercised"
    else:
        detail = str(want)
    return MutantResult(kind=mutant.kind, place=place, outcome=outcome, detail=detail)


def _telling(golden: Trace, predicted: Trace) -> np.ndarray:
    """Samples to simulate: up to half of them such that differ, the others the first ones."""
    differ = (golden.outputs != predicted.outputs).any(axis=1)
    for name in golden.sizes:
        differ |= (golden.spikes[name] != predicted.spikes[name]).any(axis=(1, 2))
    changed = np.flatnonzero(differ)[: _SIMULATED // 2]
    others = np.setdiff1d(np.arange(golden.samples), changed)[: _SIMULATED - len(changed)]
    return np.sort(np.concatenate([changed, others]))


def _where(design: Design, changed: dict[str, bytes]) -> str:
    """File and line of the first change, and how many bits differ in all."""
    if not changed:
        return "no memory file changed"
    bits, first = 0, ""
    for name, content in changed.items():
        old = next(c for path, c in design.files.items() if path.endswith(f"/{name}"))
        pairs = zip(old.split(), content.split(), strict=True)
        for line, (before, after) in enumerate(pairs, start=1):
            if before != after:
                first = first or f"{name} line {line}"
                bits += (int(before, 16) ^ int(after, 16)).bit_count()
    return f"{first}, {bits} bit{'s' if bits != 1 else ''}"


def _thresholds(population: Population) -> np.ndarray:
    assert isinstance(population.neuron, Spiking)
    return np.array(population.neuron.threshold)


def _several_thresholds(population: Population) -> bool:
    """Whether thresholds differ, and so lie in a memory file rather than in the Verilog."""
    return len(np.unique(_thresholds(population))) > 1


def _flip(
    values: np.ndarray, bits: int, rng: np.random.Generator, *, unsigned: bool = False
) -> tuple[np.ndarray, int, int]:
    """A copy with one random bit of one random value flipped, in `bits` bits two's complement."""
    changed = values.copy()
    index, bit = int(rng.integers(values.size)), int(rng.integers(bits - unsigned))
    flipped = (int(changed.flat[index]) ^ (1 << bit)) & ((1 << bits) - 1)
    changed.flat[index] = flipped - (1 << bits) if flipped >> (bits - 1) else flipped
    return changed, index, bit


def _index(shape: tuple[int, ...], index: int) -> list[int]:
    return [int(i) for i in np.unravel_index(index, shape)]


def _with_weight(network: Network, old: Projection, weight: np.ndarray) -> Network:
    new = replace(old, synapse=replace(old.synapse, weight=weight))
    projections = tuple(new if p is old else p for p in network.projections)
    return replace(network, projections=projections)


def _with_neuron(network: Network, old: Population, **changed: object) -> Network:
    neuron = replace(old.neuron, **changed)
    new = replace(old, neuron=neuron)
    populations = tuple(new if p is old else p for p in network.populations)
    return replace(network, populations=populations)
