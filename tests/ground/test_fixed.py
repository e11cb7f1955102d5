"""Widths, wrapping, decay and quantisation against plain integers."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.ground.fixed import (
    decay,
    fits_float32,
    fits_float64,
    narrow,
    quantise,
    signed_bits,
    unsigned_bits,
    wrap,
)


@given(st.integers(0, 2**40))
def test_unsigned_bits_is_the_fewest(highest: int) -> None:
    bits = unsigned_bits(highest)
    assert 2**bits > highest
    assert bits == 0 or 2 ** (bits - 1) <= highest


@given(st.integers(-(2**40), 2**40), st.integers(0, 2**40))
def test_signed_bits_is_the_fewest(lowest: int, span: int) -> None:
    highest = lowest + span
    bits = signed_bits(lowest, highest)
    assert -(2 ** (bits - 1)) <= lowest <= highest < 2 ** (bits - 1)
    if bits > 1:
        assert not -(2 ** (bits - 2)) <= lowest <= highest < 2 ** (bits - 2)


def test_bits_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match=r"^highest must be at least 0, not -1$"):
        unsigned_bits(-1)
    with pytest.raises(ValueError, match=r"^lowest must be at most highest, not 2 > 1$"):
        signed_bits(2, 1)


@given(st.integers(-(2**50), 2**50), st.integers(1, 48))
def test_wrap_is_congruent_and_in_range(value: int, bits: int) -> None:
    got = int(wrap(np.array([value]), bits)[0])
    assert (got - value) % 2**bits == 0
    assert -(2 ** (bits - 1)) <= got < 2 ** (bits - 1)


@given(st.integers(-(2**40), 2**40), st.integers(0, 4096))
def test_decay_cuts_toward_zero(value: int, constant: int) -> None:
    kept = abs(value) * (4096 - constant) // 4096
    want = kept if value >= 0 else -kept
    assert int(decay(np.array([value]), constant)[0]) == want
    assert decay(value, constant) == decay(torch.tensor(value), constant).item() == want


@pytest.mark.parametrize("constant", [0, 1, 2, 100, 2048, 4095, 4096])
def test_decay_near_zero(constant: int) -> None:
    """Products next to a multiple of 4096 are where a rounding rule shows."""
    values = range(-4100, 4101)
    want = [int(value * (4096 - constant) / 4096) for value in values]  # exact: 53 bits hold it
    assert decay(np.array(values), constant).tolist() == want
    assert [decay(value, constant) for value in values] == want


def test_decay_of_the_published_impulse() -> None:
    """lava-nc/lava, tests/lava/proc/lif/test_models.py: 128 << 6 at step 1, du = 0, dv = 2048."""
    current, membrane, seen = 0, 0, []
    for step in range(8):
        # Loihi keeps (4096 - (du + 1)) of the current
        current = int(decay(np.array([current]), 1)[0]) + (128 << 6 if step == 0 else 0)
        membrane = int(decay(np.array([membrane]), 2048)[0]) + current
        seen.append(membrane)
    assert seen == [8192, 12286, 14331, 15351, 15859, 16111, 16235, 16295]


def test_quantise_rounds_and_clips() -> None:
    real = np.array([-1.0, 0.0, 0.49, 0.51, 2.4, 99.0])
    assert quantise(real, np.array(1.0), (0, 3)).tolist() == [0, 0, 0, 1, 2, 3]
    assert quantise(real, np.array(0.5), (-2, 5)).tolist() == [-2, 0, 1, 1, 5, 5]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_quantise_refuses_what_is_not_finite(bad: float) -> None:
    message = "inputs must be finite, not NaN or infinite (1 of 2 values)"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        quantise(np.array([1.0, bad]), np.array(1.0), (0, 3))


@pytest.mark.parametrize(
    ("highest", "kind"), [(127, np.int8), (128, np.int16), (2**15, np.int32), (2**31, np.int64)]
)
def test_narrow_takes_the_smallest_type(highest: int, kind: type) -> None:
    values = np.array([0, highest])
    assert narrow(values).dtype == kind
    assert narrow(values).tolist() == values.tolist()
    assert narrow(-values - 1).dtype == (kind if highest != 128 else np.int16)


def test_narrow_of_nothing() -> None:
    assert narrow(np.zeros((0, 3), np.int64)).dtype == np.int8


def test_float_limits() -> None:
    assert fits_float32(2**24)
    assert not fits_float32(2**24 + 1)
    assert fits_float64(2**53)
    assert not fits_float64(2**53 + 1)
