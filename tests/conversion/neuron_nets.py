"""Small networks of spiking neurons, and inputs for them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from conversion.models import settle
from torch import nn

from neurocuda_hw.conversion.modules import IFNeuron, LIFNeuron

STEPS = 5
Make = Callable[[], nn.Module]
NEURONS: list[tuple[str, Make]] = [
    ("IF", lambda: IFNeuron(0.6)),
    ("IF, to zero", lambda: IFNeuron(0.4, reset="zero", v_init=0.3)),
    ("LIF", lambda: LIFNeuron(0.13, 0.5, v_init=-0.2)),
    ("LIF, to zero", lambda: LIFNeuron(0.4, 0.3, reset="zero")),
    ("LIF without a leak", lambda: LIFNeuron(0.0, 0.5)),
    ("LIF that forgets", lambda: LIFNeuron(1.0, 0.3)),
]


def net(make: Make) -> nn.Module:
    """One step of a network with both kinds of pooling."""
    return settle(
        nn.Sequential(
            nn.Conv2d(2, 4, 3),
            nn.BatchNorm2d(4),
            make(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 4, 3, padding=1),
            make(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4, 6),
            make(),
            nn.Linear(6, 3),
        )
    )


def recordings(count: int = 12) -> torch.Tensor:
    """Counts of events (B, T, 2, 6, 6)."""
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 4, (count, STEPS, 2, 6, 6), generator=generator).float()


def images(count: int = 12) -> torch.Tensor:
    """Static inputs (B, 2, 6, 6)."""
    return 2 * torch.rand((count, 2, 6, 6), generator=torch.Generator().manual_seed(4))
