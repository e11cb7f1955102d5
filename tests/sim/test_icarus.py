"""The bench in Icarus, on the designs that the bulk harness is tested with: whole and broken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from exact_small import exact_network
from small import small_network
from stream_networks import residual
from tiny_design import FAULTS, tiny_design, tiny_network
from tools import need

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.toolchain import find_compiler, find_icarus, find_make
from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import LeakyReadout
from neurocuda_hw.network.trace import Trace, first_divergence
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts, find_bursts
from neurocuda_hw.project.verify import verify
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.simulation.icarus import run_icarus
from neurocuda_hw.simulation.simulate import SimulationResult, Simulator
from neurocuda_hw.targets.checks import Request

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _tools() -> None:
    need(find_icarus(), find_compiler(), find_make())


def golden(network: Network, samples: int = 6) -> Trace:
    return Reference(network).trace(default_inputs(network, samples))


def tiny(fault: str = "", *, spiking: bool = False) -> tuple[Trace, SimulationResult]:
    network = tiny_network(spiking=spiking)
    trace = golden(network)
    return trace, run_icarus(network, tiny_design(network, fault), 32, trace)


@pytest.mark.parametrize("spiking", [False, True], ids=["readout", "spiking"])
def test_a_right_design_is_equal(spiking: bool) -> None:
    trace, found = tiny(spiking=spiking)
    assert (found.equal, found.fault, found.samples) == (True, "", 6)
    assert found.spikes == {name: trace.counts(name).sum() for name in trace.sizes}


SAID = {
    "hang": "no transfer any more; input at word ",
    "twice": "neuron 0 fired twice",
    "extra_marker": "population 'a__b' sent more than 6 inferences of 4 steps",
    "no_tlast": "TLAST must come with ",
    "early_tlast": "TLAST must come with ",
    "bad_address": "population 'a__b', sample 1, step 0: address 7 is of no neuron",
    "dirty_start": "",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_design_is_caught(fault: str) -> None:
    _, found = tiny(fault)
    assert not found.equal
    assert SAID[fault] in found.fault


@pytest.mark.parametrize(
    ("network", "bursts"),
    [
        (small_network(), NO_BURSTS),
        (exact_network(o=LeakyReadout(decay=7)), None),
        (residual(), replace(find_bursts(residual()), streams=True, raster=True)),
    ],
    ids=["spikes", "bursts", "lines"],
)
def test_emitted_verilog_is_equal_in_as_many_cycles(
    network: Network, bursts: Bursts | None
) -> None:
    bursts = find_bursts(network) if bursts is None else bursts
    design, trace = emit(network, bursts=bursts), golden(network)
    found = run_icarus(network, design.files, design.tdata_bits, trace, design.bursts)
    other = Simulator(network, design.files, design.tdata_bits, design.bursts).run(trace)
    assert (found.equal, other.equal) == (True, True)
    assert (found.cycles, found.latency_cycles) == (other.cycles, other.latency_cycles)


def test_memory_files_are_read() -> None:
    network = small_network()
    design, trace = emit(network), golden(network)
    path = next(path for path in design.files if path.endswith("out.hidden.weight.mem"))
    lines = design.files[path].split(b"\n")
    flipped = b"%x" % (int(lines[2][-1:], 16) ^ 1)
    wrong = {path: b"\n".join([*lines[:2], lines[2][:-1] + flipped, *lines[3:]])}
    found = run_icarus(network, design.files | wrong, design.tdata_bits, trace)
    assert not found.equal
    assert first_divergence(network, trace, found.observed) is not None
    files = {name: content for name, content in design.files.items() if name != path}
    lost = run_icarus(network, files, design.tdata_bits, trace)
    assert "an undefined value on a stream or in a spike" in lost.fault


def test_verilog_that_icarus_refuses() -> None:
    network = tiny_network(spiking=False)
    design = tiny_design(network)
    with pytest.raises(ToolError, match="Icarus could not run the Verilog:"):
        run_icarus(network, design | {"rtl/x.v": b"module x(\n"}, 32, golden(network))


def test_a_network_by_the_table() -> None:
    (found,) = verify(small_network(), request=Request(targets=("icarus",), samples=4))
    assert [(c.target, c.verdict) for c in found.checks] == [("icarus", "equal")]
