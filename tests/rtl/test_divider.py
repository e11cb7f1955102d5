"""A divider's stages: the short Verilog module does what Amaranth describes, and both divide."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from rtl.test_formal import prove
from small import wired
from tools import need

from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.toolchain import find_yosys
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout, Window
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.passes.planner import plan_layer
from neurocuda_hw.rtl.divider import DIVIDE_VERILOG, Divider, Stage
from neurocuda_hw.rtl.memory import MemoryFiles
from neurocuda_hw.rtl.verilog import to_verilog

# both take the same; once a row has come, they hold the same
TWO = """
module two (input wire clk, put, input wire [{words}-1:0] words, input wire [{by}-1:0] divisors);
    wire [{words}-1:0] a_words, b_words;
    wire [{by}-1:0] a_divisors, b_divisors;
    model a (
        .clk(clk), .rst(1'b0), .put(put), .words(words), .divisors(divisors),
        .o_words(a_words), .o_divisors(a_divisors)
    );
    verilog b (
        .clk(clk), .rst(1'b0), .put(put), .words(words), .divisors(divisors),
        .o_words(b_words), .o_divisors(b_divisors)
    );
    reg filled = 0;
    always @(posedge clk) begin
        filled <= filled | put;
        if (filled) assert (a_words == b_words & a_divisors == b_divisors);
    end
endmodule
"""


def plan_of(levels, lanes, thresholds=3):
    """A population that counts up to `levels` spikes."""
    shapes = {
        "x": ((4,), Input(encoding=Encoding.GRADED, window=Window(start=0, stop=1))),
        "a": ((4,), IF(threshold=thresholds, window=Window(start=0, stop=levels))),
        "o": ((1,), Readout()),
    }
    weight = np.full((4, 4), 3)
    network = wired(
        levels, shapes, ("x", "a", Dense(weight=weight)), ("a", "o", Dense(weight=weight[:1]))
    )
    return plan_layer(network, network["a"], lanes, bursts=find_bursts(network))


@pytest.mark.parametrize("levels", [1, 4, 5])
def test_the_verilog_of_a_stage_is_proved_to_be_the_model(tmp_path, levels):
    need(find_yosys())
    plan = plan_of(levels, lanes=2, thresholds=np.array([3, 4, 2, 1]))
    for number in range(len(plan.division)):
        stage = Stage(plan, number)
        sizes = {"words": len(stage.words), "by": len(stage.divisors)}
        text = TWO
        for name, size in sizes.items():
            text = text.replace(f"{{{name}}}", str(size))
        texts = {
            "two": text.encode(),
            "model": to_verilog(stage, "model"),
            "verilog": to_verilog(Stage(plan, number), "verilog", MemoryFiles()),
            "divide": DIVIDE_VERILOG.encode(),
        }
        for name, content in texts.items():
            (tmp_path / f"{name}.v").write_bytes(content)
        assert "proven: SUCCESS" in prove(tmp_path, "two", "-tempinduct -maxsteps 4")
        wrong = DIVIDE_VERILOG.replace("{term, minus}", "{term, 1'b0}")
        (tmp_path / "divide.v").write_text(wrong)
        with pytest.raises(ToolError):
            prove(tmp_path, "two", "-tempinduct -maxsteps 4")


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5, 7, 8, 10, 255])
@pytest.mark.parametrize("thresholds", [3, np.array([3, 4, 2, 1])])
def test_it_divides_with_pauses(levels, thresholds):
    plan = plan_of(levels, lanes=4, thresholds=thresholds)
    rng = np.random.default_rng(levels)
    divider, bits = Divider(plan), plan.state_bits
    own = np.broadcast_to(thresholds, 4)
    rows = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (40, 4))
    exists = rng.integers(0, 2, (40, 4))
    put = rng.random(40) < 0.6
    got = []

    async def drive(context):
        for row, there, on in zip(rows, exists, put, strict=True):
            words = sum((int(v) & ((1 << bits) - 1)) << (bits * i) for i, v in enumerate(row))
            by = sum(int(v) << (plan.threshold.bits * i) for i, v in enumerate(own))
            context.set(divider.membranes, words)
            context.set(divider.thresholds, by)
            context.set(divider.exists, sum(int(v) << i for i, v in enumerate(there)))
            context.set(divider.put, int(on))
            if context.get(divider.o_put):
                got.append(context.get(divider.mask.spikes))
            await context.tick()

    simulator = Simulator(divider)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    counts = np.clip(rows // own, 0, levels) * exists
    size = levels.bit_length()
    wanted = [sum(int(n) << (size * i) for i, n in enumerate(row)) for row in counts[put]]
    assert got == wanted[: len(got)]
    assert len(got) >= len(wanted) - len(plan.division)
