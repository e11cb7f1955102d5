"""The chip against the golden trace, the naive chip, and its own registers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from loihi.naive_network import NaiveNetworkChip
from small import SPIKES, chain
from strategies import inputs_for, networks

from neurocuda_hw import loihi
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.loihi.limits import LOIHI1, LOIHI2
from neurocuda_hw.loihi.lower import depths, lower
from neurocuda_hw.loihi.simulator import ChipSimulator
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout, Reset, Window
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal
from neurocuda_hw.network.trace import first_divergence
from neurocuda_hw.reference.reference import Reference


def can_keep_time(network: Network) -> bool:
    """Whether no loop asks for more hops than steps."""
    try:
        depths(network)
    except ModelError:
        return False
    return True


def small(**neuron: Any) -> Network:
    """Three inputs, one layer of two, a readout."""
    fields: dict[str, Any] = {"threshold": 4, **neuron}
    return chain(
        4,
        {
            "input": ((3,), SPIKES),
            "hidden": ((2,), IF(**fields)),
            "out": ((2,), Readout()),
        },
        Dense(weight=np.array([[3, -2, 1], [1, 2, 3]])),
        Dense(weight=np.array([[1, -1], [2, 5]])),
    )


@pytest.mark.slow
@settings(max_examples=150)
@given(st.data())
def test_equals_the_golden_trace(data: st.DataObject) -> None:
    network = data.draw(networks())
    assume(can_keep_time(network))
    inputs = data.draw(inputs_for(network, samples=3))
    golden = Reference(network).trace(inputs, membranes=True)
    trace = ChipSimulator(lower(network, LOIHI2)).run(inputs, membranes=True)
    assert first_divergence(network, golden, trace) is None
    for name, expected in golden.membranes.items():
        model = lower(network, LOIHI2).placements[name].model
        if not isinstance(model, loihi.CubaNeuron):
            assert np.array_equal(trace.membranes[name], expected), name


@pytest.mark.slow
@settings(max_examples=100)
@given(st.data())
def test_every_step_of_the_chip_equals_the_naive_chip(data: st.DataObject) -> None:
    """In the chip's own time: each spike at its depth, nothing before and nothing after."""
    network = data.draw(networks(resets=(Reset.SUBTRACT, Reset.TO_VALUE), channels=3, extent=4))
    assume(can_keep_time(network))
    inputs = data.draw(inputs_for(network, samples=1))
    simulator = ChipSimulator(lower(network, LOIHI2))
    (result,) = simulator.batches(inputs, membranes=True)
    naive = NaiveNetworkChip(network)
    naive.run(inputs[0])
    for name, spikes in naive.spikes.items():
        got = result.spikes[name][:, 0].to(torch.int64).tolist()
        assert got == spikes, name
    for population in network.targets:
        if population.spiking:
            got = result.states[population.name]["v"][:, 0].tolist()
            assert got == naive.membranes[population.name], population.name


@settings(max_examples=60)
@given(st.data())
def test_built_in_neurons_equal_the_golden_trace(data: st.DataObject) -> None:
    """IF with reset to zero runs on the published LIF, on Loihi 1 and 2 alike."""
    network = data.draw(
        networks(
            neurons=(IF,),
            resets=(Reset.ZERO,),
            encodings=(Encoding.SPIKES,),
            recurrent=False,
            floors=False,
            windows=False,
            negative=False,
        )
    )
    try:
        lowered = lower(network, LOIHI1)
    except ModelError as error:
        if "it would fire in the" in str(error):
            return
        raise
    assert all(p.model is None or not p.why for p in lowered.placements.values())
    inputs = data.draw(inputs_for(network, samples=2))
    golden = Reference(network).trace(inputs)
    assert first_divergence(network, golden, ChipSimulator(lowered).run(inputs)) is None


def test_batches_of_any_size_give_the_same_run() -> None:
    network, rng = small(), np.random.default_rng(1)
    inputs = rng.integers(0, 2, (7, 4, 3))
    simulator = ChipSimulator(lower(network, LOIHI2))
    whole = simulator.run(inputs).to_bytes()
    for batch in (1, 2, 7):
        assert simulator.run(inputs, batch=batch).to_bytes() == whole


