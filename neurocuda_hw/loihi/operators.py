"""What a projection delivers, ``y = W . pool(x)``, for any number of frames at once, exactly.

Sums of integers whose magnitudes add up to at most 2^24 (2^53) are exact in float32 (float64), in
any order; the operator takes the cheaper type that is proved to be exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.fixed import fits_float32, fits_float64
from neurocuda_hw.network.synapses import Dense, Synapse

Shape = tuple[int, ...]
MASK_ELEMENTS = 2**25


class Operator:
    """One synapse between flat frames of neurons.

    Parameters
    ----------
    synapse : Synapse
        Weights, with their pool.
    source, target : tuple of int
        Shapes of the two populations.
    payload : int
        Largest magnitude of one event.

    Raises
    ------
    ModelError
        If a sum could exceed 2^53.
    """

    def __init__(self, synapse: Synapse, source: Shape, target: Shape, payload: int = 1) -> None:
        self.synapse, self.source, self.target = synapse, source, target
        self.bound = synapse.magnitude * payload
        if not fits_float64(self.bound):
            raise ModelError(f"sums of weights must stay below 2^53, not {self.bound}")
        self.dtype = torch.float32 if fits_float32(self.bound) else torch.float64
        self.weight = torch.from_numpy(np.array(synapse.weight)).to(self.dtype)
        self.bytes, self.unit = self._as_bytes(payload)

    def _as_bytes(self, payload: int) -> tuple[torch.Tensor | None, int]:
        """Dense weights as ``(sources, targets)`` int8 and their common power of two, where they
        are that and the machine's int8 product is exact; else None."""
        synapse = self.synapse
        if not isinstance(synapse, Dense) or synapse.pool is not None or payload > 127:
            return None, 1
        common = int(np.bitwise_or.reduce(synapse.weight, axis=None))
        unit = min(common & -common, 2**16) or 1
        scaled = synapse.weight // unit
        if scaled.min() < -128 or scaled.max() > 127 or self.bound >= 2**31 or not int8_is_exact():
            return None, 1
        return torch.from_numpy(scaled.T.astype(np.int8)), unit

    def __call__(self, events: torch.Tensor) -> torch.Tensor:
        """Events ``(K, N of source)`` to sums ``(K, N of target)``: integers in an exact type."""
        if self.bytes is not None:
            sums = torch._int_mm(events.to(torch.int8), self.bytes)
            return sums if self.unit == 1 else sums.mul_(self.unit)
        x = events.to(self.dtype).reshape(-1, *self.source)
        return self.synapse.deliver(x, self.weight).flatten(1)


@cache
def int8_is_exact() -> bool:
    """Whether this machine's product of int8 matrices is there and does not saturate.

    Some instruction sets add pairs of products in 16 bits; the extremes below would show it.
    """
    extremes = torch.tensor([127, -128, 1, -1], dtype=torch.int8)
    left = extremes.repeat_interleave(4).repeat(4)[None].repeat(32, 1)
    left[16:] = left[16:].roll(1, dims=1)
    right = extremes.repeat(16)[:, None].repeat(1, 32)
    right[:, 16:] = 127
    try:
        got = torch._int_mm(left, right.contiguous())
    except (AttributeError, RuntimeError):
        return False
    return bool(torch.equal(got.to(torch.int64), left.to(torch.int64) @ right.to(torch.int64)))


def counting(synapse: Synapse, source: Shape, target: Shape) -> Operator:
    """The same connections with every weight 1: it counts synapses instead of summing weights.

    A weight of zero counts: it is stored, and the chip adds it.
    """
    operator = Operator(synapse.counting(), source, target)
    operator.bytes = None  # its transpose is taken by differentiation, which needs floating point
    return operator


def fan_out(operator: Operator, targets: torch.Tensor) -> torch.Tensor:
    """Weight that each source neuron has into each set of targets: the operator, transposed.

    Parameters
    ----------
    operator : Operator
        As `counting` makes it, to count synapses.
    targets : tensor (P, N of target)
        One row of 0 and 1 per set.

    Returns
    -------
    tensor (P, N of source), float32 or float64, of integers
    """
    with torch.enable_grad():
        x = torch.zeros(
            (len(targets), int(np.prod(operator.source))), dtype=operator.dtype, requires_grad=True
        )
        (operator(x) * targets.to(operator.dtype)).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return x.grad.round()


def fan_out_of(operator: Operator, parts: Sequence[np.ndarray]) -> torch.Tensor:
    """Synapses that each source neuron has into each part of the target population.

    Parameters
    ----------
    operator : Operator
        As `counting` makes it.
    parts : sequence of int arrays
        Flat indices of target neurons.

    Returns
    -------
    tensor (P, N of source), float32 or float64, of integers
    """
    size = int(np.prod(operator.target))
    if isinstance(operator.synapse, Dense):  # every target neuron has the same sources
        if operator.synapse.pool is None:
            each = torch.ones((1, int(np.prod(operator.source))))
        else:
            one = torch.zeros((1, size))
            one[0, 0] = 1
            each = fan_out(operator, one)
        return each * torch.tensor([[float(len(part))] for part in parts])
    found = []
    rows = max(1, MASK_ELEMENTS // size)
    for start in range(0, len(parts), rows):
        chunk = parts[start : start + rows]
        masks = torch.zeros((len(chunk), size))
        for row, neurons in enumerate(chunk):
            masks[row, torch.from_numpy(neurons)] = 1
        found.append(fan_out(operator, masks))
    return torch.cat(found)
