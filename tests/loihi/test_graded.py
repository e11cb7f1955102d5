"""Counts as graded spikes: the spikes that they stand for are the golden ones, in every step."""

from __future__ import annotations

import json

import numpy as np
import pytest
from exact_networks import exact_networks
from exact_small import exact_network
from hls.cases import case
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from loihi.test_simulator import can_keep_time
from strategies import inputs_for

from neurocuda_hw import loihi
from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.loihi.graded import graded_counts
from neurocuda_hw.loihi.limits import LOIHI1, LOIHI2
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace, first_divergence
from neurocuda_hw.reference.reference import Reference


def golden(network: Network) -> Trace:
    return Reference(network).trace(default_inputs(network, samples=4))


@pytest.mark.parametrize(
    ("network", "counts", "steps"),
    [
        (case("convolutions"), {"first": 4, "second": 4, "double": 4}, 1),
        (exact_network(), {"b": 4}, 7),  # a maximum takes single spikes, and so from its source
        (case("maxima"), {"b": 5}, 11),  # the output itself
        (case("partly"), {"first": 1}, 9),
        (case("currents"), {}, 6),
    ],
)
def test_who_sends_counts(network: Network, counts: dict[str, int], steps: int) -> None:
    """`steps` of the chip, beside one for each layer on the way."""
    trace = golden(network)
    program = loihi.compile(network, graded_counts=True)
    assert dict(program.lowered.counts.counts) == counts
    assert program.lowered.steps == steps + program.lowered.placements[network.output.name].depth
    assert first_divergence(network, trace, program.run(trace.inputs).trace) is None


@pytest.mark.slow
@settings(max_examples=60)
@given(exact_networks(odd=True), st.data())
def test_random_networks_equal_the_golden_trace(network: Network, data: st.DataObject) -> None:
    assume(can_keep_time(network))
    inputs = data.draw(inputs_for(network, samples=3))
    trace = loihi.spikes(network, inputs, graded_counts=True)
    assert first_divergence(network, Reference(network).trace(inputs), trace) is None


def test_one_message_for_all_spikes_of_a_neuron() -> None:
    network = case("convolutions")
    trace = golden(network)
    single, graded = (
        loihi.run(network, trace.inputs, graded_counts=wish).report for wish in (False, True)
    )
    assert single is not None
    assert graded is not None
    trains = [trace.bits(name, i) for name in trace.sizes for i in range(trace.samples)]
    spikes = sum(int(train.sum()) for train in trains)
    senders = sum(int(train.any(axis=0).sum()) for train in trains)
    assert (single.events.spikes.sum(), graded.events.spikes.sum()) == (spikes, senders)
    assert graded.events.synaptic_ops.sum() < single.events.synaptic_ops.sum()
    assert graded.ns_per_inference < single.ns_per_inference
    assert graded.pj_per_inference < single.pj_per_inference


def test_the_report_says_what_they_change_and_what_is_assumed() -> None:
    network = case("convolutions")
    inputs = golden(network).inputs
    plain = loihi.compile(network)
    assert "graded counts" not in plain.files(inputs)["loihi/report.txt"].decode()
    files = loihi.compile(network, graded_counts=True).files(inputs)
    without = plain.run(inputs).report
    assert without is not None
    told = json.loads(files["loihi/report.json"])["graded_counts"]
    assert told["counts"] == {"first": 4, "second": 4, "double": 4}
    assert told["without"] == without.summary()
    text = files["loihi/report.txt"].decode()
    assert "graded counts: 3 populations, up to 4 spikes in one\n  payloads of 32 bits: pub" in text
    assert f"  without them {without.ns_per_inference / 1e3:.2f} us in 14 steps" in text


def test_several_frames_of_input_keep_their_steps() -> None:
    network = case("convolutions")
    assert graded_counts(network, LOIHI2).merged
    assert not graded_counts(case("maxima"), LOIHI2).merged
    with pytest.raises(
        ModelError,
        match=r"^graded counts must be sent by spikes with a payload, not by those of loihi1; use "
        r"loihi2$",
    ):
        graded_counts(network, LOIHI1)


def test_a_count_implies_steps_without_membranes() -> None:
    network = case("convolutions")
    program = loihi.compile(network, graded_counts=True)
    with pytest.raises(ModelError, match=r"^membranes must be asked for without graded counts$"):
        program.run(golden(network).inputs, membranes=True)


def test_a_wrong_count_is_found() -> None:
    network = case("convolutions")
    trace = golden(network)
    program = loihi.compile(network, graded_counts=True)
    model = program.lowered.placements["second"].model
    assert isinstance(model, loihi.microcode.Program)
    model.most = 3
    found = first_divergence(network, trace, program.run(trace.inputs).trace)
    assert found is not None
    assert (found.population, found.step) == ("second", 6)  # the fourth step of its window
    assert np.array_equal(trace.inputs, golden(network).inputs)