def test_spikes_come_later_by_the_depth() -> None:
    inputs = np.zeros((1, 4, 3), dtype=np.int64)
    inputs[0, 0] = 1
    (result,) = ChipSimulator(lower(small(threshold=1), LOIHI2)).batches(inputs)
    hidden = result.spikes["hidden"][:, 0]
    assert hidden.nonzero()[:, 0].unique().tolist() == [1, 2, 3, 4]
    assert len(hidden) == 4 + 2


def overflowing() -> Network:
    """A membrane that starts at 2^22, takes up to 2^22 in each step, and fires late."""
    wide = IF(threshold=2**22 + 2**21, v_init=np.array([0, 2**22]), window=Window(start=2, stop=3))
    graded = Input(encoding=Encoding.GRADED, payload_bits=16)
    heavy, light = Dense(weight=np.array([[0], [64]])), Dense(weight=np.array([[1, 1]]))
    return chain(
        3,
        {
            "input": ((1,), graded),
            "hidden": ((2,), wide),
            "out": ((1,), Readout()),
        },
        heavy,
        light,
    )


def test_an_overflow_names_neuron_and_step() -> None:
    inputs = np.zeros((2, 3, 1), dtype=np.int64)
    inputs[1, 1:] = 65535
    value = 2**22 + 2 * 64 * 65535
    message = (
        f"population 'hidden': the membrane of neuron 1 (1,) must fit 24 bits, not {value} "
        "(step 2 of sample 1, 1 neurons in that step); scale the network's weights and "
        "thresholds down"
    )
    simulator = ChipSimulator(lower(overflowing(), LOIHI2))
    for batch in (1, 2):
        with pytest.raises(loihi.LoihiOverflowError, match=f"^{re.escape(message)}$"):
            simulator.run(inputs, batch=batch)
    wrapping = ChipSimulator(lower(overflowing(), LOIHI2), overflow="wrap")
    wrapping.run(inputs)
    (found,) = wrapping.overflows
    assert (found.population, found.neuron, found.step, found.sample) == ("hidden", 1, 2, 1)


@pytest.mark.parametrize(
    ("ins", "value", "register", "bits"),
    [
        (250, (100_000 + 250 * 127) * 64, "the membrane", 24),
        (600, 600 * 127, "the accumulator", 16),
    ],
)
def test_loihi1_is_watched_for_overflow(ins: int, value: int, register: str, bits: int) -> None:
    """Built-in neurons are not proved there: a clip or a wrap names neuron and step."""
    network = chain(
        1,
        {
            "input": ((ins,), SPIKES),
            "hidden": ((2,), IF(threshold=131072, reset=Reset.ZERO, v_init=100_000)),
            "out": ((1,), Readout()),
        },
        Dense(weight=np.stack([np.zeros(ins, int), np.full(ins, 127)])),
        Dense(weight=np.array([[1, 1]])),
    )
    inputs = np.ones((2, 1, ins), dtype=np.int64)
    inputs[0] = 0
    with pytest.raises(loihi.LoihiOverflowError) as caught:
        ChipSimulator(lower(network, LOIHI1)).run(inputs)
    found = caught.value.overflow
    assert (found.register, found.bits, found.neuron, found.sample) == (register, bits, 1, 1)
    assert (found.step, found.value, found.count) == (0, value, 1)


def test_no_overflow_is_looked_for_where_none_can_be() -> None:
    program = lower(small(), LOIHI2).placements["hidden"].model
    assert program.proved  # type: ignore[union-attr]
    assert not lower(overflowing(), LOIHI2).placements["hidden"].model.proved  # type: ignore[union-attr]


def residual() -> Network:
    """input -> a -> b -> sum, and input -> sum: ends of unequal depth."""
    shape = (2, 3, 3)
    conv = Conv2d(weight=np.arange(-8, 28).reshape(2, 2, 3, 3) % 5 - 2, padding=(1, 1))
    cell = IF(threshold=3)
    names = ("a", "b", "sum")
    return Network(
        populations=(
            Population(name="input", shape=shape, neuron=Input(encoding=Encoding.SPIKES)),
            *(Population(name=name, shape=shape, neuron=cell) for name in names),
            Population(name="out", shape=(2,), neuron=Readout()),
        ),
        projections=(
            Projection(source="input", target="a", synapse=conv),
            Projection(source="a", target="b", synapse=conv),
            Projection(source="b", target="sum", synapse=conv),
            Projection(source="input", target="sum", synapse=Diagonal(weight=np.array([2, 300]))),
            Projection(
                source="sum", target="out", synapse=Dense(weight=np.arange(36).reshape(2, 18))
            ),
        ),
        timesteps=5,
    )


