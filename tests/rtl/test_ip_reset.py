"""CONTROL.RESET at any moment: the output stream keeps AXI's rules, and every packet has an end.

The wrapper of the IP block between a core that sends packets of five words and registers that hold
it in reset at random; in Icarus.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from small import small_network
from tools import need

from neurocuda_hw.ground.toolchain import find_icarus
from neurocuda_hw.rtl.ip import wrapper
from neurocuda_hw.rtl.registers import RegisterBlock

CORE = """
module nchw_top(input clk, rst, input [31:0] s_axis_tdata, input [3:0] s_axis_tkeep,
    input s_axis_tlast, s_axis_tvalid, output s_axis_tready, output [31:0] m_axis_tdata,
    output [3:0] m_axis_tkeep, output m_axis_tlast, output m_axis_tvalid, input m_axis_tready,
    output [4:0] packet_faults, output [99:0] activity);
    reg [31:0] at = 0;
    reg valid = 0;
    assign s_axis_tready = 1, m_axis_tdata = at, m_axis_tlast = at == 4, m_axis_tvalid = valid, m_axis_tkeep = 15;
    always @(posedge clk) begin
        if (valid & m_axis_tready) begin
            at <= at == 4 ? 0 : at + 1;
            valid <= 0;
        end
        if (!valid) valid <= $random;
        if (rst) {at, valid} <= 0;
    end
endmodule
"""
BENCH = """
module bench;
    reg aclk = 0, aresetn = 0, ready = 0, was = 0, was_last, open = 0;
    reg [31:0] was_data, at = 0;
    reg [3:0] was_keep;
    wire valid, last;
    wire [31:0] data;
    wire [3:0] keep;
    integer i, quiet = 0, ends = 0, nulls = 0;
    nchw_ip dut (.aclk(aclk), .aresetn(aresetn), .s_axis_tdata(32'd0), .s_axis_tkeep(4'd0),
        .s_axis_tlast(1'b0), .s_axis_tvalid(1'b0), .m_axis_tvalid(valid), .m_axis_tready(ready),
        .m_axis_tdata(data), .m_axis_tkeep(keep), .m_axis_tlast(last));
    initial begin
        for (i = 0; i < 20000; i = i + 1) begin
            aresetn = i > 3;
            ready = $random;
            if (i % 500 > 450) ready = 1;
            #1;
            if (was && !(valid && data === was_data && keep === was_keep && last === was_last))
                $display("WRONG withdrawn at %0d", i);
            if (valid && ready) begin
                if (keep == 15 && data != at) $display("WRONG word %0d, not %0d", data, at);
                if (keep == 0 && !(last && open)) $display("WRONG null at %0d", i);
                at = last ? 0 : at + 1;
                open = !last;
                ends = ends + last;
                nulls = nulls + (keep == 0);
            end
            quiet = dut.registers.hold && ready ? quiet + 1 : 0;
            if (quiet > 4 && (valid || open)) $display("WRONG open in reset at %0d", i);
            was = aresetn && valid && !ready;
            was_data = data;
            was_keep = keep;
            was_last = last;
            aclk = 1;
            #1 aclk = 0;
        end
        $display("%0d packets, %0d ended early", ends, nulls);
    end
endmodule
"""


def said(folder: Path, break_it: tuple[str, str] = ("", "")) -> list[str]:
    """What the bench prints of the wrapper, broken by a replacement."""
    need(find_icarus())
    block = RegisterBlock(small_network(), tdata_bits=32, counters=True)
    text = wrapper(block, 32)
    assert break_it[0] in text
    ports = [name for name in block.signature.members if name.startswith("s_axi_")]
    registers = f"""
module nchw_registers(input clk, rst, {", ".join(f"input {name}" for name in ports)},
    input input_valid, input_ready, input_last, output_valid, output_ready, output_last,
    input [4:0] packet_faults, input [99:0] activity, output reg hold, output irq);
    initial hold = 0;
    reg [4:0] left = 0;
    always @(posedge clk) begin
        left <= left - (left != 0);
        if (left == 0) begin
            hold <= ($random & 3) == 0;
            left <= 1 + ($random & 15);
        end
    end
endmodule
"""
    sources = text.replace(*break_it) if break_it[0] else text
    (folder / "all.v").write_text(sources + CORE + registers + BENCH)
    icarus = find_icarus().where
    for command in (
        [icarus, "-g2005", "-s", "bench", "-o", "bench.vvp", "all.v"],
        [str(Path(icarus).with_name("vvp")), "-n", "bench.vvp"],
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_every_packet_ends_and_nothing_is_withdrawn(tmp_path: Path) -> None:
    (told,) = said(tmp_path)
    packets, early = (int(word) for word in told.split() if word.isdigit())
    assert packets > 1.2 * early > 100


@pytest.mark.parametrize(
    "broken",
    [
        ("offered <= core_m_valid & ~m_axis_tready;", "offered <= 0;"),
        ("cut <= sent ? ~core_m_last : begun & ~core_m_valid;", "cut <= 0;"),
        ("cut <= closing & ~m_axis_tlast;", "cut <= 0;"),
        ("wire shown = ~closing & ~held;", "wire shown = ~closing & ~hold;"),
        (".m_axis_tready(m_axis_tready & shown)", ".m_axis_tready(m_axis_tready)"),
    ],
)
def test_a_broken_end_is_caught(tmp_path: Path, broken: tuple[str, str]) -> None:
    assert any(line.startswith("WRONG") for line in said(tmp_path, broken))
