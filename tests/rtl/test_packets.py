"""No packet, whatever it holds, changes another one: whole networks in Amaranth's simulator."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rtl.bench import Bench
from strategies import inputs_for, networks

from benchmarks.odd import OddPackets
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout, Window
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.passes.folding import lane_choices
from neurocuda_hw.passes.queues import limits_input

# more of them: NCHW_RANDOM_NETWORKS=300 pytest tests/rtl/test_packets.py
EXAMPLES = int(os.environ.get("NCHW_RANDOM_NETWORKS", "25"))


def check(network: Network, inputs: np.ndarray, seed: int, **options: object) -> None:
    """Sends rubbish, and the packets of `inputs` spoiled, in turn; compares what can be known."""
    bench = Bench(network, seed=seed, **options)  # type: ignore[arg-type]
    odd = OddPackets.of(network, inputs, bench.top.tdata_bits, random.Random(seed))
    got = bench.run(odd.trace.inputs, odd.sent)
    told: list[str] = []
    assert odd.unequal(got, told.append) == 0, told
    assert bench.faults == odd.dropped


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
        pytest.param(Encoding.SPIKES, Window(start=1, stop=3), marks=pytest.mark.slow),
        pytest.param(Encoding.GRADED, None, marks=pytest.mark.slow),
        pytest.param(Encoding.CURRENT, None, marks=pytest.mark.slow),
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
