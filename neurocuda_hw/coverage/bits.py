"""The bits in which integers are stored, and which of them are still to be shown.

Flipping bit k of a number adds 2^k where it was 0 and takes 2^k where it was 1; of the sign's bit
the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurocuda_hw.ground.fixed import signed_bits

_NEVER = 63  # a level that no bit reaches


def bits_of(values: np.ndarray) -> int:
    """Bits of the narrowest two's complement that holds every value, and 0."""
    return signed_bits(min(0, int(values.min())), max(0, int(values.max())))


def flipped(values: np.ndarray, bit: int, bits: int) -> np.ndarray:
    """The values with one bit flipped, of so many in two's complement."""
    added = np.int64(1) << np.int64(bit)
    stored = values & ((np.int64(1) << np.int64(bits)) - 1)
    after = stored ^ added
    top = np.int64(1) << np.int64(bits - 1)
    found: np.ndarray = (after ^ top) - top
    return found


def rising(values: np.ndarray, bits: int) -> np.ndarray:
    """Masks of the bits whose flip makes a value larger."""
    top = np.int64(1) << np.int64(bits - 1)
    found: np.ndarray = ((~values) & (top - 1)) | (values & top)
    return found


def level(ratio: np.ndarray) -> np.ndarray:
    """The least k with ``2^k >= ratio``, at least 0: the bits from k on are enough."""
    part, power = np.frexp(ratio)
    found = np.where(part == 0.5, power - 1, power)
    found = np.where(np.isfinite(ratio), found, _NEVER)
    clipped: np.ndarray = np.clip(found, 0, _NEVER).astype(np.int64)
    return clipped


def below(levels: np.ndarray) -> np.ndarray:
    """Masks of the bits below each level."""
    found: np.ndarray = (np.int64(1) << np.minimum(levels, 62)) - 1
    return found


@dataclass(slots=True, kw_only=True, eq=False)
class Left:
    """Bits of an array of integers that are still to be shown.

    Parameters
    ----------
    values : int64 array
    bits : int
        Bits of each.
    up, down : int64 array
        Masks of those whose flip adds, and takes.
    """

    values: np.ndarray
    bits: int
    up: np.ndarray
    down: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, bits: int) -> Left:
        """All of them."""
        up = rising(values, bits)
        down = ((np.int64(1) << np.int64(bits)) - 1) & ~up
        return cls(values=values, bits=bits, up=up, down=down)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(np.bitwise_count(self.up).sum() + np.bitwise_count(self.down).sum())

    @property
    def masks(self) -> np.ndarray:
        """All of them together."""
        found: np.ndarray = self.up | self.down
        return found

    def keep(self, masks: np.ndarray) -> None:
        """Drops what is not in `masks`."""
        self.up &= masks
        self.down &= masks
