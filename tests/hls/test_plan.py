"""What is worked out before any C++ is written: processes, sweeps, layouts, cycles."""

from __future__ import annotations

import numpy as np
import pytest
from hls.cases import CASES, case
from small import chain

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.hls.context import context
from neurocuda_hw.hls.cycles import bound, predicted_cycles
from neurocuda_hw.hls.plan import plan_network
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout, Window
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.passes.study import Study
from neurocuda_hw.reference.reference import Reference


def test_a_loop_is_one_process() -> None:
    plan = plan_network(case("loops"))
    assert plan.processes == (("a", "b"), ("c",))
    assert [plan.loops(p) for p in plan.processes] == [True, True]
    assert plan_network(case("convolutions")).processes == (
        ("first",),
        ("second",),
        ("double",),
        ("out",),
    )


@pytest.mark.parametrize("name", CASES)
def test_data_flows_on(name: str) -> None:
    plan = plan_network(case(name))
    rank = {member: i for i, process in enumerate(plan.processes) for member in process}
    assert sorted(rank) == sorted(p.name for p in case(name).targets)
    for layer in plan.layers.values():
        for edge in layer.edges:
            if edge.source.name in rank and not edge.inside:
                assert rank[edge.source.name] < rank[layer.population.name]
        delays = [edge.projection.delay for edge in layer.edges]
        assert delays == sorted(delays, reverse=True)


def test_sweeps_only_where_something_can_change() -> None:
    layers = plan_network(case("convolutions")).layers
    assert {n: (x.first_sweep, x.plan.last_sweep) for n, x in layers.items() if n != "out"} == {
        "first": (0, 3),
        "second": (3, 6),
        "double": (6, 9),
    }
    assert layers["out"].sweeps == 0


def test_predicted_cycles_counted_by_hand() -> None:
    """5 inputs of 2 rows each (8 neurons, 4 lanes); 8 neurons of 1 row each into a readout."""
    network = chain(
        3,
        {
            "input": (
                (5,),
                Input(encoding=Encoding.GRADED, payload_bits=2, window=Window(start=0, stop=1)),
            ),
            "hidden": ((8,), IF(threshold=1, window=Window(start=0, stop=2))),
            "out": ((3,), Readout()),
        },
        Dense(weight=np.ones((8, 5), dtype=int)),
        Dense(weight=np.ones((3, 8), dtype=int)),
    )
    inputs = np.array([[[1, 0, 0, 3, 0]]])  # each neuron gets 4: it fires in its two steps
    trace = Reference(network).trace(inputs)
    lanes = {"hidden": 4, "out": 3}
    cycles = predicted_cycles(network, trace, lanes)
    hidden, out = cycles["hidden"], cycles["out"]
    assert (hidden.events, hidden.rows, hidden.ends, hidden.sweeps) == (2, 4, 3, 4)
    assert (hidden.total, hidden.sends) == (11, 19)
    assert (out.events, out.rows, out.ends, out.sweeps) == (16, 16, 3, 4)
    assert bound(plan_network(network, lanes), cycles) == 23
    study = Study(network, trace=trace, lanes=lanes, bursts=find_bursts(network))
    cycles = predicted_cycles(study)  # all in one step: one end, one sweep, one burst a neuron
    hidden, out = cycles["hidden"], cycles["out"]
    assert (hidden.rows, hidden.ends, hidden.sweeps, hidden.sends) == (4, 1, 2, 9)
    assert (out.events, out.rows, out.ends, out.sweeps) == (8, 8, 1, 4)
    assert bound(plan_network(study), cycles) == 13


def test_an_expander_looks_at_each_burst_in_each_step_of_the_window() -> None:
    network = case("maxima")
    trace = Reference(network).trace(default_inputs(network, samples=3))
    study = Study(network, trace=trace, bursts=find_bursts(network))
    plan, senders = plan_network(study), study.activity.events("b", 5).sum()
    assert plan.expanded == {"b"}
    assert predicted_cycles(study)["b"].expands == pytest.approx(6 * senders + 1 + 11)


def test_members_of_a_loop_send_single_spikes() -> None:
    network = case("ring")
    assert dict(find_bursts(network).counts) == {"m": 4}
    plan = plan_network(Study(network, bursts=find_bursts(network)))
    assert plan.processes == (("p", "m"), ("out",))
    assert not plan.bursts.counts
    assert plan.layers["m"].plan.burst == 0


def test_delayed_and_looping_streams_hold_what_the_proof_says() -> None:
    values = context(plan_network(case("loops")))
    depths = {stream["name"]: stream["needed"] for stream in values["streams"]}
    assert depths == {
        "input_to_a_0": 1,
        "input_to_b_4": 12,
        "b_to_c_5": 1,
        "a_to_c_6": 7,
        "result": 1,
    }
    local = {s["name"]: s["needed"] for p in values["processes"] for s in p["local"]}
    assert local == {"a_to_a_1": 7, "a_to_b_2": 7, "b_to_a_3": 8, "c_to_c_7": 5}
    assert default_inputs(case("loops")).shape[1:] == (7, 5)
