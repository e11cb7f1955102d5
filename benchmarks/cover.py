"""Of random single-bit faults in what the MNIST networks store, how many the default trace shows.

    python -m benchmarks cover

The default trace is what ``nchw golden --cover`` and ``nchw build`` without data ship. Each fault
is a bit of a weight, threshold or initial state, all equally likely; ``caught`` is the share that
is shown of those that are not proved to be shown by no input. Of each network, some of the faults
are also put into it, one by one, and the reference runs it: ``unequal`` counts those of which it
says otherwise.

Keys, each with ``mlp_`` or ``cnn_`` before it: ``caught``, ``faults``, ``hidden`` (proved),
``all`` (the share of every bit, not only of those that were drawn), ``seconds`` (of processor time
of one core, to find the inputs), ``samples``, ``bytes`` (of the trace), ``unequal``.
"""

from __future__ import annotations

import time
from argparse import Namespace

import numpy as np

from benchmarks import ROOT, from_tests
from benchmarks.table import say
from neurocuda_hw.coverage.bits import flipped
from neurocuda_hw.coverage.bounds import hidden_parameters, hidden_weights, reaches
from neurocuda_hw.coverage.search import find_inputs
from neurocuda_hw.coverage.table import Coverage
from neurocuda_hw.network import Network
from neurocuda_hw.network.model_file import load
from neurocuda_hw.reference.reference import Reference

Key = int | tuple[str, str]


def measured(network: Network, given: Namespace) -> dict[str, float | int]:
    """The figures of one network."""
    started = time.process_time()
    inputs, tally = find_inputs(
        network, progress=lambda done, most: say(f"{network.name}: {done} of {most}")
    )
    seconds = time.process_time() - started
    coverage, golden = Coverage.of(tally), Reference(network).trace(inputs)
    known, parts = reaches(network), dict(tally.parts())
    hidden = {
        key: hidden_weights(network, key, left, known)
        if isinstance(key, int)
        else hidden_parameters(network, *key, left, known)
        for key, left in parts.items()
    }
    random, keys = np.random.default_rng(given.seed), list(parts)
    sizes = np.array([parts[key].values.size * parts[key].bits for key in keys])
    (with_values, shows) = from_tests("brute", "with_values", "shows")
    caught = proved = unequal = 0
    for number in range(given.faults):
        key: Key = keys[int(random.choice(len(keys), p=sizes / sizes.sum()))]
        left = parts[key]
        index, bit = int(random.integers(left.values.size)), int(random.integers(left.bits))
        is_hidden = bool(hidden[key].flat[index] >> bit & 1)
        is_shown = not left.masks.flat[index] >> bit & 1
        caught, proved = caught + is_shown, proved + is_hidden
        below_one = False
        if number < given.checked:
            values = left.values.copy()
            values.flat[index] = flipped(values.flat[index], bit, left.bits)
            below_one = not isinstance(key, int) and key[1] == "threshold" and values.min() < 1
            if not below_one:  # which no network may have
                unequal += shows(with_values(network, key, values), golden) != is_shown
    return {
        "caught": round(caught / max(1, given.faults - proved), 5),
        "faults": given.faults,
        "hidden": proved,
        "all": round(coverage.shown / (coverage.bits - coverage.hidden), 5),
        "seconds": round(seconds, 1),
        "samples": len(inputs),
        "bytes": len(golden.to_bytes()),
        "unequal": unequal,
    }


def measure(given: Namespace) -> dict[str, float | int]:
    """The figures of both."""
    found: dict[str, float | int] = {}
    for name in given.network or ("mlp", "cnn"):
        network = load(ROOT / "golden" / f"mnist_{name}.pt")
        found |= {f"{name}_{key}": value for key, value in measured(network, given).items()}
    return found
