"""The divider: how many spikes each lane of a row sends, by restoring division.

::

    membranes -> [ v >= w0 * threshold ] -> [ v >= w1 * threshold ] -> ... -> clip -> counts
                   v, count registered        v, count registered

One stage per multiple w of the threshold (`LayerPlan.division`), the largest first: it compares,
subtracts where that holds, and adds w to the count. So N = clip(floor(v / threshold), 0, L).
"""

from __future__ import annotations

from amaranth import C, Cat, ClockSignal, Elaboratable, Instance, Module, Mux
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.rtl.compactor import mask_layout, spike_bits
from neurocuda_hw.rtl.later import later
from neurocuda_hw.rtl.memory import MemoryFiles

DIVIDE_VERILOG = """\
// One stage of restoring division in LANES lanes: takes the threshold, times 2^SHIFT, from what is
// left of a membrane if it is not below, and adds TIMES to its count. Latency 1; without a row it
// rests.
`default_nettype none
module nchw_divide #(
    parameter LANES = 1,
    parameter REST = 2,
    parameter COUNT = 1,
    parameter DIVISOR = 2,
    parameter SHIFT = 0,
    parameter [31:0] TIMES = 1
) (
    input  wire                           clk,
    input  wire                           put,
    input  wire [LANES*(COUNT+REST)-1:0] words,
    input  wire [LANES*DIVISOR-1:0]       divisors,
    output reg  [LANES*(COUNT+REST)-1:0] o_words,
    output reg  [LANES*DIVISOR-1:0]       o_divisors
);
    localparam WORD = COUNT + REST;  // of a lane: {count, rest}
    localparam WIDE = 1 + (REST > DIVISOR + SHIFT ? REST : DIVISOR + SHIFT);

    function [WORD-1:0] lane(input [WORD-1:0] own, input [DIVISOR-1:0] divisor);
        reg [WIDE-1:0] over;
        begin
            over = {{(WIDE - REST) {own[REST-1]}}, own[REST-1:0]}
                - ({{(WIDE - DIVISOR) {divisor[DIVISOR-1]}}, divisor} << SHIFT);
            lane = own;
            if (!over[WIDE-1]) lane = {own[REST +: COUNT] + TIMES[COUNT-1:0], over[REST-1:0]};
        end
    endfunction

    function [LANES*WORD-1:0] row(input [LANES*WORD-1:0] all, input [LANES*DIVISOR-1:0] by);
        integer i;
        for (i = 0; i < LANES; i = i + 1)
            row[i*WORD +: WORD] = lane(all[i*WORD +: WORD], by[i*DIVISOR +: DIVISOR]);
    endfunction

    always @(posedge clk)
        if (put) begin
            o_words <= row(words, divisors);
            o_divisors <= divisors;
        end
endmodule
`default_nettype wire
"""


class Stage(Component):
    """One compare-and-subtract of all lanes; as Verilog an instance of a short module.

    Members
    -------
    put : In
        Whether there is a row; the registers keep what they hold where there is none.
    words, divisors : In
        Of each lane {count, rest}, and its threshold.
    o_words, o_divisors : Out
        The same behind this stage.
    """

    def __init__(self, plan: LayerPlan, number: int) -> None:
        self.plan, self.times = plan, plan.division[number]
        self.count = unsigned_bits(sum(plan.division))
        lanes = plan.layout.lanes
        words, divisors = lanes * (self.count + plan.state_bits), lanes * plan.threshold.bits
        super().__init__(
            {
                "put": In(1),
                "words": In(words),
                "divisors": In(divisors),
                "o_words": Out(words),
                "o_divisors": Out(divisors),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        rest, divisor = self.plan.state_bits, self.plan.threshold.bits
        shift, lanes = unsigned_bits(self.times) - 1, self.plan.layout.lanes
        if isinstance(platform, MemoryFiles):
            m.submodules.divide = Instance(
                "nchw_divide",
                p_LANES=lanes,
                p_REST=rest,
                p_COUNT=self.count,
                p_DIVISOR=divisor,
                p_SHIFT=shift,
                p_TIMES=self.times,
                i_clk=ClockSignal(),
                i_put=self.put,
                i_words=self.words,
                i_divisors=self.divisors,
                o_o_words=self.o_words,
                o_o_divisors=self.o_divisors,
            )
            return m
        after = []
        for i in range(lanes):
            word = self.words.word_select(i, self.count + rest)
            over = word[:rest].as_signed() - (
                self.divisors.word_select(i, divisor).as_signed() << shift
            )
            count = (word[rest:] + self.times)[: self.count]
            after.append(Mux(over < 0, word, Cat(over[:rest], count)))
        with m.If(self.put):
            m.d.sync += [self.o_words.eq(Cat(after)), self.o_divisors.eq(self.divisors)]
        return m


class Divider(Component):
    """Divides a row per cycle. It never stalls; maxima are counts already and pass at once.

    Members
    -------
    place, exists, put : In
        Where a row's neurons stand, and whether its step ends with it; which lanes hold one;
        whether there is a row.
    membranes, thresholds : In
        Of each lane; all of the same threshold where the plan says so.
    mask, o_put : Out
        The place with counts, and whether there is a row: as many cycles later as there are stages.
    """

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        lanes, layout = plan.layout.lanes, mask_layout(plan)
        super().__init__(
            {
                "place": In(layout),
                "exists": In(lanes),
                "put": In(1),
                "membranes": In(lanes * plan.state_bits),
                "thresholds": In(lanes * plan.threshold.bits),
                "mask": Out(layout),
                "o_put": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        plan = self.plan
        lanes, bits = plan.layout.lanes, plan.state_bits
        place, put, exists, divisors = self.place, self.put, self.exists, self.thresholds
        counts = [self.membranes.word_select(i, bits) for i in range(lanes)]
        if plan.threshold.uniform:
            value = C(int(plan.threshold.rows.flat[0]), plan.threshold.bits)
            divisors = Cat([value] * lanes)
        for number in range(len(plan.division)):
            m.submodules[f"stage_{number}"] = stage = Stage(plan, number)
            if not number:
                words = Cat(Cat(count, C(0, stage.count)) for count in counts)
            m.d.comb += [stage.put.eq(put), stage.words.eq(words), stage.divisors.eq(divisors)]
            words = stage.o_words
            if not plan.threshold.uniform:
                divisors = stage.o_divisors
            place, put, exists = (
                later(m, f"{name}_{number}_", value)
                for name, value in (("place", place), ("put", put), ("exists", exists))
            )
        if plan.division:
            each = bits + stage.count
            counts = [words.word_select(i, each)[bits:] for i in range(lanes)]
        if sum(plan.division) > plan.burst:
            counts = [Mux(count > plan.burst, plan.burst, count) for count in counts]
        counts = [Mux(exists[i], count, 0)[: spike_bits(plan)] for i, count in enumerate(counts)]
        m.d.comb += [self.mask.eq(place), self.mask.spikes.eq(Cat(counts)), self.o_put.eq(put)]
        return m
