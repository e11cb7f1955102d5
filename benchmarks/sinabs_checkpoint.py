"""Converts a CNN that somebody else trained, with 1,000 images at hand: what is lost?

    python benchmarks/sinabs_checkpoint.py --weights sinabs_mnist_params.pt --data FOLDER

The checkpoint is of sinabs' repository (github.com/synsense/sinabs): three convolutions without
biases, average pooling, two linear layers, for MNIST. The first 1,000 training images calibrate
and, with --train, fine-tune; the 10,000 test images are only reported on.

Per code and setting: accuracy of the trained model, of the integer network, points lost, images of
which any spike count or logit differs from the quantised ANN's, spikes per image, seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from torch import nn

from neurocuda_hw.conversion import convert
from neurocuda_hw.data import datasets
from neurocuda_hw.ground.errors import NeurocudaError

IMAGES = 1000
SETTINGS = (
    {"strategy": "exact", "levels": 8, "qcfs_epochs": 0},
    {"strategy": "exact", "levels": 16, "qcfs_epochs": 0},
)
TRAINED = (
    {"strategy": "exact", "levels": 4, "qcfs_epochs": 10},
    {"strategy": "exact", "levels": 8, "qcfs_epochs": 10},
    {"strategy": "qcfs_if_ft", "timesteps": 8, "qcfs_epochs": 10, "if_epochs": 10},
    {"strategy": "qcfs_if_ft", "timesteps": 16, "qcfs_epochs": 10, "if_epochs": 10},
)


def network() -> nn.Sequential:
    """The checkpoint's architecture, layer for layer."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(20, 32, 5, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(32, 128, 3, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 500, bias=False),
        nn.ReLU(),
        nn.Linear(500, 10, bias=False),
    )


def measure(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """One row for each setting; each is printed when it is done."""
    weights = torch.load(arguments.weights, map_location="cpu", weights_only=True)
    model = network()
    model.load_state_dict(weights)
    train = tuple(part[:IMAGES] for part in datasets.load(arguments.data, "train"))
    test = datasets.load(arguments.data, "test")
    rows: list[dict[str, object]] = []
    for setting in SETTINGS + (TRAINED if arguments.train else ()):
        _, stats = convert(
            model.eval(),
            train,
            test_loader=test,
            weight_bits=arguments.weight_bits,
            rate=arguments.rate,
            batch=50,
            seed=arguments.seed,
            verbose=False,
            **setting,  # type: ignore[arg-type]
        )
        assert stats.ann_accuracy is not None
        assert stats.integer_accuracy is not None
        row = {
            **setting,
            "ann": stats.ann_accuracy,
            "integer": stats.integer_accuracy,
            "lost": round(stats.ann_accuracy - stats.integer_accuracy, 2),
            "unequal": stats.unequal,
            "spikes": round(sum(stats.spikes.values())),
            "seconds": round(stats.conversion_time, 1),
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def main() -> int:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", default="../shared/data/checkpoints/sinabs_mnist_params.pt")
    parser.add_argument("--data", default="../shared/data/mnist", help="folder of the idx files")
    parser.add_argument("--weight-bits", type=int, default=8)
    parser.add_argument("--train", action="store_true", help="also fine-tune on the 1,000 images")
    parser.add_argument("--rate", type=float, default=0.001, help="of the fine-tuning")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    try:
        rows = measure(arguments)
    except (NeurocudaError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 2)
    if arguments.json is not None:
        figures = {"images": IMAGES, "weight_bits": arguments.weight_bits, "settings": rows}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
