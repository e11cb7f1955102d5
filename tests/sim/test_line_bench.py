"""The bulk harness on a design that sends line by line: it demands the order of the lines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stream_networks import residual
from taps import tapped

from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.passes.pipeline import predict
from neurocuda_hw.passes.study import Study
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.simulation.mutate import run_mutants
from neurocuda_hw.simulation.simulate import Simulator

pytestmark = pytest.mark.slow

NETWORK = residual()
BURSTS = replace(find_bursts(NETWORK), streams=True, raster=True)
LANES = {"p": 4, "a": 8, "m": 2, "o": 1}
DESIGN = emit(NETWORK, LANES, BURSTS)


@pytest.fixture(scope="module")
def golden() -> Trace:
    chance = np.random.default_rng(3)
    inputs = chance.integers(0, 4, (12, 1, *NETWORK.input.shape))
    return Reference(NETWORK).trace(inputs * (chance.random(inputs.shape) < 0.5))


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(NETWORK, DESIGN.files, DESIGN.tdata_bits, DESIGN.bursts)


def test_every_spike_is_compared_and_cycles_are_as_predicted(
    simulator: Simulator, golden: Trace
) -> None:
    assert dict(DESIGN.bursts.lines) == {"p": 1, "a": 1, "m": 1}
    result = simulator.run(golden, jobs=1)
    assert result.equal
    assert result.spikes == {name: golden.counts(name).sum() for name in golden.sizes}
    study = Study(NETWORK, trace=golden, lanes=LANES, bursts=BURSTS)
    predicted = predict(study.plans, study.activity)
    assert result.cycles_per_inference == pytest.approx(predicted.cycles, rel=0.1)


def test_mutants_are_caught(simulator: Simulator, golden: Trace) -> None:
    found = run_mutants(NETWORK, simulator, DESIGN, golden, count=2, seed=1)
    assert {m.outcome for m in found} <= {"caught", "not exercised"}, found
    assert any(m.outcome == "caught" for m in found)
    marks = {(m.kind, m.place.split()[0]): m.outcome for m in found if m.kind.startswith("mark ")}
    kinds = ("dropped", "doubled", "early", "row lost")
    expected = {(f"mark {kind}", name): "caught" for kind in kinds for name in "xpam"}
    # neurons of this network that lose one row of their input fire as often without
    expected |= dict.fromkeys([("mark row lost", name) for name in "pa"], "not exercised")
    assert marks == expected


# an event is {end, count (2), c (2), y (3), x (2)}
FAULTS = {
    "an event of the next line": ("data", "^ {6'b0, ~tap_a_data[9], 2'b0}", " of line 1 behind 0 "),
    "a line without its mark": ("valid", "& ~tap_a_data[9]", " of line 1 behind 0 marks"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_comes_out_of_its_line_is_a_fault(golden: Trace, fault: str) -> None:
    wire, change, said = FAULTS[fault]
    files = tapped(DESIGN, f"a_{wire}", change)
    result = Simulator(NETWORK, files, DESIGN.tdata_bits, DESIGN.bursts).run(golden, jobs=1)
    assert not result.equal
    assert "population 'a', sample " in result.fault
    assert said in result.fault
