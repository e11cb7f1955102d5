"""A small network with a convolution, a sum pool and a readout, to simulate hardware of."""

from __future__ import annotations

import numpy as np

from neurocuda_hw.network import IF, Input, Network, Population, Projection, Readout, Window
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.synapses import Conv2d, Dense, SumPool


def small_network() -> Network:
    """Image (2, 5, 6), convolution to (4, 5, 6), pooled into six neurons, three outputs."""
    rng = np.random.default_rng(3)
    return Network(
        name="small",
        populations=(
            Population(
                name="image",
                shape=(2, 5, 6),
                neuron=Input(
                    encoding=Encoding.GRADED, payload_bits=4, window=Window(start=0, stop=2)
                ),
            ),
            Population(
                name="conv",
                shape=(4, 5, 6),
                neuron=IF(threshold=rng.integers(30, 60, 4), bias=rng.integers(-2, 9, 4)),
            ),
            Population(
                name="hidden", shape=(6,), neuron=IF(threshold=rng.integers(20, 40, 6), v_init=9)
            ),
            Population(name="out", shape=(3,), neuron=Readout(bias=np.array([1, -2, 3]))),
        ),
        projections=(
            Projection(
                source="image",
                target="conv",
                synapse=Conv2d(weight=rng.integers(-8, 8, (4, 2, 3, 3)), padding=(1, 1)),
            ),
            Projection(
                source="conv",
                target="hidden",
                synapse=Dense(weight=rng.integers(-8, 8, (6, 24)), pool=SumPool(kernel=(2, 2))),
            ),
            Projection(
                source="hidden", target="out", synapse=Dense(weight=rng.integers(-8, 8, (3, 6)))
            ),
        ),
        timesteps=5,
    )
