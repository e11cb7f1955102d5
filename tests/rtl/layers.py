"""Small layers of every kind, for the tests of what a layer is made of."""

from __future__ import annotations

import numpy as np

from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import (
    IF,
    LIF,
    CubaLIF,
    CubaReadout,
    Encoding,
    Input,
    LeakyReadout,
    Neuron,
    Readout,
    Reset,
    Window,
)
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, Synapse
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.planner import plan_layer

_RANDOM = np.random.default_rng(4)


def weights(*shape: int) -> np.ndarray:
    """Random weights of 5 bits."""
    return _RANDOM.integers(-15, 16, shape)


def first(value: int, values: np.ndarray) -> np.ndarray:
    """`values` with another one for neuron 0, which also stands where a lane has no neuron."""
    values.flat[0] = value
    return values


def layer(
    neuron: Neuron,
    shape: tuple[int, ...],
    source: Population,
    *synapses: Synapse,
    steps: int = 6,
    direct: bool = False,
) -> Network:
    """A network whose output population is the layer.

    Its second projection comes from neurons, or like the first from the source, if `direct`.
    """
    populations = [source]
    projections = [Projection(source=source.name, target="layer", synapse=synapses[0])]
    for number, synapse in enumerate(synapses[1:]):
        if direct:
            projections.append(Projection(source=source.name, target="layer", synapse=synapse))
            continue
        name = f"middle{number}"
        channels = source.shape[0]
        populations.append(Population(name=name, shape=source.shape, neuron=IF(threshold=2)))
        ones = Diagonal(weight=np.ones(channels, dtype=int))
        projections.append(Projection(source=source.name, target=name, synapse=ones))
        projections.append(Projection(source=name, target="layer", synapse=synapse))
    populations.append(Population(name="layer", shape=shape, neuron=neuron))
    return Network(populations=tuple(populations), projections=tuple(projections), timesteps=steps)


def source(
    shape: tuple[int, ...], encoding: Encoding = Encoding.SPIKES, bits: int = 0
) -> Population:
    """An input population; payloads are signed."""
    more = {} if encoding is Encoding.SPIKES else {"payload_bits": bits, "signed": True}
    return Population(name="x", shape=shape, neuron=Input(encoding=encoding, **more))


MAP = (2, 3, 5)
KERNEL = {"padding": (1, 1)}
LAYERS: dict[str, Network] = {
    "subtract": layer(IF(threshold=9), (6,), source((8,)), Dense(weight=weights(6, 8))),
    "value, graded, by channel": layer(
        IF(
            threshold=np.array([20, 31, 9, 44, 17]),
            bias=np.array([1, -2, 0, 3, 1]),
            v_init=np.array([4, 0, -3, 9, 2]),
            reset=Reset.TO_VALUE,
            v_reset=np.array([-5, 2, 0, 1, -9]),
        ),
        (5, 3, 5),
        source(MAP, Encoding.GRADED, 4),
        Conv2d(weight=weights(5, 2, 3, 3), **KERNEL),
    ),
    "zero, floor, by neuron": layer(
        IF(
            # what lanes without a neuron hold: they must not fire
            threshold=first(4, np.random.default_rng(1).integers(3, 20, (3, 3, 5))),
            v_init=first(9, np.random.default_rng(2).integers(-4, 5, (3, 3, 5))),
            reset=Reset.ZERO,
            v_floor=-12,
        ),
        (3, 3, 5),
        source(MAP),
        Conv2d(weight=weights(3, 2, 3, 3), **KERNEL),
    ),
    "window, two sources": layer(
        IF(threshold=25, window=Window(start=1, stop=3)),
        (4, 3, 5),
        source(MAP, Encoding.GRADED, 3),
        Conv2d(weight=weights(4, 2, 3, 3), **KERNEL),
        Conv2d(weight=weights(4, 2, 1, 1)),
    ),
    "held current": layer(
        IF(threshold=60, bias=3),
        (6,),
        source((8,), Encoding.CURRENT, 4),
        Dense(weight=weights(6, 8)),
        Dense(weight=weights(6, 8)),
    ),
    "leak": layer(
        LIF(threshold=16, bias=-1, v_init=7, decay=np.array([500, 90, 3000, 4096])),
        (4, 3, 5),
        source(MAP),
        Conv2d(weight=weights(4, 2, 3, 3), **KERNEL),
    ),
    "two leaks": layer(
        CubaLIF(threshold=40, du=700, dv=np.array([300, 800, 50]), bias=2),
        (3, 3, 5),
        source(MAP, Encoding.GRADED, 3),
        Conv2d(weight=weights(3, 2, 3, 3), **KERNEL),
    ),
    "two leaks, held current": layer(
        CubaLIF(threshold=150, du=2500, dv=np.array([300, 800, 50, 900, 1200, 0]), bias=2),
        (6,),
        source((8,), Encoding.CURRENT, 3),
        Dense(weight=weights(6, 8)),
        Dense(weight=weights(6, 8)),
    ),
    "readout": layer(Readout(bias=3, v_init=-5), (7,), source((8,)), Dense(weight=weights(7, 8))),
    "readout of a map": layer(
        Readout(bias=np.array([1, -1, 4, 0, 2])),
        (5, 3, 5),
        source(MAP),
        Conv2d(weight=weights(5, 2, 3, 3), **KERNEL),
    ),
    "readout of a map, one step": layer(
        Readout(), (5, 3, 5), source(MAP), Conv2d(weight=weights(5, 2, 3, 3), **KERNEL), steps=1
    ),
    "leaky readout": layer(
        LeakyReadout(decay=300, bias=2), (5,), source((8,)), Dense(weight=weights(5, 8))
    ),
    "leaky readout with a current": layer(
        CubaReadout(du=900, dv=300), (5,), source((8,)), Dense(weight=weights(5, 8))
    ),
    "two graded": layer(
        IF(threshold=70),
        (4, 3, 5),
        source(MAP, Encoding.GRADED, 3),
        Conv2d(weight=weights(4, 2, 3, 3), **KERNEL),
        Conv2d(weight=weights(4, 2, 1, 1)),
        direct=True,
    ),
    "low zeros": layer(
        IF(threshold=300),
        (4, 3, 5),
        source(MAP, Encoding.GRADED, 3),
        Conv2d(weight=4 * weights(4, 2, 3, 3), **KERNEL),
        Conv2d(weight=32 * weights(4, 2, 1, 1)),
        direct=True,
    ),
    "some awake": layer(
        IF(threshold=9, v_init=np.array([0, 2, 9, 12])),
        (4, 3, 5),
        source(MAP),
        Conv2d(weight=weights(4, 2, 1, 1)),
    ),
}


def plan_of(name: str, lanes: int, *, touched: bool | None = False) -> LayerPlan:
    """The plan of a layer of `LAYERS`."""
    network = LAYERS[name]
    return plan_layer(network, network["layer"], lanes, touched=touched)
