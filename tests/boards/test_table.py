"""The table of boards: pins of amaranth-boards or ours, a part that nextpnr knows."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from neurocuda_hw.boards.table import BOARDS, Pins, boards_of
from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.synth.route import part_options

NAMES = [board.name for board in BOARDS]


def test_every_board_is_there_once_and_complete() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for board in BOARDS:
        assert part_options(board.device)
        assert board.source
        assert bool(board.platform) != bool(board.own)
        assert board.room.luts < board.part.luts
        assert board.name in boards_of(board.family)


def test_the_first_ulx3s_is_the_one_with_the_25f() -> None:
    assert boards_of(Family.ECP5)["ulx3s"].device == "lfe5u-25f"
    assert "icebreaker" not in boards_of(Family.ECP5)


@pytest.mark.parametrize("board", BOARDS, ids=NAMES)
def test_pins_differ_and_the_clock_is_one(board: object) -> None:
    if importlib.util.find_spec("amaranth_boards") is None:
        pytest.skip("amaranth-boards is not installed: pip install 'neurocuda_hw[fpga]'")
    pins = board.pins  # type: ignore[attr-defined]
    assert 10 <= pins.mhz <= 100
    used = [pins.clk, pins.rx, pins.tx, *board.high]  # type: ignore[attr-defined]
    assert len(set(used)) == len(used)


def test_pins_of_the_others_are_those_of_the_board() -> None:
    if importlib.util.find_spec("amaranth_boards") is None:
        pytest.skip("amaranth-boards is not installed: pip install 'neurocuda_hw[fpga]'")
    assert boards_of(Family.ICE40)["icebreaker"].pins == Pins(clk="35", mhz=12, rx="6", tx="9")
    assert boards_of(Family.ECP5)["ulx3s-85f"].pins == Pins(clk="G2", mhz=25, rx="M1", tx="L4")


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amaranth_boards", None)
    monkeypatch.setitem(sys.modules, "amaranth_boards.ulx3s", None)
    with pytest.raises(ToolError, match=r"^the package 'amaranth_boards' is missing; pip install"):
        _ = boards_of(Family.ECP5)["ulx3s"].pins
