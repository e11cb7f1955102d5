"""The NIR paper's N-MNIST network: floating point against integers on real recordings.

    python -m benchmarks nir_nmnist cnn_sinabs.nir train1000.tar.gz [--reset subtract]

The graph is in the repository of NIR (github.com/neuromorphs/NIR, paper/02_cnn), the recordings in
that of slayerPytorch (github.com/bamsumit/slayerPytorch): 1,000 of N-MNIST's training set, binned
into 300 steps of 1 ms. Keys begin with the reset; accuracies, agreement of the spikes and error of
the rates in per cent.
"""

from __future__ import annotations

from argparse import Namespace

import torch

from benchmarks.inputs import NMNIST_STEPS, frames
from benchmarks.table import say
from neurocuda_hw.data.labelled import load_recordings
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.ranges import network_ranges
from neurocuda_hw.nir import Executor, compare, from_nir, read


def measure(given: Namespace) -> dict[str, float]:
    """Both accuracies, and how near the integers are in each layer."""
    graph = read(given.graph)
    recordings, labels = load_recordings(given.recordings, given.limit)
    network = from_nir(
        graph,
        NMNIST_STEPS,
        reset=given.reset,
        weight_bits=given.bits,
        encoding=Encoding.GRADED,
        payload_bits=2,
        name="nmnist",
    )
    executor = Executor(graph, subtract=given.reset == "subtract", dtype=torch.float32)
    found = compare(executor, network, frames(recordings), labels)
    ranges = network_ranges(network)
    say(str(found))
    assert found.graph_accuracy is not None
    assert found.integer_accuracy is not None
    figures = {
        "recordings": len(labels),
        "weight_bits": given.bits,
        "float_accuracy": 100 * found.graph_accuracy,
        "integer_accuracy": 100 * found.integer_accuracy,
    }
    for layer in found.layers:
        name = layer.population
        figures[f"{name}_float_spikes"], figures[f"{name}_integer_spikes"] = (
            layer.graph,
            layer.integers,
        )
        figures[f"{name}_agreement"] = round(100 * layer.agreement, 2)
        figures[f"{name}_rate_error"] = round(100 * layer.rate_error, 2)
        figures[f"{name}_membrane_bits"] = ranges[name].membrane.bits
    return {f"{given.reset}_{key}": value for key, value in figures.items()}
