"""What turns the core into an IP block: wrapper, register block, packaging script, C header.

``ip/nchw_ip.v`` joins the core (``nchw_top``) and the register block (``nchw_registers``) behind
ports with the names that AXI tools look for; the core in it is the very one that is verified alone.
"""

from __future__ import annotations

from string import Template

from neurocuda_hw.network import Network
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts
from neurocuda_hw.rtl.header import HEADER, header
from neurocuda_hw.rtl.memory import MemoryFiles
from neurocuda_hw.rtl.registers import RegisterBlock
from neurocuda_hw.rtl.verilog import to_verilog

WRAPPER, REGISTERS, PACKAGE = "ip/nchw_ip.v", "ip/nchw_registers.v", "ip/package_ip.tcl"
HEADER_PATH = f"ip/{HEADER}"
_LIBRARY = "neurocuda_hw"

_WRAPPER = Template("""\
// The network as an IP block: AXI4-Stream in and out, AXI4-Lite registers, one interrupt.
// One clock; aresetn is synchronous to it, as AXI wants. The register map is in nchw.h.
`default_nettype none
module nchw_ip (
    (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)
    (* X_INTERFACE_PARAMETER = "ASSOCIATED_BUSIF s_axis:m_axis:s_axi, ASSOCIATED_RESET aresetn" *)
    input  wire        aclk,
    (* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 aresetn RST" *)
    (* X_INTERFACE_PARAMETER = "POLARITY ACTIVE_LOW" *)
    input  wire        aresetn,

$s_axis
$m_axis
$s_axi
    (* X_INTERFACE_INFO = "xilinx.com:signal:interrupt:1.0 irq INTERRUPT" *)
    (* X_INTERFACE_PARAMETER = "SENSITIVITY LEVEL_HIGH" *)
    output wire        irq
);
    wire rst = ~aresetn;
    wire hold;                       // CONTROL.RESET
    wire core_rst = rst | hold;      // nothing is taken or sent meanwhile
    wire core_s_ready, core_m_valid;
    wire [$fault_high:0] packet_faults;
    wire [$activity_high:0] activity;

    assign s_axis_tready = core_s_ready & ~core_rst;
    assign m_axis_tvalid = core_m_valid & ~core_rst;

    nchw_top core (
        .clk(aclk),
        .rst(core_rst),
        .s_axis_tdata(s_axis_tdata),
        .s_axis_tkeep(s_axis_tkeep),
        .s_axis_tlast(s_axis_tlast),
        .s_axis_tvalid(s_axis_tvalid & ~core_rst),
        .s_axis_tready(core_s_ready),
        .m_axis_tdata(m_axis_tdata),
        .m_axis_tkeep(m_axis_tkeep),
        .m_axis_tlast(m_axis_tlast),
        .m_axis_tvalid(core_m_valid),
        .m_axis_tready(m_axis_tready),
        .packet_faults(packet_faults),
        .activity(activity)
    );

    nchw_registers registers (
        .clk(aclk),
        .rst(rst),
$connections
        .input_valid(s_axis_tvalid),
        .input_ready(s_axis_tready),
        .input_last(s_axis_tlast),
        .output_valid(m_axis_tvalid),
        .output_ready(m_axis_tready),
        .output_last(m_axis_tlast),
        .packet_faults(packet_faults),
        .activity(activity),
        .hold(hold),
        .irq(irq)
    );
endmodule
`default_nettype wire
""")

