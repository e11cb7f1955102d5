"""The weight format: clipping, truncation, signs, both orders of the shift."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loihi.naive import stored_weight

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.loihi import Shift, SignMode, WeightFormat


def test_mixed_weights_of_eight_bits_are_even_and_clip_to_nine_bits() -> None:
    stored = WeightFormat().stored(np.array([-300, -256, -255, -1, 1, 2, 3, 254, 255, 300]))
    assert stored.tolist() == [-256, -256, -256, -2, 0, 2, 2, 254, 254, 254]


def test_one_sided_weights_keep_all_eight_bits() -> None:
    assert WeightFormat().stored(np.array([0, 1, 255, 256])).tolist() == [0, 1, 255, 255]
    assert WeightFormat().stored(np.array([0, -1, -255, -256])).tolist() == [0, -1, -255, -255]


def test_fewer_bits_cut_from_below_and_toward_zero_only_where_one_sided() -> None:
    four = WeightFormat(bits=4)
    assert four.stored(np.array([-31, 31])).tolist() == [-32, 0]
    assert four.stored(np.array([-31])).tolist() == [-16]
    assert four.stored(np.array([31])).tolist() == [16]
    assert WeightFormat(bits=1).stored(np.array([127, 128, 255])).tolist() == [0, 128, 128]


def test_both_orders_of_the_shift_differ_where_bits_are_lost() -> None:
    weights = np.array([[2, 4, 6]])
    total, exponent = WeightFormat(exponent=-2).effective(weights)
    assert (int(total.sum()) >> -exponent) == 3
    each, exponent = WeightFormat(exponent=-2, shift=Shift.EACH).effective(weights)
    assert (each.tolist(), exponent) == ([[0, 1, 1]], 0)
    each, _ = WeightFormat(exponent=3, shift=Shift.EACH).effective(weights)
    assert each.tolist() == [[16, 32, 48]]


@given(
    st.lists(st.integers(-400, 400), min_size=1, max_size=8),
    st.integers(1, 8),
    st.sampled_from(SignMode),
)
def test_equals_the_scalar_rules(values: list[int], bits: int, sign: SignMode) -> None:
    form = WeightFormat(bits=bits, sign=sign)
    expected = [stored_weight(value, form, sign) for value in values]
    assert form.stored(np.array(values)).tolist() == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bits": 9}, "weight bits must be 1 to 8, not 9"),
        ({"bits": 0}, "weight bits must be 1 to 8, not 0"),
        ({"exponent": 8}, "weight exponent must be -8 to 7, not 8"),
    ],
)
def test_formats_the_chip_has_not(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        WeightFormat(**fields)  # type: ignore[arg-type]
