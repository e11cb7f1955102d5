"""What is called shown is shown: against every flip of every bit, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brute import hidden
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import chain
from strategies import inputs_for, networks

from neurocuda_hw.coverage.bits import Left, below, bits_of, flipped, level
from neurocuda_hw.coverage.tally import Tally
from neurocuda_hw.network import IF, Input, Network, Readout, Window
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.synapses import Conv2d, Dense, SumPool

FEW = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
SIZES = {"layers": 2, "timesteps": 4, "channels": 2, "extent": 3, "weight_bits": 4}


def tallied(network: Network, inputs: np.ndarray) -> dict[Any, np.ndarray]:
    """Masks of what is left."""
    tally = Tally(network)
    tally.add(inputs)
    return {key: left.masks for key, left in tally.parts()}


@FEW
@given(networks(neurons=(IF,), resets=(IF(threshold=1).reset,), floors=False, **SIZES), st.data())
def test_without_leak_it_is_exact(network: Network, data: st.DataObject) -> None:
    inputs = data.draw(inputs_for(network, samples=3))
    wanted = hidden(network, inputs)
    for key, masks in tallied(network, inputs).items():
        places, left = wanted[key]
        if isinstance(key, int):
            assert np.array_equal(masks.flat[places], left), key
        else:
            assert not (left & ~masks.flat[places]).any(), key


@FEW
@given(networks(**SIZES), st.data())
def test_nothing_is_called_shown_that_is_not(network: Network, data: st.DataObject) -> None:
    inputs = data.draw(inputs_for(network, samples=3))
    wanted = hidden(network, inputs)
    for key, masks in tallied(network, inputs).items():
        places, left = wanted[key]
        assert not (left & ~masks.flat[places]).any(), key


def exact_code(seed: int) -> Network:
    """Layers that fire in windows of their own, as 'nchw convert' makes them."""
    rng = np.random.default_rng(seed)
    windows = [Window(start=i * 3, stop=i * 3 + 4) for i in range(2)]
    return chain(
        7,
        {
            "image": (
                (2, 6, 6),
                Input(encoding=Encoding.GRADED, payload_bits=3, window=Window(start=0, stop=1)),
            ),
            "conv": (
                (3, 6, 6),
                IF(
                    threshold=rng.integers(9, 30, 3),
                    v_init=rng.integers(-9, 9, 3),
                    window=windows[0],
                ),
            ),
            "hidden": (
                (5,),
                IF(
                    threshold=rng.integers(9, 30, 5),
                    v_init=rng.integers(-9, 9, 5),
                    window=windows[1],
                ),
            ),
            "out": ((3,), Readout(bias=np.array([1, -2, 3]))),
        },
        Conv2d(weight=rng.integers(-8, 8, (3, 2, 3, 3)), padding=(1, 1)),
        Dense(weight=rng.integers(-8, 8, (5, 27)), pool=SumPool(kernel=(2, 2))),
        Dense(weight=rng.integers(-8, 8, (3, 5))),
    )


@pytest.mark.parametrize("seed", range(2))
def test_counts_of_the_exact_code_are_exact(seed: int) -> None:
    network = exact_code(seed)
    inputs = np.random.default_rng(seed).integers(0, 8, (4, 1, 2, 6, 6))
    wanted = hidden(network, inputs)
    found = tallied(network, inputs)
    assert any(masks.any() for masks in found.values())
    for key, masks in found.items():
        places, left = wanted[key]
        assert not (left & ~masks.flat[places]).any(), key
        if not isinstance(key, tuple) or key[1] != "threshold":  # 1 stands in for those below it
            assert np.array_equal(masks.flat[places], left), key


def test_bits_flip_as_in_two_s_complement() -> None:
    values = np.arange(-8, 8)
    left = Left.of(values, bits_of(values))
    for bit in range(4):
        other = flipped(values, bit, 4)
        assert set(other) == set(values)
        assert np.array_equal(other > values, (left.up >> bit & 1) == 1)
        assert np.array_equal(other < values, (left.down >> bit & 1) == 1)
    assert left.count == 64


def test_levels_are_exact_at_powers_of_two() -> None:
    ratios = np.array([0.1, 1, 1 + 2.0**-50, 2, 3, 4, 2.0**40, 2.0**40 + 2.0**-10, np.inf])
    assert level(ratios).tolist() == [0, 0, 1, 1, 2, 2, 40, 41, 63]
    assert below(level(ratios))[-1] == 2**62 - 1
