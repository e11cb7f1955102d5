"""The Verilog: what it holds, and that other tools read it without complaint."""

import numpy as np
import pytest
from small import wired
from tools import need

from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.programs import run
from neurocuda_hw.ground.toolchain import find_yosys
from neurocuda_hw.network.neurons import IF, CubaLIF, Encoding, Input, Readout
from neurocuda_hw.network.synapses import Conv2d, Dense
from neurocuda_hw.passes.memories import BANK
from neurocuda_hw.rtl.emit import emit


def network(size=3, order=1):
    """Graded input, a convolution, a recurrent leaking layer, a readout."""
    rng = np.random.default_rng(0)
    return wired(
        4,
        {
            "x": ((2, 6, 6), Input(encoding=Encoding.GRADED, payload_bits=4)),
            "conv": ((4, 3, 3), IF(threshold=np.array([9, 20, 5, 7]))),
            "leaky": ((size,), CubaLIF(threshold=30, du=400, dv=90)),
            "out": ((2,), Readout()),
        },
        (
            "x",
            "conv",
            Conv2d(weight=rng.integers(-8, 8, (4, 2, 3, 3)), stride=(2, 2), padding=(1, 1)),
        ),
        ("conv", "leaky", Dense(weight=rng.integers(-8, 8, (size, 36)))),
        ("leaky", "leaky", Dense(weight=rng.integers(-8, 8, (size, size))), 1),
        ("leaky", "out", Dense(weight=rng.integers(-8, 8, (2, size))[::order])),
    )


def test_weights_and_thresholds_are_in_files_and_not_in_the_verilog():
    small, large = emit(network(3)), emit(network(300), {"conv": 4, "leaky": 2, "out": 2})
    names = sorted(path for path in large.files if path.endswith(".mem"))
    assert names == [
        "rtl/mem/conv.threshold.mem",
        "rtl/mem/conv.x.weight.mem",
        "rtl/mem/leaky.conv.weight.mem",
        "rtl/mem/leaky.leaky.weight.mem",
        "rtl/mem/out.leaky.weight.mem",
    ]
    lines = large.files["rtl/mem/leaky.leaky.weight.mem"].splitlines()
    banks = -(-300 * 150 // BANK)
    assert len(lines) == BANK
    assert len(lines[0]) == 2 * banks  # two lanes of four bits each
    weights = sum(len(large.files[name]) - len(small.files[name]) for name in names)
    verilog = len(large.files["rtl/nchw_top.v"]) - len(small.files["rtl/nchw_top.v"])
    assert weights > 100_000
    assert verilog < 25_000  # counters, and the queue of the recurrent edge


def test_equal_networks_give_equal_files():
    assert emit(network()).files == emit(network()).files


@pytest.mark.slow
def test_other_weights_do_not_call_yosys_again(monkeypatch):
    first = emit(network()).files
    monkeypatch.setattr("neurocuda_hw.rtl.verilog._run_yosys", lambda *files: "called")
    second = emit(network(order=-1)).files
    assert [p for p in first if first[p] != second[p]] == ["rtl/mem/out.leaky.weight.mem"]
    with pytest.raises(ToolError, match="could not write the Verilog: called"):
        emit(network(7))


def test_ports_and_taps_are_named_as_documented():
    text = emit(network()).files["rtl/nchw_top.v"].decode()
    head = text[text.index("module nchw_top(") :]
    ports = head[head.index("(") + 1 : head.index(")")].replace("\n", " ").split(",")
    wires = ("tdata", "tkeep", "tlast", "tvalid", "tready")
    axis = [f"{side}_axis_{wire}" for side in "sm" for wire in wires]
    others = ["clk", "rst", "packet_faults", "activity"]
    assert sorted(port.strip() for port in ports) == sorted([*others, *axis])
    for name in ("conv", "leaky"):
        assert f"tap_{name}_valid" in head
        assert f"tap_{name}_data" in head
    assert "tap_out_activity" in head
    assert "tap_out_valid" not in head


@pytest.fixture
def folder(tmp_path):
    for path, content in emit(network()).files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    return tmp_path / "rtl" / "mem"


def test_yosys_reads_it(folder):
    yosys = find_yosys()
    need(yosys)
    script = (
        "read_verilog ../nchw_top.v ../nchw_rom.v ../nchw_ram.v; hierarchy -check -top nchw_top; "
        "proc; check -assert"
    )
    run(yosys, ["-q", "-p", script], cwd=folder)
