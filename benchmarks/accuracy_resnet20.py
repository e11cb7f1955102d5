"""ResNet-20 on CIFAR-10 under the exact code: accuracy at L = 8 and 16, and proof of the code.

    python -m benchmarks accuracy_resnet20 --data FOLDER --weights FILE --checkpoints FOLDER

The trained network (``akamaster_resnet20-12fca82f.th``, 91.73 %) becomes integers of 8 bits: at
L = 16 without any training, and at L = 8 trained on shifted and mirrored images, for --epochs with
each step of --rates, which falls along a cosine, once for each seed; the same weights then serve
L = 16. The mean of the weights of all seeds makes one more network. The last epoch is kept.
With --qcfs (the weights that ``train_cifar.py resnet20 --weights FILE --qcfs`` writes) it is the
network with QCFS activations that is converted, without training and trained.
All 10,000 test images run through the integer spiking network, and every spike count and logit is
compared with the quantised ANN's; --levels says at which L (--levels 8: without the conversion that
is not trained). Training takes about 200 s an epoch on one core, and goes on from --checkpoints
after a break.

Keys: ``ann``, ``qcfs`` and ``untrained8`` (with --qcfs), ``untrained16``, ``averaged8``,
``averaged16``, ``exact8``, ``exact16`` in per cent (of the last two ``mean`` and ``std`` over the
seeds), and for each conversion ``..._unequal`` (images with any unequal count or logit),
``..._spikes`` (per image), ``..._sparsity``.
"""

from __future__ import annotations

import json
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import cifar
import numpy as np
import torch
from torch import nn
from train_cifar import accuracy

from benchmarks.inputs import resnet20
from benchmarks.table import say
from neurocuda_hw.conversion import average_weights, convert, finetune, quantized_ann, with_qcfs
from neurocuda_hw.conversion.choices import device
from neurocuda_hw.conversion.recoding import recode
from neurocuda_hw.conversion.stats import score
from neurocuda_hw.data.batches import Batches
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.network.model_file import save
from neurocuda_hw.reference.snn import SpikingNetwork

# L of the training
LEVELS = 8


def each_training(given: Namespace) -> None:
    """One value for each of --rates, of what has several: a single one serves all."""
    trainings = len(given.rates)
    for name in ("epochs", "batches", "temperatures"):
        values = getattr(given, name)
        if values is not None and len(values) not in (1, trainings):
            raise DataError(
                f"--{name} must have one value, or one for each of {trainings} --rates, not "
                f"{len(values)}"
            )
        if values is not None and len(values) == 1:
            setattr(given, name, values * trainings)


def scored(snn: SpikingNetwork, name: str, test: Batches) -> dict[str, float | int]:
    """Accuracy, unequal images, spikes and sparsity of an integer network."""
    started = time.monotonic()
    found = score(quantized_ann(snn), snn, test, None)
    spikes = sum(count for source, count in found.spikes.items() if source != "input")
    say(f"{name}: {found.integer:.2f} %, {time.monotonic() - started:.0f} s")
    return {
        name: found.integer,
        f"{name}_unequal": found.unequal,
        f"{name}_spikes": round(spikes, 1),
        f"{name}_sparsity": round((found.sparsity or 0) / 100, 4),
    }


def with_levels(model: nn.Module, data: cifar.Labelled, path: Path) -> nn.Module:
    """The network with QCFS activations whose weights train_cifar.py --qcfs wrote."""
    quantised = with_qcfs(model, cifar.Augmented(*data, seed=0), levels=LEVELS)
    cifar.load_weights(quantised, path)
    return quantised.eval()


def train(model: nn.Module, data: cifar.Labelled, given: Namespace, seed: int) -> SpikingNetwork:
    """At L = 8, trained once for each of --rates."""
    snn: SpikingNetwork | None = None
    for number, rate in enumerate(given.rates):
        batches = given.batches[number] if given.batches else None
        images = cifar.Augmented(
            *data,
            batch=given.batch,
            batches=batches,
            seed=seed + 7 * number,
        )
        how: dict[str, Any] = {
            "rate": rate,
            "temperature": given.temperatures[number],
            "seed": seed + 7 * number,
            "checkpoint": given.checkpoints / f"seed{seed}_{number}.pt",
        }
        epochs = given.epochs[number]
        if snn is None:
            snn, _ = convert(
                model, images, strategy="exact", levels=LEVELS, qcfs_epochs=epochs, **how
            )
        else:
            snn = finetune(snn, images, epochs=epochs, **how)
    assert snn is not None
    return snn


def at_all_levels(
    snn: SpikingNetwork, what: str, of: str, test: Batches, given: Namespace
) -> dict[str, float | int]:
    """Figures ``<what>8`` and ``<what>16`` of one trained network, or those of --levels."""
    figures: dict[str, float | int] = {}
    for levels in given.levels:
        network = recode(snn, code="exact", steps=levels)
        if given.networks is not None:
            given.networks.mkdir(parents=True, exist_ok=True)
            save(network, given.networks / f"{what}{levels}{of}.pt")
        figures |= scored(network, f"{what}{levels}", test)
    return figures


def measure(given: Namespace) -> dict[str, Any]:
    """All figures; progress goes to standard error."""
    each_training(given)
    model = resnet20(given.weights)
    place = device(None)
    data = tuple(part.to(place) for part in cifar.load(given.data, "train"))
    x, y = (part[: given.images] for part in cifar.load(given.data, "test"))
    test = Batches((x, y), "test data", 250)
    given.checkpoints.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {
        "images": len(y),
        "epochs": given.epochs,
        "batch": given.batch,
        "rates": given.rates,
        "temperatures": given.temperatures,
        "ann": accuracy(model, x, y, torch.device("cpu")),
    }
    calibration = cifar.Augmented(*data, seed=0)
    if 16 in given.levels:
        untrained, _ = convert(model, calibration, strategy="exact", levels=16, qcfs_epochs=0)
        figures |= scored(untrained, "untrained16", test)
    if given.qcfs is not None:
        model = with_levels(model, data, given.qcfs)
        figures["qcfs"] = accuracy(model, x, y, torch.device("cpu"))
        untrained, _ = convert(model, calibration, strategy="exact", levels=LEVELS, qcfs_epochs=0)
        figures |= scored(untrained, f"untrained{LEVELS}", test)
    trained, seeds = [], {}
    for seed in given.seeds:
        trained.append(train(model, data, given, seed))
        seeds[seed] = at_all_levels(trained[-1], "exact", f"_seed{seed}", test, given)
        say(f"seed {seed}: {json.dumps(seeds[seed])}")
    for levels in given.levels:
        found = [seeds[seed][f"exact{levels}"] for seed in given.seeds]
        figures[f"exact{levels}"] = {
            "mean": round(float(np.mean(found)), 3),
            "std": round(float(np.std(found, ddof=min(1, len(found) - 1))), 3),
        }
    if len(trained) > 1:
        figures |= at_all_levels(average_weights(trained), "averaged", "", test, given)
    return {**figures, "seeds": seeds}
