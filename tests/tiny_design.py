"""A slow, plain, behavioural Verilog of small dense networks, to test the test benches with.

It has the same ports, taps and memory files as the generated hardware, is written by hand, and can
be broken on purpose, through one more memory file, so that one build serves all faults: a bench
that cannot catch these would prove nothing about real designs.
"""

from __future__ import annotations

import numpy as np

from neurocuda_hw.network import IF, Input, Network, Population, Projection, Readout, Window
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.ranges import PopulationRanges, network_ranges
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.network.wire import address_bits, payload_bits

FAULTS = ("hang", "twice", "extra_marker", "no_tlast", "early_tlast", "bad_address", "dirty_start")


def tiny_network(*, spiking: bool) -> Network:
    """Image (2, 3, 3), five IF neurons, three outputs: a readout, or IF neurons too."""
    rng = np.random.default_rng(0)
    hidden = IF(
        threshold=rng.integers(20, 40, 5),
        bias=rng.integers(-3, 4, 5),
        v_init=rng.integers(0, 9, 5),
        window=Window(start=0, stop=3),
    )
    out = IF(threshold=9, v_init=4) if spiking else Readout(bias=np.array([1, -2, 3]))
    graded = Input(encoding=Encoding.GRADED, payload_bits=4, signed=True)
    return Network(
        populations=(
            Population(name="image", shape=(2, 3, 3), neuron=graded),
            Population(name="a__b", shape=(5,), neuron=hidden),
            Population(name="out", shape=(3,), neuron=out),
        ),
        projections=(
            Projection(
                source="image", target="a__b", synapse=Dense(weight=rng.integers(-8, 9, (5, 18)))
            ),
            Projection(
                source="a__b", target="out", synapse=Dense(weight=rng.integers(-8, 9, (3, 5)))
            ),
        ),
        timesteps=4,
    )


def tiny_design(network: Network, fault: str = "") -> dict[str, bytes]:
    """Verilog and .mem files of a chain of dense populations of IF neurons, then a Readout or not.

    Parameters
    ----------
    network : Network
        Each population is fed by the one before it, without pool; reset by subtraction.
    fault : str
        Empty, or one of `FAULTS`.
    """
    number = FAULTS.index(fault) + 1 if fault else 0
    files = {"rtl/mem/fault.mem": f"{number:x}\n".encode()}
    targets = network.targets
    ranges = network_ranges(network)
    for projection in network.projections:
        weight = projection.synapse.weight.T  # one line per source neuron, target 0 lowest
        lines = ["".join(f"{int(w) & 0xFFFF:04x}" for w in row[::-1]) for row in weight]
        files[f"rtl/mem/{projection.target}_weights.mem"] = ("\n".join(lines) + "\n").encode()
    for population in targets:
        for name in ("threshold", "bias", "v_init"):
            values = getattr(population.neuron, name, 0)
            values = np.broadcast_to(population.spread(np.asarray(values)), population.shape)
            lines = [f"{int(v) & 0xFFFFFFFF:08x}" for v in values.flat]
            files[f"rtl/mem/{population.name}_{name}.mem"] = ("\n".join(lines) + "\n").encode()
    files["rtl/nchw_top.v"] = _top(network, ranges).encode()
    return files


def _index(shape: tuple[int, int, int], bits: tuple[int, int, int], word: str) -> str:
    """Verilog for the flat index of an address {c, y, x} in `word`."""
    fields, low = [], 0
    for size in (bits[2], bits[1], bits[0]):
        fields.append(f"(({word} >> {low}) & {(1 << size) - 1})")
        low += size
    x, y, c = fields
    return f"((({c}) * {shape[1]} + ({y})) * {shape[2]} + ({x}))"


def _address(shape: tuple[int, int, int], bits: tuple[int, int, int], index: str) -> str:
    """Verilog for the address {c, y, x} of a flat index."""
    _, h, w = shape
    return (
        f"((({index}) / {h * w}) << {bits[1] + bits[2]}) | "
        f"(((({index}) / {w}) % {h}) << {bits[2]}) | (({index}) % {w})"
    )


