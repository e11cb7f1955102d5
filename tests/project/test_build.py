from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from small import small_network
from tools import need

import neurocuda_hw.project.build as build_module
from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground import aside
from neurocuda_hw.ground.errors import DataError, ModelError, OutputError
from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator
from neurocuda_hw.network import IF, Input, Network, Population, Projection, Readout
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.network.trace import load_trace
from neurocuda_hw.project.build import GENERATED, build
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.register_map import Registers
from neurocuda_hw.simulation.benches import config_header
from neurocuda_hw.targets.built import read_built

NETWORK = small_network()
LANES = {"conv": 4, "hidden": 2, "out": 1}


def tree(folder: Path) -> dict[str, str]:
    """Every file in a folder, with the hash of its content."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of the small network."""
    return build(NETWORK, tmp_path_factory.mktemp("builds") / "first", lanes=LANES)


def test_folder_holds_everything(folder: Path) -> None:
    found = tree(folder)
    assert {path for path in found if not path.startswith("rtl/mem/")} == {
        *("Makefile", "model.pt", "report.json"),
        *("golden/trace.npz", "golden/stimulus.bin", "golden/expected.bin"),
        *("rtl/nchw_top.v", "rtl/nchw_rom.v", "rtl/nchw_ram.v"),
        *("host/nchw_host.py", "host/nchw_host.json", "host/nchw_host.c", "host/nchw_host.h"),
        *("host/Makefile", "sim/serial.cpp"),
        *("sim/bulk.cpp", "sim/bulk_check.h", "sim/bulk_design.h", "sim/bulk_files.h"),
        *("sim/icarus.v", "sim/replay.cpp", "sim/taps.vh"),
        *("sim/config.h", "sim/config.mk", "sim/ports.vlt", "sim/run_cocotb.py"),
        *("sim/taps.vlt", "sim/test_top.py", "sim/verilator.sh", "sim/waivers.vlt"),
        *("sim/test_registers.py", "sim/ip_block.py", "sim/odd_packets.py"),
        *("ip/nchw.h", "ip/nchw_ip.v", "ip/nchw_registers.v", "ip/package_ip.tcl"),
    }
    assert any(path.startswith("rtl/mem/") and path.endswith(".mem") for path in found)
    assert load(folder / "model.pt") == NETWORK
    assert load_trace(folder / "golden" / "trace.npz").network_hash == NETWORK.hash
    assert [p.name for p in folder.parent.iterdir()] == ["first"]


