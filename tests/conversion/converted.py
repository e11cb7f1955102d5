"""What the tests of the converter share: a quiet conversion, and samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from neurocuda_hw.conversion import QuantizedAnn, Stats, convert, quantized_ann
from neurocuda_hw.network import Network
from neurocuda_hw.reference.snn import SpikingNetwork


@dataclass
class Converted:
    """What a conversion gave."""

    snn: SpikingNetwork
    stats: Stats
    quantized: QuantizedAnn

    @property
    def network(self) -> Network:
        """The integers."""
        return self.snn.network

    @property
    def quantise(self) -> Callable[..., np.ndarray]:
        """Real inputs to integers."""
        return self.snn.quantise


def converted(model: nn.Module, train: Any, **options: Any) -> Converted:
    """`convert`, quietly, and without training unless asked."""
    snn, stats = convert(
        model, train, **{"qcfs_epochs": 0, "if_epochs": 0, "verbose": False, **options}
    )
    return Converted(snn, stats, quantized_ann(snn))


def samples(
    shape: tuple[int, ...], count: int, *, seed: int = 5, signed: bool = True
) -> torch.Tensor:
    """Real inputs."""
    x = torch.randn((count, *shape), generator=torch.Generator().manual_seed(seed))
    return x if signed else x.clamp(min=0)
