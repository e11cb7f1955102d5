from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small import small_network
from tiny_design import tiny_network
from tools import need

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.errors import DataError, ModelError, OutputError, ToolError
from neurocuda_hw.ground.toolchain import find_cocotb, find_compiler, find_make, find_verilator
from neurocuda_hw.network import Network
from neurocuda_hw.network.golden import Entry, manifest_bytes
from neurocuda_hw.network.model_file import save
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.project.build import build
from neurocuda_hw.project.verify import verify
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import Design, emit
from neurocuda_hw.simulation import simulate
from neurocuda_hw.simulation.mutate import run_mutants
from neurocuda_hw.simulation.simulate import SimulationResult, Simulator, Stalls
from neurocuda_hw.targets.checks import Request
from neurocuda_hw.targets.verilog import check_of

pytestmark = pytest.mark.slow

NETWORK = small_network()
LANES = {"conv": 4, "hidden": 2, "out": 1}
SAMPLES = 24


@pytest.fixture(autouse=True)
def _tools() -> None:
    need(find_verilator(), find_compiler(), find_make())


@pytest.fixture(scope="module")
def golden() -> Trace:
    return Reference(NETWORK).trace(default_inputs(NETWORK, SAMPLES))


@pytest.fixture(scope="module")
def design() -> Design:
    return emit(NETWORK, LANES)


@pytest.fixture
def folder(tmp_path: Path, golden: Trace) -> Path:
    return build(NETWORK, tmp_path / "built", lanes=LANES, trace=golden)


