"""ResNet-20 on CIFAR-10 under the exact code: accuracy at L = 8 and 16, and proof of the code.

    python benchmarks/accuracy_resnet20.py --data FOLDER --weights FILE --checkpoints FOLDER

The trained network (``akamaster_resnet20-12fca82f.th``, 91.73 %) is converted at L = 8 with 8-bit
weights and trained for --epochs on shifted and mirrored images, twice: with a step of 0.005, then
of 0.002, each falling along a cosine. The same weights are then written out for L = 16. Nothing is
chosen by the test set; the last epoch is kept. All 10,000 test images run through the integer
spiking network, and every spike count and logit is compared with the quantised ANN's. Training
takes about 200 s an epoch on one core, and goes on from --checkpoints after a break.

Keys: ``ann``, ``exact8``, ``exact16`` in per cent, ``..._unequal`` (images with any unequal count
or logit), ``..._spikes`` (per image), ``..._sparsity``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from neurocuda_hw.batches import Batches
from neurocuda_hw.conversion import convert, finetune, quantized_ann
from neurocuda_hw.conversion.recoding import recode
from neurocuda_hw.conversion.stats import score
from neurocuda_hw.errors import NeurocudaError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import cifar
from models import CifarResNet20

LEVELS = (8, 16)
RATES = (0.005, 0.002)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures; progress goes to standard error."""
    model = CifarResNet20()
    cifar.load_weights(model, arguments.weights)
    model.eval()
    x, y = cifar.load(arguments.data, "train")
    test = cifar.load(arguments.data, "test")
    test = tuple(part[: arguments.images] for part in test)
    arguments.checkpoints.mkdir(parents=True, exist_ok=True)
    snn, _ = convert(
        model,
        cifar.Augmented(x, y, seed=0),
        strategy="exact",
        levels=LEVELS[0],
        qcfs_epochs=arguments.epochs,
        rate=RATES[0],
        seed=0,
        checkpoint=arguments.checkpoints / "first.pt",
    )
    snn = finetune(
        snn,
        cifar.Augmented(x, y, seed=7),
        epochs=arguments.epochs,
        rate=RATES[1],
        seed=7,
        checkpoint=arguments.checkpoints / "second.pt",
    )
    with torch.no_grad():
        right = sum(
            int((model(a).argmax(1) == b).sum())
            for a, b in zip(test[0].split(500), test[1].split(500), strict=True)
        )
    figures: dict[str, Any] = {
        "images": len(test[1]),
        "epochs": 2 * arguments.epochs,
        "ann": 100 * right / len(test[1]),
    }
    for levels in LEVELS:
        started = time.monotonic()
        network = recode(snn, code="exact", steps=levels)
        found = score(quantized_ann(network), network, Batches(test, "test data", 250), None)
        spikes = sum(count for name, count in found.spikes.items() if name != "input")
        figures |= {
            f"exact{levels}": found.integer,
            f"exact{levels}_unequal": found.unequal,
            f"exact{levels}_spikes": round(spikes, 1),
            f"exact{levels}_sparsity": round(found.sparsity, 4),
        }
        print(f"L = {levels}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return figures


def main() -> None:
    """Parses the command line, prints the figures, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with the binary version of CIFAR-10")
    parser.add_argument("--weights", required=True, help="the trained network")
    parser.add_argument("--checkpoints", type=Path, required=True, help="to go on from")
    parser.add_argument("--epochs", type=int, default=4, help="of each of the two trainings")
    parser.add_argument("--images", type=int, default=10_000, help="of the test set")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    try:
        figures = measure(arguments)
    except NeurocudaError as error:
        sys.exit(f"accuracy_resnet20: {error}")
    print(json.dumps(figures, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
