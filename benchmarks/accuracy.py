"""Accuracy of the converted networks on the full test set, and proof of the exact code.

    python benchmarks/accuracy.py mlp cnn --data FOLDER                 (MNIST; minutes)
    python benchmarks/accuracy.py resnet20 --data FOLDER --weights FILE --levels 16 8 --epochs 4

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

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

from torch import nn

from neurocuda_hw.conversion import convert
from neurocuda_hw.data import datasets
from neurocuda_hw.ground.errors import DataError, NeurocudaError

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

import cifar  # noqa: E402 - the examples are no package
from models import CifarResNet20, MnistCNN, MnistMLP  # noqa: E402

MNIST = {"mlp": MnistMLP, "cnn": MnistCNN}
STRATEGIES = {"exact": "exact", "rate": "qcfs_if_ft", "rate_direct": "qcfs_direct"}


def model_of(name: str, arguments: argparse.Namespace) -> nn.Module:
    """The trained classifier."""
    model = MNIST[name]() if name in MNIST else CifarResNet20()
    weights = EXAMPLES / "checkpoints" / f"mnist_{name}.pt" if name in MNIST else arguments.weights
    if weights is None:
        raise DataError(f"{name} must have its trained weights: name their file with --weights")
    cifar.load_weights(model, weights)
    return model.eval()


def data_of(name: str, arguments: argparse.Namespace, seed: int) -> tuple[Any, Any]:
    """What to train on, what to test on."""
    if name in MNIST:
        images, labels = datasets.load(arguments.data, "train")
        subset = images[: arguments.train], labels[: arguments.train]
        return subset, datasets.load(arguments.data, "test")
    x, y = cifar.load(arguments.data, "train")
    test = cifar.load(arguments.data, "test")
    return cifar.Augmented(x[: arguments.train], y[: arguments.train], seed=seed), test


def one(
    name: str, code: str, steps: int, seed: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Figures of one conversion."""
    run = f"{name}_{code}{steps}_w{arguments.weight_bits}_seed{seed}"
    known = None if arguments.out is None else arguments.out / f"{run}.json"
    plan = {
        "qcfs_epochs": arguments.epochs if code != "rate" else arguments.qcfs_epochs,
        "if_epochs": arguments.epochs if code == "rate" else 0,
        "rate": arguments.rate,
        "temperature": arguments.temperature,
        "train": arguments.train,
    }
    if known is not None and known.exists():
        figures: dict[str, Any] = json.loads(known.read_text())
        if figures["plan"] != plan:
            raise DataError(f"{str(known)!r} is of {figures['plan']}, not {plan}; delete it")
        return figures
    started = time.monotonic()
    model = model_of(name, arguments)
    train, test = data_of(name, arguments, seed)
    checkpoint = arguments.checkpoints and arguments.checkpoints / f"{run}.pt"
    _, stats = convert(
        model,
        train,
        test_loader=test,
        strategy=STRATEGIES[code],
        levels=steps,
        timesteps=steps,
        weight_bits=arguments.weight_bits,
        qcfs_epochs=plan["qcfs_epochs"],
        if_epochs=plan["if_epochs"],
        rate=arguments.rate,
        temperature=arguments.temperature,
        seed=seed,
        device=arguments.device,
        checkpoint=checkpoint,
        verbose=arguments.verbose,
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
    print(f"{run}: {figures['snn']:.2f} %, {time.monotonic() - started:.0f} s", file=sys.stderr)
    if known is not None:
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(json.dumps(figures))
    return figures


def measure(arguments: argparse.Namespace) -> dict[str, float | int]:
    """All figures."""
    figures: dict[str, float | int] = {"seeds": len(arguments.seeds)}
    for name, code, steps in product(arguments.networks, arguments.codes, arguments.levels):
        key = f"{name}_{code}{steps}_w{arguments.weight_bits}"
        runs = [one(name, code, steps, seed, arguments) for seed in arguments.seeds]
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


def show(figures: dict[str, float | int], arguments: argparse.Namespace) -> None:
    """A table for people."""
    print(
        f"{figures['images']:,} test images, {arguments.weight_bits}-bit weights, "
        f"{figures['seeds']} seed(s), {arguments.epochs} epoch(s)"
    )
    print(
        f"{'network':9} {'code':11} {'L, T':>4} {'ANN %':>6} {'SNN %':>13} {'spikes':>9}  unequal"
    )
    for name, code, steps in product(arguments.networks, arguments.codes, arguments.levels):
        key = f"{name}_{code}{steps}_w{arguments.weight_bits}"
        spread = f" ± {figures[f'{key}_std']:.2f}" if f"{key}_std" in figures else ""
        print(
            f"{name:9} {code:11} {steps:4} {figures[f'{name}_ann']:6.2f} "
            f"{f'{figures[key]:.2f}{spread}':>13} {figures[f'{key}_spikes']:9,.0f}  "
            f"{figures.get(f'{key}_unequal', '-')}"
        )


def main() -> int:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="+", choices=[*MNIST, "resnet20"])
    parser.add_argument("--data", required=True, help="folder of the idx or CIFAR binary files")
    parser.add_argument("--weights", type=Path, help="of resnet20 (a state_dict)")
    parser.add_argument("--codes", nargs="+", choices=list(STRATEGIES), default=["exact"])
    parser.add_argument("--levels", nargs="+", type=int, default=[8], help="L and T (%(default)s)")
    parser.add_argument("--weight-bits", type=int, default=8, help="2 to 8 (%(default)s)")
    parser.add_argument("--epochs", type=int, default=0, help="of fine-tuning (%(default)s)")
    parser.add_argument(
        "--qcfs-epochs", type=int, default=0, help="before training through time (%(default)s)"
    )
    parser.add_argument("--rate", type=float, default=0.01, help="of training (%(default)s)")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="of the teacher (%(default)s)"
    )
    parser.add_argument("--train", type=int, help="training images to use (default: all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--checkpoints", type=Path, help="folder to resume training from")
    parser.add_argument("--out", type=Path, help="folder of the figures of finished runs")
    parser.add_argument("--device", help="cpu or cuda (default: cuda if there is one)")
    parser.add_argument("--verbose", action="store_true", help="progress bars and figures")
    parser.add_argument(
        "--json", action="store_true", help="print one flat JSON object of figures only"
    )
    arguments = parser.parse_args()
    try:
        figures = measure(arguments)
    except NeurocudaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.json:
        print(json.dumps(figures))
    else:
        show(figures, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