def _fault(name: str) -> str:
    """Verilog that is true where the design has this fault."""
    return f"(fault[0] == {FAULTS.index(name) + 1})"


def _top(network: Network, ranges: dict[str, PopulationRanges]) -> str:
    steps, source, targets = network.timesteps, network.input, network.targets
    payload = payload_bits(network.input)
    in_bits = address_bits(source)
    a = sum(in_bits)
    signed = payload and network.input.neuron.signed
    value = "1"
    if payload:
        value = f"((s_axis_tdata >> {a}) & {(1 << payload) - 1})"
        if signed:
            value = f"(({value} ^ {1 << (payload - 1)}) - {1 << (payload - 1)})"
    memories, resets, sweeps, rewinds = [], [], [], []
    # it takes no note of what it spends its cycles on
    taps = [f"  wire [4:0] tap_{population.name}_activity = 5'd0;" for population in targets]
    for i, population in enumerate(targets):
        n, name = population.size, population.name
        neuron = population.neuron
        before = (targets[i - 1] if i else source).size
        memories += [
            f"  reg [{16 * n - 1}:0] {name}_w [0:{before - 1}];",
            f"  reg signed [31:0] {name}_v [0:{n - 1}], {name}_start [0:{n - 1}];",
            f"  reg signed [31:0] {name}_bias [0:{n - 1}], {name}_theta [0:{n - 1}];",
            "  initial begin",
            f'    $readmemh("{name}_weights.mem", {name}_w);',
            f'    $readmemh("{name}_bias.mem", {name}_bias);',
            f'    $readmemh("{name}_threshold.mem", {name}_theta);',
            f'    $readmemh("{name}_v_init.mem", {name}_start);',
            "  end",
        ]
        clear = f"for (j = 0; j < {n}; j = j + 1) {name}_v[j] <= {name}_start[j];"
        resets.append(clear)
        rewinds.append(clear if i else f"if (!{_fault('dirty_start')}) {clear}")
        if isinstance(neuron, Readout):
            sweeps.append(
                f"        {i}: begin {name}_v[n] <= {name}_v[n] + {name}_bias[n];\n"
                f"          if (n != {n - 1}) n <= n + 1;\n"
                f"          else begin {_step_on(i, len(targets), True)} end\n        end"
            )
            continue
        assert isinstance(neuron, IF)
        window = neuron.window or Window(start=0, stop=steps)
        bits = address_bits(network[name])
        width = sum(bits)
        fires = f"({name}_v[n] + {name}_bias[n] >= {name}_theta[n]) && t >= {window.start}"
        fires += f" && t < {window.stop}"
        bad = "" if i else f" | ({_fault('bad_address')} ? {(1 << width) - 1} : 0)"
        taps += [
            f"  wire {name}_fires = state == FIRE && layer == {i} && !mark && {fires};",
            f"  wire tap_{name}_valid = {name}_fires || (state == FIRE && layer == {i} && mark);",
            f"  wire [{width}:0] tap_{name}_data = mark ? {1 << width} : "
            f"{_address(population.chw, bits, 'n')}{bad};",
        ]
        push = ""
        if i + 1 < len(targets):
            after = targets[i + 1]
            push = (
                f"for (j = 0; j < {after.size}; j = j + 1) {after.name}_v[j] <= "
                f"{after.name}_v[j] + $signed({after.name}_w[n][16 * j +: 16]);"
            )
        else:
            push = "fired[n] <= 1;"
        fire = f"""if ({name}_fires) begin {push} end
          {name}_v[n] <= {name}_v[n] + {name}_bias[n] - ({name}_fires ? {name}_theta[n] : 0);
          if (n == {n - 1}) mark <= 1; else n <= n + 1;"""
        end = f"mark <= 0; {_step_on(i, len(targets), False)}"
        if i == 0:
            twice, extra = _fault("twice"), _fault("extra_marker")
            fire = (
                f"if ({name}_fires && !again && {twice}) again <= 1; "
                f"else begin again <= 0; {fire} end"
            )
            end = f"if (t == 0 && !again && {extra}) again <= 1; else begin again <= 0; {end} end"
        sweeps.append(f"        {i}: if (!mark) begin {fire} end\n        else begin {end} end")
    first, last = targets[0], targets[-1]
    readout = isinstance(last.neuron, Readout)
    out_bits = address_bits(last)
    early = f"({_fault('early_tlast')} ? 1 : 0)"
    tlast = f"n == {last.size - 1} - {early}"
    if not readout:
        tlast = f"n == {last.size} && t == {steps - 1} - {early}"
    tlast = f"({tlast}) && !{_fault('no_tlast')}"
    valid = "state == SEND" if readout else f"state == SEND && (n == {last.size} || fired[n])"
    data = (
        f"{last.name}_v[n]"
        if readout
        else (f"n == {last.size} ? 32'h80000000 : {_address(last.chw, out_bits, 'n')}")
    )
    done = last.size - 1 if readout else last.size
    hang = f"{_fault('hang')} && sent == 1 && t == 1"
    return f"""`default_nettype none
/* verilator lint_off WIDTH */
module nchw_top (
  input wire clk, input wire rst,
  input wire s_axis_tvalid, output wire s_axis_tready,
  input wire [31:0] s_axis_tdata, input wire [3:0] s_axis_tkeep, input wire s_axis_tlast,
  output wire m_axis_tvalid, input wire m_axis_tready,
  output wire [31:0] m_axis_tdata, output wire m_axis_tlast,
  output wire [7:0] packet_faults);
  localparam TAKE = 0, FIRE = 1, SEND = 2, CLEAR = 3, STEPS = {steps};
  integer j;
  reg [7:0] fault [0:0];
  initial $readmemh("fault.mem", fault);
  integer n, t, layer, sent;
  reg [1:0] state;
  reg mark, last, again;
  reg [{last.size}:0] fired;
{chr(10).join(memories)}
{chr(10).join(taps)}
  wire signed [31:0] value = {value};
  wire [31:0] index = {_index(source.chw, in_bits, "s_axis_tdata")};
  assign s_axis_tready = state == TAKE && !last && !({hang});
  assign m_axis_tvalid = {valid};
  assign m_axis_tdata = {data};
  assign m_axis_tlast = {tlast};
  assign packet_faults = 0;
  always @(posedge clk)
    if (rst) begin
      state <= TAKE; n <= 0; t <= 0; layer <= 0; mark <= 0; last <= 0; again <= 0; fired <= 0;
      sent <= 0;
      {" ".join(resets)}
    end else case (state)
      TAKE: if (last) state <= FIRE;
        else if (s_axis_tvalid && s_axis_tready) begin
          if (!s_axis_tdata[31])
            for (j = 0; j < {first.size}; j = j + 1) {first.name}_v[j] <= {first.name}_v[j] +
              $signed({first.name}_w[index][16 * j +: 16]) * value;
          if (s_axis_tdata[31] || s_axis_tlast) state <= FIRE;
          last <= s_axis_tlast;
        end
      FIRE: case (layer)
{chr(10).join(sweeps)}
      endcase
      SEND: if (!m_axis_tvalid || m_axis_tready) begin
          if (n != {done}) n <= n + 1;
          else begin
            n <= 0; layer <= 0; fired <= 0;
            if (t == {steps - 1}) begin t <= 0; state <= CLEAR; end
            else begin t <= t + 1; state <= TAKE; end
          end
        end
      CLEAR: begin
        {" ".join(rewinds)}
        last <= 0; state <= TAKE; sent <= sent + 1;
      end
    endcase
endmodule
"""


def _step_on(layer: int, layers: int, readout: bool) -> str:
    """What follows the sweep of one layer."""
    if layer + 1 < layers:
        return f"n <= 0; layer <= {layer + 1};"
    if readout:
        return (
            "n <= 0; layer <= 0; if (t == STEPS - 1) state <= SEND; "
            "else begin t <= t + 1; state <= TAKE; end"
        )
    return "n <= 0; state <= SEND;"
