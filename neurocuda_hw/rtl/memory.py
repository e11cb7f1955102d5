"""Memories: a ROM whose content lies in a ``.mem`` file, and a RAM with a read and a write port.

Under Amaranth's own simulator they are ordinary memories. When Verilog is written (platform is a
`MemoryFiles`) they become instances of two short Verilog modules, and contents go to files that
``$readmemh`` reads: neither elaboration nor the Verilog text grows with the model. A memory of a
`Style` of its own is an instance of a module that says so, ``nchw_ram_ultra`` for example.
"""

from __future__ import annotations

import re

import numpy as np
from amaranth import ClockSignal, Elaboratable, Instance, Module
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.passes.mapping import Style

ROM_VERILOG = """\
// A read-only memory of DEPTH words; FILE holds one word per line in hexadecimal. Latency 1.
`default_nettype none
module nchw_rom #(
    parameter WIDTH = 1,
    parameter DEPTH = 1,
    parameter ADDRESS = 1,
    parameter FILE = ""
) (
    input  wire               clk,
    input  wire [ADDRESS-1:0] address,
    output reg  [WIDTH-1:0]   data
);
    reg [WIDTH-1:0] words [0:DEPTH-1];
    generate
        if (FILE != "") begin : content  // some tools also read the module without its parameters
            initial $readmemh(FILE, words);
        end
    endgenerate
    always @(posedge clk) data <= words[address];
endmodule
`default_nettype wire
"""

RAM_VERILOG = """\
// A memory of DEPTH words with one write and one read port. Latency 1; a word that is read in the
// cycle in which it is written is not defined: the user of the memory forwards it.
`default_nettype none
module nchw_ram #(
    parameter WIDTH = 1,
    parameter DEPTH = 1,
    parameter ADDRESS = 1
) (
    input  wire               clk,
    input  wire               write,
    input  wire [ADDRESS-1:0] write_address,
    input  wire [WIDTH-1:0]   write_data,
    input  wire [ADDRESS-1:0] read_address,
    output reg  [WIDTH-1:0]   read_data
);
    (* no_rw_check *) reg [WIDTH-1:0] words [0:DEPTH-1];  // so no tool adds logic for that case
`ifdef __ICARUS__
    // what a memory holds before it is written is no matter, but it is something
    integer i;
    initial begin
        read_data = {(WIDTH + 31) / 32{$random}};
        for (i = 0; i < DEPTH; i = i + 1) words[i] = {(WIDTH + 31) / 32{$random}};
    end
`endif
    always @(posedge clk) begin
        if (write) words[write_address] <= write_data;
        read_data <= words[read_address];
    end
endmodule
`default_nettype wire
"""


# yosys knows no distributed ROM; what it calls logic is one
_ROM_STYLES = {
    Style.BLOCK: '(* rom_style = "block" *)',
    Style.DISTRIBUTED: """\
`ifdef YOSYS
    (* rom_style = "logic" *)
`else
    (* rom_style = "distributed" *)
`endif
   """,
}


def styled(name: str, style: Style | None) -> tuple[str, bytes]:
    """Name and Verilog of a memory module: ``nchw_rom`` or ``nchw_ram``, of a style if any."""
    text = {"nchw_rom": ROM_VERILOG, "nchw_ram": RAM_VERILOG}[name]
    if style is None:
        return name, text.encode()
    attribute = f'(* ram_style = "{style.value}" *)'
    if name == "nchw_rom":
        attribute = _ROM_STYLES[style]
    own = f"{name}_{style.value}"
    text = text.replace(f"module {name} ", f"module {own} ")
    text = re.sub(r"    (.*)(?=reg \[WIDTH-1:0\] words)", rf"    \1{attribute} ", text)
    return own, text.replace("    `ifdef", "`ifdef").encode()


