"""What a board's folder holds: pins, clock and reset around the bridge, and the commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tools import need

from neurocuda_hw.boards.flow import constraints, makefile, steps, top
from neurocuda_hw.boards.pll import choose_pll
from neurocuda_hw.boards.table import Board, Pins, boards_of
from neurocuda_hw.ground.programs import run
from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator
from neurocuda_hw.passes.devices import Family

PINS = Pins(clk="20", mhz=12, rx="15", tx="14")
BOARDS = {
    family: next(iter(boards_of(family).values()))
    for family in (Family.ECP5, Family.ICE40, Family.GOWIN)
}

BENCH = r"""
module SB_PLL40_CORE #(parameter FEEDBACK_PATH = "", DIVR = 0, DIVF = 0, DIVQ = 0,
    FILTER_RANGE = 0)(input RESETB, BYPASS, REFERENCECLK, output PLLOUTGLOBAL, LOCK);
  assign PLLOUTGLOBAL = REFERENCECLK;
  assign LOCK = bench.lock;
endmodule
module nchw_serial(input clk, rst, rx, output tx);
  assign tx = rst;
endmodule
module bench;
  reg clk = 0, lock = 0;
  wire rst, high;
  board board(.clk(clk), .rx(1'b1), .tx(rst), .high_0(high));
  integer n;
  task cycles(input integer count);
    for (n = 0; n < count; n = n + 1) begin #1 clk = 1; #1 clk = 0; end
  endtask
  initial begin
    cycles(20); $display("without lock %b", rst);
    lock = 1; cycles(7); $display("seven %b", rst);
    cycles(1); $display("eight %b", rst);
    cycles(50); lock = 0; #1 $display("lost, no edge %b", rst);
    lock = 1; cycles(7); $display("again seven %b", rst);
    cycles(1); $display("again eight %b %b", rst, high);
    $finish;
  end
endmodule
"""


def upduino() -> Board:
    return boards_of(Family.ICE40)["upduino"]


@pytest.mark.slow
def test_reset_waits_for_the_pll_and_comes_back_with_it(tmp_path: Path) -> None:
    need(find_verilator(), find_compiler(), find_make())
    pll = choose_pll(Family.ICE40, 12, 24.0)
    assert pll is not None
    (tmp_path / "top.v").write_text(top(upduino(), PINS, pll, 115_200))
    (tmp_path / "bench.v").write_text(BENCH)
    told = ["--binary", "--timing", "-CFLAGS", "-std=c++20", "-Wno-fatal", "-Wno-lint"]
    told += ["--top", "bench", "top.v", "bench.v"]
    run(find_verilator(), told, cwd=tmp_path)
    done = subprocess.run(
        [str(tmp_path / "obj_dir" / "Vbench")], capture_output=True, text=True, check=True
    )
    said = [line for line in done.stdout.splitlines() if not line.startswith("-")]
    assert said == [
        "without lock 1",
        "seven 1",
        "eight 0",
        "lost, no edge 1",
        "again seven 1",
        "again eight 0 1",
    ]


def test_pins_in_the_words_of_each_family() -> None:
    found = {f: constraints(board, PINS) for f, board in BOARDS.items()}
    name, text = found[Family.ECP5]
    assert name == "pins.lpf"
    assert 'LOCATE COMP "rx" SITE "15";' in text
    assert 'FREQUENCY PORT "clk" 12 MHZ;' in text
    assert found[Family.ICE40] == ("pins.pcf", "set_io clk 20\nset_io rx 15\nset_io tx 14\n")
    name, text = found[Family.GOWIN]
    assert name == "pins.cst"
    assert 'IO_LOC "tx" 14;' in text
    assert constraints(upduino(), PINS)[1].endswith("set_io high_0 16\n")


@pytest.mark.parametrize("family", BOARDS)
def test_the_makefile_runs_the_same_commands(family: Family, tmp_path: Path) -> None:
    need(find_make())
    board = BOARDS[family]
    todo = steps(board, ["nchw_top.v", "top.v"], 48.0)
    assert [step.tool.split("-")[0] for step in todo][:2] == ["yosys", "nextpnr"]
    (tmp_path / "rtl" / "mem").mkdir(parents=True)
    (tmp_path / "serial").mkdir()
    folder = tmp_path / "board"
    folder.mkdir()
    for path in ("rtl/nchw_top.v", "rtl/mem/a.mem", "serial/nchw_serial.v", "board/top.v"):
        (tmp_path / path).touch()
    (folder / "Makefile").write_text(makefile(board, todo))
    done = subprocess.run(
        ["make", "-n", "-C", str(folder)], capture_output=True, text=True, check=True
    )
    ran = [line for line in done.stdout.splitlines() if line.startswith("cd work && ")]
    if family is Family.ECP5:  # between yosys and nextpnr
        assert ran.pop(1) == "cd work && python3 ../absorb.py netlist.json board"
    assert len(ran) == len(todo) == 3
    for line, step in zip(ran, todo, strict=True):
        for argument in step.arguments:
            assert (argument in line) == (argument != "--timing-allow-fail")
    copied = next(line for line in done.stdout.splitlines() if "mkdir -p work" in line)
    for name in ("../rtl/nchw_top.v", "../rtl/mem/a.mem", "../serial/nchw_serial.v", "top.v"):
        assert name in copied
