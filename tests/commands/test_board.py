"""``nchw build --board``: refused by name, or a folder with a bitstream; the tools act here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands.test_folding import BUILD, Shell, nchw  # noqa: F401  (a fixture)

from neurocuda_hw.boards import implement as module
from neurocuda_hw.boards.implement import Bitstream
from neurocuda_hw.ground.programs import Tool

FACTS = {
    "board": "upduino",
    "bitstream": "board/nchw.bin",
    "mhz": 24.0,
    "routed_mhz": 26.5,
    "critical_path": ["layer.sweep: row", "layer.lanes: sum"],
}
UPDUINO = ("--target", "ice40", "--board", "upduino")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `implement` was asked for; it answers at once."""
    asked: dict[str, Any] = {}

    def implement(rtl: dict[str, bytes], serial: Any, board: Any, **more: Any) -> Bitstream:
        asked.update(more, board=board.name, rtl=rtl)
        files = {**serial(200), "board/nchw.bin": b"bits"}
        return Bitstream(files=files, facts=FACTS)

    monkeypatch.setattr(module, "implement", implement)
    return asked


def test_the_folder_has_bitstream_bridge_and_all_of_the_verilog(
    nchw: Shell,  # noqa: F811
    tmp_path: Path,
    made: dict[str, Any],
) -> None:
    code, out, _ = nchw(*BUILD, *UPDUINO, "--clock", "24", "--baud", "9600")
    assert code == 0
    assert (made["board"], made["clock"], made["baud"]) == ("upduino", 24.0, 9600)
    folder = tmp_path / "out"
    assert (folder / "board" / "nchw.bin").read_bytes() == b"bits"
    assert json.loads((folder / "board" / "board.json").read_text()) == FACTS
    assert (folder / "serial" / "nchw_serial.v").is_file()
    assert {p.name for p in (folder / "rtl").glob("*.v")} <= {Path(p).name for p in made["rtl"]}
    assert (folder / "sim").is_dir()
    text = " ".join(out.split())
    assert "upduino runs at 24 MHz (routed: 26.5 MHz, limited by layer.sweep: row -> " in text
    assert "Next: make -C out/board load" in text
    assert json.loads((folder / "report.json").read_text())["target"] == "ice40"
    assert nchw("report", "out")[0] == 0


def test_lanes_stay_where_they_fit_and_change_where_they_do_not(
    nchw: Shell,  # noqa: F811
    made: dict[str, Any],
) -> None:
    def lanes(*options: str) -> dict[str, int]:
        code, out, _ = nchw(*BUILD, *options, "--force", "--json")
        assert code == 0
        return {p["name"]: p["lanes"] for p in json.loads(out)["populations"] if p["lanes"]}

    usual = lanes()
    assert lanes("--target", "ecp5", "--board", "ulx3s") == usual
    assert lanes("--target", "ecp5", "--board", "ulx3s", "--fit") != usual
    assert set(lanes("--target", "ecp5", "--board", "ulx3s", "--lanes", "1").values()) == {1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "ice40"), "nchw: --target ice40 needs --board icebreaker|upduino|hx8k-"),
        (("--target", "gowin", "--board", "ulx3s"), "nchw: --target gowin needs --board tang"),
        (("--board", "ulx3s"), "nchw: --board is for bitstreams, not for --target verilog"),
        (("--target", "all", "--board", "ulx3s"), "Error: --board is for bitstreams, not for"),
        ((*UPDUINO, "--serial", "100"), "Error: --serial is for boards of your own: --board has"),
        ((*UPDUINO, "--device", "xc7a35t"), "Error: --board upduino has its own device: leave"),
    ],
)
def test_boards_are_refused_by_name(
    nchw: Shell,  # noqa: F811
    options: tuple[str, ...],
    message: str,
) -> None:
    code, _, err = nchw(*BUILD, *options)
    assert code == 2
    assert err.splitlines()[-1].startswith(message)


def test_what_is_too_large_is_refused_with_the_table_before_any_tool(
    nchw: Shell,  # noqa: F811
    tmp_path: Path,
    made: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("neurocuda_hw.boards.table._BRIDGE_BLOCKS", 29)
    code, _, err = nchw(*BUILD, *UPDUINO)
    assert code == 2
    assert "Prediction for ice40up5k" in err
    assert err.splitlines()[-1].startswith("nchw: 'small' does not fit into ice40up5k at any")
    assert not made
    assert not (tmp_path / "out").exists()


def test_a_missing_tool_ends_it_before_anything_is_written(
    nchw: Shell,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking = Tool(name="icepack", problem="icepack was not found; get it")
    monkeypatch.setattr(module, "tools_of", lambda family: [lacking])
    code, _, err = nchw(*BUILD, *UPDUINO)
    assert (code, err.splitlines()[-1]) == (3, "nchw: icepack was not found; get it")
    assert not (tmp_path / "out").exists()
