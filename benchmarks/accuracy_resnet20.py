"""ResNet-20 on CIFAR-10 under the exact code: accuracy at L = 8 and 16, and proof of the code.

    python benchmarks/accuracy_resnet20.py --data FOLDER --weights FILE --checkpoints FOLDER

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

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from neurocuda_hw.conversion import average_weights, convert, finetune, quantized_ann, with_qcfs
from neurocuda_hw.conversion.choices import device
from neurocuda_hw.conversion.recoding import recode
from neurocuda_hw.conversion.stats import score
from neurocuda_hw.data.batches import Batches
from neurocuda_hw.ground.errors import NeurocudaError
from neurocuda_hw.network.model_file import save
from neurocuda_hw.reference.snn import SpikingNetwork

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import cifar
from models import CifarResNet20
from train_cifar import accuracy

# L of the training
LEVELS = 8


def scored(snn: SpikingNetwork, name: str, test: Batches) -> dict[str, float | int]:
    """Accuracy, unequal images, spikes and sparsity of an integer network."""
    started = time.monotonic()
    found = score(quantized_ann(snn), snn, test, None)
    spikes = sum(count for source, count in found.spikes.items() if source != "input")
    told = f"{name}: {found.integer:.2f} %, {time.monotonic() - started:.0f} s"
    print(told, file=sys.stderr, flush=True)
    return {
        name: found.integer,
        f"{name}_unequal": found.unequal,
        f"{name}_spikes": round(spikes, 1),
        f"{name}_sparsity": round(found.sparsity, 4),
    }


def with_levels(model: nn.Module, data: cifar.Labelled, path: Path) -> nn.Module:
    """The network with QCFS activations whose weights train_cifar.py --qcfs wrote."""
    quantised = with_qcfs(model, cifar.Augmented(*data, seed=0), levels=LEVELS)
    cifar.load_weights(quantised, path)
    return quantised.eval()


def train(
    model: nn.Module, data: cifar.Labelled, arguments: argparse.Namespace, seed: int
) -> SpikingNetwork:
    """At L = 8, trained once for each of --rates."""
    snn: SpikingNetwork | None = None
    for number, rate in enumerate(arguments.rates):
        batches = arguments.batches[number] if arguments.batches else None
        images = cifar.Augmented(
            *data,
            batch=arguments.batch,
            batches=batches,
            seed=seed + 7 * number,
        )
        how: dict[str, Any] = {
            "rate": rate,
            "temperature": arguments.temperatures[number],
            "seed": seed + 7 * number,
            "checkpoint": arguments.checkpoints / f"seed{seed}_{number}.pt",
        }
        epochs = arguments.epochs[number]
        if snn is None:
            snn, _ = convert(
                model, images, strategy="exact", levels=LEVELS, qcfs_epochs=epochs, **how
            )
        else:
            snn = finetune(snn, images, epochs=epochs, **how)
    assert snn is not None
    return snn


def at_all_levels(
    snn: SpikingNetwork, what: str, of: str, test: Batches, arguments: argparse.Namespace
) -> dict[str, float | int]:
    """Figures ``<what>8`` and ``<what>16`` of one trained network, or those of --levels."""
    figures: dict[str, float | int] = {}
    for levels in arguments.levels:
        network = recode(snn, code="exact", steps=levels)
        if arguments.networks is not None:
            arguments.networks.mkdir(parents=True, exist_ok=True)
            save(network, arguments.networks / f"{what}{levels}{of}.pt")
        figures |= scored(network, f"{what}{levels}", test)
    return figures


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures; progress goes to standard error."""
    model: nn.Module = CifarResNet20()
    cifar.load_weights(model, arguments.weights)
    model.eval()
    place = device(None)
    data = tuple(part.to(place) for part in cifar.load(arguments.data, "train"))
    x, y = (part[: arguments.images] for part in cifar.load(arguments.data, "test"))
    test = Batches((x, y), "test data", 250)
    arguments.checkpoints.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {
        "images": len(y),
        "epochs": arguments.epochs,
        "batch": arguments.batch,
        "rates": arguments.rates,
        "temperatures": arguments.temperatures,
        "ann": accuracy(model, x, y, torch.device("cpu")),
    }
    calibration = cifar.Augmented(*data, seed=0)
    if 16 in arguments.levels:
        untrained, _ = convert(model, calibration, strategy="exact", levels=16, qcfs_epochs=0)
        figures |= scored(untrained, "untrained16", test)
    if arguments.qcfs is not None:
        model = with_levels(model, data, arguments.qcfs)
        figures["qcfs"] = accuracy(model, x, y, torch.device("cpu"))
        untrained, _ = convert(model, calibration, strategy="exact", levels=LEVELS, qcfs_epochs=0)
        figures |= scored(untrained, f"untrained{LEVELS}", test)
    trained, seeds = [], {}
    for seed in arguments.seeds:
        trained.append(train(model, data, arguments, seed))
        seeds[seed] = at_all_levels(trained[-1], "exact", f"_seed{seed}", test, arguments)
        print(f"seed {seed}: {json.dumps(seeds[seed])}", file=sys.stderr, flush=True)
    for levels in arguments.levels:
        found = [seeds[seed][f"exact{levels}"] for seed in arguments.seeds]
        figures[f"exact{levels}"] = {
            "mean": round(float(np.mean(found)), 3),
            "std": round(float(np.std(found, ddof=min(1, len(found) - 1))), 3),
        }
    if len(trained) > 1:
        figures |= at_all_levels(average_weights(trained), "averaged", "", test, arguments)
    return {**figures, "seeds": seeds}


def main() -> None:
    """Parses the command line, prints the figures, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with the binary version of CIFAR-10")
    parser.add_argument("--weights", required=True, help="the trained network")
    parser.add_argument(
        "--qcfs",
        type=Path,
        help="the same trained with QCFS, to go on from",
    )
    parser.add_argument("--checkpoints", type=Path, required=True, help="to go on from")
    parser.add_argument(
        "--epochs", type=int, nargs="+", default=[4], help="of each training (%(default)s)"
    )
    parser.add_argument(
        "--rates",
        type=float,
        nargs="+",
        default=[0.005, 0.002],
        help="the step of each training (%(default)s)",
    )
    parser.add_argument("--batch", type=int, default=128, help="(%(default)s)")
    parser.add_argument(
        "--batches", type=int, nargs="+", help="of an epoch of each training (default: all images)"
    )
    parser.add_argument(
        "--temperatures",
        type=float,
        nargs="+",
        default=[1.0],
        help="of the teacher in each training (%(default)s)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--levels", type=int, nargs="+", default=[8, 16], help="L of the tests (%(default)s)"
    )
    parser.add_argument("--networks", type=Path, help="folder to write the networks to")
    parser.add_argument("--images", type=int, default=10_000, help="of the test set")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    trainings = len(arguments.rates)
    for name in ("epochs", "batches", "temperatures"):
        given = getattr(arguments, name)
        if given is not None and len(given) not in (1, trainings):
            parser.error(f"--{name} must have one value, or one for each of {trainings} --rates")
        if given is not None and len(given) == 1:
            setattr(arguments, name, given * trainings)
    try:
        figures = measure(arguments)
    except NeurocudaError as error:
        sys.exit(f"accuracy_resnet20: {error}")
    print(json.dumps(figures, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
