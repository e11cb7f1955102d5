"""The files of the serial bridge: ``serial/nchw_bridge.v``, and it with the network in one module.

``serial/nchw_serial.v`` holds what a board needs::

    module nchw_serial (input clk, input rst, input rx, output tx);

one clock, a synchronous reset (high), two pins of a UART (8N1, idle high, `rx` may come straight
from a pin: it passes two registers). It instantiates ``nchw_top`` (``rtl/nchw_top.v`` and all that
stands beside it) and ``nchw_bridge``. The protocol is in docs/host.md.
"""

from __future__ import annotations

from neurocuda_hw.host.facts import facts_of
from neurocuda_hw.network import Network
from neurocuda_hw.network.wire import word_bits
from neurocuda_hw.passes.study import Study
from neurocuda_hw.rtl.bridge_core import Bridge
from neurocuda_hw.rtl.memory import MemoryFiles
from neurocuda_hw.rtl.uart import check_divisor
from neurocuda_hw.rtl.verilog import to_verilog

SERIAL = "nchw_serial"

_SERIAL = """\
// The network on a serial line: nchw_bridge and nchw_top. The protocol is in docs/host.md.
`default_nettype none
module nchw_serial (
    input  wire clk,
    input  wire rst,
    input  wire rx,
    output wire tx
);
    wire [{tdata}:0] in_data, out_data;
    wire [{tkeep}:0] in_keep, out_keep;
    wire in_last, in_valid, in_ready, out_last, out_valid, out_ready;
    wire [{faults}:0] faults;
    wire reset;
    nchw_bridge bridge (
        .clk(clk), .rst(rst), .rx(rx), .tx(tx), .reset(reset), .faults(faults),
        .identity({identity_bits}'h{identity}),
        .inputs__payload({{in_last, in_keep, in_data}}),
        .inputs__valid(in_valid), .inputs__ready(in_ready),
        .outputs__payload({{out_last, out_keep, out_data}}),
        .outputs__valid(out_valid), .outputs__ready(out_ready)
    );
    nchw_top network (
        .clk(clk), .rst(rst | reset),
        .s_axis_tdata(in_data), .s_axis_tkeep(in_keep), .s_axis_tlast(in_last),
        .s_axis_tvalid(in_valid), .s_axis_tready(in_ready),
        .m_axis_tdata(out_data), .m_axis_tkeep(out_keep), .m_axis_tlast(out_last),
        .m_axis_tvalid(out_valid), .m_axis_tready(out_ready),
        .packet_faults(faults), .activity()
    );
endmodule
`default_nettype wire
"""


def bridge_files(subject: Network | Study, *, divisor: int) -> dict[str, bytes]:
    """``serial/nchw_serial.v`` and ``serial/nchw_bridge.v``; they need the files of `emit`, too.

    Parameters
    ----------
    subject : Network or Study
        What `emit` was asked for; only the widths of its streams and its hash count here.
    divisor : int
        Cycles of `clk` per bit on the line, 4 to 65,535: the clock divided by the baud rate. The
        line works if both ends agree within 3 %.

    Raises
    ------
    ValueError
        If the divisor is out of range.
    """
    study = Study.of(subject)
    value_bits = study.plans[study.network.output.name].state_bits
    tdata_bits = word_bits(study.network, value_bits)
    facts = facts_of(study.network, value_bits)
    bridge = Bridge(
        divisor=check_divisor(divisor),
        input_bytes=facts.input_bytes,
        output_bytes=facts.output_bytes,
        tdata_bits=tdata_bits,
        events=facts.spikes,
    )
    text = _SERIAL.format(
        tdata=tdata_bits - 1,
        tkeep=tdata_bits // 8 - 1,
        faults=len(bridge.faults) - 1,
        identity_bits=len(bridge.identity),
        identity=facts.identity[::-1].hex(),
    )
    return {
        f"serial/{SERIAL}.v": text.encode(),
        "serial/nchw_bridge.v": to_verilog(bridge, "nchw_bridge", MemoryFiles()),
    }
