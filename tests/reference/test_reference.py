"""The PyTorch reference against the naive oracle, and its own promises."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle
from small import SPIKES, chain
from strategies import inputs_for, networks

from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.network import Network, Projection
from neurocuda_hw.network.neurons import IF, LIF, CubaLIF, Encoding, Input, Readout, Reset, Window
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool
from neurocuda_hw.network.trace import first_divergence, pack
from neurocuda_hw.reference import reference
from neurocuda_hw.reference.delivery import exact_arithmetic
from neurocuda_hw.reference.reference import Reference, Run, check_inputs, explain


def run(network: Network, inputs: object, **wanted: bool) -> Run:
    return Reference(network).run(inputs, **wanted)


def assert_equal(network: Network, inputs: np.ndarray) -> None:
    """Spikes, membranes, counts, events and outputs of the reference and of the oracle."""
    result = run(network, inputs, spikes=True, membranes=True)
    plain = run(network, inputs)
    oracle = Oracle(network)
    for sample, data in enumerate(inputs):
        expected = oracle.run(data)
        assert result.outputs[sample].tolist() == plain.outputs[sample].tolist() == expected.outputs
        for population in network.populations:
            if not population.spiking:
                continue
            name = population.name
            spikes = expected.spikes[name]
            assert result.spikes[name][sample].flatten(1).tolist() == spikes, name
            assert result.membranes[name][sample].flatten(1).tolist() == expected.membranes[name]
            assert result.counts[name][sample].flatten().tolist() == np.sum(spikes, axis=0).tolist()
            assert result.events[name][sample].tolist() == np.sum(spikes, axis=1).tolist()
            assert plain.counts[name][sample].tolist() == result.counts[name][sample].tolist()
            assert plain.events[name][sample].tolist() == result.events[name][sample].tolist()


@pytest.mark.slow
@settings(max_examples=400)
@given(st.data())
def test_equals_the_oracle(data: st.DataObject) -> None:
    network = data.draw(networks())
    assert_equal(network, data.draw(inputs_for(network, samples=2)))


@settings(max_examples=60)
@given(st.data())
def test_convolutions_equal_the_oracle(data: st.DataObject) -> None:
    network = data.draw(networks(synapses=(Conv2d,), shapes=(3,), layers=2, residual=False))
    assert_equal(network, data.draw(inputs_for(network, samples=1)))


@settings(max_examples=60)
@given(st.data())
def test_a_batch_equals_its_samples(data: st.DataObject) -> None:
    network = data.draw(networks())
    inputs = data.draw(inputs_for(network, samples=3))
    reference = Reference(network)
    together = reference.trace(inputs, membranes=True)
    one_by_one = reference.trace(inputs, membranes=True, batch=1)
    assert together.to_bytes() == one_by_one.to_bytes()
    for sample in range(3):
        alone = reference.trace(inputs[sample : sample + 1], membranes=True)
        assert alone.to_bytes() == together.select(slice(sample, sample + 1)).to_bytes()


@pytest.mark.parametrize("largest", [2**7, 2**20, 2**40])
def test_products_are_exact_beyond_float32(largest: int) -> None:
    """Sums next to 2^24 and 2^53 do not round: float32 would lose the last bit of the second."""
    weight = np.array([[largest, 1, -largest + 1], [largest - 1, largest, 1]])
    network = chain(
        1,
        {
            "input": ((3,), Input(encoding=Encoding.GRADED, payload_bits=8)),
            "out": ((2,), Readout()),
        },
        Dense(weight=weight),
    )
    inputs = np.array([[255, 1, 0], [255, 255, 254]])
    got = run(network, inputs).outputs.tolist()
    assert got == [
        [int(sum(w * x for w, x in zip(row, s, strict=True))) for row in weight.tolist()]
        for s in inputs.tolist()
    ]


@pytest.mark.parametrize("groups", [1, 2])
def test_unfolded_convolution_is_the_convolution(groups: int) -> None:
    """The form that runs on a GPU gives what the CPU's convolution gives."""
    rng = np.random.default_rng(0)
    synapse = Conv2d(
        weight=rng.integers(-9, 9, (4, 4 // groups, 3, 2)),
        stride=(2, 1),
        padding=(1, 2),
        dilation=(1, 2),
        groups=groups,
    )
    shape = synapse.output((4, 7, 6))
    network = chain(
        1,
        {
            "input": ((4, 7, 6), Input(encoding=Encoding.GRADED, payload_bits=4)),
            "out": (shape, Readout()),
        },
        synapse,
    )
    inputs = rng.integers(0, 16, (3, 4, 7, 6))
    expected = run(network, inputs).outputs
    x, weight = torch.as_tensor(inputs).double(), torch.as_tensor(synapse.weight.copy()).double()
    got = synapse.unfolded(x, weight)
    assert got.to(torch.int64).flatten(1).tolist() == expected.tolist()


@pytest.mark.parametrize("stepwise", [False, True])
def test_reduced_precision_of_the_caller_changes_nothing(stepwise: bool) -> None:
    """Autocast would round 2,049 to 2,048, and so would products in bfloat16."""
    network = dense(Readout(), [[2049]], timesteps=1)
    matmul = torch.backends.mkldnn.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        with torch.autocast("cpu", torch.bfloat16):
            result = Reference(network, stepwise=stepwise).run(np.ones((1, 1, 1), int))
        assert matmul.fp32_precision == "bf16"
        with exact_arithmetic(torch.device("cpu")):
            assert matmul.fp32_precision == "ieee"
    finally:
        matmul.fp32_precision = before
    assert result.outputs.tolist() == [[2049]]


def test_traces_of_large_networks_are_recorded_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    network = dense(IF(threshold=10), [[7]])
    inputs = np.ones((5, 4, 1), int)
    whole = Reference(network).trace(inputs, membranes=True)
    monkeypatch.setattr(reference, "_TRACE_BYTES", 4 * 9 * 2)
    calls: list[int] = []
    parts = Reference(network).trace(
        inputs, membranes=True, progress=lambda done, total: calls.append(done)
    )
    assert calls == [2, 4, 5]
    assert parts.to_bytes() == whole.to_bytes()


def dense(neuron: object, weight: list[list[int]], timesteps: int = 4) -> Network:
    """Spike inputs into one dense population."""
    return chain(
        timesteps,
        {
            "input": ((len(weight[0]),), SPIKES),
            "out": ((len(weight),), neuron),
        },
        Dense(weight=np.array(weight)),
    )


@pytest.mark.parametrize(
    ("neuron", "spikes", "membranes"),
    [
        pytest.param(IF(threshold=10), [0, 1, 1, 0], [7, 4, 1, 8], id="subtract"),
        pytest.param(IF(threshold=10, reset=Reset.ZERO), [0, 1, 0, 1], [7, 0, 7, 0], id="zero"),
        pytest.param(
            IF(threshold=10, reset=Reset.TO_VALUE, v_reset=2),
            [0, 1, 0, 1],
            [7, 2, 9, 2],
            id="to value",
        ),
        pytest.param(IF(threshold=7), [1, 1, 1, 1], [0, 0, 0, 0], id="fires at its threshold"),
        pytest.param(IF(threshold=8), [0, 1, 1, 1], [7, 6, 5, 4], id="not below it"),
        pytest.param(
            IF(threshold=10, bias=-7, v_init=10), [1, 0, 0, 0], [0, 0, 0, 0], id="bias and start"
        ),
        pytest.param(
            IF(threshold=100, bias=-9, v_floor=-3), [0, 0, 0, 0], [-2, -3, -3, -3], id="floor"
        ),
        pytest.param(
            IF(threshold=5, window=Window(start=2, stop=3)),
            [0, 0, 1, 0],
            [7, 14, 16, 23],
            id="window",
        ),
        pytest.param(LIF(threshold=10, decay=2048), [0, 1, 0, 1], [7, 0, 7, 0], id="leak"),
        pytest.param(
            LIF(threshold=10, decay=2048, bias=-14), [0] * 4, [-7, -10, -12, -13], id="leak to 0"
        ),
        pytest.param(CubaLIF(threshold=100, du=2048, dv=0), [0] * 4, [7, 17, 29, 42], id="current"),
    ],
)
def test_by_hand(neuron: IF, spikes: list[int], membranes: list[int]) -> None:
    """Four steps of one neuron that receives 7 per step, worked out with pencil and paper."""
    result = run(dense(neuron, [[7]]), np.ones((1, 4, 1), int), spikes=True, membranes=True)
    assert result.spikes["out"].flatten().tolist() == spikes
    assert result.membranes["out"].flatten().tolist() == membranes


def test_a_recurrent_spike_arrives_one_step_later() -> None:
    network = dense(IF(threshold=10), [[10]], timesteps=4)
    inhibition = Projection(
        source="out", target="out", synapse=Diagonal(weight=np.array([-10])), delay=1
    )
    network = Network(
        populations=network.populations,
        projections=(*network.projections, inhibition),
        timesteps=4,
    )
    result = run(network, np.ones((1, 4, 1), int), spikes=True)
    assert result.spikes["out"].flatten().tolist() == [1, 0, 1, 0]
    assert result.events["out"].tolist() == [[1, 0, 1, 0]]


@pytest.mark.parametrize(
    ("encoding", "inputs", "message"),
    [
        (
            Encoding.SPIKES,
            np.zeros((1, 4, 3)),
            "inputs must be integers, not torch.float64; quantise real data first",
        ),
        (
            Encoding.SPIKES,
            np.zeros((1, 4, 2), int),
            "inputs must have the shape (samples, 4, 3), not (1, 4, 2)",
        ),
        (
            Encoding.SPIKES,
            np.zeros((1, 3), int),
            "inputs must have the shape (samples, 4, 3), not (1, 3)",
        ),
        (
            Encoding.CURRENT,
            np.zeros((1, 4, 3), int),
            "inputs must have the shape (samples, 3), not (1, 4, 3)",
        ),
        (
            Encoding.GRADED,
            np.zeros((0, 4, 3), int),
            "inputs must hold at least one sample, not none",
        ),
        (Encoding.SPIKES, np.full((1, 4, 3), 2), "inputs must be 0 to 1, not 2 to 2"),
        (Encoding.GRADED, np.full((1, 4, 3), -1), "inputs must be 0 to 7, not -1 to -1"),
    ],
)
def test_refuses_bad_inputs(encoding: Encoding, inputs: np.ndarray, message: str) -> None:
    bits = 1 if encoding is Encoding.SPIKES else 3
    network = chain(
        4,
        {
            "input": ((3,), Input(encoding=encoding, payload_bits=bits)),
            "out": ((1,), Readout()),
        },
        Dense(weight=np.ones((1, 3), int)),
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        check_inputs(network, inputs)


def test_explains_a_divergence() -> None:
    """Membrane before, and the events with their weights, as worked out by hand."""
    shape = (1, 2, 2)
    network = chain(
        2,
        {
            "input": (shape, Input(encoding=Encoding.GRADED, payload_bits=3)),
            "out": ((2,), IF(threshold=100, v_init=5)),
        },
        Dense(weight=np.array([[3], [-2]]), pool=SumPool(kernel=2)),
    )
    inputs = np.array([[[[[1, 0], [0, 4]]], [[[0, 2], [1, 0]]]]])
    reference = Reference(network)
    expected = reference.trace(inputs)
    spikes = expected.bits("out").copy()
    spikes[0, 1, 1] ^= 1
    got = replace(expected, spikes={"out": pack(spikes)})
    found = first_divergence(network, expected, got)
    assert found is not None
    assert str(explain(network, expected, found)) == (
        "first divergence: sample 0, population 'out', step 1, neuron 1 (1,): expected spike 0, "
        "got 1\n"
        "  membrane before the step: -5\n"
        "  events that reached it in this step: input(0, 0, 1) -2 x 2, input(0, 1, 0) -2"
    )
    first = replace(found, step=0, neuron=0, coordinates=(0,))
    assert explain(network, expected, first).membrane_before == 5


def test_explains_only_spikes() -> None:
    network = dense(Readout(), [[7]])
    trace = Reference(network).trace(np.ones((1, 4, 1), int))
    got = replace(trace, outputs=trace.outputs + 1)
    found = first_divergence(network, trace, got)
    assert found is not None
    assert explain(network, trace, found) is found


def test_progress_counts_samples() -> None:
    calls: list[tuple[int, int]] = []
    inputs = np.ones((5, 4, 1), int)
    Reference(dense(Readout(), [[7]])).trace(
        inputs, batch=2, progress=lambda done, all_: calls.append((done, all_))
    )
    assert calls == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("seed", range(3))
def test_gpu_gives_the_same_trace(seed: int) -> None:
    network = deep_network(np.random.default_rng(seed))
    inputs = np.random.default_rng(seed).integers(0, 16, (3, 4, 2, 8, 8))
    cpu = Reference(network).trace(inputs, membranes=True)
    assert Reference(network, "cuda").trace(inputs, membranes=True).to_bytes() == cpu.to_bytes()


def deep_network(rng: np.random.Generator) -> Network:
    """Two convolutions and a readout with weights of 20 bits, so that float32 would not do."""
    first = Conv2d(weight=rng.integers(-(2**19), 2**19, (6, 2, 3, 3)), padding=(1, 1))
    second = Conv2d(weight=rng.integers(-9, 9, (4, 6, 3, 3)), stride=(2, 2), pool=SumPool(kernel=2))
    return chain(
        4,
        {
            "input": ((2, 8, 8), Input(encoding=Encoding.GRADED, payload_bits=4)),
            "first": ((6, 8, 8), IF(threshold=2**20)),
            "second": ((4, 1, 1), LIF(threshold=9, decay=100)),
            "out": ((3,), Readout()),
        },
        first,
        second,
        Dense(weight=rng.integers(-9, 9, (3, 4))),
    )
