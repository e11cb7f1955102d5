"""Converts a CNN that somebody else trained, with 1,000 images at hand: what is lost?

    python -m benchmarks sinabs_checkpoint

The checkpoint is of sinabs' repository (github.com/synsense/sinabs): three convolutions without
biases, average pooling, two linear layers, for MNIST. The first 1,000 training images calibrate
and, with --train, fine-tune; the 10,000 test images are only reported on.

Per code and setting: accuracy of the trained model, of the integer network, points lost, images of
which any spike count or logit differs from the quantised ANN's, spikes per image, seconds.
"""

from __future__ import annotations

import json
from argparse import Namespace

import cifar
from torch import nn

from benchmarks.table import say
from neurocuda_hw.conversion import convert
from neurocuda_hw.data import datasets

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


def measure(given: Namespace) -> dict[str, object]:
    """One row for each setting; each is said when it is done."""
    model = network()
    cifar.load_weights(model, given.weights)
    train = tuple(part[:IMAGES] for part in datasets.load(given.data, "train"))
    test = datasets.load(given.data, "test")
    rows: list[dict[str, object]] = []
    for setting in SETTINGS + (TRAINED if given.train else ()):
        _, stats = convert(
            model.eval(),
            train,
            test_loader=test,
            weight_bits=given.weight_bits,
            rate=given.rate,
            batch=50,
            seed=given.seed,
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
        say(json.dumps(row))
    return {"images": IMAGES, "weight_bits": given.weight_bits, "settings": rows}
