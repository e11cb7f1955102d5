"""``nchw build --device`` and ``nchw synth`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small import small_network
from tools import need

from neurocuda_hw import cli
from neurocuda_hw.ground.programs import Tool
from neurocuda_hw.ground.toolchain import find_yosys
from neurocuda_hw.network.model_file import save
from neurocuda_hw.passes.devices import DEVICES, Family
from neurocuda_hw.synth import count_cells
from neurocuda_hw.synth.paths import CriticalPath, Hop
from neurocuda_hw.synth.route import Routed


class Shell:
    """Runs ``nchw`` in this process: exit code, standard output, standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(a) for a in arguments])
        out, err = self.capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err


@pytest.fixture
def nchw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """A folder with ``small.pt`` and ``x.npz``."""
    monkeypatch.chdir(tmp_path)
    save(small_network(), tmp_path / "small.pt")
    x = np.random.default_rng(7).integers(0, 16, (5, 2, 2, 5, 6))
    np.savez(tmp_path / "x.npz", x=x)
    return Shell(capsys)


BUILD = ("build", "small.pt", "--inputs", "x.npz", "-o", "out")


def test_the_folder_has_the_lanes_of_the_table(nchw: Shell, tmp_path: Path) -> None:
    code, out, _ = nchw(*BUILD, "--device", "xc7a35t", "--target-cycles", "2000", "--json")
    assert code == 0
    facts = json.loads(out)
    folding = facts["folding"]
    assert (folding["device"], folding["block"]) == ("xc7a35t", "RAMB36")
    assert folding["cycles"] <= 2000
    chosen = {layer["name"]: layer["lanes"] for layer in folding["layers"]}
    built = {p["name"]: p["lanes"] for p in facts["populations"] if p["lanes"]}
    assert chosen == built
    assert (tmp_path / "out" / "rtl" / "nchw_top.v").is_file()


@pytest.mark.slow
def test_device_alone_takes_the_fastest_that_fits(nchw: Shell) -> None:
    code, out, _ = nchw(*BUILD, "--device", "XC7A35T-1CPG236C")
    assert code == 0
    assert "Prediction for xc7a35t (Xilinx 7 series, AMD DS180)" in out
    assert "usable in xc7a35t" in out
    _, slow, _ = nchw(*BUILD, "--device", "xc7a35t", "--target-cycles", "99999", "--json")
    _, fast, _ = nchw(*BUILD, "--device", "xc7a35t", "--fit", "--json")
    assert json.loads(fast)["folding"]["cycles"] < json.loads(slow)["folding"]["cycles"]


def test_what_cannot_fit_is_refused_before_any_tool_runs(
    nchw: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object, **named: object) -> None:
        raise AssertionError("nothing may be emitted")

    monkeypatch.setattr("neurocuda_hw.rtl.emit.emit", never)
    code, out, err = nchw(*BUILD, "--device", "ice40lp384")
    assert (code, out) == (2, "")
    assert "Prediction for ice40lp384 (Lattice iCE40, Lattice FPGA-DS-02029)" in err
    rows = [line.split("│")[1].strip() for line in err.splitlines() if line.startswith("│")]
    assert rows == ["conv", "hidden", "out", "(shared)", "total", "usable in ice40lp384"]
    last = err.splitlines()[-1]
    assert last.startswith(
        "nchw: 'small' does not fit into ice40lp384 at any number of lanes: it takes at least "
    )
    assert last.endswith(" holds it")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fit",), "Error: --target-cycles and --fit need --device"),
        (("--target-cycles", "9"), "Error: --target-cycles and --fit need --device"),
        (
            ("--device", "xc7a35t", "--fit", "--target-cycles", "9"),
            "Error: --target-cycles excludes --fit",
        ),
        (
            ("--device", "xc7a35t", "--lanes", "4"),
            "Error: --device chooses the lanes: it excludes --lanes",
        ),
        (
            ("--device", "xc7a35t", "--target", "loihi"),
            "Error: --device is for --target verilog, not loihi",
        ),
    ],
)
def test_options_that_exclude_one_another(
    nchw: Shell, options: tuple[str, ...], message: str
) -> None:
    code, out, err = nchw(*BUILD, *options)
    assert (code, out, err.splitlines()[-1]) == (2, "", message)


