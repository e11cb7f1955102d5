"""A converted network out to a NIR file and back: every spike of every layer, in every step.

    python -m benchmarks nir_roundtrip network.pt inputs.npz [--export explicit] [--samples 100]

The file is read back as a network, and (where the export is explicit) run in floating point without
a word of its metadata, as any other tool would run it. Inputs are integers: .npy, or .npz with x.
"""

from __future__ import annotations

from argparse import Namespace

import torch

from benchmarks.inputs import saved_case
from neurocuda_hw.network.neurons import Encoding, Input
from neurocuda_hw.nir import Executor, from_nir, nir_bytes, to_nir
from neurocuda_hw.nir.read import from_bytes
from neurocuda_hw.reference.reference import Reference, check_inputs


def measure(given: Namespace) -> dict[str, object]:
    """What differs."""
    network, inputs = saved_case(given.model, given.inputs, given.samples)
    data = check_inputs(network, inputs)
    content = nir_bytes(to_nir(network, export=given.export))
    graph = from_bytes(content)
    again = from_nir(graph)
    for node in (graph, *graph.nodes.values()):
        node.metadata = {}
    executor = Executor(graph, dt=1.0) if given.export == "explicit" else None
    neuron = network.input.neuron
    assert isinstance(neuron, Input)
    held = network.timesteps if neuron.encoding is Encoding.CURRENT else None
    ours, theirs = Reference(network), Reference(again)
    spikes = back = floats = 0
    for start in range(0, len(data), given.batch):
        part = data[start : start + given.batch]
        want, got = ours.run(part, spikes=True).spikes, theirs.run(part, spikes=True).spikes
        spikes += sum(int(s.sum()) for s in want.values())
        back += sum(int((got[name] != s).sum()) for name, s in want.items())
        if executor is not None:
            run = executor.run(part.to(torch.float64), timesteps=held, spikes=True).spikes
            floats += sum(int((run[name] != s).sum()) for name, s in want.items())
    return {
        "network": network.name,
        "samples": len(data),
        "steps": network.timesteps,
        "populations": len(network.populations),
        "spikes": spikes,
        "unequal_read_back": back,
        "unequal_in_floating_point": floats if executor is not None else None,
        "equal_networks": again == network,
    }
