"""Loihi's weight format: what a stored weight is worth, and how a sum of weights reaches a neuron.

::

    w  is cut to 8 bits and a sign: [-256, 255] mixed, [0, 255] excitatory, [-255, 0] inhibitory
    w := (w >> k) << k      k = 8 - bits + (1 if mixed)         so mixed weights of 8 bits are even
    a  = (sum of w) << exponent   (shift SUM)     or     sum of (w << exponent)   (shift EACH)

A negative exponent shifts right and rounds toward minus infinity, which is why the two orders
differ: lava shifts the sum, nengo-loihi every weight (lava-nc/lava ``utils/weightutils.py`` and
``proc/dense/models.py``, nengo-loihi ``builder/discretize.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network.neurons import freeze

MANTISSA_BITS = 8


class SignMode(Enum):
    """Which signs the weights of one connection may have."""

    MIXED = "mixed"
    EXCITATORY = "excitatory"
    INHIBITORY = "inhibitory"


class Shift(Enum):
    """What the weight exponent is applied to: the sum of a step, or each weight."""

    SUM = "sum"
    EACH = "each"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFormat:
    """How one connection stores its weights.

    Parameters
    ----------
    bits : int
        1 to 8.
    exponent : int
        -8 to 7: a power of two on what is delivered.
    sign : SignMode, optional
        None takes what the weights need, as lava does: excitatory if none is negative, inhibitory
        if none is positive, else mixed.
    shift : Shift
        Whether the exponent is applied to the sum or to each weight.
    """

    bits: int = MANTISSA_BITS
    exponent: int = 0
    sign: SignMode | None = None
    shift: Shift = Shift.SUM

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MANTISSA_BITS:
            raise ModelError(f"weight bits must be 1 to {MANTISSA_BITS}, not {self.bits!r}")
        if not -8 <= self.exponent <= 7:
            raise ModelError(f"weight exponent must be -8 to 7, not {self.exponent!r}")

    def sign_of(self, weights: np.ndarray) -> SignMode:
        """The sign mode that `weights` are stored in."""
        if self.sign is not None:
            return self.sign
        if not weights.size or weights.min() >= 0:
            return SignMode.EXCITATORY
        return SignMode.INHIBITORY if weights.max() <= 0 else SignMode.MIXED

    def stored(self, weights: np.ndarray) -> np.ndarray:
        """Weights as the chip holds them: clipped to the sign mode, low bits cut off; int64."""
        values = freeze(weights, "weights").copy()
        sign = self.sign_of(values)
        if sign is SignMode.INHIBITORY:
            values = -values
        lowest = -(2**MANTISSA_BITS) if sign is SignMode.MIXED else 0
        values = np.clip(values, lowest, 2**MANTISSA_BITS - 1)
        cut = MANTISSA_BITS - self.bits + (sign is SignMode.MIXED)
        values = (values >> cut) << cut
        found: np.ndarray = -values if sign is SignMode.INHIBITORY else values
        return found

    def effective(self, weights: np.ndarray) -> tuple[np.ndarray, int]:
        """What one spike of payload 1 adds, and the shift that is left for the sum.

        Returns
        -------
        (weights, exponent)
            Under EACH the exponent is applied already and 0 is returned.
        """
        stored = self.stored(weights)
        if self.shift is Shift.SUM:
            return stored, self.exponent
        return (stored << self.exponent if self.exponent >= 0 else stored >> -self.exponent), 0