def test_unknown_device_and_impossible_target(nchw: Shell) -> None:
    code, out, err = nchw(*BUILD, "--device", "xc7a35")
    names = ", ".join(d.name for d in DEVICES)
    assert (code, out, err) == (
        2,
        "",
        f"nchw: device must be one of {names}, not 'xc7a35'; did you mean xc7a35t?\n",
    )
    code, out, err = nchw(*BUILD, "--device", "xc7a35t", "--target-cycles", "3")
    assert (code, out) == (2, "")
    assert err.startswith("nchw: target cycles must be at least ")


@pytest.mark.slow
def test_synth_counts_what_a_build_takes(nchw: Shell) -> None:
    need(find_yosys())
    nchw(*BUILD, "--lanes", "1")
    code, out, _ = nchw("synth", "out", "--device", "xc7a35t", "--json")
    facts = json.loads(out)
    assert (code, facts["fits"], facts["device"]) == (0, True, "xc7a35t")
    assert facts["luts"] > facts["memory_luts"] > 0
    code, out, _ = nchw("synth", "out", "--device", "ice40lp384")
    assert code == 1
    assert "It does not fit: see nchw build --device ice40lp384 --fit." in out


def test_synth_tells_the_clock_and_what_limits_it(
    nchw: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = CriticalPath(
        start="layer.sweep: row",
        end="layer.lanes: sum",
        through=(Hop(place="layer.sweep", logic=1.5, wires=2.0), Hop(place="", logic=1, wires=0.5)),
        levels=3,
    )
    mhz, tool = (150.0, 200.0, 210.0), Tool(name="nextpnr-ecp5", version="0.11")
    area = count_cells({"LUT4": 7}, Family.ECP5)
    monkeypatch.setattr("neurocuda_hw.synth.route.require", lambda tool: tool)
    monkeypatch.setattr("neurocuda_hw.synth.synthesise", lambda *files, **options: area)
    monkeypatch.setattr(
        "neurocuda_hw.synth.route.route", lambda *of, **how: Routed(mhz=mhz, path=path, tool=tool)
    )
    nchw(*BUILD, "--lanes", "1")
    told = ("synth", "out", "--device", "lfe5u-25f", "--route", "--seeds", "3")
    code, out, _ = nchw(*told, "--json")
    found = json.loads(out)["route"]
    assert (code, found["mhz"], found["cycles_are"]) == (0, 200.0, "predicted")
    assert found["inferences_per_second"] == pytest.approx(200e6 / found["cycles"], rel=1e-4)
    assert found["ms_per_inference"] == pytest.approx(found["cycles"] / 200e3, rel=1e-3)
    code, out, _ = nchw(*told)
    text = " ".join(out.split())
    assert "200.0 MHz (median of 3 seeds, 150.0 to 210.0; nextpnr-ecp5 0.11)" in text
    assert (
        "Critical path: layer.sweep: row -> layer.lanes: sum, 5.0 ns: 2.5 in registers and 3 "
        "cells of logic, 2.5 in wires; by way of layer.sweep." in text
    )


def test_what_no_tool_can_time_is_refused(nchw: Shell) -> None:
    nchw(*BUILD, "--lanes", "1")
    code, out, err = nchw("synth", "out", "--device", "xc7z020", "--route")
    assert (code, out) == (2, "")
    assert err.startswith("nchw: no open tool can time xc7z020 (Xilinx 7 series): --route is for ")


def test_synth_wants_a_build(nchw: Shell, tmp_path: Path) -> None:
    code, out, err = nchw("synth", tmp_path)
    assert (code, out) == (2, "")
    assert err == (
        f"nchw: {str(tmp_path)!r} must be a folder that 'nchw build' wrote: it has no report.json\n"
    )
