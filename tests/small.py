"""Networks for tests: two builders that write out as little as can be, and one to make hardware of.

>>> chain(4, {"x": ((3,), SPIKES), "y": ((2,), IF(threshold=1))}, Dense(weight=weight))
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from neurocuda_hw.network import IF, Input, Network, Population, Projection, Readout, Window
from neurocuda_hw.network.neurons import Encoding, Neuron
from neurocuda_hw.network.synapses import Conv2d, Dense, SumPool, Synapse

SPIKES = Input(encoding=Encoding.SPIKES)
Cells = Mapping[str, tuple[tuple[int, ...], Neuron]]


def wired(steps: int, cells: Cells, *wires: tuple[Any, ...], name: str = "network") -> Network:
    """A network of `steps` steps.

    Parameters
    ----------
    cells : mapping of str to (tuple of int, Neuron)
        Shape and neuron of each population, by name.
    wires : tuples
        Source, target, synapse and, where it is not 0, the delay of each projection.
    """
    return Network(
        name=name,
        populations=tuple(
            Population(name=name, shape=shape, neuron=neuron)
            for name, (shape, neuron) in cells.items()
        ),
        projections=tuple(
            Projection(source=source, target=target, synapse=synapse, delay=sum(delay))
            for source, target, synapse, *delay in wires
        ),
        timesteps=steps,
    )


def chain(steps: int, cells: Cells, *synapses: Synapse, name: str = "network") -> Network:
    """The same where each population feeds the next, through one synapse each."""
    wires = ((*ends, synapse) for ends, synapse in zip(pairwise(cells), synapses, strict=True))
    return wired(steps, cells, *wires, name=name)


def small_network() -> Network:
    """Image (2, 5, 6), convolution to (4, 5, 6), pooled into six neurons, three outputs."""
    rng = np.random.default_rng(3)
    return chain(
        5,
        {
            "image": (
                (2, 5, 6),
                Input(encoding=Encoding.GRADED, payload_bits=4, window=Window(start=0, stop=2)),
            ),
            "conv": ((4, 5, 6), IF(threshold=rng.integers(30, 60, 4), bias=rng.integers(-2, 9, 4))),
            "hidden": ((6,), IF(threshold=rng.integers(20, 40, 6), v_init=9)),
            "out": ((3,), Readout(bias=np.array([1, -2, 3]))),
        },
        Conv2d(weight=rng.integers(-8, 8, (4, 2, 3, 3)), padding=(1, 1)),
        Dense(weight=rng.integers(-8, 8, (6, 24)), pool=SumPool(kernel=(2, 2))),
        Dense(weight=rng.integers(-8, 8, (3, 6))),
        name="small",
    )
