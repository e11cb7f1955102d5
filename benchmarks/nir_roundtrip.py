"""A converted network out to a NIR file and back: every spike of every layer, in every step.

    python benchmarks/nir_roundtrip.py network.pt inputs.npz [--export explicit] [--samples 100]

The file is read back as a network, and (where the export is explicit) run in floating point without
a word of its metadata, as any other tool would run it. Inputs are integers: .npy, or .npz with x.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import torch

from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.neurons import Encoding, Input
from neurocuda_hw.nir import Executor, from_nir, nir_bytes, to_nir
from neurocuda_hw.nir.read import from_bytes
from neurocuda_hw.reference.reference import Reference, check_inputs


def main() -> None:
    """Prints what differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("inputs")
    parser.add_argument("--export", choices=("explicit", "annotated"), default="explicit")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print one flat JSON object only")
    arguments = parser.parse_args()
    network = load(arguments.network)
    stored = np.load(arguments.inputs)
    inputs = stored if isinstance(stored, np.ndarray) else stored[stored.files[0]]
    data = check_inputs(network, inputs[: arguments.samples])
    content = nir_bytes(to_nir(network, export=arguments.export))
    graph = from_bytes(content)
    again = from_nir(graph)
    for node in (graph, *graph.nodes.values()):
        node.metadata = {}
    executor = Executor(graph, dt=1.0) if arguments.export == "explicit" else None
    neuron = network.input.neuron
    assert isinstance(neuron, Input)
    held = network.timesteps if neuron.encoding is Encoding.CURRENT else None
    ours, theirs = Reference(network), Reference(again)
    spikes = back = floats = 0
    for start in range(0, len(data), arguments.batch):
        part = data[start : start + arguments.batch]
        want, got = ours.run(part, spikes=True).spikes, theirs.run(part, spikes=True).spikes
        spikes += sum(int(s.sum()) for s in want.values())
        back += sum(int((got[name] != s).sum()) for name, s in want.items())
        if executor is not None:
            run = executor.run(part.to(torch.float64), timesteps=held, spikes=True).spikes
            floats += sum(int((run[name] != s).sum()) for name, s in want.items())
    figures = {
        "network": network.name,
        "samples": len(data),
        "steps": network.timesteps,
        "populations": len(network.populations),
        "spikes": spikes,
        "unequal_read_back": back,
        "unequal_in_floating_point": floats if executor is not None else None,
        "equal_networks": again == network,
    }
    print(json.dumps(figures) if arguments.json else figures)


if __name__ == "__main__":
    main()
