"""Where an event goes along one axis: the outputs it reaches and the kernel taps it meets there.

For a source coordinate i behind a pool of stride s (p = i // s), output o meets tap k where
``o * stride + k * dilation - padding = p``. The solutions form an arithmetic progression: o rises
by dilation / g and k falls by stride / g, with g = gcd(stride, dilation). So a small table of
(count, first output, first tap) per coordinate replaces every division in hardware. Taps without a
weight are left out where a progression remains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

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
    present: np.ndarray,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    pool_kernel: int = 1,
    pool_stride: int = 1,
) -> AxisTaps:
    """The taps of one axis; `size` source coordinates, `outputs` output coordinates.

    Parameters
    ----------
    present : array of bool (kernel,)
        Which taps have a weight at all.

    Raises
    ------
    ValueError
        If the pool windows overlap: then an event has several pooled coordinates.
    """
    if pool_kernel > pool_stride:
        raise ValueError(f"pool windows must not overlap, not {pool_kernel} every {pool_stride}")
    divisor = math.gcd(stride, dilation)
    out_step, tap_step = dilation // divisor, stride // divisor
    kernel = len(present)
    pooled_size = (size - pool_kernel) // pool_stride + 1
    every: list[list[tuple[int, int]]] = []
    for i in range(size):
        pooled, rest = divmod(i, pool_stride)
        inside = rest < pool_kernel and pooled < pooled_size
        every.append(
            [
                (o, (pooled + padding - o * stride) // dilation)
                for o in range(outputs if inside else 0)
                if (pooled + padding - o * stride) % dilation == 0
                and 0 <= (pooled + padding - o * stride) // dilation < kernel
            ]
        )
    fewer = [[pair for pair in pairs if present[pair[1]]] for pairs in every]
    steps = (b[0] - a[0] for pairs in fewer for a, b in pairwise(pairs))
    chosen = fewer if all(step == out_step for step in steps) else every
    first = np.array([pairs[0] if pairs else (0, 0) for pairs in chosen], dtype=np.int64)
    return AxisTaps(
        count=np.array([len(pairs) for pairs in chosen], dtype=np.int64),
        out=first[:, 0],
        tap=first[:, 1],
        out_step=out_step,
        tap_step=tap_step,
    )
