"""Whether `convert` ever returns less than it had: many random small problems.

    python -m benchmarks harm [--problems 100]

Each problem is drawn from its seed: classes, features, samples, noise, the share of wrong labels,
the features' scales and offset, layers, levels and bits. A network of ReLUs is trained on it, then
converted without any training and with the default call (`convert(model, train)`) or with
``strategy="exact"``, and both are scored on data that neither has seen.

Keys: ``worst_points`` (the largest loss of the returned network under the untrained conversion, in
points; at most 0.5 is allowed), ``mean_points`` and ``best_points`` (gain), ``trained`` (problems
in which something was trained), ``kept`` (in which it was kept), ``unequal`` (samples of which any
count or logit is not the quantised ANN's), ``problems``.
"""

from __future__ import annotations

import statistics
from argparse import Namespace
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.table import say
from neurocuda_hw.conversion import convert

ALLOWED = 0.5
_HELD_OUT = 2000
Data = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A trained model, what it was trained on, and data that it has not seen."""

    model: nn.Module
    train: Data
    test: Data
    levels: int
    bits: int
    told: str


def problem(seed: int) -> Problem:
    """The problem of a seed."""
    random = np.random.default_rng(seed)
    classes, features = int(random.integers(2, 11)), int(random.integers(4, 25))
    samples = int(random.choice([60, 150, 400, 1500]))
    noise, wrong = float(random.uniform(0.1, 0.4)), float(random.choice([0, 0.1, 0.3]))
    offset = float(random.choice([0, -0.5, 5, 30, 100]))
    spread = float(random.choice([0, 1, 3]))
    layers, wide = int(random.integers(1, 3)), int(random.choice([16, 32, 64]))
    torch.manual_seed(seed)
    centres, scales = torch.rand(classes, features), torch.logspace(0, spread, features)

    def drawn(count: int) -> Data:
        y = torch.randint(0, classes, (count,))
        x = centres[y] + noise * torch.randn(count, features)
        return (x + offset) * scales, y

    train, test = drawn(samples), drawn(_HELD_OUT)
    flipped = torch.rand(samples) < wrong
    train[1][flipped] = torch.randint(0, classes, (int(flipped.sum()),))
    parts: list[nn.Module] = [nn.BatchNorm1d(features)]
    for size in [features, *[wide] * layers][:layers]:
        parts += [nn.Linear(size, wide), nn.ReLU()]
    model = nn.Sequential(*parts, nn.Linear(wide, classes))
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(max(3, 3000 // samples)):
        for part in torch.randperm(samples).split(64):
            if len(part) > 1:
                loss = F.cross_entropy(model(train[0][part]), train[1][part])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    return Problem(
        model=model.eval(),
        train=train,
        test=test,
        levels=int(random.choice([1, 2, 4, 8])),
        bits=int(random.choice([2, 4, 8])),
        told=f"{classes} classes, {samples} samples, offset {offset:g}, {wrong:.0%} wrong labels",
    )


def gain(found: Problem, strategy: str, seed: int) -> tuple[float, str, int]:
    """Points by which training is better than none, what was done, and unequal samples."""
    scores, unequal, done = [], 0, ""
    for epochs in (0, 5):
        _, stats = convert(
            found.model,
            found.train,
            test_loader=found.test,
            strategy=strategy,
            qcfs_epochs=epochs,
            levels=found.levels,
            weight_bits=found.bits,
            seed=seed,
            verbose=False,
        )
        assert stats.integer_accuracy is not None
        scores.append(stats.integer_accuracy)
        unequal, done = unequal + (stats.unequal or 0), stats.course
    return scores[1] - scores[0], done, unequal


def measure(given: Namespace) -> dict[str, float | int]:
    """All figures."""
    gains, trained, kept, unequal = [], 0, 0, 0
    for seed in range(given.problems):
        found = problem(seed)
        points, done, wrong = gain(found, ("auto", "exact")[seed % 2], seed)
        gains.append(points)
        unequal += wrong
        trained += "epoch" in done
        kept += "epoch" in done and "epoch 0 " not in done
        if points < 0:
            say(f"problem {seed} ({found.told}): {points:+.2f} points, {done}")
    return {
        "problems": given.problems,
        "worst_points": round(min(gains), 4),
        "mean_points": round(statistics.fmean(gains), 4),
        "best_points": round(max(gains), 4),
        "trained": trained,
        "kept": kept,
        "unequal": unequal,
    }
