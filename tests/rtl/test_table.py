"""The table beside its columns: every key, in the same cycle."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from neurocuda_hw.rtl.table import Table


@pytest.mark.parametrize("depth", [1, 2, 5, 16, 37])
def test_every_row_is_found_in_the_cycle_of_its_key(depth):
    chance = np.random.default_rng(depth)
    columns = [chance.integers(0, top, depth) for top in (1, 2, 300, 9)]
    table = Table(columns)
    assert table.widths == [max(1, int(column.max()).bit_length()) for column in columns]
    assert len(table.data) == sum(table.widths)
    found = []

    async def look_up(context):
        for key in range(depth):
            context.set(table.key, key)
            found.append([context.get(table.column(i)) for i in range(len(columns))])

    simulator = Simulator(table)
    simulator.add_testbench(look_up)
    simulator.run()
    assert found == np.stack(columns, axis=1).tolist()
