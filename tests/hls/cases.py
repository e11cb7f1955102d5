"""Small networks that between them use every kind of neuron, synapse, edge and input."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from small import SPIKES, wired

from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import (
    IF,
    LIF,
    CubaLIF,
    Encoding,
    Input,
    Readout,
    Reset,
    Window,
)
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool
from neurocuda_hw.passes.bursts import NO_BURSTS, find_bursts
from neurocuda_hw.passes.study import Study


def _weights(seed: int, *shape: int, low: int = -7, high: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape)


def convolutions() -> Network:
    """A static image, windows, pools, groups, strides, dilation, a residual sum: the exact code."""
    return wired(
        10,
        {
            "input": (
                (2, 9, 8),
                Input(
                    encoding=Encoding.GRADED,
                    payload_bits=5,
                    signed=True,
                    window=Window(start=0, stop=1),
                ),
            ),
            "first": (
                (6, 9, 8),
                IF(
                    threshold=_weights(1, 6, low=20, high=60),
                    v_init=9,
                    window=Window(start=0, stop=4),
                ),
            ),
            "second": (
                (6, 4, 4),
                IF(threshold=31, v_init=_weights(2, 6), window=Window(start=3, stop=7)),
            ),
            "double": (
                (6, 4, 4),
                IF(threshold=_weights(3, 6, 4, 4, low=5, high=40), window=Window(start=6, stop=10)),
            ),
            "out": ((3,), Readout(bias=_weights(4, 3))),
        },
        ("input", "first", Conv2d(weight=_weights(5, 6, 2, 3, 3), padding=(1, 1))),
        (
            "first",
            "second",
            Conv2d(
                weight=_weights(6, 6, 3, 2, 3),
                groups=2,
                padding=(1, 1),
                dilation=(2, 1),
                pool=SumPool(kernel=(2, 2)),
            ),
        ),
        ("second", "double", Conv2d(weight=_weights(7, 6, 1, 3, 3), groups=6, padding=(1, 1))),
        ("second", "double", Diagonal(weight=_weights(8, 6))),
        ("double", "out", Dense(weight=_weights(9, 3, 96))),
    )


def loops() -> Network:
    """Recurrence: to itself, between two populations, forward with a delay; all kinds of leak."""
    return wired(
        7,
        {
            "input": ((5,), SPIKES),
            "a": ((6,), LIF(threshold=15, decay=_weights(1, 6, low=0, high=4097), bias=2)),
            "b": (
                (7,),
                CubaLIF(
                    threshold=_weights(2, 7, low=-3, high=20),
                    du=1000,
                    dv=_weights(3, 7, low=0, high=900),
                    reset=Reset.ZERO,
                    v_floor=-9,
                ),
            ),
            "c": (
                (4,),
                LIF(threshold=11, decay=4096, reset=Reset.TO_VALUE, v_reset=_weights(4, 4)),
            ),
        },
        ("input", "a", Dense(weight=_weights(5, 6, 5))),
        ("a", "a", Dense(weight=_weights(6, 6, 6)), 1),
        ("a", "b", Dense(weight=_weights(7, 7, 6))),
        ("b", "a", Dense(weight=_weights(8, 6, 7)), 1),
        ("input", "b", Dense(weight=_weights(9, 7, 5)), 1),
        ("b", "c", Dense(weight=_weights(10, 4, 7))),
        ("a", "c", Dense(weight=_weights(11, 4, 6)), 1),
        ("c", "c", Diagonal(weight=_weights(12, 4)), 1),
    )


def wide() -> Network:
    """Thresholds of 18 bits beside membranes below zero: no comparison may turn unsigned."""
    return wired(
        3,
        {
            "input": ((6,), Input(encoding=Encoding.GRADED, payload_bits=8)),
            "a": ((5,), IF(threshold=140_000 + _weights(1, 5), v_init=_weights(2, 5))),
            "out": ((2,), Readout()),
        },
        ("input", "a", Dense(weight=_weights(3, 5, 6, low=-900, high=1800))),
        ("a", "out", Dense(weight=_weights(4, 2, 5))),
    )


def currents() -> Network:
    """A held current, now and a step later; overlapping pools behind padding; a cubic readout."""
    return wired(
        6,
        {
            "input": (
                (3, 5, 4),
                Input(
                    encoding=Encoding.CURRENT,
                    payload_bits=4,
                    signed=True,
                ),
            ),
            "a": ((3, 5, 4), IF(threshold=9, reset=Reset.TO_VALUE, v_reset=-2, v_floor=-40)),
            "b": ((4, 4, 2), CubaLIF(threshold=14, du=512, dv=256, bias=_weights(1, 4))),
            "out": ((2, 2, 2), Readout(bias=3, v_init=_weights(2, 2))),
        },
        ("input", "a", Conv2d(weight=_weights(3, 3, 3, 3, 1), padding=(1, 0))),
        ("input", "a", Diagonal(weight=_weights(4, 3)), 1),
        (
            "a",
            "b",
            Conv2d(
                weight=_weights(5, 4, 3, 2, 2),
                padding=(1, 1),
                stride=(1, 1),
                pool=SumPool(kernel=(3, 3), stride=(1, 2)),
            ),
        ),
        ("input", "b", Dense(weight=_weights(6, 32, 60))),
        ("b", "out", Dense(weight=_weights(7, 8, 32))),
        ("input", "out", Dense(weight=_weights(8, 8, 60))),
    )


def single() -> Network:
    """One neuron a layer: no address at all."""
    return wired(
        3,
        {
            "input": ((1,), SPIKES),
            "out": ((1, 1, 1), IF(threshold=3, bias=1)),
        },
        ("input", "out", Dense(weight=np.array([[2]]))),
    )


def maxima() -> Network:
    """The exact code with L = 5, which is no power of two: a maximum, and spikes at the end."""
    first, second = Window(start=0, stop=5), Window(start=4, stop=9)
    return wired(
        11,
        {
            "input": ((2, 6, 5), Input(encoding=Encoding.SPIKES, window=Window(start=0, stop=1))),
            "a": ((5, 6, 5), IF(threshold=_weights(1, 5, low=2, high=9), window=first)),
            "m": ((5, 3, 2), IF(threshold=1, window=first, reset=Reset.ZERO)),
            "b": ((3, 3, 2), IF(threshold=4, v_init=1, window=second)),
        },
        ("input", "a", Conv2d(weight=_weights(2, 5, 2, 3, 3, low=-2), padding=(1, 1))),
        ("a", "m", Conv2d(weight=np.ones((5, 1, 2, 2), dtype=int), groups=5, stride=(2, 2))),
        ("m", "b", Conv2d(weight=_weights(3, 3, 5, 1, 1, low=-3))),
    )


def partly() -> Network:
    """Two that send bursts, and all who do not take them as they are: a leak, delays, a loop."""
    return wired(
        9,
        {
            "input": (
                (4,),
                Input(encoding=Encoding.GRADED, payload_bits=3, window=Window(start=0, stop=3)),
            ),
            "first": ((6,), IF(threshold=7, window=Window(start=8, stop=9))),
            "a": ((5,), IF(threshold=3, v_init=2, window=Window(start=2, stop=6))),
            "d": ((3,), IF(threshold=5, bias=1, window=Window(start=5, stop=9))),
            "l": ((4,), LIF(threshold=9, decay=200)),
            "e": ((4,), IF(threshold=6, reset=Reset.ZERO)),
            "out": ((3,), Readout()),
        },
        ("input", "first", Dense(weight=_weights(1, 6, 4))),
        ("input", "a", Dense(weight=_weights(2, 5, 4, low=-3))),
        ("a", "d", Dense(weight=_weights(3, 3, 5))),
        ("a", "l", Dense(weight=_weights(4, 4, 5))),
        ("a", "l", Dense(weight=_weights(5, 4, 5)), 1),
        ("l", "e", Diagonal(weight=_weights(6, 4, low=1))),
        ("a", "e", Dense(weight=_weights(7, 4, 5))),
        ("e", "e", Diagonal(weight=_weights(8, 4)), 1),
        ("first", "out", Dense(weight=_weights(9, 3, 6))),
        ("d", "out", Dense(weight=_weights(10, 3, 3))),
        ("e", "out", Dense(weight=_weights(11, 3, 4))),
    )


def ring() -> Network:
    """Only a member of a loop could send bursts."""
    return wired(
        6,
        {
            "input": ((3,), SPIKES),
            "p": ((3,), IF(threshold=2, window=Window(start=0, stop=3))),
            "m": ((3,), IF(threshold=2, window=Window(start=2, stop=6))),
            "out": ((2,), Readout()),
        },
        ("input", "p", Dense(weight=3 * np.eye(3, dtype=int))),
        ("p", "m", Dense(weight=3 * np.eye(3, dtype=int))),
        ("m", "p", Dense(weight=np.eye(3, dtype=int)), 1),
        ("m", "out", Dense(weight=np.ones((2, 3), dtype=int))),
    )


_ALL: dict[str, Callable[[], Network]] = {
    f.__name__: f for f in (convolutions, loops, currents, single, wide, maxima, partly, ring)
}
CASES = tuple(_ALL)
WITH_BURSTS = ("convolutions", "maxima", "partly")
PROJECTS = (*CASES, *(f"{name}, bursts" for name in WITH_BURSTS))


def project(name: str) -> Study:
    """One of `PROJECTS`: a network, with bursts or without."""
    network, _, bursts = name.partition(", ")
    return Study(case(network), bursts=find_bursts(case(network)) if bursts else NO_BURSTS)


@cache
def case(name: str) -> Network:
    """The network of that name, one of `CASES`."""
    return _ALL[name]()
