"""Population by population against step by step and against the naive oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle
from small import chain, wired
from strategies import inputs_for, networks

from neurocuda_hw.network import Network, Projection
from neurocuda_hw.network.neurons import IF, CubaLIF, Encoding, Input, Readout, Window
from neurocuda_hw.network.ranges import network_ranges
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal
from neurocuda_hw.reference import reference
from neurocuda_hw.reference.layerwise import Layerwise, is_layered
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.reference.stepping import Run


def in_turn(network: Network, lengths: Sequence[int]) -> Network:
    """`network` with windows such that every population fires once its sources are done."""
    stops: dict[str, int] = {}
    populations = []
    for population, length in zip(network.populations, lengths, strict=False):
        neuron = population.neuron
        ends = [stops[q.source] - 1 + q.delay for q in network.incoming(population.name)]
        start = max(ends, default=0)
        stops[population.name] = start + length
        window = Window(start=start, stop=start + length)
        if isinstance(neuron, IF):
            neuron = replace(neuron, window=window, v_floor=None)
        elif isinstance(neuron, Input):
            neuron = replace(neuron, window=window)
        populations.append(replace(population, neuron=neuron))
    return replace(network, populations=tuple(populations), timesteps=max(stops.values()))


def assert_same(a: Run, b: Run) -> None:
    """Everything that two runs recorded."""
    assert a.outputs.tolist() == b.outputs.tolist()
    for table in ("events", "counts", "spikes", "membranes"):
        mine, other = getattr(a, table), getattr(b, table)
        assert sorted(mine) == sorted(other), table
        for name in mine:
            assert mine[name].dtype == other[name].dtype, (table, name)
            assert mine[name].tolist() == other[name].tolist(), (table, name)


def assert_both_same(network: Network, inputs: np.ndarray) -> Run:
    """The two orders of execution, with and without every record; returns the run without any."""
    fast, slow = Reference(network), Reference(network, stepwise=True)
    assert not fast.stepwise
    for spikes, membranes in ((False, False), (True, False), (False, True), (True, True)):
        run = fast.run(inputs, spikes=spikes, membranes=membranes)
        assert_same(run, slow.run(inputs, spikes=spikes, membranes=membranes))
    return fast.run(inputs)


@pytest.mark.slow
@settings(max_examples=200)
@given(st.data())
def test_equals_step_by_step(data: st.DataObject) -> None:
    network = data.draw(networks(recurrent=False))
    assert_both_same(network, data.draw(inputs_for(network, samples=2)))


@pytest.mark.slow
@settings(max_examples=300)
@given(st.data())
def test_sums_before_the_first_spike_equal_the_oracle(data: st.DataObject) -> None:
    """Layers that fire in turn take the events of all steps added up, whatever their reset."""
    drawn = data.draw(networks(neurons=(IF,), encodings=(Encoding.SPIKES, Encoding.GRADED),
                               recurrent=False))  # fmt: skip
    lengths = data.draw(st.lists(st.integers(1, 4), min_size=5, max_size=5))
    network = in_turn(drawn, lengths)
    layers = Layerwise(network, network_ranges(network), torch.device("cpu"), membranes=False)
    assert all(layer.settles for layer in layers.layers.values())
    inputs = data.draw(inputs_for(network, samples=2))
    run = assert_both_same(network, inputs)
    oracle = Oracle(network)
    for sample, one in enumerate(inputs):
        expected = oracle.run(one)
        assert run.outputs[sample].tolist() == expected.outputs
        for name, counts in run.counts.items():
            assert counts[sample].flatten().tolist() == np.sum(expected.spikes[name], 0).tolist()
            assert run.events[name][sample].tolist() == np.sum(expected.spikes[name], 1).tolist()


def lone(neuron: IF | CubaLIF, *, delay: int = 0, weight: int = 3, bias: int = 0) -> Network:
    """Two graded steps into one neuron, into a readout."""
    return wired(
        6,
        {
            "input": (
                (2,),
                Input(encoding=Encoding.GRADED, payload_bits=8, window=Window(start=0, stop=2)),
            ),
            "hidden": ((1,), neuron),
            "out": ((1,), Readout(bias=bias)),
        },
        ("input", "hidden", Dense(weight=np.array([[weight, -1]])), delay),
        ("hidden", "out", Diagonal(weight=np.array([5]))),
    )


def settles(network: Network) -> list[bool]:
    """Of each population that computes."""
    layers = Layerwise(network, network_ranges(network), torch.device("cpu"), membranes=False)
    return [layer.settles for layer in layers.layers.values()]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        pytest.param(lone(IF(threshold=9, window=Window(start=1, stop=4))), True, id="in turn"),
        pytest.param(lone(IF(threshold=9, window=Window(start=0, stop=4))), False, id="too early"),
        pytest.param(
            lone(IF(threshold=9, window=Window(start=1, stop=4)), delay=1),
            False,
            id="delayed",
        ),
        pytest.param(
            lone(IF(threshold=9, window=Window(start=2, stop=4)), delay=1),
            True,
            id="late enough",
        ),
        pytest.param(
            lone(IF(threshold=9, v_floor=0, window=Window(start=1, stop=4))),
            False,
            id="floor",
        ),
        pytest.param(
            lone(CubaLIF(threshold=9, du=0, dv=0, window=Window(start=1, stop=4))),
            False,
            id="current",
        ),
        pytest.param(
            lone(IF(threshold=9, window=Window(start=1, stop=4)), weight=2**45),
            False,
            id="sums beyond float64",
        ),
    ],
)
def test_only_what_may_be_added_up_is(network: Network, expected: bool) -> None:
    assert settles(network) == [expected, True]
    inputs = np.random.default_rng(0).integers(0, 256, (4, 2, 2))
    assert_both_same(network, inputs)


def test_a_floor_matters() -> None:
    """What the floor cut off in the first step is not there in the second: 0 - 9 -> 0, + 9."""
    neuron = IF(threshold=9, v_floor=0, window=Window(start=1, stop=2))
    run = Reference(lone(neuron)).run(np.array([[[0, 9], [3, 0]]]))
    assert run.counts["hidden"].tolist() == [[1]]


@pytest.mark.parametrize("bits", [5, 15, 30, 40])
def test_sums_of_any_size_are_exact(bits: int) -> None:
    """Beyond 2^24 float32 would lose the last bits, with 8-bit payloads from 2^16 on."""
    rng = np.random.default_rng(bits)
    weight = rng.integers(-(2**bits), 2**bits, (3, 2, 3, 3))
    network = chain(
        5,
        {
            "input": (
                (2, 5, 5),
                Input(encoding=Encoding.GRADED, payload_bits=8, window=Window(start=0, stop=2)),
            ),
            "hidden": ((3, 3, 3), IF(threshold=2**bits + 1, window=Window(start=1, stop=5))),
            "out": ((3, 3, 3), Readout()),
        },
        Conv2d(weight=weight),
        Diagonal(weight=rng.integers(-(2**bits), 2**bits, 3)),
    )
    inputs = rng.integers(0, 256, (3, 2, 2, 5, 5))
    assert settles(network) == [True, True]
    run = assert_both_same(network, inputs)
    oracle = Oracle(network)
    for sample, one in enumerate(inputs):
        assert run.outputs[sample].tolist() == oracle.run(one).outputs


def test_large_batches_run_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    network = lone(IF(threshold=9, window=Window(start=0, stop=4)))
    inputs = np.random.default_rng(0).integers(0, 256, (7, 2, 2))
    whole = Reference(network).run(inputs, spikes=True, membranes=True)
    monkeypatch.setattr(reference, "_CPU_ELEMENTS", 10)
    sizes: list[int] = []
    run = Layerwise.run

    def noted(self: Layerwise, data: torch.Tensor, *, spikes: bool) -> Run:
        sizes.append(len(data))
        return run(self, data, spikes=spikes)

    monkeypatch.setattr(Layerwise, "run", noted)
    assert_same(Reference(network).run(inputs, spikes=True, membranes=True), whole)
    assert sizes == [2, 2, 2, 1]


def test_recurrent_networks_go_step_by_step() -> None:
    network = lone(IF(threshold=9))
    back = Projection(
        source="hidden", target="hidden", synapse=Diagonal(weight=np.array([-2])), delay=1
    )
    recurrent = replace(network, projections=(*network.projections, back))
    assert is_layered(network)
    assert not is_layered(recurrent)
    assert not Reference(network).stepwise
    assert Reference(recurrent).stepwise
