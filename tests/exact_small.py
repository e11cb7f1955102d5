"""A small network of the exact code: two layers in turn, a maximum of the first, a readout."""

from __future__ import annotations

import numpy as np
from small import wired

from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout, Reset, Window
from neurocuda_hw.network.synapses import Dense

FIRST, SECOND = Window(start=0, stop=4), Window(start=3, stop=7)


def exact_network(**cells: object) -> Network:
    """The network, with `cells` in the place of neurons of it."""
    neurons = {
        "x": Input(encoding=Encoding.GRADED, payload_bits=2, window=Window(start=0, stop=1)),
        "a": IF(threshold=3, window=FIRST),
        "m": IF(threshold=2, window=FIRST, reset=Reset.ZERO),
        "b": IF(threshold=5, window=SECOND),
        "o": Readout(bias=1),
    } | cells
    sizes = {"x": 4, "a": 4, "m": 2, "b": 3, "o": 2}
    ones = {name: np.ones((sizes[name], 4), dtype=np.int64) for name in "am"}
    return wired(
        7,
        {name: ((size,), neurons[name]) for name, size in sizes.items()},
        ("x", "a", Dense(weight=ones["a"])),
        ("a", "m", Dense(weight=2 * ones["m"])),
        ("a", "b", Dense(weight=np.ones((3, 4), dtype=np.int64))),
        ("m", "b", Dense(weight=np.ones((3, 2), dtype=np.int64))),
        ("b", "o", Dense(weight=np.ones((2, 3), dtype=np.int64))),
    )
