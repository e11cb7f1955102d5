"""A saved network of CIFAR-10 as Verilog: cycles per inference, with every spike compared.

    python -m benchmarks design NETWORK --cifar FOLDER --samples 2

Keys, under ``verilog``: ``samples`` (the first of the test set), ``golden_spikes`` of all of them,
``cycles_per_inference`` when they follow one another, ``unequal``.
"""

from __future__ import annotations

from argparse import Namespace

import cifar
import numpy as np

from benchmarks.inputs import simulated, traced
from neurocuda_hw.network.model_file import load
from neurocuda_hw.passes.study import Study, balanced


def measure(given: Namespace) -> dict[str, dict[str, float]]:
    """The figures; single spikes, the lanes that keep the slowest layer's pace."""
    network = load(given.network)
    images = np.asarray(cifar.load(given.cifar, "test")[0][: given.samples], np.float64)
    _, trace = traced((network, network.input.quantise(images)[:, None]), batch=1)
    check = simulated(network, trace, Study(network, trace=trace, lanes=balanced).lanes)
    found = {
        "samples": check.samples,
        "golden_spikes": check.golden_spikes,
        "cycles_per_inference": check.cycles_per_inference,
        "unequal": sum(check.unequal.values()),
    }
    return {"verilog": found}
