"""Sums of weights against the oracle's taps; the int8 product; fan-out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import taps
from strategies import networks

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.loihi import operators
from neurocuda_hw.loihi.operators import Operator, counting, fan_out
from neurocuda_hw.network import Network
from neurocuda_hw.network.synapses import Dense


@settings(max_examples=100)
@given(networks(), st.integers(0, 2**32 - 1))
def test_sums_and_fan_out_equal_the_taps(network: Network, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for projection in network.projections:
        source, target = network[projection.source], network[projection.target]
        ends = taps(projection, source, target)
        events = rng.integers(-7, 8, (2, source.size))
        operator = Operator(projection.synapse, source.shape, target.shape, 7)
        got = operator(torch.from_numpy(events)).to(torch.int64).tolist()
        assert got == [[sum(w * int(row[i]) for i, w in end) for end in ends] for row in events]
        chosen = rng.integers(0, 2, (3, target.size))
        synapses = fan_out(
            counting(projection.synapse, source.shape, target.shape), torch.from_numpy(chosen)
        )
        for row, reached in zip(chosen, synapses.to(torch.int64).tolist(), strict=True):
            expected = [0] * source.size
            for n, end in enumerate(ends):
                for i, _ in end:
                    expected[i] += int(row[n])
            assert reached == expected


@pytest.mark.parametrize("unit", [1, 2, 64])
@pytest.mark.parametrize("size", [1, 3, 64, 1000])
def test_the_product_of_bytes_is_exact(
    monkeypatch: pytest.MonkeyPatch, unit: int, size: int
) -> None:
    """At the extremes of int8, with and without it."""
    rng = np.random.default_rng(size)
    weight = rng.choice([-128, -127, -1, 1, 126, 127], (5, size)) * unit
    events = torch.from_numpy(rng.choice([0, 1, 127], (4, size)))
    expected = events @ torch.from_numpy(weight.T.copy())
    fast = Operator(Dense(weight=weight), (size,), (5,), 127)
    assert torch.equal(fast(events).to(torch.int64), expected)
    monkeypatch.setattr(operators, "int8_is_exact", lambda: False)
    slow = Operator(Dense(weight=weight), (size,), (5,), 127)
    assert slow.bytes is None
    assert torch.equal(slow(events).to(torch.int64), expected)


def test_sums_that_a_double_cannot_hold_are_refused() -> None:
    message = f"sums of weights must stay below 2\\^53, not {2**54}"
    with pytest.raises(ModelError, match=f"^{message}$"):
        Operator(Dense(weight=np.array([[2**40]])), (1,), (1,), 2**14)
