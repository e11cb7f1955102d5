"""Proofs by Yosys' SAT solver: any packet at all leaves nothing behind."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from rtl.solver import prove
from tools import need

from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.toolchain import find_yosys
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout, Window
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.rtl.axi import PacketInput
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.rtl.verilog import to_verilog

STEPS, START, STOP = 4, 1, 3
PIXELS = Population(
    name="x", shape=(2, 1, 3), neuron=Input(encoding=Encoding.GRADED, payload_bits=2)
)

# In a PacketInput: a model that sees only what goes in and out, beside the registers.
READER = f"""
    reg begun = 0;  // the first word of a packet has come, and its last marker has not left
    reg closed = 0;  // and its TLAST has come
    reg [2:0] markers = 0, events = 0;
    // of words that are looked at: behind the buffer, which forgets none and makes up none
    wire taken = o__valid & o__ready, last = taken & o__payload[32];
    wire sent = events__valid & events__ready, is_end = events__payload[5];
    wire [2:0] ended = markers + (sent & is_end);
    wire over = (closed | last) & ended == {STEPS};
    always @(posedge clk) begin
        assume (!rst);
        begun <= (begun | taken) & ~over;
        closed <= (closed | last) & ~over;
        markers <= over ? 0 : ended;
        events <= sent & is_end ? 0 : events + sent;
        if (!begun) assert (fsm_state == 0 & step == 0 & count == 0);  // as after a reset
        if (events__valid) assert (markers < {STEPS});
        if (events__valid & ~is_end) begin
            assert (markers >= {START} & markers < {STOP});
            assert (events < {PIXELS.size});
            assert (events__payload[1:0] < 3);
        end
        // what joins the model to the registers
        assert (count == events & events <= {PIXELS.size} & full == (events == {PIXELS.size}));
        assert (markers != {STEPS} | events == 0);
        assert (step == (markers == {STEPS} ? 0 : markers));
        assert (closed == (fsm_state == 1) & (markers == {STEPS}) == (fsm_state == 2));
    end
"""

# In its buffer: what was found out of a word stays with that word.
BUFFER = """
    always @(posedge clk) begin
        if (o__valid) assert (o__payload[35] == (o__payload[1:0] >= 3));
        if (full) assert (like[35] == (like[1:0] >= 3));
    end
"""

# Two copies of a core: one takes any packet of up to {words} transfers, and rests until cycle
# {rest}; then both take the same, whatever it is, and must not differ in any cycle.
TWICE = """
module twice (
    input wire clk, last,
    input wire [31:0] word,
    input wire [3:0] keep
);
    reg [5:0] cycle = 0;
    reg done = 0;
    wire both = cycle >= {rest};
    wire first_last = last | cycle >= {words} - 1;
    wire a_ready, a_valid, a_last, b_ready, b_valid, b_last;
    wire [31:0] a_data, b_data;
    wire [4:0] a_faults, b_faults;
    nchw_top a (
        .clk(clk), .rst(1'b0), .s_axis_tdata(word), .s_axis_tkeep(keep), .s_axis_tready(a_ready),
        .s_axis_tlast(both ? last : first_last), .s_axis_tvalid(both | ~done),
        .m_axis_tready(1'b1), .m_axis_tvalid(a_valid), .m_axis_tdata(a_data),
        .m_axis_tlast(a_last), .packet_faults(a_faults)
    );
    nchw_top b (
        .clk(clk), .rst(1'b0), .s_axis_tdata(word), .s_axis_tkeep(keep), .s_axis_tready(b_ready),
        .s_axis_tlast(last), .s_axis_tvalid(both),
        .m_axis_tready(1'b1), .m_axis_tvalid(b_valid), .m_axis_tdata(b_data),
        .m_axis_tlast(b_last), .packet_faults(b_faults)
    );
    always @(posedge clk) begin
        cycle <= cycle + 1;
        done <= done | a_ready & first_last;
        if (both) begin
            assert (done);
            assert (a_ready == b_ready & a_valid == b_valid & a_faults == b_faults);
            if (a_valid) assert (a_data == b_data & a_last == b_last);
        end
    end
endmodule
"""


def test_the_packet_reader_gives_legal_packets_and_begins_each_anew(tmp_path: Path) -> None:
    need(find_yosys())
    reader = PacketInput(
        population=PIXELS,
        arrivals=Window(start=START, stop=STOP),
        limited=True,
        timesteps=STEPS,
        tdata_bits=32,
    )
    own, buffer, rest = to_verilog(reader, "reader").decode().split("endmodule")
    assert "module reader(" in own
    assert "module reader_buffer(" in buffer

    def proved(model: str) -> str:
        parts = (f"{own}{model}", f"{buffer}{BUFFER}", rest)
        (tmp_path / "reader.v").write_text("endmodule".join(parts))
        return prove(tmp_path, "reader", "-tempinduct -maxsteps 8")

    assert "Induction step proven: SUCCESS!" in proved(READER)
    for right, wrong in ((f"< {STOP}", f"< {STOP - 1}"), ("events < 6", "events < 5")):
        assert right in READER
        with pytest.raises(ToolError):
            proved(READER.replace(right, wrong))


def smallest() -> Network:
    """Two neurons of the exact code, and a sum of theirs."""
    neuron = Input(encoding=Encoding.SPIKES, window=Window(start=0, stop=1))
    firing = IF(threshold=2, v_init=1, window=Window(start=0, stop=1))
    return Network(
        populations=(
            Population(name="x", shape=(2,), neuron=neuron),
            Population(name="h", shape=(2,), neuron=firing),
            Population(name="o", shape=(1,), neuron=Readout()),
        ),
        projections=(
            Projection(source="x", target="h", synapse=Dense(weight=np.array([[2, -1], [1, 2]]))),
            Projection(source="h", target="o", synapse=Dense(weight=np.array([[1, -2]]))),
        ),
        timesteps=2,
    )


@pytest.mark.slow
def test_a_core_that_took_any_packet_is_as_one_that_took_none(tmp_path: Path) -> None:
    need(find_yosys())
    for path, content in emit(smallest(), {"h": 1, "o": 1}).files.items():
        (tmp_path / PurePosixPath(path).name).write_bytes(content)
    (tmp_path / "twice.v").write_text(TWICE.replace("{words}", "4").replace("{rest}", "36"))
    assert "SUCCESS" in prove(tmp_path, "twice", "-seq 54")
