"""What each layer will take of a device: block memories exactly, look-up tables nearly.

Memories are listed as the hardware holds them and mapped as yosys maps them (`mapping`). For the
rest, what a layer is made of is counted (`layer_parts`): bits of adders, of multiplexers, of
registers with a choice before them. Each kind costs so many LUTs a bit; the costs are fitted to
what yosys made of a set of networks, and ``python -m benchmarks prediction`` says how far they are
off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network import Network
from neurocuda_hw.network.wire import event_bits, payload_bits
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts
from neurocuda_hw.passes.costs import LUT_COSTS, Part
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.passes.mapping import Memory, map_memory
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.queues import REGISTERS, queue_depths

Parts = dict[Part, float]
_DSP_LEAST = 9
_KEEP_BITS = 13  # of a leak's factor


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerArea:
    """Prediction for one layer (or for what all layers share).

    Parameters
    ----------
    luts : float
        Those of memories included.
    blocks : float
        Block memories, in the unit of the family.
    """

    luts: float
    blocks: float
    dsps: int

    def __add__(self, other: LayerArea) -> LayerArea:
        return LayerArea(
            luts=self.luts + other.luts,
            blocks=self.blocks + other.blocks,
            dsps=self.dsps + other.dsps,
        )


def layer_memories(plan: LayerPlan, branches: int = 1) -> Iterator[Memory]:
    """Every memory of a layer whose spikes go to so many `branches`."""
    layout, name = plan.layout, plan.population.name
    row_bits = max(1, unsigned_bits(plan.state_rows - 1))
    word = plan.state_bits + plan.synaptic_bits + plan.held_bits
    yield Memory(name=f"{name} states", depth=plan.state_rows, width=layout.lanes * word, rom=False)
    for index, (part, bits) in enumerate(zip(plan.fanouts, plan.weight_bits, strict=True)):
        label = f"{name} weights of {plan.projection_name(index)}"
        yield _rom(label, part.weights, bits)
    for parameter in plan.parameters():
        if not parameter.uniform:
            yield _rom(f"{name} {parameter.name}", parameter.rows, parameter.bits)
    if plan.touched:
        yield Memory(name=f"{name} listed", depth=layout.rows, width=1, rom=False)
        yield Memory(name=f"{name} list", depth=1 << row_bits, width=row_bits, rom=False)
        if not plan.awake.uniform:
            yield _rom(f"{name} {plan.awake.name}", plan.awake.rows, 1)
        _, y_bits, x_bits = layout.place_bits
        if not _power(layout.groups) or layout.columns != 1 << x_bits:
            rows = np.divmod(np.arange(layout.rows) // layout.groups, layout.columns)
            places = (rows[0] << x_bits | rows[1])[:, None]
            yield _rom(f"{name} places", places, max(1, x_bits + y_bits))
    if plan.fires:
        for depth in queue_depths(plan, branches):
            yield Memory(
                name=f"{name} queue",
                depth=depth,
                width=layout.lanes * _spike_bits(plan) + sum(layout.place_bits) + 1,
                rom=False,
                registered=depth > REGISTERS,
            )
    elif plan.by_channel:
        yield Memory(
            name=f"{name} values", depth=8, width=plan.state_bits, rom=False, registered=False
        )


def layer_parts(plan: LayerPlan, branches: int = 1) -> Parts:
    """How much of each part a layer is made of, memories aside."""
    lanes = plan.layout.lanes
    states = lanes * plan.state_bits
    row_bits = max(1, unsigned_bits(plan.state_rows - 1))
    parts = dict.fromkeys(Part, 0.0)
    parts[Part.LAYER] = 1
    # with one row only, the newest state is always the one on its way
    parts[Part.SUM if plan.burst else Part.STATE] = states * (0.8 if plan.state_rows == 1 else 1.0)
    parts[Part.DIVISION] = lanes * plan.state_bits * len(plan.division)
    parts[Part.CURRENT] = lanes * (plan.synaptic_bits + plan.held_bits)
    if plan.fires:
        bits = [math.log2(depth) for depth in queue_depths(plan, branches)]
        parts[Part.ENCODER] = branches * lanes * max(1.0, math.log2(lanes))
        parts[Part.COUNT] = branches * lanes * (_spike_bits(plan) - 1)
        parts[Part.QUEUE] = sum(bits)
        parts[Part.DEEP] = sum(n for n in bits if n > math.log2(REGISTERS))
    else:
        parts[Part.SHIFT] = states
    if plan.leaks:
        parts[Part.LEAK] = lanes * (plan.state_bits + plan.synaptic_bits)
    if plan.v_floor is not None:
        parts[Part.FLOOR] = states
    if not plan.burst and not (plan.threshold.uniform and plan.bias.uniform):
        parts[Part.OWN] = lanes * max(plan.threshold.bits, plan.bias.bits)
    if plan.touched:
        parts[Part.LIST], parts[Part.AGAIN] = row_bits + 3, states
    ports = len(plan.projections)
    if ports > 1:
        parts[Part.CHOICE] = lanes * max(plan.weight_bits) * (ports - 1)
    for fanout in plan.fanouts:
        address = max(1, unsigned_bits(len(fanout.weights) - 1)) + row_bits
        parts[Part.WALKER] += 1
        parts[Part.ADDRESS] += address
        parts[Part.LOOKUP] += address * sum(len(axis.count) > 1 for axis in (fanout.y, fanout.x))
        if fanout.uniform and len(fanout.channel_rows) > 1:
            factor = int(fanout.channel_rows[0])
            parts[Part.FACTOR] += address * (factor.bit_count() - 1)
    return parts


def layer_area(plan: LayerPlan, family: Family, branches: int = 1) -> LayerArea:
    """Prediction for one layer whose spikes go to so many `branches`."""
    blocks = luts = 0.0
    for memory in layer_memories(plan, branches):
        mapped = map_memory(memory, family)
        blocks += mapped.blocks
        luts += mapped.memory_luts
        luts += memory.width * _multiplexer(mapped.slices, family)
        if mapped.logic:
            luts += LUT_COSTS[family][Part.ROM] * _logic_memory(memory, family)
    costs = LUT_COSTS[family]
    luts += sum(costs[part] * count for part, count in layer_parts(plan, branches).items())
    dsps, soft = _multipliers(plan, family)
    return LayerArea(luts=luts + soft, blocks=blocks, dsps=dsps)


def shared_area(network: Network, family: Family, bursts: Bursts = NO_BURSTS) -> LayerArea:
    """Prediction for what is there once: packets in and out, forks, delays and expanders."""
    costs = LUT_COSTS[family]
    luts = costs[Part.DESIGN]
    blocks = 0.0
    queues = []
    for projection in network.projections:
        source, most = network[projection.source], bursts.counts.get(projection.source, 0)
        if projection.delay:
            queues.append((source.size + 1, event_bits(source)))
        if most and not bursts.received(network, projection):
            queues.append((source.size, event_bits(source, most)))
    if most := bursts.counts.get(network.output.name, 0):
        queues.append((network.output.size, event_bits(network.output, most)))
    for depth, width in queues:
        memory = Memory(name="events", depth=max(2, depth), width=width, rom=False)
        mapped = map_memory(memory, family)
        blocks += mapped.blocks
        luts += mapped.memory_luts + memory.width * _multiplexer(mapped.slices, family)
        luts += (costs[Part.QUEUE] + costs[Part.DEEP]) * math.log2(max(2, depth))
    return LayerArea(luts=luts, blocks=blocks, dsps=0)


def network_area(
    network: Network,
    plans: Mapping[str, LayerPlan],
    family: Family,
    bursts: Bursts = NO_BURSTS,
) -> dict[str, LayerArea]:
    """Prediction for every layer, by population, and under ``""`` for what they share."""
    return {
        **{n: layer_area(plan, family, branches_of(network, n)) for n, plan in plans.items()},
        "": shared_area(network, family, bursts),
    }


def branches_of(network: Network, name: str) -> int:
    """To how many ends a population's spikes go, each behind a queue of its own."""
    return len(network.outgoing(name)) + (name == network.output.name)


