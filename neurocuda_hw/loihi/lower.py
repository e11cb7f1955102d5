"""From the integer network to the chip's terms: depths, hops, weights, kinds of neuron.

A spike takes one step to its synapse, so a population at depth d does its step t in step t + d of
the chip, where ::

    depth(p) >= depth(q) + 1 - delay      for every projection q -> p

A projection whose ends lie further apart than one hop (a skip connection) waits in a synaptic delay
of ``depth(p) - depth(q) + delay - 1`` steps: a line in the dendrite of the target, which costs one
accumulator per neuron and step, and no neuron. A loop through several populations that has fewer
steps of delay than hops cannot keep time, and is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.words import some
from neurocuda_hw.loihi.graded import at_once, graded_counts
from neurocuda_hw.loihi.limits import ChipLimits
from neurocuda_hw.loihi.microcode import Program, StateBudget, state_budget
from neurocuda_hw.loihi.neuron import ALIGN, CubaNeuron
from neurocuda_hw.loihi.weights import MANTISSA_BITS
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import Encoding, Ints, Reset, Spiking
from neurocuda_hw.network.ranges import PopulationRanges, network_ranges
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts

BUILT_IN_LIMIT = 2**17 - 1
ACCUMULATOR_BITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One projection on the chip.

    Parameters
    ----------
    projection : Projection
    hop : int
        Steps from a spike to its arrival, at least 1.
    weight_bits : int
        Of the network's widest weight.
    planes : int
        Synapses per weight: 1, or 2 for weights of 9 to 15 bits (low 7 bits, and the rest << 7).
    """

    projection: Projection
    hop: int
    weight_bits: int
    planes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One population on the chip: its depth, what its neurons run, and their state.

    `why` says why the built-in neuron does not do; empty if it does.
    """

    depth: int
    model: CubaNeuron | Program | None
    why: str
    budget: StateBudget


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """A network in the chip's terms.

    Parameters
    ----------
    given : Network
        As it was given.
    network : Network
        As the chip steps it: with all of an inference in one step where `counts` say so.
    counts : Bursts
        Who sends all of its spikes as one graded spike; see `graded`.
    placements : dict of str to Placement
        By population; the input has no model.
    routes : tuple of Route
    steps : int
        Steps of the chip for one inference: T and the depth of the output.
    """

    given: Network
    network: Network
    counts: Bursts
    limits: ChipLimits
    placements: dict[str, Placement]
    routes: tuple[Route, ...]
    steps: int


def depths(network: Network) -> dict[str, int]:
    """Hops from the input to each population: the latest path; see the module.

    Raises
    ------
    ModelError
        If a loop has fewer steps of delay than hops.
    """
    found = {p.name: 0 for p in network.populations}
    for _ in network.populations:
        changed = False
        for projection in network.projections:
            least = found[projection.source] + 1 - projection.delay
            if found[projection.target] < least:
                found[projection.target] = least
                changed, late = True, projection
        if not changed:
            return found
    raise ModelError(
        f"projection {late.label} must not be part of a loop through several populations: each of "
        "its hops takes a step on Loihi, and the network allows one step for all; give every "
        "projection of the loop a delay of 1"
    )


def lower(network: Network, limits: ChipLimits, graded: bool = False) -> Lowered:
    """Lowers `network` for a chip; `graded`: with graded counts, where that is possible.

    Raises
    ------
    ModelError
        If a neuron, weight, payload or loop cannot be done on that chip; the message says which
        and the way out.
    """
    ranges, depth, given = network_ranges(network), depths(network), network
    counts = graded_counts(network, limits) if graded else NO_BURSTS
    network = at_once(network) if counts.merged else network
    neuron = network.input_neuron
    if neuron.encoding is not Encoding.SPIKES and limits.payload_bits.value == 1:
        raise ModelError(
            f"population {network.input.name!r}: the input must be SPIKES on {limits.name}, whose "
            f"spikes are binary, not {neuron.encoding.name}; use loihi2"
        )
    routes = tuple(_route(p, depth, limits) for p in network.projections)
    placements = {}
    for population in network.populations:
        name = population.name
        waits = [r.hop - 1 for r in routes if r.projection.target == name]
        if name in counts.counts or any(p.source in counts.counts for p in network.incoming(name)):
            why = "it sends or takes counts"
            most = counts.counts.get(name, 0)
            model: CubaNeuron | Program | None = Program(
                network, population, ranges[name], depth[name], counted=True, most=most
            )
        else:
            model, why = _model(network, population, ranges[name], depth[name], limits)
        placements[name] = Placement(
            depth=depth[name],
            model=model,
            why=why,
            budget=state_budget(population, max(waits, default=0)),
        )
    return Lowered(
        given=given,
        network=network,
        counts=counts,
        limits=limits,
        placements=placements,
        routes=routes,
        steps=network.timesteps + depth[network.output.name],
    )


def _route(projection: Projection, depth: dict[str, int], limits: ChipLimits) -> Route:
    hop = depth[projection.target] - depth[projection.source] + projection.delay
    if hop - 1 > limits.delay_steps.value:
        raise ModelError(
            f"projection {projection.label}: a delay must be at most {limits.delay_steps.value} "
            f"steps on {limits.name}, not {hop - 1}; put a population between the two"
        )
    bits = projection.synapse.weight_bits
    if bits > 2 * MANTISSA_BITS - 1:
        raise ModelError(
            f"projection {projection.label}: weights must have at most {2 * MANTISSA_BITS - 1} "
            f"bits on {limits.name}, not {bits}; convert with fewer weight bits"
        )
    planes = 1 if bits <= limits.weight_bits.value else 2
    return Route(projection=projection, hop=hop, weight_bits=bits, planes=planes)


def _model(
    network: Network,
    population: Population,
    ranges: PopulationRanges,
    depth: int,
    limits: ChipLimits,
) -> tuple[CubaNeuron | Program | None, str]:
    if population.fed:
        return None, ""
    why = _not_built_in(network, population, depth)
    if limits.microcode and not why:
        why = _not_proved(population, ranges, depth)
    if not why:
        return _built_in(population, depth), ""
    if not limits.microcode:
        raise ModelError(
            f"population {population.name!r} must run on the built-in neuron of {limits.name}: "
            f"{why}; use loihi2, whose neurons are programs"
        )
    return Program(network, population, ranges, depth), why


def _not_built_in(network: Network, population: Population, depth: int) -> str:
    """Why the built-in current-based LIF could not give the same spikes; empty if it does, as long
    as no register overflows."""
    neuron = population.neuron
    if neuron.leak is not None:
        return f"a {type(neuron).__name__} leaks in other units"
    if isinstance(neuron, Spiking):
        if neuron.reset is not Reset.ZERO:
            return f"its reset must be ZERO, not {neuron.reset.name}"
        if neuron.v_floor is not None:
            return "it has no floor of the membrane"
        if network.window(population.name).steps < network.timesteps:
            return "it fires in every step, not in a window"
        threshold = np.asarray(neuron.threshold)
        if threshold.min() < 1 or threshold.max() > BUILT_IN_LIMIT + 1:
            return f"its threshold must be 1 to {BUILT_IN_LIMIT + 1}"
    if np.abs(neuron.bias).max() > 4095:
        return "its bias must be -4095 to 4095"
    waiting = _waiting(population, depth)
    if np.abs(waiting).max() > BUILT_IN_LIMIT:
        return f"its membrane must start within +-{BUILT_IN_LIMIT}"
    if isinstance(neuron, Spiking) and np.any(waiting[:depth] >= population.each(neuron.threshold)):
        return f"it would fire in the {some(depth, 'step')} before its first"
    return ""


def _waiting(population: Population, depth: int) -> np.ndarray:
    """Membranes in the steps before the first, last step first: the bias is taken back."""
    neuron = population.neuron
    bias, start = population.each(neuron.bias), population.each(neuron.v_init)
    return np.stack([start - k * bias for k in range(depth + 1)])


def _not_proved(population: Population, ranges: PopulationRanges, depth: int) -> str:
    """Which register of the built-in neuron is not proved to hold, where a program has no need of
    the proof; Loihi 1 has no programs, and is watched for overflow instead."""
    waiting = _waiting(population, depth)
    lowest = min(ranges.membrane.lowest, int(waiting.min()))
    if max(ranges.membrane.highest, int(waiting.max()), -lowest) > BUILT_IN_LIMIT:
        return "its membrane must be proved to fit 18 bits (v is held << 6)"
    if ranges.drive.bits > ACCUMULATOR_BITS:
        return f"what arrives in a step must be proved to fit {ACCUMULATOR_BITS} bits"
    return ""


def _built_in(population: Population, depth: int) -> CubaNeuron:
    """IF with reset to zero on the built-in LIF: no leak, fires at ``v > (theta - 1) << 6``.

    The bias is added in the `depth` steps before the first too, so v starts that much lower.
    """
    neuron = population.neuron
    bias, start = (population.each(x).reshape(-1) for x in (neuron.bias, neuron.v_init))
    vth: Ints = BUILT_IN_LIMIT
    if isinstance(neuron, Spiking):
        vth = population.each(neuron.threshold).reshape(-1) - 1
    return CubaNeuron(
        vth=vth,
        du=4095,
        dv=0,
        bias_mant=bias,
        bias_exp=ALIGN,
        v_init=(start - depth * bias) << ALIGN,
    )
