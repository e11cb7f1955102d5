from __future__ import annotations

import pytest

from neurocuda_hw.network import IF, Encoding, Input, Network, Population, Projection, Readout
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.network.wire import (
    address_bits,
    event_bits,
    payload,
    payload_bits,
    payload_signed,
    word_bits,
)


def source(shape: tuple[int, ...] = (1,), **fields: object) -> Population:
    neuron = Input(**{"encoding": Encoding.SPIKES, **fields})  # type: ignore[arg-type]
    return Population(name="input", shape=shape, neuron=neuron)


@pytest.mark.parametrize(
    ("shape", "bits"), [((1,), (0, 0, 0)), ((10,), (4, 0, 0)), ((16, 8, 9), (4, 3, 4))]
)
def test_address_bits(shape: tuple[int, ...], bits: tuple[int, int, int]) -> None:
    assert address_bits(source(shape)) == bits
    assert event_bits(source(shape)) == sum(bits) + 1


@pytest.mark.parametrize("encoding", [Encoding.GRADED, Encoding.CURRENT])
@pytest.mark.parametrize(
    ("bits", "signed", "values"),
    [(1, False, (0, 1)), (1, True, (-1, 0)), (8, False, (0, 255)), (8, True, (-128, 127))],
)
def test_payload(encoding: Encoding, bits: int, signed: bool, values: tuple[int, int]) -> None:
    population = source(encoding=encoding, payload_bits=bits, signed=signed)
    assert (payload_bits(population), payload_signed(population)) == (bits, signed)
    assert payload(population) == values
    assert event_bits(population) == bits + 1


def test_spikes_have_no_payload() -> None:
    for population in (source(), Population(name="a", shape=(1,), neuron=IF(threshold=1))):
        assert (payload_bits(population), payload(population)) == (0, (0, 1))
        assert not payload_signed(population)


@pytest.mark.parametrize(("neurons", "value", "bits"), [(2**14, 32, 32), (2**14, 33, 64)])
def test_words_hold_events_and_values(neurons: int, value: int, bits: int) -> None:
    def network(payload: int) -> Network:
        image = source((neurons,), encoding=Encoding.GRADED, payload_bits=payload)
        out = Population(name="out", shape=(1,), neuron=Readout())
        synapse = Dense(weight=[[1] * neurons])  # type: ignore[arg-type]
        edge = Projection(source="input", target="out", synapse=synapse)
        return Network(populations=(image, out), projections=(edge,), timesteps=1)

    assert word_bits(network(16), value) == bits  # 14 + 16 + 1 bits of an event
    assert event_bits(network(16).input) == 31
