"""Where an event goes along one axis: the outputs it reaches and the kernel taps it meets there.

For a source coordinate i behind a pool of stride s (p = i // s), output o meets tap k where
``o * stride + k * dilation - padding = p``. The solutions form an arithmetic progression: o rises
by dilation / g and k falls by stride / g, with g = gcd(stride, dilation). So a small table of
(count, first output, first tap) per coordinate replaces every division in hardware.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AxisTaps:
    """Taps per source coordinate, each array of shape ``(size,)``.

    An event at coordinate i reaches outputs ``out[i] + j * out_step`` through taps
    ``tap[i] - j * tap_step`` for j in ``range(count[i])``; count 0 where it reaches nothing.
    """

    count: np.ndarray
    out: np.ndarray
    tap: np.ndarray
    out_step: int
    tap_step: int


def axis_taps(
    *,
    size: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    pool_kernel: int = 1,
    pool_stride: int = 1,
) -> AxisTaps:
    """The taps of one axis; `size` source coordinates, `outputs` output coordinates.

    Raises
    ------
    ValueError
        If the pool windows overlap: then an event has several pooled coordinates.
    """
    if pool_kernel > pool_stride:
        raise ValueError(f"pool windows must not overlap, not {pool_kernel} every {pool_stride}")
    divisor = math.gcd(stride, dilation)
    pooled_size = (size - pool_kernel) // pool_stride + 1
    count = np.zeros(size, dtype=np.int64)
    first_out, first_tap = np.zeros_like(count), np.zeros_like(count)
    for i in range(size):
        pooled, rest = divmod(i, pool_stride)
        if rest >= pool_kernel or pooled >= pooled_size:
            continue
        pairs = [
            (o, (pooled + padding - o * stride) // dilation)
            for o in range(outputs)
            if (pooled + padding - o * stride) % dilation == 0
            and 0 <= (pooled + padding - o * stride) // dilation < kernel
        ]
        if pairs:
            count[i] = len(pairs)
            first_out[i], first_tap[i] = pairs[0]
    return AxisTaps(
        count=count,
        out=first_out,
        tap=first_tap,
        out_step=dilation // divisor,
        tap_step=stride // divisor,
    )