def test_skip_connections_wait_in_a_synaptic_delay() -> None:
    network = residual()
    lowered = lower(network, LOIHI2)
    assert [route.hop for route in lowered.routes] == [1, 1, 1, 3, 1]
    assert [route.planes for route in lowered.routes] == [1, 1, 1, 2, 1]
    assert lowered.placements["sum"].budget.accumulators == 3
    inputs = np.random.default_rng(2).integers(0, 2, (5, 5, 2, 3, 3))
    golden = Reference(network).trace(inputs)
    assert golden.counts("sum").sum() > 50
    assert first_divergence(network, golden, ChipSimulator(lowered).run(inputs)) is None


def test_a_loop_over_two_hops_is_refused() -> None:
    network = small()
    loop = Network(
        populations=(
            *network.populations[:2],
            Population(name="back", shape=(2,), neuron=IF(threshold=2)),
            network.populations[2],
        ),
        projections=(
            network.projections[0],
            Projection(source="hidden", target="back", synapse=Diagonal(weight=np.array([1, 1]))),
            Projection(
                source="back", target="hidden", synapse=Diagonal(weight=np.array([1, 1])), delay=1
            ),
            Projection(source="back", target="out", synapse=Dense(weight=np.array([[1, 1]] * 2))),
        ),
        timesteps=4,
    )
    with pytest.raises(ModelError, match="must not be part of a loop through several populations"):
        lower(loop, LOIHI2)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "its reset must be ZERO, not SUBTRACT"),
        ({"reset": Reset.ZERO, "v_floor": -3}, "it has no floor of the membrane"),
        (
            {"reset": Reset.ZERO, "window": Window(start=1, stop=3)},
            "it fires in every step, not in a window",
        ),
        ({"reset": Reset.ZERO, "bias": 4096}, "its bias must be -4095 to 4095"),
        ({"reset": Reset.ZERO, "v_init": 4}, "it would fire in the 1 step before its first"),
        ({"reset": Reset.ZERO, "threshold": 0}, "its threshold must be 1 to 131072"),
    ],
)
def test_loihi1_says_what_its_neuron_cannot_do(fields: dict[str, Any], reason: str) -> None:
    message = (
        "population 'hidden' must run on the built-in neuron of loihi1: "
        f"{reason}; use loihi2, whose neurons are programs"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        lower(small(**fields), LOIHI1)
    assert lower(small(**fields), LOIHI2).placements["hidden"].why == reason


def test_a_bias_before_the_first_step_is_taken_back() -> None:
    """The built-in neuron adds its bias while the first spikes are on their way."""
    network = small(reset=Reset.ZERO, bias=2, threshold=7)
    inputs = np.random.default_rng(0).integers(0, 2, (20, 4, 3))
    lowered = lower(network, LOIHI1)
    assert lowered.placements["hidden"].model.v_init.tolist() == [-128, -128]  # type: ignore[union-attr]
    golden = Reference(network).trace(inputs)
    assert first_divergence(network, golden, ChipSimulator(lowered).run(inputs)) is None


def test_weights_beyond_two_planes_are_refused() -> None:
    network = small()
    wide = Projection(
        source="hidden", target="out", synapse=Dense(weight=np.array([[2**14, 0], [0, 0]]))
    )
    message = (
        "projection hidden -> out: weights must have at most 15 bits on loihi2, not 16; "
        "convert with fewer weight bits"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        lower(replace(network, projections=(network.projections[0], wide)), LOIHI2)


def test_loihi1_takes_no_graded_input() -> None:
    message = (
        "population 'input': the input must be SPIKES on loihi1, whose spikes are binary, "
        "not GRADED; use loihi2"
    )
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        lower(overflowing(), LOIHI1)
