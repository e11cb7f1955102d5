"""Fixed-point ground rules: how many bits a value needs, how it wraps, how it decays.

Decay is Loihi's: ``sign(v) * ((|v| * (4096 - d)) >> 12)``, truncation toward zero (lava-nc/lava,
``proc/lif/models.py``). The decay constant ``d`` has 12 fractional bits, 0 <= d <= 4096.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np

from neurocuda_hw.ground.errors import DataError

DECAY_ONE = 4096
Number = TypeVar("Number")


def unsigned_bits(highest: int) -> int:
    """Bits that hold every integer from 0 to `highest`; 0 when only 0 has to be told."""
    if highest < 0:
        raise ValueError(f"highest must be at least 0, not {highest!r}")
    return int(highest).bit_length()


def signed_bits(lowest: int, highest: int) -> int:
    """Bits of the narrowest two's complement that holds `lowest` to `highest`; at least 1."""
    if lowest > highest:
        raise ValueError(f"lowest must be at most highest, not {lowest!r} > {highest!r}")
    need = 1
    if highest > 0:
        need = max(need, int(highest).bit_length() + 1)
    if lowest < 0:
        need = max(need, int(-lowest - 1).bit_length() + 1)
    return need


def wrap(values: np.ndarray, bits: int) -> np.ndarray:
    """`values` as a two's complement register of `bits` bits would hold them (int64 in and out)."""
    half = np.int64(1) << np.int64(bits - 1)
    return ((values + half) & ((np.int64(1) << np.int64(bits)) - 1)) - half


def decay(values: Number, constant: Any) -> Number:
    """One step of leak: ``sign(v) * ((|v| * (4096 - constant)) >> 12)``, elementwise.

    Of plain integers, arrays and tensors (int64) alike: ``>> 63`` is -1 where a product is
    negative, and adding 4095 there turns a shift, which rounds down, into one toward zero.
    """
    product: Any = values * (DECAY_ONE - constant)
    return (product + (product >> 63 & 4095)) >> 12  # type: ignore[no-any-return]


def quantise(real: np.ndarray, scale: np.ndarray, payload: tuple[int, int]) -> np.ndarray:
    """Real input to integer payloads: ``clip(round(x / scale), lowest, highest)``, int64.

    Raises
    ------
    DataError
        If `real` holds NaN or infinity.
    """
    real = np.asarray(real, dtype=np.float64)
    bad = int(real.size - np.isfinite(real).sum())
    if bad:
        raise DataError(f"inputs must be finite, not NaN or infinite ({bad} of {real.size} values)")
    payloads: np.ndarray = np.clip(np.rint(real / scale), payload[0], payload[1]).astype(np.int64)
    return payloads


def narrow(values: np.ndarray) -> np.ndarray:
    """A copy of integers in the narrowest signed type that holds them, so that files stay small."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for kind in (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind)
    return values.astype(np.int64)


def fits_float32(bound: float) -> bool:
    """Whether sums of integers whose magnitudes add up to `bound` are exact in float32."""
    return bound <= 2**24 and math.isfinite(bound)


def fits_float64(bound: float) -> bool:
    """Whether sums of integers whose magnitudes add up to `bound` are exact in float64."""
    return bound <= 2**53 and math.isfinite(bound)
