"""Every memory that the hardware holds, by layer: depth, width, what it is for.

ROMs are listed without the bits that are the same in every word: synthesisers drop them.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

import numpy as np

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.network import Network
from neurocuda_hw.network.wire import event_bits, payload_bits
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts
from neurocuda_hw.passes.mapping import Memory
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.queues import REGISTERS, queue_depths

BANK = 1 << 10  # rows
ONE_BLOCK = 1 << 14  # bits


class Use(Enum):
    """What a memory is for."""

    STATES = "states"
    WEIGHTS = "weights"
    PARAMETERS = "parameters"
    QUEUES = "queues"
    LISTS = "lists"


def layer_memories(plan: LayerPlan, branches: int = 1) -> Iterator[tuple[Use, Memory]]:
    """Every memory of a layer whose spikes go to so many `branches`.

    Names are unique in a layer, but for the queues of several branches.
    """
    layout = plan.layout
    row_bits = max(1, unsigned_bits(plan.state_rows - 1))
    word = plan.state_bits + plan.synaptic_bits + plan.held_bits
    yield Use.STATES, _ram("states", plan.state_rows, layout.lanes * word)
    stored = zip(plan.fanouts, plan.weight_shifts, plan.stored_bits, strict=True)
    for index, (part, shift, bits) in enumerate(stored):
        name = f"weights of {plan.projection_name(index)}"
        yield Use.WEIGHTS, _rom(name, banked(part.weights >> shift, bits), bits)
    for parameter in plan.parameters():
        if not parameter.uniform:
            yield Use.PARAMETERS, _rom(parameter.name, parameter.rows, parameter.bits)
    if plan.touched:
        yield Use.LISTS, _ram("listed", layout.rows, 1)
        yield Use.LISTS, _ram("list", 1 << row_bits, row_bits)
        if not plan.awake.uniform:
            yield Use.LISTS, _rom(plan.awake.name, plan.awake.rows, 1)
        _, y_bits, x_bits = layout.place_bits
        if not _power(layout.groups) or layout.columns != 1 << x_bits:
            rows = np.divmod(np.arange(layout.rows) // layout.groups, layout.columns)
            places = (rows[0] << x_bits | rows[1])[:, None]
            yield Use.LISTS, _rom("places", places, max(1, x_bits + y_bits))
    if plan.fires:
        spikes = layout.lanes * (payload_bits(plan.population, plan.burst) or 1)
        # the end, and of several lanes whether none has fired and whether several have
        width = spikes + sum(layout.place_bits) + (3 if layout.lanes > 1 else 1)
        for depth in queue_depths(plan, branches):
            yield Use.QUEUES, _ram("queue", depth, width, registered=depth > REGISTERS)
    elif plan.by_channel:
        yield Use.QUEUES, _ram("values", 8, plan.state_bits, registered=False)


def banked(rows: np.ndarray, bits: int) -> np.ndarray:
    """Rows ``(R, lanes)`` of so many bits a lane, as banks side by side, the first lowest.

    So each bit of a block memory goes to a register of its own, and the choice between blocks comes
    after that. There are several where they are more than `BANK`, unless one block holds them all.
    What the last bank lacks is 0.
    """
    banks = -(-len(rows) // BANK)
    if banks == 1 or rows.size * bits <= ONE_BLOCK:
        return rows
    whole = np.zeros((banks * BANK, rows.shape[1]), dtype=rows.dtype)
    whole[: len(rows)] = rows
    return whole.reshape(banks, BANK, -1).transpose(1, 0, 2).reshape(BANK, -1)


def shared_memories(network: Network, bursts: Bursts = NO_BURSTS) -> Iterator[Memory]:
    """The queues of delays and expanders, which belong to no layer."""
    for projection in network.projections:
        source, most = network[projection.source], bursts.counts.get(projection.source, 0)
        if projection.delay:
            yield _ram("events", max(2, source.size + 1), event_bits(source))
        if most and not bursts.received(network, projection):
            yield _ram("events", max(2, source.size), event_bits(source, most))
    if most := bursts.counts.get(network.output.name, 0):
        yield _ram("events", max(2, network.output.size), event_bits(network.output, most))


def branches_of(network: Network, name: str) -> int:
    """To how many ends a population's spikes go, each behind a queue of its own."""
    return len(network.outgoing(name)) + (name == network.output.name)


def _ram(name: str, depth: int, width: int, *, registered: bool = True) -> Memory:
    return Memory(name=name, depth=depth, width=width, rom=False, registered=registered)


def _rom(name: str, rows: np.ndarray, bits: int) -> Memory:
    """A ROM without the bits that are the same in every word."""
    low = np.bitwise_and.reduce(rows, axis=0).astype(np.int64)
    high = np.bitwise_or.reduce(rows, axis=0).astype(np.int64)
    varying = (low ^ high) & ((1 << bits) - 1)
    width = sum(int(n).bit_count() for n in varying)
    return Memory(name=name, depth=len(rows), width=width, rom=True)


def _power(number: int) -> bool:
    return not number & (number - 1)
