"""The cocotb bench of the IP block, on a whole one and on ones with faults."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small import small_network
from tools import need

from neurocuda_hw.ground.toolchain import find_cocotb, find_compiler, find_verilator
from neurocuda_hw.project.build import build

pytestmark = pytest.mark.slow

# Each fault is switched on by its number, counted from 1, in the memory file fault.mem; this test
# of the bench must then fail with this message.
FAULTS = {
    "no_tlast": ("interrupt", "SimTimeoutError"),
    "open_in_reset": ("resets_in_mid", "AssertionError: nothing may be taken in reset"),
    "no_errors": ("odd_packets", "AssertionError: "),
    "lost_spikes": ("streams", "AssertionError: 'conv': SPIKES is 0, not "),
    "lost_state": ("streams", "AssertionError: 'conv': {'INTEGRATING': 0, 'SWEEPING': 0, "),
    "irq_stuck": ("interrupt", "AssertionError: the enabled interrupt must raise the line"),
    "swapped": ("constants", "AssertionError: ID is 0x00010001"),
    "no_strobes": ("bus_protocol", "AssertionError: "),
}
# What makes them possible in nchw_ip.v.
CHANGES = {
    "        .m_axis_tlast(m_axis_tlast),\n": "        .m_axis_tlast(core_last),\n",
    "    assign s_axis_tready = core_s_ready & ~core_rst;\n": (
        "    assign m_axis_tlast = core_last & ~no_tlast;\n"
        "    assign s_axis_tready = core_s_ready & ~(core_rst & ~open_in_reset);\n"
        "    assign irq = raw_irq & ~irq_stuck;\n"
    ),
    "        .packet_faults(packet_faults),\n        .activity(activity),\n        .hold(hold),\n"
    "        .irq(irq)\n": (
        "        .packet_faults(no_errors ? 5'd0 : packet_faults),\n"
        "        .activity(lost_spikes ? activity & ~16 : lost_state ? activity | 7 : activity),\n"
        "        .hold(hold),\n        .irq(raw_irq)\n"
    ),
    "        .s_axi_araddr(s_axi_araddr),\n": (
        "        .s_axi_araddr(swapped ? s_axi_araddr ^ 4 : s_axi_araddr),\n"
    ),
    "        .s_axi_wstrb(s_axi_wstrb),\n": (
        "        .s_axi_wstrb(s_axi_wstrb | {4{no_strobes}}),\n"
    ),
}


def patched(text: str) -> str:
    """nchw_ip.v with all faults in it, each switched by its number in fault.mem."""
    switches = "".join(
        f"    wire {name} = fault[0] == {number};\n" for number, name in enumerate(FAULTS, 1)
    )
    text = text.replace(
        "    wire rst = ~aresetn;\n",
        '    reg [7:0] fault [0:0];\n    initial $readmemh("fault.mem", fault);\n'
        f"{switches}    wire core_last, raw_irq;\n    wire rst = ~aresetn;\n",
    )
    for old, new in CHANGES.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return f"/* verilator lint_off WIDTH */\n{text}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build whose wrapper can be told to be faulty."""
    need(find_verilator(), find_compiler(), find_cocotb())
    lanes = {"conv": 4, "hidden": 2, "out": 1}
    path = build(small_network(), tmp_path_factory.mktemp("cocotb") / "build", lanes=lanes)
    wrapper = path / "ip" / "nchw_ip.v"
    wrapper.write_text(patched(wrapper.read_text()))
    return path


def bench(folder: Path, fault: int, test: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "rtl" / "mem" / "fault.mem").write_text(f"{fault:x}\n")
    return subprocess.run(
        [sys.executable, folder / "sim" / "run_cocotb.py", "ip"],
        env={**os.environ, "NCHW_COCOTB_SAMPLES": "3", "COCOTB_TEST_FILTER": test},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_a_right_block_passes(folder: Path) -> None:
    done = bench(folder, 0)
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("cocotb: 10 tests, 0 failed\n")


@pytest.mark.parametrize(("number", "name"), list(enumerate(FAULTS, 1)))
def test_a_faulty_block_fails(folder: Path, number: int, name: str) -> None:
    test, message = FAULTS[name]
    done = bench(folder, number, test)
    assert done.returncode == 1
    assert message in done.stdout
    assert done.stdout.endswith("cocotb: 1 tests, 1 failed\n")