def altered(trace: Trace, population: str, sample: int, step: int, neuron: int) -> Trace:
    spikes = {name: bits.copy() for name, bits in trace.spikes.items()}
    spikes[population][sample, step, neuron // 8] ^= 1 << (neuron % 8)
    return replace(trace, spikes=spikes)


def memory(folder: Path, population: str, content: str) -> Path:
    """The memory file of one population's weights, thresholds, ..."""
    (path,) = (folder / "rtl" / "mem").glob(f"{population}*{content}.mem")
    return path


def flip(path: Path, line: int, bit: int) -> None:
    """Flips one bit of one word of a memory file."""
    lines = path.read_text().split()
    lines[line] = f"{int(lines[line], 16) ^ (1 << bit):0{len(lines[line])}x}"
    path.write_text("\n".join(lines) + "\n")


def test_network_equals_its_hardware(golden: Trace) -> None:
    (found,) = verify(NETWORK, golden=golden, request=Request(lanes=LANES))
    assert found.equal
    assert found.exit_code == 0
    assert [check.target for check in found.checks] == ["reference", "verilog"]
    reference, verilog = found.checks
    assert verilog.samples == SAMPLES
    assert verilog.spikes == reference.spikes
    assert verilog.spikes["conv"] == golden.counts("conv").sum() > 100
    assert verilog.unequal == {"conv": 0, "hidden": 0, "outputs": 0}
    assert verilog.cycles > verilog.latency_cycles > 0
    assert list(verilog.activity) == ["conv", "hidden", "out"]
    for name, did in verilog.activity.items():
        states = ("integrating", "sweeping", "stalled", "starved", "bubble")
        assert sum(did[state] for state in states) == verilog.cycles
        want = verilog.spikes.get(name, 3 * SAMPLES)  # of the readout, values
        assert did["spikes"] == want
    silent = sum(not sample.any() for sample in golden.inputs)  # each is sent as an event of 0
    assert verilog.activity["conv"]["events"] == np.count_nonzero(golden.inputs) + silent
    assert verilog.activity["hidden"]["events"] == verilog.spikes["conv"]
    assert json.loads(json.dumps(found.to_json()))["equal"] is True


@pytest.mark.parametrize("lanes", [{"conv": 1, "hidden": 1, "out": 1}, None])
def test_other_lanes_and_stalls(golden: Trace, lanes: dict[str, int] | None) -> None:
    request = Request(targets=("verilog",), lanes=lanes, stalls=Stalls(percent=50, seed=4))
    (found,) = verify(NETWORK, golden=golden, request=request)
    assert found.equal


def test_wrong_golden_spike_is_explained(golden: Trace) -> None:
    place = (7, 3, 2 * 30 + 4 * 6 + 5)
    wrong = altered(golden, "conv", *place)
    (found,) = verify(NETWORK, golden=wrong, request=Request(lanes=LANES))
    assert found.exit_code == 1
    reference, verilog = found.checks
    fired = int(golden.bits("conv", 7)[3, place[2]])
    assert reference.unequal == {"conv": 1, "hidden": 0, "outputs": 0}
    assert verilog.unequal == reference.unequal
    assert verilog.divergence is not None
    assert reference.divergence is not None
    for check, expected in ((reference, fired), (verilog, 1 - fired)):
        assert check.message.splitlines()[0] == (
            "first divergence: sample 7, population 'conv', step 3, neuron 89 (2, 4, 5): expected "
            f"spike {expected}, got {1 - expected}"
        )
        assert check.message.splitlines()[1].startswith("  membrane before the step: ")


def test_build_folder_is_verified_as_it_is(folder: Path) -> None:
    (found,) = verify(folder)
    assert (found.name, found.equal) == ("built", True)
    flip(memory(folder, "hidden", "weight"), 5, 2)
    (found,) = verify(folder)
    assert found.exit_code == 1
    reference, verilog = found.checks
    assert reference.equal
    assert not verilog.equal
    assert verilog.divergence is not None
    assert verilog.divergence.population in ("hidden", "out")
    assert "membrane before the step" in verilog.message or verilog.divergence.step < 0


def test_swapped_lanes_in_a_build_folder_are_caught(folder: Path) -> None:
    weights = memory(folder, "conv", "weight")
    lines = [line[1] + line[0] + line[2:] for line in weights.read_text().split()]
    weights.write_text("\n".join(lines) + "\n")  # four lanes of four bits: one digit each
    (found,) = verify(folder)
    assert found.exit_code == 1
    assert found.checks[1].message.startswith("first divergence: sample 1, population 'conv', step")


def test_changed_threshold_in_a_build_folder_is_caught(folder: Path) -> None:
    flip(memory(folder, "conv", "threshold"), 0, 3)
    (found,) = verify(folder)
    assert found.exit_code == 1
    assert "population 'conv', step 1, neuron" in found.checks[1].message


def test_more_samples_than_the_folder_ships(folder: Path) -> None:
    (found,) = verify(folder, inputs=default_inputs(NETWORK, 300, seed=5))
    assert found.equal
    assert found.checks[1].samples == 300


def test_cocotb_runs_the_folders_own_verilog(folder: Path) -> None:
    need(find_cocotb())
    request = Request(targets=("cocotb",), samples=4)
    (found,) = verify(folder, request=request)
    assert [(c.target, c.equal, c.samples) for c in found.checks] == [("cocotb", True, 4)]
    flip(memory(folder, "conv", "threshold"), 0, 3)
    (found,) = verify(folder, request=request)
    assert found.exit_code == 1
    assert found.checks[0].fault.startswith("first divergence: sample 1, population 'conv', step")


def test_mutants_are_caught(folder: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    request = Request(
        targets=("verilog",), mutate=8, progress=lambda *call: calls.append(call), seed=1
    )
    (found,) = verify(folder, request=request)
    assert found.equal
    assert len(found.mutants) == 8 + 2 + 2  # and two lane swaps, two threshold changes
    assert found.count("missed") == 0
    assert found.count("caught") >= 7
    kinds = {m.kind for m in found.mutants}
    assert kinds == {"weight bit", "threshold bit", "swapped lanes", "threshold"}
    single = [m for m in found.mutants if m.kind.endswith("bit")]
    assert all("1 bit)" in m.place and ".mem line " in m.place for m in single)
    assert all(
        m.detail.startswith("first divergence: ") for m in found.mutants if m.outcome == "caught"
    )
    assert calls[-1] == ("mutants", 12, 12)
    assert found.to_json()["mutants"]["caught"] == found.count("caught")


def test_threshold_that_lies_in_the_verilog_is_changed_there() -> None:
    network = tiny_network(spiking=True)
    expected = Reference(network).trace(default_inputs(network, SAMPLES))
    design = emit(network, dict.fromkeys(("a__b", "out"), 1))
    simulator = Simulator(network, design.files, design.tdata_bits)
    found = run_mutants(network, simulator, design, expected, count=0)
    assert [(m.kind, m.outcome) for m in found] == [("threshold", "caught")] * 2
    assert found[0].place.startswith("a__b threshold[")
    assert found[1].place == "out threshold halved (Verilog built again)"
    assert "population 'out', step 0" in found[1].detail


class Blind(Simulator):
    """A harness that always says: equal."""

    def run(self, expected: Trace, **options: object) -> SimulationResult:
        return replace(super().run(expected), observed=expected, equal=True)


class Deaf(Simulator):
    """A harness that does not load the memory files it is given."""

    def run(self, expected: Trace, **options: object) -> SimulationResult:
        return super().run(expected)


@pytest.mark.parametrize("kind", [Blind, Deaf])
def test_mutants_expose_a_harness_that_sees_nothing(
    kind: type[Simulator], golden: Trace, design: Design
) -> None:
    simulator = kind(NETWORK, design.files, design.tdata_bits)
    found = run_mutants(NETWORK, simulator, design, golden, count=3, seed=1)
    missed = [m for m in found if m.outcome == "missed"]
    assert len(missed) >= 6
    assert {m.outcome for m in found} <= {"missed", "not exercised"}
    assert all("the hardware is not the mutated network: first" in m.detail for m in missed)


def test_harness_and_comparison_must_agree(golden: Trace, design: Design) -> None:
    class Lying(Simulator):
        def run(self, expected: Trace, **options: object) -> SimulationResult:
            return replace(super().run(expected), equal=False)

    simulator = Lying(NETWORK, design.files, design.tdata_bits)
    with pytest.raises(ToolError, match=r"^the bulk harness and the comparison of its traces disa"):
        check_of(NETWORK, golden, simulator.run(golden))


def test_compiled_harness_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, design: Design
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("NCHW_CACHE", str(cache))
    made: list[str] = []

    def make(work: Path, name: str, extra: dict[str, str]) -> None:
        """Instead of Verilator and g++: half a minute for nothing."""
        made.append(extra["OBJCACHE"])
        (work / "obj_dir").mkdir()
        (work / "obj_dir" / name).write_text("compiled")

    monkeypatch.setattr(simulate, "_make", make)

    def binary(suffix: str = "", extra: bytes = b"") -> Path:
        files = {
            path: content + extra if suffix and path.endswith(suffix) else content
            for path, content in design.files.items()
        }
        return Simulator(NETWORK, files, design.tdata_bits).binary

    first = binary()
    assert binary(".mem", b"0\n") == first
    assert binary() == first
    assert len(made) == 1
    assert binary("rom.v", b"// other\n") != first
    assert made[0] == made[1]  # where Verilator's library is kept
    assert [path.name.split("-")[0] for path in cache.iterdir()] == ["bulk", "bulk"]
    os.utime(first, (1, 1))
    monkeypatch.setattr(simulate, "_KEPT", 2)
    binary("rom.v", b"// third\n")
    assert len(list(cache.glob("bulk-*"))) == 2
    assert not first.exists()


def test_verilog_that_does_not_compile(design: Design) -> None:
    files = {**design.files, "rtl/nchw_rom.v": b"module nchw_rom; oops\n"}
    with pytest.raises(ToolError) as error:
        Simulator(NETWORK, files, design.tdata_bits)
    assert str(error.value).startswith("make (building the simulation) failed with exit code 2:\n")
    assert "syntax error" in str(error.value)


def test_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, design: Design
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NCHW_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError) as error:
        Simulator(NETWORK, design.files, design.tdata_bits)
    assert str(error.value) == (
        f"cannot write the cache folder '{tmp_path / 'file'}': File exists; name another one "
        "in NCHW_CACHE"
    )


def test_missing_verilator(monkeypatch: pytest.MonkeyPatch, golden: Trace) -> None:
    monkeypatch.setenv("NCHW_VERILATOR", "/none/verilator")
    with pytest.raises(ToolError) as error:
        verify(NETWORK, golden=golden)
    assert error.value.exit_code == 3
    assert str(error.value) == (
        "NCHW_VERILATOR must name a program, not '/none/verilator'; unset it or correct it"
    )


@pytest.fixture
def golden_folder(tmp_path: Path, golden: Trace) -> Path:
    folder = tmp_path / "golden"
    folder.mkdir()
    entries = []
    for name, trace in (("whole", golden), ("part", golden.select(slice(3, 6)))):
        save(NETWORK, folder / f"{name}.pt")
        (folder / f"{name}.npz").write_bytes(trace.to_bytes())
        entries.append(Entry(name=name, model=f"{name}.pt", trace=f"{name}.npz"))
    (folder / "manifest.json").write_bytes(manifest_bytes(folder, entries))
    return folder


def test_golden_folder(golden_folder: Path) -> None:
    found = verify(None, golden=golden_folder, request=Request(lanes=LANES))
    assert [(v.name, v.equal, v.checks[1].samples) for v in found] == [
        ("whole", True, SAMPLES),
        ("part", True, 3),
    ]


def test_golden_folder_with_a_build(golden_folder: Path, folder: Path) -> None:
    assert [v.equal for v in verify(folder, golden=golden_folder)] == [True, True]
    flip(memory(folder, "conv", "threshold"), 0, 3)
    assert [v.exit_code for v in verify(folder, golden=golden_folder)] == [1, 1]


def test_golden_folder_without_this_network(golden_folder: Path) -> None:
    other = Network(populations=NETWORK.populations, projections=NETWORK.projections, timesteps=6)
    with pytest.raises(ModelError) as error:
        verify(other, golden=golden_folder)
    assert str(error.value) == (
        f"the golden folder '{golden_folder}' must have a trace of network {other.hash[:12]}; "
        "record one with 'nchw golden'"
    )


def test_trace_file_of_another_network(golden_folder: Path) -> None:
    other = Network(populations=NETWORK.populations, projections=NETWORK.projections, timesteps=6)
    with pytest.raises(ModelError, match=r"^the trace must be of network [0-9a-f]{12}, not of "):
        verify(other, golden=golden_folder / "whole.npz")


def test_folders_that_are_no_builds(folder: Path, tmp_path: Path, golden: Trace) -> None:
    with pytest.raises(ModelError) as error:
        verify(tmp_path)
    told = f"'{tmp_path}' must be a folder that 'nchw build' wrote: it has no report.json"
    assert str(error.value) == told
    shutil.rmtree(folder / "rtl" / "mem")
    with pytest.raises(ModelError) as error:
        verify(folder)
    assert str(error.value).startswith(f"build folder '{folder}' is damaged (")


def test_changed_folder_has_no_mutants(folder: Path) -> None:
    rom = folder / "rtl" / "nchw_rom.v"
    rom.write_text(rom.read_text() + "// changed\n")
    with pytest.raises(ModelError) as error:
        verify(folder, request=Request(mutate=1))
    assert str(error.value) == (
        f"build folder '{folder}' must hold what this version builds, for mutants to be made; "
        "build it again, or leave --mutate out"
    )


def test_bad_requests() -> None:
    with pytest.raises(
        DataError,
        match=r"^targets must be of reference, verilog, cocotb, icarus, netlist, hls, loihi, "
        r"not 'vhdl'$",
    ):
        verify(NETWORK, request=Request(targets=("verilog", "vhdl")))
    with pytest.raises(DataError, match=r"^samples must be at least 1, not 0$"):
        Request(samples=0)
    with pytest.raises(DataError, match=r"^mutate must be at least 0, not -1$"):
        Request(mutate=-1)
    with pytest.raises(
        DataError, match=r"^name a model, a build folder, or a golden folder to ver"
    ):
        verify(None)
    with pytest.raises(DataError, match=r"^inputs must be 0 to 15, not 16 to 16$"):
        verify(NETWORK, inputs=np.full((1, 2, 2, 5, 6), 16))
