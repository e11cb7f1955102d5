"""The host driver against the C simulation, and the block design in a Tcl interpreter."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hls.cases import CASES, case
from tools import need

from neurocuda_hw.data.stimulus import default_inputs, stimulus_file
from neurocuda_hw.ground.toolchain import find_compiler
from neurocuda_hw.hls import Model, emit
from neurocuda_hw.hls.context import word_bits
from neurocuda_hw.hls.csim import compile_csim, replay, write
from neurocuda_hw.hls.emit import BOARDS
from neurocuda_hw.network import Network
from neurocuda_hw.reference.reference import Reference


def host_of(network: Network) -> Any:
    """The driver of a build, loaded."""
    module = ModuleType("nchw_host")
    exec(emit(network)["board/nchw_host.py"], module.__dict__)
    return module


def answers(network: Network, packets: list[np.ndarray], folder: Path) -> list[np.ndarray]:
    """The words that the C simulation sends for each packet."""
    need(find_compiler())
    write(emit(network), folder)
    program, _ = compile_csim(folder, Model.FAST, optimise=0)
    bits = word_bits(network)
    ends = np.cumsum([len(packet) for packet in packets])
    (folder / "in").write_bytes(stimulus_file(np.concatenate(packets), ends, bits))
    replay(folder, program, ("in", "--words", "out"))
    words = np.fromfile(folder / "out", dtype=f"<u{bits // 8}")
    if not network.output.spiking:
        return list(words.reshape(len(packets), -1))
    marks = np.flatnonzero(words >> np.array(bits - 1, dtype=words.dtype))
    return np.split(words, marks[network.timesteps - 1 : -1 : network.timesteps] + 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_driver_speaks_to_the_c_simulation(name: str, tmp_path: Path) -> None:
    network = case(name)
    host = host_of(network)
    inputs = default_inputs(network, samples=8)
    sent = answers(network, [host.encode(x) for x in inputs], tmp_path)
    outputs = np.stack([host.decode(words) for words in sent])
    assert np.array_equal(outputs, Reference(network).trace(inputs).outputs)


def test_the_driver_refuses_what_does_not_fit() -> None:
    host = host_of(case("convolutions"))
    with pytest.raises(ValueError, match=r"^frames must be \(1, 2, 9, 8\), not \(2, 9, 7\)$"):
        host.encode(np.zeros((2, 9, 7), dtype=int))
    with pytest.raises(ValueError, match=r"^values must be -16 to 15, not 0 to 16$"):
        host.encode(np.arange(144).reshape(2, 9, 8) % 17)
    with pytest.raises(ValueError, match=r"^a packet must have 3 values, not 2$"):
        host.decode(np.zeros(2, dtype=np.uint32))
    with pytest.raises(ValueError, match=r"^a packet must end 7 steps, not 1$"):
        host_of(case("loops")).decode(np.array([1 << 31], dtype=np.uint32))


@pytest.mark.parametrize("wrong", [0, 1])
def test_the_driver_checks_the_network(wrong: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a board that answers each packet with its own first words."""
    network = case("convolutions")
    held = int(network.hash[:16], 16) ^ wrong

    class Channel(SimpleNamespace):
        def transfer(self, buffer: np.ndarray, nbytes: int = 0) -> None:
            self.transferred = 3 * buffer.itemsize
            buffer[:3] = [7, 8, 2**32 - 1] if nbytes == 0 else buffer[:3]

        def wait(self) -> None:
            pass

    registers = SimpleNamespace(network_1=held & 0xFFFFFFFF, network_2=held >> 32)
    started: list[tuple[int, int]] = []
    block = SimpleNamespace(register_map=registers, write=lambda *given: started.append(given))
    dma = SimpleNamespace(recvchannel=Channel(), sendchannel=Channel())
    pynq = SimpleNamespace(
        Overlay=lambda path: SimpleNamespace(dma=dma, nchw=block),
        allocate=lambda size, dtype: np.zeros(size, dtype=dtype),
    )
    monkeypatch.setitem(sys.modules, "pynq", pynq)
    board = host_of(network).Board("nchw.bit")
    assert started == [(0, 0x81)]
    if wrong:
        with pytest.raises(RuntimeError, match=r"^the bitstream must hold network [0-9a-f]{16}, "):
            board.run(np.zeros((2, 9, 8), dtype=int))
    else:
        assert board.run(np.zeros((2, 9, 8), dtype=int)).tolist() == [7, 8, -1]