def test_report_tells_what_was_built(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    assert report["network"] == {
        "name": "small",
        "hash": NETWORK.hash,
        "timesteps": 5,
        "input": "image",
        "output": "out",
    }
    assert report["files"] == {
        path: digest for path, digest in tree(folder).items() if path in report["files"]
    }
    assert set(tree(folder)) - set(report["files"]) == {"model.pt", "report.json"}
    conv = report["populations"][1]
    assert conv == {
        "name": "conv",
        "kind": "IF",
        "spiking": True,
        "shape": [4, 5, 6],
        "neurons": 120,
        "window": [0, 5],
        "address_bits": [2, 3, 3],
        "membrane": conv["membrane"],
        "membrane_bits": conv["membrane_bits"],
        "sources": [["image", 0]],
        "weights": 72,
        "weight_bits": 4,
        "lanes": 4,
    }
    assert conv["membrane"][0] < 0 < conv["membrane"][1] < 2 ** (conv["membrane_bits"] - 1)
    assert report["tools"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert report["golden"] == {"samples": 16, "inputs": "random inputs, seed 0"}
    assert report["sizes"]["verilog_bytes"] == sum(p.stat().st_size for p in folder.glob("rtl/*.v"))


def test_same_network_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = tree(build(NETWORK, tmp_path / "again", lanes=LANES))
    first = tree(folder)
    del again["model.pt"], first["model.pt"]  # torch writes the name of the archive into it
    assert {path: d for path, d in first.items() if path in again} == again


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    need(find_verilator(), find_compiler(), find_make())
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "PYTHON")}
    return subprocess.run(
        ["make", "--no-print-directory", "-C", folder, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_lint_is_clean(folder: Path) -> None:
    done = make(folder, "lint")
    assert done.returncode == 0, done.stdout
    assert "%Warning" not in done.stdout


def test_lint_can_fail(folder: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    build(NETWORK, wrong, lanes=LANES)
    rom = wrong / "rtl" / "nchw_rom.v"
    rom.write_text(rom.read_text().replace("output reg  [WIDTH-1:0]", "output reg  [WIDTH:0]"))
    done = make(wrong, "lint")
    assert done.returncode != 0
    assert "%Warning-WIDTH" in done.stdout


@pytest.mark.slow
def test_make_sim_compares_every_spike(folder: Path) -> None:
    done = make(folder, "sim")
    assert done.returncode == 0, done.stdout
    assert done.stdout.rstrip().endswith("EQUAL: 16 inferences")
    stalled = make(folder, "sim", "ARGS=--stall-percent 40 --samples 7")
    assert stalled.stdout.rstrip().endswith("EQUAL: 7 inferences")
    (weights,) = (folder / "rtl" / "mem").glob("out*weight.mem")
    before = weights.read_text()
    lines = before.split()
    lines[2] = f"{int(lines[2], 16) ^ 2:x}"
    weights.write_text("\n".join(lines) + "\n")
    wrong = make(folder, "sim")
    weights.write_text(before)
    assert wrong.returncode != 0
    assert "first divergence: sample " in wrong.stdout
    assert "population 'out', neuron " in wrong.stdout
    assert make(folder, "clean").returncode == 0
    assert not any((folder / name).exists() for name in GENERATED)


def test_earlier_build_is_replaced(tmp_path: Path) -> None:
    target = build(NETWORK, tmp_path / "out", lanes=LANES)
    (target / "obj_dir").mkdir()
    (target / "obj_dir" / "old.o").write_text("old")
    build(NETWORK, target, lanes=dict.fromkeys(LANES, 1), inputs=default_inputs(NETWORK, 3))
    built = read_built(target)
    assert built is not None
    report = built.report
    assert report["golden"] == {"samples": 3, "inputs": "inputs that were given"}
    assert [p["lanes"] for p in report["populations"]] == [0, 1, 1, 1]
    assert not (target / "obj_dir").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_foreign_folder_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "home"
    target.mkdir()
    (target / "thesis.tex").write_text("precious")
    for force in (False, True):
        with pytest.raises(OutputError) as error:
            build(NETWORK, target, lanes=LANES, force=force)
        assert str(error.value) == (
            f"output folder '{target}' must be empty or an earlier build, not hold 'thesis.tex'; "
            "name another one"
        )
    assert list(tree(tmp_path)) == ["home/thesis.tex"]


def test_file_added_to_a_build_is_not_lost(tmp_path: Path) -> None:
    target = build(NETWORK, tmp_path / "out", lanes=LANES)
    (target / "notes.txt").write_text("mine")
    with pytest.raises(OutputError) as error:
        build(NETWORK, target, lanes=LANES)
    assert str(error.value) == (
        f"output folder '{target}' holds 'notes.txt', which no build wrote; move it away, or "
        "replace the whole folder with --force"
    )
    assert (target / "notes.txt").read_text() == "mine"
    build(NETWORK, target, lanes=LANES, force=True)
    assert not (target / "notes.txt").exists()


def test_output_that_is_a_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("text")
    with pytest.raises(OutputError) as error:
        build(NETWORK, target, lanes=LANES)
    assert str(error.value) == f"output folder '{target}' must be a folder, not a file"
    with pytest.raises(OutputError) as error:
        build(NETWORK, target / "below", lanes=LANES)
    assert str(error.value) == f"cannot write '{target / 'below'}': Not a directory"
    assert tree(tmp_path).keys() == {"file"}


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: BaseException
) -> None:
    target = build(NETWORK, tmp_path / "out", lanes=LANES)
    before = tree(tmp_path)

    def fail(network: Network, path: Path) -> None:
        assert (path.parent / "rtl" / "nchw_top.v").is_file()  # half of it is there
        raise trouble

    monkeypatch.setattr(build_module, "save", fail)
    with pytest.raises((OutputError, KeyboardInterrupt)) as error:
        build(NETWORK, target, lanes=LANES)
    if isinstance(trouble, OSError):
        assert str(error.value) == f"cannot write '{target}': No space left on device"
    assert tree(tmp_path) == before
    with pytest.raises((OutputError, KeyboardInterrupt)):
        build(NETWORK, tmp_path / "new", lanes=LANES)
    assert tree(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_old_build_stays_where_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = build(NETWORK, tmp_path / "out", lanes=LANES)
    before = tree(tmp_path)
    rename = Path.rename

    def fail(self: Path, other: Path) -> Path:
        if self.parent.name == "new" and self.name == "model.pt":
            raise OSError(13, "Permission denied")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", fail)
    monkeypatch.setattr(aside, "_exchange", lambda one, other: False)
    with pytest.raises(OutputError, match=r"cannot write '.*out': Permission denied$"):
        build(NETWORK, target, lanes=LANES)
    assert tree(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_the_folder_that_one_stands_in_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out" / "lost+found").mkdir(parents=True)  # as of a mounted file system
    monkeypatch.chdir(tmp_path / "out")
    for samples in (3, 4):
        build(NETWORK, ".", lanes=LANES, inputs=default_inputs(NETWORK, samples))
        assert os.getcwd() == str(tmp_path / "out")  # which a removed folder has not
        assert load_trace("golden/trace.npz").samples == samples
    assert (tmp_path / "out" / "lost+found").is_dir()
    assert not [name for name in (*os.listdir(), *os.listdir("..")) if name.endswith(".part")]


def test_a_link_to_a_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    build(NETWORK, tmp_path / "link", lanes=LANES)
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "real" / "model.pt") == NETWORK
    (tmp_path / "new").symlink_to("nothing")
    build(NETWORK, tmp_path / "new", lanes=LANES)
    assert load(tmp_path / "nothing" / "model.pt") == NETWORK


def test_trace_of_another_network(tmp_path: Path) -> None:
    other = Network(populations=NETWORK.populations, projections=NETWORK.projections, timesteps=6)
    trace = Reference(other).trace(default_inputs(other, 2))
    with pytest.raises(ModelError) as error:
        build(NETWORK, tmp_path / "out", trace=trace)
    assert str(error.value) == (
        f"the trace must be of network {NETWORK.hash[:12]}, not of {other.hash[:12]}; record it "
        "again with 'nchw golden'"
    )
    with pytest.raises(DataError, match=r"^inputs must have the shape \(samples, 2, 2, 5, 6\)"):
        build(NETWORK, tmp_path / "out", inputs=np.zeros((3, 4), dtype=np.int64))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("registers", [Registers.NONE, Registers.CONTROL])
def test_the_core_is_the_same_whatever_is_around_it(
    folder: Path, tmp_path: Path, registers: Registers
) -> None:
    other = tree(build(NETWORK, tmp_path / "other", lanes=LANES, registers=registers))
    whole = tree(folder)
    assert {p: h for p, h in other.items() if p.startswith("rtl/")} == {
        p: h for p, h in whole.items() if p.startswith("rtl/")
    }
    block = {p for p in whole if p.startswith("ip/")}
    assert {p for p in other if p.startswith("ip/")} == (
        block if registers is Registers.CONTROL else set()
    )


def test_progress_is_told(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    inputs = default_inputs(NETWORK, 5)
    build(
        NETWORK,
        tmp_path / "out",
        lanes=LANES,
        inputs=inputs,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(5, 5)]


def test_config_header_of_odd_names_and_spiking_output() -> None:
    image = Population(name="a__b", shape=(3,), neuron=Input(encoding=Encoding.SPIKES))
    out = Population(name="c___d", shape=(2, 1, 4), neuron=IF(threshold=1))
    synapse = Dense(weight=np.ones((8, 3), dtype=np.int64))
    network = Network(
        populations=(image, out),
        projections=(Projection(source="a__b", target="c___d", synapse=synapse),),
        timesteps=7,
    )
    text = config_header(network, 64)
    assert "using Word = uint64_t;" in text
    assert "constexpr bool kOutputSpikes = true;" in text
    assert text.count('{"c___d", false, 2, 1, 4, 1, 0, 2},') == 2
    assert "X(0, nchw_top__DOT__tap_c___05F_d_valid, nchw_top__DOT__tap_c___05F_d_data)" in text
    assert text.endswith(
        "constexpr unsigned kLayers = 1;\n"
        'constexpr const char* kLayerNames[] = {"c___d"};\n'
        "constexpr unsigned kEventBits[] = {1};\n"
        "#define NCHW_ACTIVITIES(X) \\\n"
        "    X(0, nchw_top__DOT__tap_c___05F_d_activity)\n"
    )


def test_config_header_without_spiking_populations() -> None:
    image = Population(name="image", shape=(3,), neuron=Input(encoding=Encoding.SPIKES))
    out = Population(name="out", shape=(2,), neuron=Readout())
    synapse = Dense(weight=np.ones((2, 3), dtype=np.int64))
    network = Network(
        populations=(image, out),
        projections=(Projection(source="image", target="out", synapse=synapse),),
        timesteps=1,
    )
    text = config_header(network, 32)
    assert "constexpr unsigned kPopulations = 0;" in text
    assert "#define NCHW_TAPS(X)\n" in text


@pytest.mark.slow
def test_ten_million_weights(tmp_path: Path) -> None:
    sizes = (2048, 3072, 1200, 10)
    rng = np.random.default_rng(0)
    graded = Input(encoding=Encoding.GRADED, payload_bits=8)
    populations = [Population(name="image", shape=sizes[:1], neuron=graded)]
    projections = []
    for i, (before, after) in enumerate(pairwise(sizes), start=1):
        neuron = Readout() if i == 3 else IF(threshold=rng.integers(20000, 40000, after))
        populations.append(Population(name=f"layer{i}", shape=(after,), neuron=neuron))
        weight = rng.integers(-127, 128, (after, before))
        projections.append(
            Projection(
                source=populations[-2].name,
                target=populations[-1].name,
                synapse=Dense(weight=weight),
            )
        )
    network = Network(populations=tuple(populations), projections=tuple(projections), timesteps=4)
    target = build(network, tmp_path / "big", inputs=default_inputs(network, 4))
    built = read_built(target)
    assert built is not None
    report = built.report
    assert sum(p["weights"] for p in report["populations"]) > 9.9e6
    assert report["sizes"]["verilog_bytes"] < 1_000_000
    assert report["sizes"]["memory_file_bytes"] > 19_000_000
