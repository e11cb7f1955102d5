"""Single-bit faults one by one: each is put into a network, which then runs as a whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurocuda_hw.coverage.bits import flipped
from neurocuda_hw.coverage.tally import Tally
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.reference.reference import Reference


def with_values(network: Network, key: int | tuple[str, str], values: np.ndarray) -> Network:
    """A network with other weights (of a projection's number) or another parameter."""
    if isinstance(key, int):
        old = network.projections[key]
        weight = values.reshape(old.synapse.weight.shape)
        new = replace(old, synapse=replace(old.synapse, weight=weight))
        return replace(
            network, projections=tuple(new if q is old else q for q in network.projections)
        )
    name, kind = key
    changed = replace(
        network[name],
        neuron=replace(
            network[name].neuron,
            **{kind: values.reshape(np.shape(getattr(network[name].neuron, kind)))},
        ),
    )
    return replace(
        network, populations=tuple(changed if p.name == name else p for p in network.populations)
    )


def shows(network: Network, golden: Trace) -> bool:
    """Whether a faulty network does anything else than the golden trace."""
    got = Reference(network).trace(golden.inputs)
    return any((got.spikes[n] != golden.spikes[n]).any() for n in golden.sizes) or bool(
        (got.outputs != golden.outputs).any()
    )


def hidden(
    network: Network, inputs: np.ndarray, most: int = 12
) -> dict[int | tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Of each array, places and masks of the bits there whose flip changes nothing.

    At most so many places, drawn by a fixed seed; flips that no network may have are left out.
    """
    chance = np.random.default_rng(0)
    golden = Reference(network).trace(inputs)
    found = {}
    for key, left in Tally(network).parts():
        values = left.values
        places = np.sort(chance.permutation(values.size)[:most])
        masks = np.zeros(len(places), dtype=np.int64)
        for number, index in enumerate(places.tolist()):
            for bit in range(left.bits):
                changed = values.copy()
                changed.flat[index] = flipped(values.flat[index], bit, left.bits)
                try:
                    seen = shows(with_values(network, key, changed), golden)
                except ModelError:  # a threshold below 1
                    seen = True
                if not seen:
                    masks[number] |= 1 << bit
        found[key] = places, masks
    return found
