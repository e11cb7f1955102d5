"""The files of an HLS project: what they are, that they stay the same, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import numpy as np
import pytest
from hls.cases import CASES, case
from small import SPIKES, chain
from tools import need

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.programs import run
from neurocuda_hw.ground.toolchain import find_make, find_vitis
from neurocuda_hw.hls import emit, golden_files, to_hls_cpp
from neurocuda_hw.hls.csim import write
from neurocuda_hw.hls.emit import _environment
from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import LIF
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.passes.folding import uniform_lanes
from neurocuda_hw.reference.reference import Reference


@pytest.mark.parametrize("name", CASES)
def test_the_project_is_whole(name: str) -> None:
    files = emit(case(name))
    assert {
        "Makefile",
        "board/board.tcl",
        "board/nchw_host.py",
        "bounded.sed",
        "nchw_bounded.h",
        "nchw_sim.h",
        "nchw_testbench.h",
        "nchw_top.cpp",
        "nchw_top.h",
        "nchw_types.h",
        "run_hls.tcl",
        "testbench.cpp",
    } == {path for path in files if not path.startswith("tables/")}
    text = files["nchw_top.cpp"].decode()
    included = re.findall(r'#include "(tables/\w+\.inc)"', text)
    assert set(included) == {path for path in files if path.startswith("tables/")}
    assert to_hls_cpp(case(name)) == text


@pytest.mark.parametrize(
    ("there", "called"),
    [
        (["vitis-run", "vitis_hls"], "vitis-run --mode hls --tcl run_hls.tcl"),
        (["vitis-run"], "vitis-run --mode hls --tcl run_hls.tcl"),
        (["vitis_hls"], "vitis_hls -f run_hls.tcl"),
        ([], ""),
    ],
)
def test_make_synth_calls_the_vitis_that_is_there(
    there: list[str], called: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    need(find_make())
    write(emit(case("single")), tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in there:
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    assert find_vitis().version == called.split(" ")[0]
    done = run(find_make(), ["-s", "synth"], cwd=tmp_path, accept=(0, 2))
    if called:
        assert done.stdout.strip() == called
    else:
        assert "neither vitis-run nor vitis_hls was found" in done.stdout


def test_the_same_network_gives_the_same_bytes() -> None:
    assert emit(case("loops")) == emit(case("loops"))


def test_no_line_holds_the_weights_but_tables() -> None:
    text = to_hls_cpp(case("convolutions"))
    assert max(map(len, text.splitlines())) < 200
    assert "\t" not in text
    assert "  \n" not in text


def test_widths_are_the_proved_ones() -> None:
    text = to_hls_cpp(case("single"))  # v- is 0 + 1 + 2, three times at most: -0 to 3 + 2
    assert "typedef int_w<4> v_t;" in text
    assert "static const rom_s<3> THRESHOLD = 3;" in text


def test_golden_files_are_those_of_the_bench() -> None:
    network = case("single")
    trace = Reference(network).trace(default_inputs(network, samples=2))
    files = golden_files(network, trace)
    assert {path: content[:8] for path, content in files.items()} == {
        "golden/stimulus.bin": b"NCHWSTM1",
        "golden/expected.bin": b"NCHWEXP1",
    }


def _chain(threshold: int, size: int = 70, sources: int = 2) -> Network:
    return chain(
        2,
        {
            "input": ((sources,), SPIKES),
            "out": ((size,), LIF(threshold=threshold, decay=1)),
        },
        Dense(weight=np.full((size, sources), threshold)),
    )


def test_lanes_must_name_every_population() -> None:
    with pytest.raises(
        ModelError, match=r"^lanes must name every population, not leave out 'out'$"
    ):
        emit(case("single"), {})


def test_lanes_must_fit_a_word() -> None:
    with pytest.raises(
        ModelError,
        match=r"^population 'out': lanes must be at most 64 in the HLS target, not 70$",
    ):
        emit(_chain(5), {"out": 70})


def test_states_must_fit_the_leak() -> None:
    with pytest.raises(
        ModelError,
        match=r"^population 'out': states must be at most 50 bits wide in the HLS target, not 51; "
        r"scale weights and threshold down$",
    ):
        emit(_chain(2**47, sources=4))


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'steps' is undefined"):
        _environment().from_string("{{ steps }}").render({})


def test_default_lanes() -> None:
    assert emit(_chain(5)) == emit(_chain(5), uniform_lanes(_chain(5)))
