"""The divider: how many spikes each lane of a row sends, by non-restoring division.

::

    membranes -> [ - w0 * threshold ] -> [ -+ w1 * threshold ] -> ... -> bits to count, clip
                   rest, bit registered     rest, bit registered

One stage per multiple w of the threshold (`LayerPlan.division`), the largest first. Its bit says
whether what is left of the membrane reaches w * threshold. The rest of a stage is what is left
minus that multiple, below 0 where it was not reached; the next stage, of half the multiple, then
adds its own instead of subtracting it, which comes to the same as if nothing had been taken::

    rest + w * threshold - w / 2 * threshold = rest + w / 2 * threshold

and a stage of the same multiple leaves the rest as it is. So a stage is one addition. The bits
weighed by their multiples are N = clip(floor(v / threshold), 0, L).
"""

from __future__ import annotations

from amaranth import C, Cat, ClockSignal, Elaboratable, Instance, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.ground.fixed import unsigned_bits
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.rtl.compactor import mask_layout, spike_bits
from neurocuda_hw.rtl.later import later
from neurocuda_hw.rtl.memory import MemoryFiles

DIVIDE_VERILOG = """\
// One stage of non-restoring division in LANES lanes: takes the threshold, times 2^SHIFT, from what
// the stages before left of a membrane, or, where that is below 0 and not the FIRST, adds it, or
// does neither AGAIN after a stage of the same SHIFT. Latency 1; without a row it rests.
`default_nettype none
module nchw_divide #(
    parameter LANES = 1,
    parameter REST = 2,
    parameter COUNT = 1,
    parameter DIVISOR = 2,
    parameter SHIFT = 0,
    parameter FIRST = 0,
    parameter AGAIN = 0
) (
    input  wire                           clk,
    input  wire                           put,
    input  wire [LANES*(COUNT+REST)-1:0] words,
    input  wire [LANES*DIVISOR-1:0]       divisors,
    output reg  [LANES*(COUNT+REST)-1:0] o_words,
    output reg  [LANES*DIVISOR-1:0]       o_divisors
);
    localparam WORD = COUNT + REST;  // of a lane: {bits so far, rest}
    localparam UPPER = REST - SHIFT;  // bits of the rest that the multiple reaches

    function [WORD-1:0] lane(input [WORD-1:0] own, input [DIVISOR-1:0] divisor);
        reg minus, unused;
        reg [UPPER-1:0] upper, term;
        begin
            minus = FIRST != 0 || !own[REST-1];
            term = {{(UPPER - DIVISOR) {divisor[DIVISOR-1]}}, divisor};
            if (minus) term = ~term;
            else if (AGAIN != 0) term = 0;
            {upper, unused} = {own[REST-1:SHIFT], 1'b1} + {term, minus};
            lane = own << 1;
            lane[REST] = !upper[UPPER-1];
            lane[REST-1:0] = own[REST-1:0];
            lane[REST-1:SHIFT] = upper;
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
    """One addition or subtraction in all lanes; as Verilog an instance of a short module.

    Members
    -------
    put : In
        Whether there is a row; the registers keep what they hold where there is none.
    words, divisors : In
        Of each lane {bits of the stages before, rest}, and its threshold.
    o_words, o_divisors : Out
        The same behind this stage.
    """

    def __init__(self, plan: LayerPlan, number: int) -> None:
        self.plan, self.number = plan, number
        self.rest, self.count = plan.division_bits, len(plan.division)
        lanes = plan.layout.lanes
        words, divisors = lanes * (self.count + self.rest), lanes * plan.threshold.bits
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
        times, first = self.plan.division, not self.number
        again = not first and times[self.number - 1] == times[self.number]
        rest, divisor = self.rest, self.plan.threshold.bits
        shift, lanes = unsigned_bits(times[self.number]) - 1, self.plan.layout.lanes
        if isinstance(platform, MemoryFiles):
            m.submodules.divide = Instance(
                "nchw_divide",
                p_LANES=lanes,
                p_REST=rest,
                p_COUNT=self.count,
                p_DIVISOR=divisor,
                p_SHIFT=shift,
                p_FIRST=int(first),
                p_AGAIN=int(again),
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
            own = word[:rest].as_signed()
            multiple = self.divisors.word_select(i, divisor).as_signed() << shift
            below = own if again else own + multiple
            left = Signal(rest, name=f"left_{i}")
            m.d.comb += left.eq(own - multiple if first else Mux(own < 0, below, own - multiple))
            after.append(Cat(left, ~left[-1], word[rest:])[: self.count + rest])
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
                left = [_extended(membrane, stage.rest) for membrane in counts]
                words = Cat(Cat(rest, C(0, stage.count)) for rest in left)
            m.d.comb += [stage.put.eq(put), stage.words.eq(words), stage.divisors.eq(divisors)]
            words = stage.o_words
            if not plan.threshold.uniform:
                divisors = stage.o_divisors
            place, put, exists = (
                later(m, f"{name}_{number}_", value)
                for name, value in (("place", place), ("put", put), ("exists", exists))
            )
        if plan.division:
            each = stage.rest + stage.count
            reached = [words.word_select(i, each)[stage.rest :] for i in range(lanes)]
            counts = [_weighed(of, plan.division) for of in reached]
        if sum(plan.division) > plan.burst:
            counts = [Mux(count > plan.burst, plan.burst, count) for count in counts]
        counts = [Mux(exists[i], count, 0)[: spike_bits(plan)] for i, count in enumerate(counts)]
        m.d.comb += [self.mask.eq(place), self.mask.spikes.eq(Cat(counts)), self.o_put.eq(put)]
        return m


def _extended(membrane: Value, bits: int) -> Value:
    return Cat(membrane, membrane[-1].replicate(bits - len(membrane)))


def _weighed(reached: Value, division: tuple[int, ...]) -> Value:
    """The sum of the multiples that were reached, the last one in bit 0: powers of two in turn,
    and 1 once more where that is how many spikes there may be."""
    if len(division) > 1 and division[-1] == division[-2]:
        return reached[1:] + reached[0]
    return reached
