"""What each layer will take of a device: block memories exactly, look-up tables nearly.

Memories are listed as the hardware holds them (`memories`) and mapped as yosys maps them
(`mapping`). For the rest, what a layer is made of is counted (`layer_parts`): bits of adders, of
multiplexers, of registers with a choice before them. Each kind costs so many LUTs a bit; the costs
are fitted to what yosys made of a set of networks, and ``python -m benchmarks prediction`` says how
far they are off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network import Network
from neurocuda_hw.network.wire import payload_bits
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts
from neurocuda_hw.passes.costs import LUT_COSTS, Part
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.passes.mapping import Memory, Style, map_memory
from neurocuda_hw.passes.memories import branches_of, layer_memories, shared_memories
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.queues import REGISTERS, queue_depths

Parts = dict[Part, float]
# bits of the narrower factor, and of both, from which yosys takes a multiplier; else 2 and 9
_LEAST = {Family.ECP5: (2, 4), Family.GOWIN: (4, 8)}
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
    dsps, ultras : int
        Multipliers; UltraRAMs.
    """

    luts: float = 0.0
    blocks: float = 0.0
    dsps: int = 0
    ultras: int = 0

    @classmethod
    def of(cls, vector: np.ndarray) -> LayerArea:
        """The area of a `vector`."""
        luts, blocks, dsps, ultras = vector.tolist()
        return cls(luts=luts, blocks=blocks, dsps=round(dsps), ultras=round(ultras))

    @property
    def vector(self) -> np.ndarray:
        """LUTs, block memories, multipliers, UltraRAMs, ``(4,)``."""
        return np.array([self.luts, self.blocks, self.dsps, self.ultras], dtype=np.float64)

    def __add__(self, other: LayerArea) -> LayerArea:
        return LayerArea(
            luts=self.luts + other.luts,
            blocks=self.blocks + other.blocks,
            dsps=self.dsps + other.dsps,
            ultras=self.ultras + other.ultras,
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
    if plan.burst and len(plan.initial.rows) == 1:
        parts[Part.START] = states
    for times in plan.division:  # bits below the multiple's shift stay as they are
        parts[Part.DIVISION] += lanes * (plan.division_bits - unsigned_bits(times) + 2)
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
    """Prediction for one layer whose spikes go to so many `branches`, made in its `ways`."""
    area = logic_area(plan, family, branches) + product_area(plan, family, soft=plan.ways.soft)
    styles = plan.ways.styles
    for _, memory in layer_memories(plan, branches):
        area += memory_area(memory, family, styles.get(memory.name))
    return area


def logic_area(plan: LayerPlan, family: Family, branches: int = 1) -> LayerArea:
    """All but memories and products."""
    costs = LUT_COSTS[family]
    parts = layer_parts(plan, branches).items()
    return LayerArea(luts=sum(costs[part] * count for part, count in parts))


def memory_area(memory: Memory, family: Family, style: Style | None = None) -> LayerArea:
    """One memory, and the choice behind it where it is cut into slices."""
    mapped = map_memory(memory, family, style)
    luts = mapped.memory_luts + memory.width * _multiplexer(mapped.slices, family)
    if mapped.logic:
        luts += LUT_COSTS[family][Part.ROM] * _logic_memory(memory, family)
    return LayerArea(luts=luts, blocks=mapped.blocks, ultras=mapped.ultras)


def shared_area(network: Network, family: Family, bursts: Bursts = NO_BURSTS) -> LayerArea:
    """Prediction for what is there once: packets in and out, forks, delays and expanders."""
    costs = LUT_COSTS[family]
    area = LayerArea(luts=costs[Part.DESIGN])
    for memory in shared_memories(network, bursts):
        counters = (costs[Part.QUEUE] + costs[Part.DEEP]) * math.log2(memory.depth)
        area += memory_area(memory, family) + LayerArea(luts=counters)
    return area


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


def total(areas: Mapping[str, LayerArea]) -> LayerArea:
    """The whole design."""
    return sum(areas.values(), LayerArea())


def _multiplexer(inputs: int, family: Family) -> float:
    """LUTs of one bit's choice among `inputs`: a LUT makes one or two choices between two."""
    return float(math.ceil((inputs - 1) / 1.5)) if family.lut_inputs == 6 else 0.7 * (inputs - 1)


def _logic_memory(memory: Memory, family: Family) -> float:
    """LUTs of a memory that became logic (a ROM) or registers with a choice behind them."""
    if memory.depth == 1:
        return 0.0
    if memory.rom:
        words = memory.depth / (1 << family.lut_inputs)
        if family.lut_inputs == 6 and words > 1:  # up to 256 words by MUXF7 and MUXF8
            words = next((n for n in (2, 4) if words <= n), 1.4 * words)
        return memory.width * max(1.0, words)
    return memory.width * _multiplexer(memory.depth, family)


def product_area(plan: LayerPlan, family: Family, *, soft: bool = False) -> LayerArea:
    """What multiplies, one per lane each: multipliers of the device, or look-up tables.

    yosys leaves products of fewer bits than `_LEAST` to LUTs; on iCE40 all are. A multiplier of
    the device adds a burst to the membrane, too.
    """
    lanes, count, luts = plan.layout.lanes, 0, 0.0
    values = [payload_bits(*sender) for sender in plan.senders]
    factors = [(b, v + 1) for v, b in zip(values, plan.stored_bits, strict=True) if v]
    if any(plan.bursts):  # one multiplier for all projections; a maximum has none
        least = min(plan.weight_shifts)
        bits = max(bits - least for bits in plan.weight_bits)
        factors = [(bits, max(values) + 1)] if max(values) else []
    if plan.maximum:
        factors = []
    few = family is Family.ICE40
    narrow, least_bits = _LEAST.get(family, (2, 9))
    for one, other in factors:
        if soft or few or min(one, other) < narrow or one + other < least_bits:
            terms = max(one, other) * (min(one, other) - 1)
            luts += (LUT_COSTS[family][Part.PRODUCT] if soft else 1.0) * lanes * terms
            luts += lanes * plan.state_bits if plan.burst else 0
        else:
            count += lanes
    leaks = ((plan.keep, plan.state_bits), (plan.keep_synaptic, plan.synaptic_bits))
    for bits in (bits for keep, bits in leaks if keep is not None):
        if few or bits < narrow or bits + _KEEP_BITS < least_bits:
            luts += lanes * bits * (_KEEP_BITS - 1)
        else:
            count += lanes
    return LayerArea(luts=luts, dsps=count)


def _spike_bits(plan: LayerPlan) -> int:
    """Bits that say what one lane sends."""
    return payload_bits(plan.population, plan.burst) or 1