class MemoryFiles:
    """The platform that Verilog is written for.

    It collects the content of every ROM, by file name, and the modules that memories are made of.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.modules = dict(styled(name, None) for name in ("nchw_rom", "nchw_ram"))

    def module(self, name: str, style: Style | None) -> str:
        """The module to be instantiated for a memory."""
        own, text = styled(name, style)
        self.modules[own] = text
        return own


def hex_lines(words: np.ndarray, bits: int) -> bytes:
    """Words ``(depth, lanes)`` as ``$readmemh`` text, two's complement, lane 0 lowest."""
    depth, lanes = words.shape
    width = lanes * bits
    digits = -(-width // 4)
    out = []
    chunk = max(1, 2**22 // max(1, width))
    shifts = np.arange(bits)
    for start in range(0, depth, chunk):
        part = words[start : start + chunk]
        if bits == 8:
            octets = part.astype(np.int8).view(np.uint8)[:, ::-1]
        else:
            planes = (part.astype(np.int64)[:, :, None] >> shifts) & 1
            flat = planes.reshape(len(part), width).astype(np.uint8)
            octets = np.packbits(flat, axis=1, bitorder="little")[:, ::-1]
        text = np.frombuffer(octets.tobytes().hex().encode(), dtype=np.uint8)
        text = text.reshape(len(part), -1)[:, -digits:]
        newline = np.full((len(part), 1), ord("\n"), dtype=np.uint8)
        out.append(np.concatenate([text, newline], axis=1).tobytes())
    return b"".join(out)


def word(row: np.ndarray, bits: int) -> int:
    """One row of lanes as a single integer, lane 0 in the lowest bits."""
    return sum((int(value) & ((1 << bits) - 1)) << (bits * lane) for lane, value in enumerate(row))


class Rom(Component):
    """A ROM of rows of lanes.

    Parameters
    ----------
    words : array of int (depth, lanes)
    bits : int
        Bits of one lane, two's complement.
    file : str
        Name of the ``.mem`` file.
    style : Style, optional
        What it is made of; None leaves it to the synthesiser.

    Members
    -------
    address : In
    data : Out
        All lanes of the addressed row, one cycle later.
    """

    def __init__(
        self, *, words: np.ndarray, bits: int, file: str, style: Style | None = None
    ) -> None:
        self.words, self.bits, self.file, self.style = words, bits, file, style
        self.width = bits * words.shape[1]
        address = max(1, (len(words) - 1).bit_length())
        super().__init__({"address": In(address), "data": Out(self.width)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        if isinstance(platform, MemoryFiles):
            platform.files[self.file] = hex_lines(self.words, self.bits)
            m.submodules.rom = Instance(
                platform.module("nchw_rom", self.style),
                p_WIDTH=self.width,
                p_DEPTH=len(self.words),
                p_ADDRESS=len(self.address),
                p_FILE=self.file,
                i_clk=ClockSignal(),
                i_address=self.address,
                o_data=self.data,
            )
            return m
        init = [word(row, self.bits) for row in self.words]
        m.submodules.memory = memory = Memory(shape=self.width, depth=len(init), init=init)
        port = memory.read_port()
        m.d.comb += [port.addr.eq(self.address), self.data.eq(port.data)]
        return m


class Ram(Component):
    """A RAM with one write and one read port; what is read while it is written is not defined.

    Members
    -------
    write, write_address, write_data : In
    read_address : In
    read_data : Out
        The addressed word, one cycle later.
    """

    def __init__(self, *, width: int, depth: int, style: Style | None = None) -> None:
        self.width, self.depth, self.style = width, depth, style
        address = max(1, (depth - 1).bit_length())
        super().__init__(
            {
                "write": In(1),
                "write_address": In(address),
                "write_data": In(width),
                "read_address": In(address),
                "read_data": Out(width),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        if isinstance(platform, MemoryFiles):
            m.submodules.ram = Instance(
                platform.module("nchw_ram", self.style),
                p_WIDTH=self.width,
                p_DEPTH=self.depth,
                p_ADDRESS=len(self.read_address),
                i_clk=ClockSignal(),
                i_write=self.write,
                i_write_address=self.write_address,
                i_write_data=self.write_data,
                i_read_address=self.read_address,
                o_read_data=self.read_data,
            )
            return m
        m.submodules.memory = memory = Memory(shape=self.width, depth=self.depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            read.addr.eq(self.read_address),
            self.read_data.eq(read.data),
        ]
        return m