_PACKAGE = Template("""\
# Packages this design for the IP catalogue of Vivado:
#
#   vivado -mode batch -source ip/package_ip.tcl [-tclargs DIRECTORY]
#
# The core goes to DIRECTORY, by default ip/packaged beside this script. Add that folder to the
# IP repositories of a project; the block is then called nchw_ip.
# No Vivado was at hand where this was written: syntax, files and ports are checked, Vivado is not.

set here [file dirname [file normalize [info script]]]
set root [file dirname $$here]
set target [file join $$here packaged]
if {[info exists argv] && [llength $$argv] > 0} {
    set target [file normalize [lindex $$argv 0]]
}

set verilog {
$verilog
}
# Contents of memories: the Verilog reads them by bare name.
set memories {
$memories
}

create_project -force nchw_ip_project [file join $$target project]
foreach path $$verilog {
    add_files -norecurse [file join $$root $$path]
}
foreach path $$memories {
    add_files -norecurse [file join $$root $$path]
    set_property file_type {Memory File} [get_files [file tail $$path]]
}
set_property top nchw_ip [current_fileset]
update_compile_order -fileset sources_1

# Interfaces and their clock come from the X_INTERFACE attributes in nchw_ip.v.
ipx::package_project -root_dir $$target -vendor user.org -library $library \\
    -taxonomy /UserIP -import_files -force
set core [ipx::current_core]
set_property name nchw_ip $$core
set_property display_name {Spiking network $name} $$core
set_property description {Network $hash, $timesteps steps per inference} $$core
set_property version 1.0 $$core
ipx::update_checksums $$core
ipx::check_integrity $$core
ipx::save_core $$core
close_project
""")


def ip_files(
    network: Network,
    *,
    tdata_bits: int,
    counters: bool,
    sources: list[str],
    bursts: Bursts = NO_BURSTS,
) -> dict[str, bytes]:
    """The files of the IP block, by path.

    Parameters
    ----------
    tdata_bits : int
        Width of both AXI4-Streams.
    counters : bool
        Whether the register block has counters.
    sources : list of str
        Paths of the core's Verilog and memory files.
    bursts : Bursts
        What the core sends as bursts.
    """
    block = RegisterBlock(network, tdata_bits=tdata_bits, counters=counters, bursts=bursts)
    text = header(network, tdata_bits=tdata_bits, counters=counters, bursts=bool(bursts.counts))
    return {
        WRAPPER: wrapper(block, tdata_bits).encode(),
        REGISTERS: to_verilog(block, "nchw_registers", MemoryFiles()),
        PACKAGE: _package(network, sources).encode(),
        HEADER_PATH: text.encode(),
    }


def _package(network: Network, sources: list[str]) -> str:
    verilog = [WRAPPER, REGISTERS, *(path for path in sources if path.endswith(".v"))]
    memories = [path for path in sources if path.endswith(".mem")]
    return _PACKAGE.substitute(
        verilog="\n".join(f"    {path}" for path in sorted(verilog)),
        memories="\n".join(f"    {path}" for path in sorted(memories)),
        library=_LIBRARY,
        name=network.name,
        hash=network.hash[:12],
        timesteps=network.timesteps,
    )


def wrapper(block: RegisterBlock, tdata_bits: int) -> str:
    """Verilog that joins core and register block."""
    ports = [name for name in block.signature.members if name.startswith("s_axi_")]
    axi = [
        _port(name, "input" if member.flow.name == "In" else "output", member.shape, "s_axi")
        for name, member in block.signature.members.items()
        if name in ports
    ]
    return _WRAPPER.substitute(
        s_axis="\n".join(_stream("s_axis", "input", "output", tdata_bits)),
        m_axis="\n".join(_stream("m_axis", "output", "input", tdata_bits)),
        s_axi="\n".join(axi),
        connections="\n".join(f"        .{name}({name})," for name in ports),
        fault_high=len(block.packet_faults) - 1,
        activity_high=len(block.activity) - 1,
    )


def _stream(name: str, forth: str, back: str, bits: int) -> list[str]:
    return [
        _port(f"{name}_tdata", forth, bits, name),
        _port(f"{name}_tkeep", forth, bits // 8, name),
        _port(f"{name}_tlast", forth, 1, name),
        _port(f"{name}_tvalid", forth, 1, name),
        _port(f"{name}_tready", back, 1, name),
    ]


def _port(name: str, direction: str, bits: int, interface: str) -> str:
    kind = "axis" if interface.endswith("axis") else "aximm"
    wire = name.removeprefix(f"{interface}_").upper()
    span = f"[{bits - 1}:0]" if bits > 1 else ""
    return (
        f'    (* X_INTERFACE_INFO = "xilinx.com:interface:{kind}:1.0 {interface} {wire}" *)\n'
        f"    {direction:6} wire {span:6} {name},"
    )
