"""What a projection delivers, in floating point that cannot round.

Sums of integers whose magnitudes add up to at most 2^24 (float32) or 2^53 (float64) are exact in
any order; the ranges prove which it is. On a GPU float64 is used throughout and convolutions become
products of unfolded patches, since its fast convolutions (Winograd, TF32) are not exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from neurocuda_hw.ground.fixed import fits_float32, fits_float64
from neurocuda_hw.network import Network, Projection
from neurocuda_hw.network.ranges import magnitude


def exact_type(bound: int, device: torch.device) -> torch.dtype:
    """The cheapest type in which sums of integers up to `bound` in magnitude are exact."""
    if device.type == "cpu" and fits_float32(bound):
        return torch.float32
    return torch.float64 if fits_float64(bound) else torch.int64


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """Float32 is float32 within: no autocast, no bfloat16 or TF32 inside products, whatever the
    caller has set."""
    # getattr: the module's type leaves them out
    kinds = [getattr(torch.backends.mkldnn, name) for name in ("matmul", "conv")]
    before = [kind.fp32_precision for kind in kinds]
    with torch.autocast(device.type, enabled=False):
        try:
            for kind in kinds:
                kind.fp32_precision = "ieee"
            yield
        finally:
            for kind, precision in zip(kinds, before, strict=True):
                kind.fp32_precision = precision


class Delivery:
    """One projection, ready to deliver: its weights in the cheapest type that is exact.

    Parameters
    ----------
    network : Network
    projection : Projection
    device : torch.device
    steps : int
        Of how many steps the events may be added up before they are delivered.
    """

    def __init__(
        self, network: Network, projection: Projection, device: torch.device, steps: int = 1
    ) -> None:
        self.projection = projection
        self.target = network[projection.target].shape
        self.dtype = exact_type(magnitude(projection, network) * steps, device)
        assert self.dtype.is_floating_point  # `ranges` and `layerwise` saw to it
        weight = torch.from_numpy(np.array(projection.synapse.weight))
        self.weight = weight.to(device=device, dtype=self.dtype)

    def deliver(self, events: torch.Tensor) -> torch.Tensor:
        """Events ``(B, *source shape)`` of any type to sums ``(B, *target shape)`` of `dtype`."""
        y = self.projection.synapse.deliver(events.to(self.dtype), self.weight)
        return y.reshape(-1, *self.target)
