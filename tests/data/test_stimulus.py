from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import Oracle
from small import small_network
from strategies import inputs_for, networks

from neurocuda_hw.data.stimulus import (
    addresses,
    default_inputs,
    expected_bytes,
    observed_trace,
    packets,
    stimulus_bytes,
)
from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.network import Input, Network, Population, Projection, Readout, Window
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.network.wire import address_bits, payload_bits
from neurocuda_hw.reference.reference import Reference, check_inputs


def decoded(network: Network, words: list[int], bits: int) -> np.ndarray:
    """A receiver as the specification describes it: one packet, word by word, to ``(T, N)``."""
    population = network.input
    neuron = population.neuron
    assert isinstance(neuron, Input)
    _, y_bits, x_bits = address_bits(population)
    below = sum(address_bits(population))
    _, height, width = population.chw
    frames = np.zeros((network.timesteps, population.size), dtype=np.int64)
    step = 0
    for word in words:
        if word >> (bits - 1):
            step += 1
            continue
        address = word & ((1 << below) - 1)
        x = address & ((1 << x_bits) - 1)
        y = address >> x_bits & ((1 << y_bits) - 1)
        c = address >> (x_bits + y_bits)
        value = 1
        if neuron.encoding is not Encoding.SPIKES:
            value = word >> below
            assert value < 1 << neuron.payload_bits
            if neuron.signed and value >> (neuron.payload_bits - 1):
                value -= 1 << neuron.payload_bits
        place = (c * height + y) * width + x
        assert frames[step, place] == 0, "no neuron sends twice in a step"
        frames[step, place] = value
    return frames


@given(networks(), st.data(), st.sampled_from([32, 64]))
def test_packets_say_what_the_inputs_are(network: Network, data: st.DataObject, bits: int) -> None:
    inputs = check_inputs(network, data.draw(inputs_for(network, samples=3))).numpy()
    words, ends = packets(network, inputs, bits)
    window = network.window(network.input.name)
    starts = [0, *ends[:-1].tolist()]
    for sample, start, end in zip(inputs, starts, ends.tolist(), strict=True):
        frames = decoded(network, words[start:end].tolist(), bits)
        want = np.zeros_like(frames)
        flat = sample.reshape(-1, network.input.size)
        want[window.start : window.start + len(flat)] = flat
        assert np.array_equal(frames, want)
        assert end > start
        # TLAST implies the markers that follow, so none is sent
        if sample.any() or payload_bits(network.input):
            assert int(words[end - 1]) >> (bits - 1) == 0


def flat_input(**fields: object) -> Network:
    image = Population(name="image", shape=(6,), neuron=Input(**fields))  # type: ignore[arg-type]
    out = Population(name="out", shape=(2,), neuron=Readout())
    synapse = Dense(weight=np.ones((2, 6), dtype=np.int64))
    projection = Projection(source="image", target="out", synapse=synapse)
    return Network(populations=(image, out), projections=(projection,), timesteps=4)


def test_packets_word_by_word() -> None:
    network = flat_input(
        encoding=Encoding.GRADED, payload_bits=3, signed=True, window=Window(start=1, stop=3)
    )
    inputs = np.array(
        [
            [[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]],
            [[2, 0, 0, 0, 0, -1], [0, 0, 0, 0, 0, 0]],
            [[0, 0, 0, 0, 0, 0], [0, -4, 0, 0, 0, 0]],
        ]
    )
    words, ends = packets(network, inputs, 32)
    marker = 1 << 31
    assert words.tolist() == [
        *(marker, 0b000_000),  # nothing at all is one event that adds nothing
        *(marker, 0b010_000, 0b111_101),
        *(marker, marker, 0b100_001),
    ]
    assert ends.tolist() == [2, 5, 8]


def test_spikes_carry_no_payload() -> None:
    network = flat_input(encoding=Encoding.SPIKES)
    inputs = np.zeros((1, 4, 6), dtype=np.int64)
    inputs[0, 0, 5] = inputs[0, 3, 2] = 1
    words, _ = packets(network, inputs, 64)
    assert words.tolist() == [5, 1 << 63, 1 << 63, 1 << 63, 2]


