"""Accuracy of the converted MNIST networks on the full test set, and proof of the exact code.

    python benchmarks/accuracy_mnist.py --data FOLDER            (several minutes on two cores)

Converts the two trained classifiers of the examples under both codes, runs every test image through
the integer spiking network, and compares every spike count and logit of the exact code with the
quantised ANN's. Nothing is chosen by the test set.

Figures per network and code: ``<network>_ann``, ``<network>_<code>`` (per cent),
``<network>_<code>_drop`` (points under the ANN), ``<network>_<code>_spikes`` (per image),
``<network>_exact_unequal`` (images with any unequal count or logit).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from neurocuda_hw import datasets
from neurocuda_hw.conversion import convert
from neurocuda_hw.errors import NeurocudaError

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

from models import MnistCNN, MnistMLP  # noqa: E402 - the examples are no package

NETWORKS = {"mlp": MnistMLP, "cnn": MnistCNN}


def measure(arguments: argparse.Namespace) -> dict[str, float | int]:
    """All figures; progress goes to standard error."""
    train = datasets.load(arguments.data, "train")
    test = datasets.load(arguments.data, "test")
    tuning = tuple(part[: arguments.train] for part in train)
    figures: dict[str, float | int] = {"images": len(test[1])}
    for name in arguments.networks:
        model = NETWORKS[name]()
        weights = EXAMPLES / "checkpoints" / f"mnist_{name}.pt"
        model.load_state_dict(torch.load(weights, weights_only=True))
        for code in arguments.codes:
            started = time.monotonic()
            _, stats = convert(
                model.eval(),
                tuning,
                test_loader=test,
                strategy="exact" if code == "exact" else "qcfs_if_ft",
                levels=arguments.levels,
                timesteps=arguments.levels,
                weight_bits=arguments.weight_bits,
                qcfs_epochs=arguments.epochs if code == "exact" else 0,
                if_epochs=arguments.rate_epochs,
                seed=arguments.seed,
                verbose=False,
            )
            key = f"{name}_{code}"
            assert stats.ann_accuracy is not None
            assert stats.integer_accuracy is not None
            figures[f"{name}_ann"] = stats.ann_accuracy
            figures[key] = stats.integer_accuracy
            figures[f"{key}_drop"] = round(stats.ann_accuracy - stats.integer_accuracy, 4)
            figures[f"{key}_spikes"] = round(
                sum(count for layer, count in stats.spikes.items() if layer != "input"), 1
            )
            figures[f"{key}_seconds"] = round(stats.conversion_time, 1)
            if code == "exact":
                assert stats.unequal is not None
                figures[f"{key}_unequal"] = stats.unequal
            print(f"{key}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return figures


def show(figures: dict[str, float | int], arguments: argparse.Namespace) -> None:
    """A table for people."""
    print(
        f"MNIST, {figures['images']:,} test images, {arguments.weight_bits}-bit weights, "
        f"L = T = {arguments.levels}"
    )
    print(
        f"{'network':8} {'code':6} {'ANN %':>7} {'SNN %':>7} {'points':>7} {'spikes':>8}  unequal"
    )
    for name in arguments.networks:
        for code in arguments.codes:
            key = f"{name}_{code}"
            print(
                f"{name:8} {code:6} {figures[f'{name}_ann']:7.2f} {figures[key]:7.2f} "
                f"{-figures[f'{key}_drop']:+7.2f} {figures[f'{key}_spikes']:8.0f}  "
                f"{figures.get(f'{key}_unequal', '-')}"
            )


def main() -> int:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", default="../shared/data/mnist", help="folder of the idx files (%(default)s)"
    )
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--codes", nargs="+", choices=["exact", "rate"], default=["exact", "rate"])
    parser.add_argument("--levels", type=int, default=8, help="L and T (%(default)s)")
    parser.add_argument("--weight-bits", type=int, default=8, help="2 to 8 (%(default)s)")
    parser.add_argument(
        "--epochs", type=int, default=0, help="of fine-tuning the exact code (%(default)s)"
    )
    parser.add_argument(
        "--rate-epochs", type=int, default=1, help="of fine-tuning the rate code (%(default)s)"
    )
    parser.add_argument(
        "--train", type=int, default=20000, help="training images to fine-tune on (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0)
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
