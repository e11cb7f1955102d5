"""Whole networks in Amaranth's simulator: every spike and every output equals the reference."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rtl.bench import Bench
from small import SPIKES, chain, wired
from strategies import inputs_for, networks

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network.neurons import IF, LIF, Encoding, Input, Readout, Reset
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal
from neurocuda_hw.network.trace import first_divergence
from neurocuda_hw.passes.folding import lane_choices
from neurocuda_hw.passes.planner import plan_layer
from neurocuda_hw.reference.reference import Reference

pytestmark = pytest.mark.slow

# more of them: NCHW_RANDOM_NETWORKS=300 pytest tests/rtl/test_top.py
EXAMPLES = int(os.environ.get("NCHW_RANDOM_NETWORKS", "25"))


def assert_equal(network, inputs, **options):
    got = Bench(network, **options).run(inputs)
    divergence = first_divergence(network, Reference(network).trace(inputs), got)
    assert divergence is None, str(divergence)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="NCHW_RANDOM_NETWORKS" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(networks(), st.data())
def test_random_network(network, data):
    inputs = data.draw(inputs_for(network, samples=2))
    lanes = {p.name: data.draw(st.sampled_from(lane_choices(p, 64))) for p in network.targets}
    stalls = data.draw(st.sampled_from([0.0, 0.3]))
    touched = data.draw(st.sampled_from([None, True]))
    assert_equal(network, inputs, lanes=lanes, stalls=stalls, seed=1, touched=touched)


def residual():
    """A small residual network, graded input, every lane hazard: few rows, many events."""
    rng = np.random.default_rng(7)
    weight = rng.integers(-8, 8, (4, 2, 3, 3))
    return wired(
        3,
        {
            "x": ((2, 4, 4), Input(encoding=Encoding.GRADED, payload_bits=3)),
            "a": ((4, 4, 4), IF(threshold=np.array([3, 9, 5, 40]))),
            "b": ((4, 4, 4), IF(threshold=4, v_init=2, bias=1)),
            "o": ((3,), Readout(bias=-5)),
        },
        ("x", "a", Conv2d(weight=weight, padding=(1, 1))),
        ("a", "b", Conv2d(weight=rng.integers(-4, 4, (4, 4, 3, 3)), padding=(1, 1))),
        ("a", "b", Diagonal(weight=np.array([4, -3, 2, 1]))),
        ("b", "o", Dense(weight=rng.integers(-9, 9, (3, 64)))),
    )


def stimuli():
    """What natural data lack: nothing, everything, corners, one pixel at a time."""
    shape = (3, 2, 4, 4)
    corners = np.zeros(shape, dtype=np.int64)
    corners[..., 0, 0] = corners[..., -1, -1] = 7
    single = np.zeros((32, *shape), dtype=np.int64)
    for i in range(32):
        single[i, i % 3].flat[i] = 7
    return {
        "silent": np.zeros((2, *shape), dtype=np.int64),
        "all fire": np.full((2, *shape), 7),
        "corners, then silence": np.stack([corners, np.zeros(shape, dtype=np.int64)]),
        "one at a time": single,
    }


@pytest.mark.parametrize("lanes", [1, 2, 4, 16])
@pytest.mark.parametrize("name", stimuli())
def test_stimuli_that_natural_data_lack(name, lanes):
    inputs = stimuli()[name][: 8 if lanes == 1 else None]
    assert_equal(residual(), inputs, lanes={"a": lanes, "b": lanes, "o": min(lanes, 2)})


@pytest.mark.parametrize("lanes", [{"a": 1, "b": 3}, {"a": 16, "b": 32}])
def test_every_neuron_fires_in_every_step(lanes):
    def positive(*shape):
        return np.random.default_rng(1).integers(1, 9, shape)

    network = wired(
        4,
        {
            "x": ((2, 3, 5), SPIKES),
            "a": ((3, 3, 5), IF(threshold=1, reset=Reset.ZERO)),
            "b": ((3, 3, 5), IF(threshold=1, reset=Reset.ZERO)),
        },
        ("x", "a", Conv2d(weight=positive(3, 2, 3, 3), padding=(1, 1))),
        ("a", "b", Conv2d(weight=positive(3, 3, 3, 3), padding=(1, 1))),
        ("a", "b", Diagonal(weight=positive(3))),
    )
    inputs = np.ones((3, 4, 2, 3, 5), dtype=np.int64)
    assert (Reference(network).run(inputs).outputs.numpy() == 4).all()
    for touched in (None, True):
        assert_equal(network, inputs, lanes=lanes, stalls=0.2, touched=touched)


@pytest.mark.parametrize("neurons", range(9, 17))
def test_a_leaking_layer_queues_its_marker_when_its_events_are_held_up(neurons):
    weight = np.full((neurons, 2), 9)
    network = chain(
        4,
        {
            "x": ((2,), SPIKES),
            "a": ((neurons,), LIF(threshold=2, decay=100)),
            "o": ((14,), Readout()),
        },
        Dense(weight=weight),
        Dense(weight=np.ones((14, neurons), int)),
    )
    # one row and one slow event per neuron: the queue fills up before the step ends
    inputs = np.ones((2, 4, 2), dtype=np.int64)
    assert_equal(network, inputs, lanes={"a": 1, "o": 1})


def test_extreme_weights_and_payloads():
    weight = np.array([[127, -128] * 8, [-128] * 16, [127] * 16])
    network = chain(
        5,
        {
            "x": ((16,), Input(encoding=Encoding.GRADED, payload_bits=8, signed=True)),
            "a": ((3,), IF(threshold=1000)),
        },
        Dense(weight=weight),
    )
    rng = np.random.default_rng(0)
    inputs = rng.choice([-128, 127], (6, 5, 16))
    inputs[0], inputs[1] = 127, -128
    assert_equal(network, inputs)


def test_weights_of_a_wrong_lane_are_noticed():
    network, inputs = residual(), stimuli()["all fire"]
    bench = Bench(network)
    part = bench.plans["b"].fanouts[0]
    part.weights[:, [0, 1]] = part.weights[:, [1, 0]]
    divergence = first_divergence(network, Reference(network).trace(inputs), bench.run(inputs))
    assert divergence is not None
    assert divergence.population == "b"


@pytest.mark.parametrize("stalls", [0.0, 0.4])
@pytest.mark.parametrize("lanes", [1, 2, 4, 5])
def test_values_of_a_readout_with_positions_leave_in_the_order_of_its_neurons(lanes, stalls):
    rng = np.random.default_rng(2)
    network = chain(
        2,
        {
            "x": ((2, 3, 2), SPIKES),
            "o": ((5, 3, 2), Readout(bias=rng.integers(-9, 9, (5, 3, 2)))),
        },
        Conv2d(weight=rng.integers(-8, 8, (5, 2, 3, 3)), padding=(1, 1)),
    )
    assert_equal(
        network, rng.integers(0, 2, (4, 2, 2, 3, 2)), lanes={"o": lanes}, stalls=stalls, seed=3
    )


def test_lanes_must_suit_the_layer():
    network = residual()
    with pytest.raises(
        ModelError,
        match=r"^population 'b': lanes must be a power of two up to its 4 channels, or 4, "
        r"8, 16, 32, 64, not 3$",
    ):
        plan_layer(network, network["b"], 3)
