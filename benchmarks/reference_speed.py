"""Speed of the integer reference: population by population against step by step.

    python benchmarks/reference_speed.py MODEL --inputs FILE.npz     (a converted network)

Both run the same images to the same bits (checked here: outputs, spike counts, events). Rounds
alternate, so that a busy machine slows both; the figure is the median of the ratios of rounds.

Figures: ``images_per_second``, ``stepwise_images_per_second``, ``speedup``, ``unequal`` (images),
``timesteps``, ``images``, ``threads``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

import numpy as np
import torch

from neurocuda_hw.ground.errors import NeurocudaError
from neurocuda_hw.network.model_file import load
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.reference.stepping import Run


def unequal(a: Run, b: Run) -> int:
    """Samples in which any output, spike count or number of events differs."""
    wrong = (a.outputs != b.outputs).any(1)
    for name in a.counts:
        wrong |= (a.counts[name] != b.counts[name]).flatten(1).any(1)
    for name in a.events:
        wrong |= (a.events[name] != b.events[name]).any(1)
    return int(wrong.sum())


def measure(arguments: argparse.Namespace) -> dict[str, float | int]:
    """All figures."""
    network = load(arguments.model)
    with np.load(arguments.inputs) as archive:
        inputs = archive["x"][: arguments.images]
    fast, slow = Reference(network), Reference(network, stepwise=True)
    fast.run(inputs[:1])
    wrong, rates, slow_rates = 0, [], []
    for _ in range(arguments.rounds):
        started = time.perf_counter()
        run = fast.run(inputs)
        between = time.perf_counter()
        expected = slow.run(inputs)
        ended = time.perf_counter()
        wrong = max(wrong, unequal(run, expected))
        rates.append(len(inputs) / (between - started))
        slow_rates.append(len(inputs) / (ended - between))
    ratios = [a / b for a, b in zip(rates, slow_rates, strict=True)]
    return {
        "images_per_second": round(statistics.median(rates), 2),
        "stepwise_images_per_second": round(statistics.median(slow_rates), 2),
        "speedup": round(statistics.median(ratios), 2),
        "unequal": wrong,
        "timesteps": network.timesteps,
        "images": len(inputs),
        "threads": torch.get_num_threads(),
    }


def main() -> int:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a converted network (.pt)")
    parser.add_argument("--inputs", required=True, help=".npz with integer inputs x")
    parser.add_argument("--images", type=int, default=20, help="per round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one flat JSON object only")
    arguments = parser.parse_args()
    try:
        figures = measure(arguments)
    except NeurocudaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:28} {value}")
    return 0 if figures["unequal"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
