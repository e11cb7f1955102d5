"""The emitted C++ as clang and LLVM see it; see `clang_check`. They are no part of `make setup`."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hls.cases import PROJECTS, case, project
from hls.clang_check import SYNTHESIS, dependences, find_clang
from tools import need

from neurocuda_hw.ground.ap_headers import find_ap_headers
from neurocuda_hw.ground.programs import Tool, run
from neurocuda_hw.hls import emit
from neurocuda_hw.hls.csim import write
from neurocuda_hw.network.model_file import load

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
SECONDS = 30  # of a core, for the MNIST CNN

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tools() -> tuple[Tool, Tool]:
    found = find_clang()
    if found is None:
        pytest.skip("needs clang 14 or newer and its opt: apt install clang llvm, or NCHW_CLANG")
    return found


def stated(text: str) -> set[tuple[str, str]]:
    """(namespace, function) of each loop whose dependence a pragma states."""
    found, namespace, function = set(), "", ""
    for line in text.splitlines():
        if opened := re.match(r"namespace (\w+) \{", line):
            namespace = opened[1]
        elif begun := re.match(r"static void (\w+)\(", line):
            function = begun[1]
        elif "#pragma HLS DEPENDENCE variable=state type=inter direction=RAW" in line:
            found.add((namespace, function))
    return found


def unproved(tools: tuple[Tool, Tool], folder: Path) -> set[str]:
    """Arrays with a dependence that is neither excluded by LLVM nor stated in the text."""
    allowed = stated((folder / "nchw_top.cpp").read_text())
    pairs = list(dependences(*tools, folder))
    swept = {p.function[0] for p in pairs if p.function[1:] == ("sweep",)}
    assert swept, "the accesses of a sweep are seen"
    assert allowed, "events add to rows that nobody knows before"
    return {
        f"{'::'.join(p.function)}: {p.memory}"
        for p in pairs
        # the counts of dropped words are registers
        if p.carried and p.function not in allowed and p.function != ("read_packet",)
    }


@pytest.mark.parametrize("name", PROJECTS)
def test_only_stated_dependences(tools: tuple[Tool, Tool], name: str, tmp_path: Path) -> None:
    write(emit(project(name)), tmp_path)
    assert unproved(tools, tmp_path) == set()
    assert "_ZGV" not in (tmp_path / "apart.ll").read_text()  # no static is guarded


@pytest.mark.parametrize(
    ("name", "before", "after", "memory"),
    [
        (
            "convolutions",
            "pack(v[row], v_lanes);\n        spikes",
            "pack(v[row * 5 % ROWS], v_lanes);\n spikes",
            "first::sweep: @_ZL7first_v",
        ),
        (
            "convolutions, bursts",
            " v_now = v[row];",
            " v_now = v[row > 0 ? row - 1 : 0];",
            "first::sweep: @_ZL7first_v",
        ),
        (
            "convolutions",
            "#pragma HLS DEPENDENCE variable=state",
            "// ",
            "first::add_input_0: @_ZL7first_v",
        ),
        (
            "partly, bursts",
            "= held[end ? 0 : n];",
            "= held[n > 0 ? n - 1 : 0]; const_cast<burst::word &>(held[n]) = bits;",
            "a::give: @_ZL6a_held",
        ),
    ],
)
def test_finds_a_dependence(
    tools: tuple[Tool, Tool], name: str, before: str, after: str, memory: str, tmp_path: Path
) -> None:
    files = dict(emit(project(name)))
    text = files["nchw_top.cpp"].decode()
    assert before in text
    files["nchw_top.cpp"] = text.replace(before, after, 1).encode()
    write(files, tmp_path)
    assert unproved(tools, tmp_path) == {f"layer_{memory}"}


def test_finds_a_guard(tools: tuple[Tool, Tool], tmp_path: Path) -> None:
    files = dict(emit(case("single")))
    text = files["nchw_top.cpp"].decode()
    assert "static bool ready = false;" in text
    guarded = text.replace("static bool ready = false;", "static bool ready = step_of();", 1)
    files["nchw_top.cpp"] = guarded.replace(
        "static const int STEPS", "bool step_of();\nstatic const int STEPS"
    ).encode()
    write(files, tmp_path)
    list(dependences(*tools, tmp_path))
    assert "_ZGV" in (tmp_path / "apart.ll").read_text()


def test_the_mnist_cnn_compiles_soon(tools: tuple[Tool, Tool], tmp_path: Path) -> None:
    """In synthesis mode, with the vendor's own integers, whose headers refuse that mode by name."""
    headers = find_ap_headers()
    need(headers)
    write(emit(load(GOLDEN / "mnist_cnn.pt")), tmp_path)
    (tmp_path / "vendor.h").write_text(
        "#include <ap_int.h>\n#include <hls_stream.h>\n#define __SYNTHESIS__\n"
    )
    flags = [flag for flag in SYNTHESIS if flag != "-D__SYNTHESIS__"]
    before = os.times()
    run(
        tools[0],
        [*flags, "-include", "vendor.h", "-isystem", headers.where, "nchw_top.cpp", "-o", "top.ll"],
        cwd=tmp_path,
    )
    assert os.times().children_user - before.children_user <= SECONDS
    text = (tmp_path / "top.ll").read_text()
    assert "nchw_top" in text
    assert "_ZGV" not in text
