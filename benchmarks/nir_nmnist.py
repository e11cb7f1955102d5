"""The NIR paper's N-MNIST network: floating point against integers on real recordings.

    python benchmarks/nir_nmnist.py cnn_sinabs.nir train1000.tar.gz [--reset subtract] [--json]

The graph is in the repository of NIR (github.com/neuromorphs/NIR, paper/02_cnn), the recordings in
that of slayerPytorch (github.com/bamsumit/slayerPytorch): 1,000 of N-MNIST's training set, binned
into 300 steps of 1 ms.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch

from neurocuda_hw.data.events import bin_events, load_nmnist
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.ranges import network_ranges
from neurocuda_hw.nir import Executor, compare, from_nir, read

STEPS = 300


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("graph")
    parser.add_argument("recordings")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--reset", choices=("nir", "subtract"), default="nir")
    parser.add_argument("--limit", type=int, help="the first so many recordings only")
    parser.add_argument("--json", action="store_true", help="print one flat JSON object only")
    arguments = parser.parse_args()
    graph = read(arguments.graph)
    recordings, labels = load_nmnist(arguments.recordings, arguments.limit)
    frames = np.stack([bin_events(r, steps=STEPS, highest=3) for r in recordings])
    network = from_nir(
        graph,
        STEPS,
        reset=arguments.reset,
        weight_bits=arguments.bits,
        encoding=Encoding.GRADED,
        payload_bits=2,
        name="nmnist",
    )
    executor = Executor(graph, subtract=arguments.reset == "subtract", dtype=torch.float32)
    start = time.perf_counter()
    found = compare(executor, network, frames, labels)
    seconds = time.perf_counter() - start
    widths = {name: r.membrane.bits for name, r in network_ranges(network).items()}
    if arguments.json:
        assert found.graph_accuracy is not None
        assert found.integer_accuracy is not None
        figures = {
            "recordings": len(labels),
            "weight_bits": arguments.bits,
            "reset": arguments.reset,
            "float_accuracy": found.graph_accuracy,
            "integer_accuracy": found.integer_accuracy,
            **{f"{layer.population}_agreement": layer.agreement for layer in found.layers},
            **{f"{layer.population}_rate_error": layer.rate_error for layer in found.layers},
            **{f"{n}_membrane_bits": bits for n, bits in widths.items() if bits > 1},
            "network": network.hash,
        }
        print(json.dumps(figures, indent=1))
        return
    print(found)
    print(
        f"{len(labels)} recordings, {arguments.bits} bits, reset {arguments.reset}, {seconds:.0f} s"
    )
    print(f"membrane bits: {', '.join(f'{n} {b}' for n, b in widths.items() if b > 1)}")


if __name__ == "__main__":
    main()
