"""Compiled once, run on any inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hls.cases import case
from tools import need

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.errors import DataError, ToolError
from neurocuda_hw.ground.toolchain import find_compiler
from neurocuda_hw.hls import CSimulation, Model, find_ap_headers
from neurocuda_hw.network.trace import first_divergence
from neurocuda_hw.reference.reference import Reference

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def compiled() -> CSimulation:
    need(find_compiler())
    return CSimulation(case("loops"), model=Model.FAST, optimise=0)


def test_runs_again_and_again(compiled: CSimulation) -> None:
    network = case("loops")
    for seed, samples in ((0, 7), (1, 3)):
        inputs = default_inputs(network, samples=samples, seed=seed)
        got = compiled.run(inputs)
        assert first_divergence(network, Reference(network).trace(inputs), got) is None
        assert (got.samples, got.network_hash) == (samples, network.hash)
        assert sum(int(got.counts(name).sum()) for name in got.sizes) > 0


def test_a_readout_and_lanes() -> None:
    need(find_compiler())
    network = case("convolutions")
    lanes = {"first": 2, "second": 1, "double": 6, "out": 3}
    inputs = default_inputs(network, samples=4)
    got = CSimulation(network, lanes=lanes, model=Model.FAST, optimise=0).run(inputs)
    want = Reference(network).trace(inputs)
    assert first_divergence(network, want, got) is None
    np.testing.assert_array_equal(got.outputs, want.outputs)


def test_the_vendors_integers_are_the_default_where_they_are_here() -> None:
    need(find_compiler(), find_ap_headers())
    compiled = CSimulation(case("single"), optimise=0)
    assert compiled.model is Model.AP_INT
    inputs = default_inputs(case("single"), samples=3)
    want = Reference(case("single")).trace(inputs)
    assert first_divergence(case("single"), want, compiled.run(inputs)) is None


def test_built_in_integers_where_the_headers_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    need(find_compiler())
    monkeypatch.setenv("NCHW_AP_INCLUDE", "/nowhere")
    assert CSimulation(case("single"), optimise=0).model is Model.FAST
    with pytest.raises(ToolError, match=r"^NCHW_AP_INCLUDE must name a folder with ap_int.h"):
        CSimulation(case("single"), model=Model.AP_INT)


def test_inputs_must_fit(compiled: CSimulation) -> None:
    with pytest.raises(
        DataError, match=r"^inputs must have the shape \(samples, 7, 5\), not \(2, 5\)$"
    ):
        compiled.run(np.zeros((2, 5), dtype=int))


def test_its_files_go_with_it() -> None:
    need(find_compiler())
    compiled = CSimulation(case("single"), model=Model.FAST, optimise=0)
    folder = compiled.folder
    assert compiled.program.is_file()
    del compiled
    assert not folder.exists()
