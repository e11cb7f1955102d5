"""No packet, whatever it holds, changes another one: whole networks in Amaranth's simulator."""

from __future__ import annotations

import os
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rtl.bench import Bench, packet
from strategies import inputs_for, networks

from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout, Window
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.network.wire import address_bits, payload_bits
from neurocuda_hw.passes.folding import lane_choices
from neurocuda_hw.passes.queues import limits_input
from neurocuda_hw.reference.reference import Reference
from sim.odd_packets import Reader, Transfer

# more of them: NCHW_RANDOM_NETWORKS=300 pytest tests/rtl/test_packets.py
EXAMPLES = int(os.environ.get("NCHW_RANDOM_NETWORKS", "25"))


def reader_of(network: Network, word_bits: int) -> Reader:
    arrivals = network.arrivals
    return Reader(
        shape=network.input.chw,
        bits=address_bits(network.input),
        payload_bits=payload_bits(network.input),
        word_bits=word_bits,
        timesteps=network.timesteps,
        start=arrivals.start,
        stop=arrivals.stop,
        most=network.input.size if limits_input(network) else None,
    )


def meaning(network: Network, reader: Reader, transfers: list[Transfer]) -> np.ndarray | None:
    """A packet as an input of the reference; None where a neuron comes twice in a step."""
    neuron = network.input.neuron
    assert isinstance(neuron, Input)
    steps, _ = reader.read(transfers)
    frames = np.zeros((reader.stop - reader.start, *network.input.chw), dtype=np.int64)
    for frame, words in zip(frames, steps[reader.start : reader.stop], strict=True):
        places = [reader.place(word) for word in words]
        if len(set(places)) < len(places):
            return None
        for place, word in zip(places, words, strict=True):
            value = word >> sum(reader.bits) if reader.payload_bits else 1
            value -= (value > neuron.payload[1]) << reader.payload_bits
            frame[place] = value
    frames = frames.reshape(-1, *network.input.shape)
    return frames[0] if neuron.encoding is Encoding.CURRENT else frames


def check(network: Network, inputs: np.ndarray, seed: int, **options: object) -> None:
    """Sends rubbish, and the packets of `inputs` spoiled, in turn; compares what can be known."""
    chance = random.Random(seed)
    bench = Bench(network, seed=seed, **options)  # type: ignore[arg-type]
    reader = reader_of(network, bench.top.tdata_bits)
    legal = [[word for word, _ in packet(network, x, reader.word_bits)] for x in inputs]
    packets = [
        sent for words in legal for sent in (reader.rubbish(chance), reader.spoiled(words, chance))
    ]
    meant = [meaning(network, reader, transfers) for transfers in packets]
    for sample, frames in zip(inputs, meant[1::2], strict=True):
        assert frames is not None
        assert np.array_equal(frames, sample), "a spoiled packet must mean the same"
    known = [i for i, frames in enumerate(meant) if frames is not None]
    samples = np.stack([np.zeros_like(inputs[0]) if x is None else x for x in meant])
    got = bench.run(samples, packets)
    want = Reference(network).trace(samples)
    for name, spikes in want.spikes.items():
        assert np.array_equal(got.spikes[name][known], spikes[known]), f"spikes of {name!r}"
    assert np.array_equal(got.outputs[known], want.outputs[known])
    assert bench.faults == sum((reader.read(sent)[1] for sent in packets), start=Counter())


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="NCHW_RANDOM_NETWORKS" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(networks(), st.data())
def test_random_network(network: Network, data: st.DataObject) -> None:
    inputs = data.draw(inputs_for(network, samples=3))
    lanes = {p.name: data.draw(st.sampled_from(lane_choices(p, 64))) for p in network.targets}
    stalls = data.draw(st.sampled_from([0.0, 0.3]))
    touched = data.draw(st.sampled_from([None, True]))
    seed = data.draw(st.integers(0, 2**16))
    check(network, inputs, seed, lanes=lanes, stalls=stalls, touched=touched)


def exact(encoding: Encoding, window: Window | None, *, delay: bool = False) -> Network:
    """Two layers of the exact code; with `delay`, the input reaches the first a step late, too."""
    rng = np.random.default_rng(0)
    bits = 1 if encoding is Encoding.SPIKES else 3
    projections = [
        Projection(source="x", target="h", synapse=Dense(weight=rng.integers(-7, 8, (6, 5)))),
        Projection(source="h", target="g", synapse=Dense(weight=rng.integers(-7, 8, (5, 6)))),
        Projection(source="g", target="o", synapse=Dense(weight=rng.integers(-7, 8, (3, 5)))),
    ]
    if delay:
        synapse = Dense(weight=rng.integers(-7, 8, (6, 5)))
        projections.append(Projection(source="x", target="h", synapse=synapse, delay=1))
    return Network(
        populations=(
            Population(
                name="x",
                shape=(5,),
                neuron=Input(encoding=encoding, payload_bits=bits, window=window),
            ),
            Population(
                name="h",
                shape=(6,),
                neuron=IF(threshold=9, v_init=4, window=Window(start=0, stop=4)),
            ),
            Population(
                name="g",
                shape=(5,),
                neuron=IF(threshold=7, v_init=3, window=Window(start=3, stop=7)),
            ),
            Population(name="o", shape=(3,), neuron=Readout()),
        ),
        projections=tuple(projections),
        timesteps=7,
    )


@pytest.mark.parametrize("delay", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize(
    ("encoding", "window"),
    [
        (Encoding.GRADED, Window(start=0, stop=1)),
        (Encoding.SPIKES, Window(start=1, stop=3)),
        (Encoding.GRADED, None),
        (Encoding.CURRENT, None),
    ],
)
def test_the_next_packet_is_golden(encoding: Encoding, window: Window | None, delay: bool) -> None:
    network = exact(encoding, window, delay=delay)
    neuron = network.input.neuron
    assert isinstance(neuron, Input)
    arrivals = network.arrivals
    shape = (arrivals.stop - arrivals.start, 5)
    low, high = neuron.payload
    inputs = np.random.default_rng(1).integers(low, high + 1, (40, *shape))
    check(network, inputs[:, 0] if encoding is Encoding.CURRENT else inputs, 2, stalls=0.1)


def test_only_an_input_whose_events_wait_is_limited() -> None:
    alone, twice = (exact(Encoding.GRADED, None, delay=delay) for delay in (False, True))
    assert not limits_input(alone)
    assert limits_input(twice)
