"""The bulk harness on designs with bursts: it spreads them over their steps, and trusts none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from exact_small import exact_network
from taps import tapped

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.network.neurons import LeakyReadout
from neurocuda_hw.network.trace import Trace, first_divergence
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.simulation.mutate import run_mutants
from neurocuda_hw.simulation.simulate import Simulator

pytestmark = pytest.mark.slow

# a readout that leaks needs the steps: the last layer's bursts are expanded
NETWORK = exact_network(o=LeakyReadout(decay=7))
BURSTS = find_bursts(NETWORK)
DESIGN = emit(NETWORK, bursts=BURSTS)


@pytest.fixture(scope="module")
def golden() -> Trace:
    return Reference(NETWORK).trace(default_inputs(NETWORK, 20))


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(NETWORK, DESIGN.files, DESIGN.tdata_bits, BURSTS)


def test_every_spike_is_compared(simulator: Simulator, golden: Trace) -> None:
    result = simulator.run(golden, jobs=1)
    assert result.equal
    assert result.spikes == {name: golden.counts(name).sum() for name in golden.sizes}
    for name, seen in result.activity.items():
        if name in BURSTS.counts:
            bits = np.stack([golden.bits(name, s).any(axis=0) for s in range(golden.samples)])
            assert seen["spikes"] == result.spikes[name] > seen["bursts"] == bits.sum()


@pytest.mark.parametrize(("name", "step"), [("a", 0), ("a", 3), ("b", 4)])
def test_a_divergence_names_its_step(
    simulator: Simulator, golden: Trace, name: str, step: int
) -> None:
    spikes = {key: bits.copy() for key, bits in golden.spikes.items()}
    spikes[name][5, step, 0] ^= 1 << 1
    wrong = replace(golden, spikes=spikes)
    result = simulator.run(wrong, jobs=1)
    assert not result.equal
    place = first_divergence(NETWORK, wrong, result.observed)
    assert place is not None
    assert (place.sample, place.population, place.step, place.neuron) == (5, name, step, 1)


FAULTS = {
    "none": ("a_data", "& 6'b100011", "sent a burst of 0 spikes, not of 1 to 4"),
    "too many": ("a_data", "| 6'b011000", "spikes, not of 1 to 4"),
    "twice": ("a_data", "& 6'b111100", "neuron 0 fired twice"),
    "early": ("b_valid", "& ~tap_b_data[5]", "a burst in step 0, not in step 3"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_no_burst_may_be(golden: Trace, fault: str) -> None:
    wire, change, said = FAULTS[fault]
    files = tapped(DESIGN, wire, change)
    result = Simulator(NETWORK, files, DESIGN.tdata_bits, BURSTS).run(golden, jobs=1)
    assert not result.equal
    assert f"population '{wire[0]}', sample " in result.fault
    assert said in result.fault


def test_mutants_are_caught(simulator: Simulator, golden: Trace) -> None:
    found = run_mutants(NETWORK, simulator, DESIGN, golden, count=3, seed=2)
    for kind, places in {
        "count": ["a, m to 3 of 4", "b to 3 of 4"],
        "divider": ["a rounds up", "b rounds up"],
    }.items():
        told = [(m.place.split(" (")[0], m.outcome) for m in found if m.kind == kind]
        assert told == [(place, "caught") for place in places]
    assert {m.kind for m in found} >= {"threshold", "weight bit"}
    assert all(m.outcome in ("caught", "not exercised") for m in found), found
    assert any(m.outcome == "caught" for m in found)