def test_word_that_is_too_narrow() -> None:
    image = Population(
        name="image", shape=(300, 300, 2), neuron=Input(encoding=Encoding.GRADED, payload_bits=16)
    )
    synapse = Dense(weight=np.ones((1, 180000), dtype=np.int64))
    network = Network(
        populations=(image, Population(name="out", shape=(1,), neuron=Readout())),
        projections=(Projection(source="image", target="out", synapse=synapse),),
        timesteps=1,
    )
    inputs = np.zeros((1, 1, 300, 300, 2), dtype=np.int64)
    with pytest.raises(ModelError) as error:
        packets(network, inputs, 32)
    assert str(error.value) == (
        "population 'image': address (19 bits) and payload (16 bits) must fit into 31 bits of a "
        "stream word"
    )
    assert len(packets(network, inputs, 64)[0]) == 1
    with pytest.raises(ValueError, match=r"^word_bits must be 32 or 64, not 48$"):
        packets(network, inputs, 48)


def test_addresses_are_packed() -> None:
    found = addresses((3, 2, 5), (2, 1, 3))
    assert len(set(found.tolist())) == 30
    assert found[-1] == (2 << 4) | (1 << 3) | 4
    assert addresses((4, 1, 1), (2, 0, 0)).tolist() == [0, 1, 2, 3]


def test_stimulus_file_layout() -> None:
    network = flat_input(encoding=Encoding.GRADED, payload_bits=3, window=Window(start=0, stop=1))
    content = stimulus_bytes(network, np.array([[[1, 0, 0, 0, 0, 0]], [[0, 0, 0, 0, 0, 0]]]), 32)
    assert content == (
        b"NCHWSTM1"
        + bytes([4, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])
        + bytes([1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])
        + bytes([0b1000, 0, 0, 0, 0, 0, 0, 0])
    )


def golden(samples: int = 4) -> tuple[Network, Trace]:
    network = small_network()
    return network, Reference(network).trace(default_inputs(network, samples))


def test_expected_file_is_read_back() -> None:
    _, trace = golden()
    found = observed_trace(expected_bytes(trace), trace)
    assert found.to_bytes() == trace.to_bytes()


def test_fewer_observed_samples() -> None:
    _, trace = golden()
    found = observed_trace(expected_bytes(trace.select(slice(0, 2))), trace)
    assert found.to_bytes() == trace.select(slice(0, 2)).to_bytes()
    assert observed_trace(expected_bytes(trace.select(slice(0, 0))), trace).samples == 0


@pytest.mark.parametrize("damage", ["empty", "short", "long", "magic", "steps", "sizes", "many"])
def test_damaged_observed_file(damage: str) -> None:
    _, trace = golden()
    raw = bytearray(expected_bytes(trace))
    if damage == "magic":
        raw[0] ^= 1
    if damage == "steps":
        raw[12] ^= 1
    if damage == "sizes":
        raw[24] ^= 1
    content = {"empty": b"", "short": bytes(raw[:-1]), "long": bytes(raw) + b"x"}.get(damage, raw)
    expected = trace.select(slice(0, 1)) if damage == "many" else trace
    with pytest.raises(DataError) as error:
        observed_trace(bytes(content), expected)
    assert str(error.value) == (
        "the harness's observed spikes must be of the expected network: run it again"
    )


def test_default_inputs_reach_every_corner() -> None:
    network = small_network()
    inputs = default_inputs(network, 16)
    assert inputs.shape == (16, 2, 2, 5, 6)
    assert not inputs[0].any()
    assert (inputs[1] == 15).all()
    corners = inputs[2, 0]
    assert corners.sum() == 15 * 8
    assert corners[0, 0, 0] == corners[1, 4, 5] == corners[0, 4, 0] == corners[1, 0, 5] == 15
    densities = [(sample != 0).mean() for sample in inputs[3:]]
    assert min(densities) < 0.1 < 0.3 < max(densities)
    assert np.array_equal(inputs, default_inputs(network, 16))
    assert not np.array_equal(inputs, default_inputs(network, 16, seed=1))
    assert len(default_inputs(network, 2)) == 2


def test_default_inputs_of_signed_and_held_currents() -> None:
    network = flat_input(encoding=Encoding.CURRENT, payload_bits=4, signed=True)
    inputs = default_inputs(network, 5)
    assert inputs.shape == (5, 6)
    assert (inputs[1] == 7).all()
    assert (inputs[2] == -8).all()
    check_inputs(network, inputs)


def test_default_inputs_make_the_small_network_work() -> None:
    network, trace = golden(16)
    assert all(trace.counts(name).max() > 0 for name in trace.sizes)
    assert np.array_equal(Oracle(network).run(trace.inputs[3]).outputs, trace.outputs[3])