def total(areas: Mapping[str, LayerArea]) -> LayerArea:
    """The whole design."""
    return sum(areas.values(), LayerArea(luts=0.0, blocks=0.0, dsps=0))


def _rom(name: str, rows: np.ndarray, bits: int) -> Memory:
    """A ROM without the bits that are the same in every word."""
    low = np.bitwise_and.reduce(rows, axis=0).astype(np.int64)
    high = np.bitwise_or.reduce(rows, axis=0).astype(np.int64)
    varying = (low ^ high) & ((1 << bits) - 1)
    width = sum(int(n).bit_count() for n in varying)
    return Memory(name=name, depth=len(rows), width=width, rom=True)


def _multiplexer(inputs: int, family: Family) -> float:
    """LUTs of one bit's choice among `inputs`: a LUT makes one or two choices between two."""
    return float(math.ceil((inputs - 1) / 1.5)) if family.lut_inputs == 6 else 0.7 * (inputs - 1)


def _logic_memory(memory: Memory, family: Family) -> float:
    """LUTs of a memory that became logic (a ROM) or registers with a choice behind them."""
    if memory.depth == 1:
        return 0.0
    if memory.rom:
        return memory.width * max(1.0, memory.depth / (1 << family.lut_inputs))
    return memory.width * _multiplexer(memory.depth, family)


def _multipliers(plan: LayerPlan, family: Family) -> tuple[int, float]:
    """Multipliers of the device, and LUTs of those that are made of them: one per lane each.

    yosys leaves products of fewer than `_DSP_LEAST` bits to LUTs; on iCE40 all are.
    """
    lanes, count, luts = plan.layout.lanes, 0, 0.0
    values = [payload_bits(*sender) for sender in plan.senders]
    factors = [(b, v + 1) for v, b in zip(values, plan.weight_bits, strict=True) if v]
    if any(plan.bursts):  # one multiplier for all projections; a maximum has none
        factors = [(max(plan.weight_bits), max(values) + 1)] if max(values) else []
    if plan.maximum:
        factors = []
    leaks = ((plan.keep, plan.state_bits), (plan.keep_synaptic, plan.synaptic_bits))
    factors += [(bits, _KEEP_BITS) for keep, bits in leaks if keep is not None]
    for one, other in factors:
        if family is not Family.ICE40 and one + other >= _DSP_LEAST:
            count += lanes
        else:
            luts += lanes * one * (other - 1)
    return count, luts


def _spike_bits(plan: LayerPlan) -> int:
    """Bits that say what one lane sends."""
    return payload_bits(plan.population, plan.burst) or 1


def _power(number: int) -> bool:
    return not number & (number - 1)
