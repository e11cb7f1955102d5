"""The emitted C++ against what Vitis HLS documents; no vendor tool is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hls.cases import PROJECTS, case, project
from hls.hls_lint import DOCUMENTED, lint
from tools import need

from neurocuda_hw.ground.programs import run
from neurocuda_hw.ground.toolchain import find_compiler
from neurocuda_hw.hls import emit
from neurocuda_hw.hls.csim import write

pytest.importorskip("clang.cindex", reason="pip install libclang")


@pytest.mark.parametrize("name", PROJECTS)
def test_no_static_is_guarded(name: str, tmp_path: Path) -> None:
    """As the compiler sees the text that is synthesised."""
    write(emit(project(name)), tmp_path)
    flags = ["-std=c++14", "-D__SYNTHESIS__", "-DNCHW_FAST", "-DNCHW_CHECK", "-w"]
    need(find_compiler())
    run(find_compiler(), [*flags, "-S", "nchw_top.cpp", "-o", "top.s"], cwd=tmp_path)
    text = (tmp_path / "top.s").read_text()
    assert "nchw_top" in text
    assert "__cxa_guard" not in text


@pytest.mark.parametrize("name", PROJECTS)
def test_emitted_code_is_clean(name: str, tmp_path: Path) -> None:
    need(find_compiler())
    write(emit(project(name)), tmp_path)
    assert lint(tmp_path) == []


def test_every_pragma_that_the_target_needs_is_used(tmp_path: Path) -> None:
    text = emit(case("convolutions"))["nchw_top.cpp"].decode()
    text += emit(case("convolutions"))["nchw_types.h"].decode()
    assert [name for name in DOCUMENTED if f"#pragma HLS {name}" not in text] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("HLS PIPELINE II=1", "HLS PIPELINED II=1", "PIPELINED must be a documented pragma"),
        ("HLS PIPELINE II=1", "HLS PIPELINE I=1", "PIPELINE must have documented options, not I=1"),
        ("variable=weights_0 type", "variable=weight type", "ARRAY_RESHAPE: there is no 'weight'"),
        ("complete dim=2", "complete dim=3", "'weights_0' must be an array of that dimension"),
        ("port=m_axis", "port=n_axis", "port 'n_axis' must be an argument"),
        ("#pragma HLS DATAFLOW", "#pragma HLS UNROLL", "UNROLL must be in a loop"),
        (
            "#pragma HLS DATAFLOW",
            "#pragma HLS DATAFLOW\n    for (int i = 0; i < 2; ++i) {}",
            "a data flow must be declarations and calls, not FOR_STMT",
        ),
        ("n < 433;", "n < place;", "a for loop must count to a constant, by one"),
        ("if (end) break;", "if (end) n = 0;", "a for loop must count to a constant, by one"),
        ("if (e.end) break;", "while (e.end) {}", "a while loop must be pipelined and read a"),
        ("if (e.end) break;", "do {} while (e.end);", "a loop must be a for loop, not DO_STMT"),
        (
            "    int step = 0;",
            "    int step = 0;\n    static uint_w<3> guarded;",
            "guarded must not be a static of class type",
        ),
        ("int step = 0;", "int step = *new int(0);", "memory must not be dynamic"),
        (
            "    write_packet(result, m_axis);",
            "    write_packet(result, m_axis);\n    nchw_top(s_axis, m_axis, dropped, network);",
            "nchw_top must not call itself",
        ),
        (
            "    write_packet(result, m_axis);",
            "",
            "stream 'result' must have one writer and one reader, not 1 users",
        ),
    ],
)
def test_lint_finds(before: str, after: str, message: str, tmp_path: Path) -> None:
    need(find_compiler())
    files = dict(emit(case("convolutions")))
    text = files["nchw_top.cpp"].decode()
    assert before in text
    files["nchw_top.cpp"] = text.replace(before, after, 1).encode()
    write(files, tmp_path)
    assert any(message in found for found in lint(tmp_path)), lint(tmp_path)