STAND_INS = """
foreach name {create_project set_property update_ip_catalog create_bd_design create_bd_cell
              connect_bd_intf_net connect_bd_net assign_bd_address validate_bd_design save_bd_design
              make_wrapper launch_runs wait_on_run} {
    proc $name {args} [string map [list NAME $name] {puts [join [linsert $args 0 NAME] "\\x1f"]}]
}
foreach name {get_bd_cells get_bd_intf_pins get_bd_pins get_files get_runs} {
    proc $name {what} {return $what}
}
proc current_project {} {return project}
proc current_fileset {} {return sources}
proc get_ipdefs {all pattern} {
    return [list [string map {* 9.0} $pattern] [string map {* 10.1} $pattern]]
}
proc get_property {what where} {return 100%}
"""


def design(folder: Path, *arguments: str) -> tuple[list[list[str]], str]:
    """What the block design calls, and what went wrong."""
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        pytest.skip("no Tcl interpreter was found; install tcl")
    script = folder / "board" / "board.tcl"
    text = f"{STAND_INS}set argv [list {' '.join(arguments)}]\n"
    text += f"info script {{{script}}}\nsource {{{script}}}\n"
    done = subprocess.run([tclsh], input=text, capture_output=True, text=True, check=False)
    return [line.split("\x1f") for line in done.stdout.splitlines()], done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose IP is exported, and what Vivado leaves."""
    write(emit(case("single")), tmp_path)
    (tmp_path / "nchw_hls" / "solution" / "impl" / "ip").mkdir(parents=True)
    made = tmp_path / "board" / "build"
    for path in (
        "nchw.runs/impl_1/design_1_wrapper.bit",
        "nchw.gen/sources_1/bd/design_1/hw_handoff/design_1.hwh",
    ):
        (made / path).parent.mkdir(parents=True)
        (made / path).write_text("")
    return tmp_path


@pytest.mark.parametrize("board", BOARDS)
def test_every_board_has_its_design(folder: Path, board: str) -> None:
    called, fault = design(folder, board, "125")
    assert fault == ""
    assert called[0][-2:] == ["-part", BOARDS[board]]
    cells = {words[-1]: words[-2] for words in called if words[0] == "create_bd_cell"}
    assert cells["nchw"] == "neurocuda_hw:hls:nchw_top:1.0"
    assert cells["dma"] == "xilinx.com:ip:axi_dma:10.1"
    joined = [words[1:] for words in called if words[0].startswith("connect_bd")]
    assert {pin.split("/")[0] for pair in joined for pin in pair} == set(cells)
    ends = [pair[1] for pair in joined]
    assert len(ends) == len(set(ends)), "nothing is driven twice"
    pins = {pin for pair in joined for pin in pair if pin.startswith("nchw/")}
    assert {
        f"nchw/{n}" for n in ("ap_clk", "ap_rst_n", "s_axis", "m_axis", "s_axi_control")
    } <= pins
    assert any(
        "125" in words[2].split() for words in called if words[:2] == ["set_property", "-dict"]
    )
    assert (folder / "board" / "nchw.bit").is_file()
    assert (folder / "board" / "nchw.hwh").is_file()


def test_a_board_that_is_not_known(folder: Path) -> None:
    _, fault = design(folder, "zybo")
    assert "board must be one of pynq-z2, kv260, zcu102, zcu104, not 'zybo'" in fault
    (folder / "nchw_hls" / "solution" / "impl" / "ip").rmdir()
    _, fault = design(folder, "kv260")
    assert "run 'make synth' with NCHW_PART=kv260 first" in fault
