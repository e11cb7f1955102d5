"""Where weights and states lie, and what an event visits."""

from __future__ import annotations

import numpy as np
import pytest
from small import chain

from neurocuda_hw.network.neurons import Encoding, Input, Readout
from neurocuda_hw.network.synapses import Conv2d, SumPool
from neurocuda_hw.passes.layout import fanout, state_layout
from neurocuda_hw.reference.reference import Reference


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_padding_behind_overlapping_pools_becomes_dense(lanes: int) -> None:
    synapse = Conv2d(
        weight=np.random.default_rng(0).integers(-5, 6, (4, 1, 2, 2)),
        groups=2,
        padding=(1, 1),
        stride=(2, 1),
        pool=SumPool(kernel=(3, 2), stride=(1, 1)),
    )
    network = chain(
        1,
        {
            "input": ((2, 5, 4), Input(encoding=Encoding.GRADED, payload_bits=4)),
            "out": ((4, 2, 4), Readout()),
        },
        synapse,
    )
    inputs = np.random.default_rng(1).integers(0, 16, (3, 1, 2, 5, 4))
    want = Reference(network).run(inputs).outputs.numpy()
    part = fanout(network, network.projections[0], lanes)
    assert len(part.weights) == 2 * 5 * 4 * (8 * 4 // lanes)  # as of a dense synapse
    rows = part.weights.reshape(5, 4, 2, -1).transpose(2, 0, 1, 3).reshape(40, -1)
    got = (inputs.reshape(3, -1) @ rows).reshape(3, -1, lanes)
    layout = state_layout(network["out"], lanes)
    np.testing.assert_array_equal(got, layout.arrange(want))
