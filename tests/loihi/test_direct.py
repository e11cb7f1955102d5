"""Networks of chip neurons against the naive chip: delays, loops, formats, accumulators."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loihi.naive import NaiveChip

from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.loihi import (
    CubaNeuron,
    DirectNetwork,
    GradedNeuron,
    Group,
    Shift,
    SignMode,
    SoftResetNeuron,
    Synapses,
    WeightFormat,
)


def relay(**extra: Any) -> DirectNetwork:
    """One input on one neuron that fires at once."""
    return DirectNetwork(
        groups=(
            Group(name="in", size=1),
            Group(name="out", size=1, neuron=CubaNeuron(vth=1, du=4095)),
        ),
        synapses=(Synapses(source="in", target="out", weight=np.array([[10]]), **extra),),
    )


@pytest.mark.parametrize("delay", [0, 1, 7, 62])
def test_a_spike_arrives_one_step_and_the_delay_later(delay: int) -> None:
    record = relay(delay=delay).run({"in": np.array([[1]])}, 70)
    assert np.flatnonzero(record.s["out"][0, :, 0]).tolist() == [1 + delay]


def test_what_arrives_after_the_last_step_is_lost() -> None:
    record = relay(delay=7).run({"in": np.ones((5, 1), dtype=int)}, 5)
    assert not record.s["out"].any()


def test_an_accumulator_of_16_bits_wraps() -> None:
    weight = np.full((1, 200), 254)
    for bits, v in ((None, 200 * 254 * 64), (16, (200 * 254 - 65536) * 64)):
        network = DirectNetwork(
            groups=(
                Group(name="in", size=200),
                Group(name="out", size=1, neuron=CubaNeuron(vth=131071, du=4095)),
            ),
            synapses=(Synapses(source="in", target="out", weight=weight),),
            accumulator_bits=bits,
        )
        record = network.run({"in": np.ones((1, 200), dtype=int)}, 2)
        assert record.v["out"][0, 1, 0] == v
        assert record.wrapped == ({} if bits is None else {"out": 1})


def test_a_loop_keeps_a_spike_going_round() -> None:
    cell = CubaNeuron(vth=1, du=4095)
    network = DirectNetwork(
        groups=(
            Group(name="in", size=1),
            Group(name="a", size=1, neuron=cell),
            Group(name="b", size=1, neuron=cell),
        ),
        synapses=(
            Synapses(source="in", target="a", weight=np.array([[10]])),
            Synapses(source="a", target="b", weight=np.array([[10]]), delay=1),
            Synapses(source="b", target="a", weight=np.array([[10]])),
        ),
    )
    record = network.run({"in": np.array([[1]])}, 12)
    assert np.flatnonzero(record.s["a"][0, :, 0]).tolist() == [1, 4, 7, 10]
    assert np.flatnonzero(record.s["b"][0, :, 0]).tolist() == [3, 6, 9]


@st.composite
def direct_networks(draw: Any) -> DirectNetwork:
    """Up to three groups of neurons, any synapses between them, every format."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    payload = draw(st.sampled_from([1, 1, 7]))
    groups = [Group(name="in", size=int(rng.integers(1, 5)), payload=payload)]
    for number in range(draw(st.integers(1, 3))):
        size = int(rng.integers(1, 5))
        kind = draw(st.sampled_from(["cuba", "cuba", "graded", "soft"]))
        groups.append(Group(name=f"g{number}", size=size, neuron=_neuron(rng, kind, size)))
    synapses = []
    for target in groups[1:]:
        for source in groups:
            if source is groups[0] or draw(st.booleans()):
                synapses.append(_synapses(draw, rng, source, target))
    bits = draw(st.sampled_from([None, None, 16, 10]))
    return DirectNetwork(groups=tuple(groups), synapses=tuple(synapses), accumulator_bits=bits)


def _neuron(rng: np.random.Generator, kind: str, size: int) -> Any:
    if kind == "graded":
        return GradedNeuron(vth=rng.integers(0, 300, size))
    if kind == "soft":
        return SoftResetNeuron(threshold=rng.integers(1, 300, size), bias=int(rng.integers(-9, 9)))
    return CubaNeuron(
        vth=rng.integers(0, 400, size),
        du=rng.choice([0, 100, 2048, 4095], size),
        dv=rng.choice([0, 100, 2048, 4095], size),
        bias_mant=rng.integers(-500, 500, size),
        bias_exp=int(rng.integers(0, 8)),
        refractory=int(rng.choice([0, 0, 1, 3])),
    )


def _synapses(draw: Any, rng: np.random.Generator, source: Group, target: Group) -> Synapses:
    shape = (target.size, source.size)
    delay = draw(st.sampled_from(["none", "one", "each"]))
    return Synapses(
        source=source.name,
        target=target.name,
        weight=rng.integers(-300, 301, shape) * rng.integers(0, 2, shape),
        delay={"none": 0, "one": int(rng.integers(0, 4)), "each": rng.integers(0, 4, shape)}[delay],
        format=WeightFormat(
            bits=draw(st.integers(1, 8)),
            exponent=draw(st.integers(-8, 3)),
            sign=draw(st.sampled_from([None, *SignMode])),
            shift=draw(st.sampled_from(Shift)),
        ),
    )


@settings(max_examples=200)
@given(direct_networks(), st.integers(0, 2**32 - 1))
def test_equals_the_naive_chip(network: DirectNetwork, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = network.groups[0]
    low = -source.payload if source.payload > 1 else 0
    data = rng.integers(low, source.payload + 1, (2, 8, source.size))
    record = network.run({"in": data}, 10)
    for sample in range(2):
        expected = NaiveChip(network).run({"in": data[sample]}, 10, {})
        for what in ("s", "v", "u"):
            got = getattr(record, what)
            assert set(got) == set(expected[what]) or not expected[what]
            for name, values in expected[what].items():
                assert got[name][sample].tolist() == values, (what, name)


def test_states_can_be_left_out() -> None:
    network = relay()
    assert network.run({"in": np.array([[1]])}, 3, states=False).v == {}
    assert set(network.run({"in": np.array([[1]])}, 3, states=["out"]).u) == {"out"}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"in": np.array([[2]])}, "inputs of 'in' must be 0 to 1, not 2 to 2"),
        ({"in": np.array([[0.5]])}, "inputs of 'in' must be integers, not float64"),
        ({"in": np.array([1])}, "inputs of 'in' must have the shape (T, 1) or (B, T, 1), not (1,)"),
        ({"out": np.array([[1]])}, "inputs must be given for an input group, not for 'out'"),
    ],
)
def test_bad_inputs(inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        relay().run(inputs)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"delay": 63}, "synapses in -> out: delay must be 0 to 62 steps, not 63"),
        ({"delay": [1, 2]}, "synapses in -> out: delay must be one integer or (1, 1), not (2,)"),
    ],
)
def test_bad_delays(extra: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
        relay(**extra)
