"""ResNet-20's networks of integers and images for them, as files that other figures take.

    python -m benchmarks networks FOLDER --cifar FOLDER --weights FILE

``resnet20_exact.pt`` (L = 8) and ``resnet20_exact16.pt`` are of the exact code,
``resnet20_rate.pt`` is of the rate code with T = 8. Each is calibrated on 256 training images, not
trained, and has 20 quantised test images beside it (``.npz``). Key: ``files``.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import cifar
import numpy as np
import torch
from torch import nn

from benchmarks.inputs import resnet20
from neurocuda_hw.conversion import convert
from neurocuda_hw.network.model_file import save
from neurocuda_hw.reference.snn import SpikingNetwork

CALIBRATION, IMAGES = 256, 20
Data = tuple[torch.Tensor, torch.Tensor]


def exact(model: nn.Module, data: Data, levels: int) -> SpikingNetwork:
    """The exact code, calibrated only."""
    snn, _ = convert(
        model, data, strategy="exact", levels=levels, qcfs_epochs=0, name="resnet20", verbose=False
    )
    return snn


def measure(given: Namespace) -> dict[str, list[str]]:
    """Writes them."""
    model = resnet20(given.weights)
    x, y = (part[:CALIBRATION] for part in cifar.load(given.cifar, "train"))
    images = cifar.load(given.cifar, "test")[0][:IMAGES]
    rate, _ = convert(
        model, (x, y), strategy="qcfs_direct", timesteps=8, qcfs_epochs=0, name="resnet20",
        verbose=False,
    )  # fmt: skip
    networks = {
        "resnet20_exact": exact(model, (x, y), 8),
        "resnet20_exact16": exact(model, (x, y), 16),
        "resnet20_rate": rate,
    }
    folder = Path(given.folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, snn in networks.items():
        save(snn, folder / f"{name}.pt")
        np.savez_compressed(folder / f"{name}.npz", x=snn.quantise(images))
    return {"files": [str(folder / f"{name}.pt") for name in networks]}
