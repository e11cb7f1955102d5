"""Accuracy of the converted networks on the full test set, and proof of the exact code.

    python -m benchmarks accuracy mlp cnn                               (minutes)
    python -m benchmarks accuracy resnet20 --cifar FOLDER --levels 16 8 --epochs 4

Converts the trained classifiers, runs every test image through the integer spiking network, and
compares every spike count and logit of the exact code with the quantised ANN's. Nothing is chosen
by the test set. With several seeds, figures are means, with the deviation beside (``_std``).

The MNIST networks are those of the examples; resnet20 is that of `examples/models.py` with the
weights of a file, fine-tuned on shifted and mirrored images. With --checkpoints, training goes on
after a break; with --out, finished runs are read from there and not run again.

Figures per ``KEY = <network>_<code><L or T>_w<bits>``: ``<network>_ann`` and ``KEY`` (per cent),
``KEY_drop`` (points under the ANN), ``KEY_spikes`` (per image), ``KEY_seconds`` (of conversion),
``KEY_unequal`` (exact code: images with any unequal count or logit).
"""

from __future__ import annotations

import json
import statistics
import time
from argparse import Namespace
from collections.abc import Iterable
from itertools import product
from typing import Any

import cifar

from benchmarks.inputs import MNIST, mnist, resnet20
from benchmarks.table import say
from neurocuda_hw.conversion import convert
from neurocuda_hw.data import datasets
from neurocuda_hw.ground.errors import DataError

STRATEGIES = {"exact": "exact", "rate": "qcfs_if_ft", "rate_direct": "qcfs_direct"}


def data_of(name: str, given: Namespace, seed: int) -> tuple[Any, Any]:
    """What to train on, what to test on."""
    if name in MNIST:
        images, labels = datasets.load(given.data, "train")
        subset = images[: given.train], labels[: given.train]
        return subset, datasets.load(given.data, "test")
    if given.cifar is None:
        raise DataError("resnet20 must have its images: name their folder with --cifar")
    x, y = cifar.load(given.cifar, "train")
    test = cifar.load(given.cifar, "test")
    return cifar.Augmented(x[: given.train], y[: given.train], seed=seed), test


def one(name: str, code: str, steps: int, seed: int, given: Namespace) -> dict[str, Any]:
    """Figures of one conversion."""
    run = f"{name}_{code}{steps}_w{given.weight_bits}_seed{seed}"
    known = None if given.out is None else given.out / f"{run}.json"
    plan = {
        "qcfs_epochs": given.epochs if code != "rate" else given.qcfs_epochs,
        "if_epochs": given.epochs if code == "rate" else 0,
        "rate": given.rate,
        "temperature": given.temperature,
        "train": given.train,
    }
    if known is not None and known.exists():
        figures: dict[str, Any] = json.loads(known.read_text())
        if figures["plan"] != plan:
            raise DataError(f"{str(known)!r} is of {figures['plan']}, not {plan}; delete it")
        return figures
    started = time.monotonic()
    train, test = data_of(name, given, seed)
    model = mnist(name) if name in MNIST else resnet20(given.weights)
    checkpoint = given.checkpoints and given.checkpoints / f"{run}.pt"
    _, stats = convert(
        model,
        train,
        test_loader=test,
        strategy=STRATEGIES[code],
        levels=steps,
        timesteps=steps,
        weight_bits=given.weight_bits,
        qcfs_epochs=plan["qcfs_epochs"],
        if_epochs=plan["if_epochs"],
        rate=given.rate,
        temperature=given.temperature,
        seed=seed,
        device=given.device,
        checkpoint=checkpoint,
        verbose=given.verbose,
    )
    figures = {
        "plan": plan,
        "images": len(test[1]),
        "ann": stats.ann_accuracy,
        "snn": stats.integer_accuracy,
        "spikes": sum(count for layer, count in stats.spikes.items() if layer != "input"),
        "unequal": stats.unequal,
        "seconds": stats.conversion_time,
    }
    say(f"{run}: {figures['snn']:.2f} %, {time.monotonic() - started:.0f} s")
    if known is not None:
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(json.dumps(figures))
    return figures


def measure(given: Namespace) -> dict[str, float | int]:
    """All figures."""
    figures: dict[str, float | int] = {"seeds": len(given.seeds)}
    for name, code, steps in product(given.networks, given.codes, given.levels):
        key = f"{name}_{code}{steps}_w{given.weight_bits}"
        runs = [one(name, code, steps, seed, given) for seed in given.seeds]
        figures["images"] = runs[0]["images"]
        figures[f"{name}_ann"] = runs[0]["ann"]
        figures[key] = _mean(run["snn"] for run in runs)
        if len(runs) > 1:
            figures[f"{key}_std"] = round(statistics.stdev(run["snn"] for run in runs), 4)
        figures[f"{key}_drop"] = _mean(run["ann"] - run["snn"] for run in runs)
        figures[f"{key}_spikes"] = round(_mean(run["spikes"] for run in runs), 1)
        figures[f"{key}_seconds"] = round(_mean(run["seconds"] for run in runs), 1)
        if code == "exact":
            figures[f"{key}_unequal"] = max(run["unequal"] for run in runs)
    return figures


def _mean(values: Iterable[float]) -> float:
    return round(statistics.fmean(values), 4)
