"""The files of a front block: ``front/nchw_front.v``, and the network behind it in one module."""

from __future__ import annotations

from neurocuda_hw.rtl.camera import WORD_BITS
from neurocuda_hw.rtl.front import Front
from neurocuda_hw.rtl.front_plan import COUNT_BITS, STEP_BITS, FrontCount, FrontPlan
from neurocuda_hw.rtl.memory import MemoryFiles
from neurocuda_hw.rtl.verilog import to_verilog

_CAMERA = """\
// A camera's words in, the network's answers out: nchw_front and nchw_top. See docs/events.md.
`default_nettype none
module nchw_camera (
    input  wire                clk,
    input  wire                rst,
    input  wire [{step}:0]     step_us,
    input  wire                from_first,
    output wire [{counts}:0]   counts,
    input  wire [{camera}:0]   s_axis_tdata,
    input  wire                s_axis_tlast,
    input  wire                s_axis_tvalid,
    output wire                s_axis_tready,
    output wire [{tdata}:0]    m_axis_tdata,
    output wire [{tkeep}:0]    m_axis_tkeep,
    output wire                m_axis_tlast,
    output wire                m_axis_tvalid,
    input  wire                m_axis_tready
);
    wire [{tdata}:0] tdata;
    wire [{tkeep}:0] tkeep;
    wire tlast, tvalid, tready;
    nchw_front front (
        .clk(clk), .rst(rst), .step_us(step_us), .from_first(from_first), .counts(counts),
        .s_axis_tdata(s_axis_tdata), .s_axis_tlast(s_axis_tlast),
        .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
        .m_axis_tdata(tdata), .m_axis_tkeep(tkeep), .m_axis_tlast(tlast),
        .m_axis_tvalid(tvalid), .m_axis_tready(tready)
    );
    nchw_top network (
        .clk(clk), .rst(rst),
        .s_axis_tdata(tdata), .s_axis_tkeep(tkeep), .s_axis_tlast(tlast),
        .s_axis_tvalid(tvalid), .s_axis_tready(tready),
        .m_axis_tdata(m_axis_tdata), .m_axis_tkeep(m_axis_tkeep), .m_axis_tlast(m_axis_tlast),
        .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
        .packet_faults(), .activity()
    );
endmodule
`default_nettype wire
"""


def front_files(plan: FrontPlan) -> dict[str, bytes]:
    """``front/nchw_front.v`` and ``front/nchw_camera.v``; they use ``rtl/nchw_ram.v`` and the top.

    They lie apart from ``rtl/``, so that what takes all of that folder finds one top.
    """
    widths = {
        "step": STEP_BITS,
        "counts": COUNT_BITS * len(FrontCount),
        "camera": WORD_BITS[plan.kind],
        "tdata": plan.tdata_bits,
        "tkeep": plan.tdata_bits // 8,
    }
    return {
        "front/nchw_front.v": to_verilog(Front(plan), "nchw_front", MemoryFiles()),
        "front/nchw_camera.v": _CAMERA.format(**{k: n - 1 for k, n in widths.items()}).encode(),
    }
