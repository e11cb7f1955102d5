"""The list of memories, beside what areas count; `test_area` has it beside the Verilog."""

from __future__ import annotations

from collections import Counter

import pytest
from exact_small import exact_network
from small import small_network

from neurocuda_hw.network import Network
from neurocuda_hw.passes.area import memory_area, network_area, total
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.passes.memories import Use, branches_of, layer_memories, shared_memories
from neurocuda_hw.passes.study import Study


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize("make", [small_network, exact_network])
def test_block_memories_add_up(make: object, family: Family) -> None:
    network: Network = make()  # type: ignore[operator]
    bursts = find_bursts(network)
    plans = Study(network, bursts=bursts).plans
    listed = [m for n, p in plans.items() for _, m in layer_memories(p, branches_of(network, n))]
    listed += shared_memories(network, bursts)
    whole = total(network_area(network, plans, family, bursts))
    assert sum(memory_area(m, family).blocks for m in listed) == whole.blocks


def test_names_are_those_of_one_memory_each() -> None:
    network = small_network()
    for name, plan in Study(network).plans.items():
        memories = list(layer_memories(plan, branches_of(network, name)))
        names = Counter(m.name for _, m in memories)
        assert max(names.values()) == 1
        assert names["states"] == 1
        assert [use for use, _ in memories].count(Use.WEIGHTS) == len(plan.projections)
