"""Netlists of a small network in every family: equal, and wrong where a gate or a block is."""

from __future__ import annotations

import random
import re

import pytest
from small import small_network
from tools import need

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator, find_yosys
from neurocuda_hw.network.trace import first_divergence
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.passes.mapping import Style, Ways
from neurocuda_hw.passes.study import Study
from neurocuda_hw.project.verify import verify
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import Design, emit
from neurocuda_hw.simulation.simulate import SimulationResult, Simulator
from neurocuda_hw.synth.netlist import make_netlist, models
from neurocuda_hw.targets.checks import Request
from neurocuda_hw.targets.families import NETLISTS

pytestmark = pytest.mark.slow

NETWORK = small_network()
LANES = {"conv": 4, "hidden": 2, "out": 1}
BLOCKS = {Family.ICE40: "SB_RAM40_4K", Family.ECP5: "DP16KD", Family.SERIES7: "RAMB"}
GOLDEN = Reference(NETWORK).trace(default_inputs(NETWORK, 6))
TOP = "rtl/nchw_top.v"


@pytest.fixture(autouse=True)
def _tools() -> None:
    need(find_yosys(), find_verilator(), find_compiler(), find_make())


def design() -> Design:
    """The network with its convolution's states and weights in block memories."""
    ways = {"conv": Ways(styles={"states": Style.BLOCK, "weights of image": Style.BLOCK})}
    return emit(Study(NETWORK, trace=GOLDEN, lanes=LANES, ways=ways))


def simulated(files: dict[str, bytes]) -> SimulationResult:
    return Simulator(NETWORK, files, 32, gates=True).run(GOLDEN, jobs=1)


@pytest.mark.parametrize("family", NETLISTS.values(), ids=list(NETLISTS))
def test_every_spike_of_a_netlist_is_equal(family: Family) -> None:
    files = make_netlist(design().files, family)
    assert BLOCKS[family].encode() in files[TOP]
    if family is Family.ECP5:  # registers went into both, see `synth.absorb`
        assert b'"OUTREG"' in files[TOP]
    found = simulated(files)
    assert (found.equal, found.fault, found.samples) == (True, "", 6)
    assert found.spikes == {name: GOLDEN.counts(name).sum() for name in GOLDEN.sizes}


def test_a_bit_of_a_memory_file_is_caught() -> None:
    made = design()
    path = "rtl/mem/out.hidden.weight.mem"
    lines = made.files[path].split(b"\n")
    lines = [b"%x" % (int(lines[0], 16) ^ 1), *lines[1:]]
    wrong = made.files | {path: b"\n".join(lines)}
    found = simulated(make_netlist(wrong, Family.ICE40))
    place = first_divergence(NETWORK, GOLDEN, found.observed)
    assert place is not None
    assert place.population == "out"


def test_an_inverted_gate_is_caught() -> None:
    """Of ten that were tried, eight were; two mattered in none of these samples."""
    files = make_netlist(design().files, Family.ICE40)
    text = files[TOP].decode()
    gates = list(re.finditer(r"SB_LUT4 #\(\s*\.LUT_INIT\(16'h([0-9a-f]+)\)", text))
    assert len(gates) > 1000
    for gate in random.Random(0).sample(gates, 3):
        inverted = f"{int(gate[1], 16) ^ 0xFFFF:04x}"
        wrong = text[: gate.start(1)] + inverted + text[gate.end(1) :]
        if not simulated(files | {TOP: wrong.encode()}).equal:
            return
    pytest.fail("three inverted gates, and every spike and output was equal")


def test_a_cell_without_a_model_is_told() -> None:
    with pytest.raises(ToolError, match=r"no model of cell ODDX of Lattice ECP5 to simulate with"):
        models("module top();\n  ODDX #(\n  ) a (\n  );\nendmodule\n", Family.ECP5)
    with pytest.raises(ToolError, match=r"netlists are of Lattice iCE40, Lattice ECP5, Xilinx 7"):
        models("", Family.GOWIN)


def test_a_network_by_the_table() -> None:
    request = Request(targets=("netlist",), samples=4, family="ice40")
    (found,) = verify(NETWORK, request=request)
    assert [(c.target, c.verdict) for c in found.checks] == [("netlist", "equal")]
