"""The rule of what is evidence: by its cases, and in every comparison that follows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small import small_network
from tools import need

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.toolchain import find_cocotb, find_verilator
from neurocuda_hw.network import Input, Network, Population, Projection, Readout
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.project.verify import Verification, exit_code, verify
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.simulation.mutate import MutantResult
from neurocuda_hw.targets.checks import Check, Request
from neurocuda_hw.targets.evidence import Evidence, counted, none_caught

NETWORK = small_network()
SILENT = np.zeros_like(default_inputs(NETWORK, 1))


@pytest.mark.parametrize(
    ("fields", "little"),
    [
        ({}, ""),
        ({"spikes": {"a": 0, "b": 1}}, ""),
        ({"spikes": {}}, ""),
        ({"spikes": {"a": 1}, "events": None, "outputs": None}, ""),
        ({"samples": 0}, "no sample was compared"),
        ({"events": 0}, "every input was 0 in the 4 samples compared"),
        ({"samples": 1, "events": 0}, "every input was 0 in the sample compared"),
        ({"spikes": {"a": 0, "b": 0}}, "nothing fired in the 4 samples compared"),
        ({"spikes": {"a": 0}, "outputs": 9}, "nothing fired in the 4 samples compared"),
        ({"outputs": 0}, "every output was 0 in the 4 samples compared"),
        ({"spikes": {}, "outputs": 0}, "every output was 0 in the 4 samples compared"),
        ({"spikes": {}, "outputs": None}, "every output was 0 in the 4 samples compared"),
    ],
)
def test_what_is_too_little(fields: dict[str, Any], little: str) -> None:
    told = {"samples": 4, "events": 7, "spikes": {"a": 3, "b": 1}, "outputs": 2} | fields
    assert Evidence(**told).little == little
    check = Check(target="verilog", same=True, **told)
    assert (check.equal, check.verdict) == (not little, "too little" if little else "equal")
    assert (check.to_json()["equal"], check.to_json()["little"]) == (not little, little)
    check = Check(target="verilog", same=False, **told)
    assert (check.equal, check.verdict) == (False, "different")


def test_layers_that_never_fire_are_named() -> None:
    assert Evidence(samples=1, spikes={"a": 0, "b": 1, "c": 0}).silent == ["a", "c"]


def test_what_was_compared_is_counted() -> None:
    trace = Reference(NETWORK).trace(default_inputs(NETWORK, 5))
    assert counted(trace) == {
        "samples": 5,
        "events": np.count_nonzero(trace.inputs),
        "spikes": {name: trace.bits(name).sum() for name in ("conv", "hidden")},
        "outputs": (trace.outputs != 0).sum(),
    }


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [((), 0), (("not exercised",), 4), (("not exercised", "caught"), 0), (("missed",), 1)],
)
def test_mutants_of_which_none_is_caught_show_nothing(outcomes: tuple[str, ...], code: int) -> None:
    check = Check(target="verilog", same=True, samples=1, events=1, spikes={"a": 1}, outputs=1)
    mutants = tuple(MutantResult(kind="bit", place="m", outcome=o) for o in outcomes)
    found = Verification(name="n", network="ab", checks=(check,), mutants=mutants)
    assert (found.exit_code, found.equal) == (code, code == 0)
    if code == 4:
        assert found.little == none_caught(0, 0, 1)
        assert found.little.startswith("none of 1 design broken on purpose changes a spike")


def test_a_divergence_outweighs_too_little() -> None:
    def result(**fields: Any) -> Verification:
        told = {"samples": 1, "events": 1, "spikes": {"a": 1}, "outputs": 1, "same": True}
        check = Check(**{"target": "loihi", **told, **fields})
        return Verification(name="n", network="ab", checks=(check,))

    good, little, wrong = result(), result(outputs=0), result(same=False, spikes={})
    assert [exit_code([r]) for r in (good, little, wrong)] == [0, 4, 1]
    assert exit_code([good, little, wrong]) == 1
    assert exit_code([little, good]) == 4
    assert wrong.different


def test_silence_is_too_little_for_every_target() -> None:
    targets = ("reference", "loihi")
    (found,) = verify(NETWORK, inputs=SILENT, request=Request(targets=targets))
    assert sum(found.checks[0].spikes.values()) > 0  # biases fire by themselves
    assert [c.verdict for c in found.checks] == ["too little"] * 2
    assert (found.equal, found.exit_code) == (False, 4)
    assert found.to_json()["equal"] is False
    why = "every input was 0 in the sample compared"
    assert found.little == f"reference: {why}; loihi: {why}"
    request = Request(targets=targets, allow_little=True)
    (found,) = verify(NETWORK, inputs=SILENT, request=request)
    assert (found.equal, found.exit_code) == (False, 0)


@pytest.mark.slow
def test_each_check_counts_what_it_compares_itself() -> None:
    need(find_verilator(), find_cocotb())  # cocotb: the first 20 samples
    inputs = np.concatenate([np.repeat(SILENT, 20, axis=0), default_inputs(NETWORK, 2)[1:]])
    (found,) = verify(NETWORK, inputs=inputs, request=Request(targets=("reference", "cocotb")))
    assert [(c.verdict, c.samples) for c in found.checks] == [("equal", 21), ("too little", 20)]
    assert found.exit_code == 4


def test_networks_without_a_spiking_population() -> None:
    network = Network(
        populations=(
            Population(name="in", shape=(2,), neuron=Input(encoding=Encoding.SPIKES)),
            Population(name="out", shape=(2,), neuron=Readout()),
        ),
        projections=(
            Projection(source="in", target="out", synapse=Dense(weight=[[1, 0], [0, 0]])),
        ),
        timesteps=1,
    )
    for inputs, code in (([[[1, 1]]], 0), ([[[0, 1]]], 4)):
        request = Request(targets=("reference",))
        (found,) = verify(network, inputs=np.array(inputs), request=request)
        assert found.exit_code == code
