"""Speed of the integer reference: population by population against step by step.

    python -m benchmarks reference_speed MODEL --inputs FILE.npz     (a converted network)

Both run the same images to the same bits (checked here: outputs, spike counts, events). Rounds
alternate, so that a busy machine slows both; the figure is the median of the ratios of rounds.

Figures: ``images_per_second``, ``stepwise_images_per_second``, ``speedup``, ``unequal`` (images),
``timesteps``, ``images``, ``threads``.
"""

from __future__ import annotations

import statistics
import time
from argparse import Namespace

import torch

from benchmarks.inputs import saved_case
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


def measure(given: Namespace) -> dict[str, float | int]:
    """All figures."""
    network, inputs = saved_case(given.model, given.inputs, given.images)
    fast, slow = Reference(network), Reference(network, stepwise=True)
    fast.run(inputs[:1])
    wrong, rates, slow_rates = 0, [], []
    for _ in range(given.rounds):
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
