"""The register block: an AXI4-Lite slave that tells what the network is and does; one interrupt.

::

    AXI4-Lite <-> [ constants, CONTROL, STATUS, IRQ_* ] -- reset, irq
                  [ Counters ] <- activity of the layers, transfers on both streams

It sees the two AXI4-Streams and the top's `activity` and `packet_faults` from outside, so the core
is the same with it and without it. The map is in `register_map`.
"""

from __future__ import annotations

from amaranth import C, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from neurocuda_hw.network import Network
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts
from neurocuda_hw.rtl.activity import State, activity_layout
from neurocuda_hw.rtl.axi import Fault
from neurocuda_hw.rtl.counters import Counters
from neurocuda_hw.rtl.register_map import (
    COUNTER_BLOCK,
    COUNTERS_AT,
    DESIGN_COUNTERS,
    LAYER_COUNTERS,
    REGISTERS,
    Access,
    Register,
    address_bits,
    constants,
    counter_blocks,
    layer_counters,
    register,
)

OKAY, SLVERR = 0, 2  # the AXI responses in use
INFLIGHT_BITS = 16


class RegisterBlock(Component):
    """AXI4-Lite slave, interrupt, counters.

    Parameters
    ----------
    network : Network
    tdata_bits : int
        Width of both AXI4-Streams.
    counters : bool
        Whether there are counters; without, their addresses hold nothing.

    Members
    -------
    s_axi_aw..., s_axi_w..., s_axi_b..., s_axi_ar..., s_axi_r...
        AXI4-Lite with 32-bit data. A write is taken once address and data are there, in whichever
        order they come: one every 2 cycles. A read takes 3 cycles, of a counter 5; while a CLEAR is
        under way, counters answer late. What is at no address, and writes to what is read-only, are
        answered by SLVERR and change nothing. AxPROT is ignored, and so are address bits 1 and 0.
    input_valid, input_ready, input_last, output_valid, output_ready, output_last : In
        The handshakes of the network's AXI4-Streams.
    packet_faults, activity : In
        From the top.
    hold : Out
        The network must be held in reset.
    irq : Out
        Level, high while an enabled interrupt is pending.
    """

    def __init__(
        self,
        network: Network,
        *,
        tdata_bits: int,
        counters: bool,
        bursts: Bursts = NO_BURSTS,
    ) -> None:
        self.network, self.has_counters = network, counters
        any_bursts, self.bursts = bool(bursts.counts), bursts
        self.constants = constants(
            network, tdata_bits=tdata_bits, counters=counters, bursts=any_bursts
        )
        self.layer_counters = layer_counters(any_bursts)
        self.layouts = [
            activity_layout(len(network.incoming(p.name)), bursts.counts.get(p.name, 0))
            for p in network.targets
        ]
        address = address_bits(len(network.targets))
        members = {}
        for channel, other in (("aw", In), ("ar", In)):
            members[f"s_axi_{channel}addr"] = other(address)
            members[f"s_axi_{channel}prot"] = other(3)
        members |= {"s_axi_wdata": In(32), "s_axi_wstrb": In(4), "s_axi_bresp": Out(2)}
        members |= {"s_axi_rdata": Out(32), "s_axi_rresp": Out(2)}
        for channel in ("aw", "w", "ar"):
            members |= {f"s_axi_{channel}valid": In(1), f"s_axi_{channel}ready": Out(1)}
        for channel in ("b", "r"):
            members |= {f"s_axi_{channel}valid": Out(1), f"s_axi_{channel}ready": In(1)}
        for side in ("input", "output"):
            members |= {f"{side}_{wire}": In(1) for wire in ("valid", "ready", "last")}
        members |= {
            "packet_faults": In(len(Fault)),
            "activity": In(sum(layout.size for layout in self.layouts)),
            "hold": Out(1),
            "irq": Out(1),
        }
        super().__init__(members)

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        freeze, clear = Signal(), Signal()
        enable, pending = Signal(2), Signal(2)
        errors = Signal(len(Fault))
        self._writes(m, clear, {"CONTROL": Cat(self.hold, freeze), "IRQ_ENABLE": enable})
        took, sent = Signal(), Signal()
        finished = Signal()  # an output packet has left
        m.d.comb += [
            took.eq(self.input_valid & self.input_ready),
            sent.eq(self.output_valid & self.output_ready),
            finished.eq(sent & self.output_last),
        ]
        self._flags(m, "IRQ_PENDING", pending, Cat(finished, self.packet_faults.any()))
        self._flags(m, "ERRORS", errors, self.packet_faults)
        m.d.comb += self.irq.eq((pending & enable).any())
        inflight, inferences = Signal(INFLIGHT_BITS), Signal(32)
        begun = Signal()  # the packet at the input is not its first word any more
        with m.If(took):
            m.d.sync += begun.eq(~self.input_last)
        m.d.sync += inflight.eq(inflight + (took & ~begun) - finished)
        with m.If(self.hold):
            m.d.sync += [inflight.eq(0), begun.eq(0)]
        m.d.sync += inferences.eq(inferences + finished)
        with m.If(clear):
            m.d.sync += inferences.eq(0)
        counters = self._counters(m, freeze, clear, took, sent) if self.has_counters else None
        settled = counters.settled if counters else C(0, 1)
        self._reads(
            m,
            {
                **{name: C(value, 32) for name, value in self.constants.items()},
                "CONTROL": Cat(self.hold, freeze),
                "STATUS": Cat(inflight.any(), self.irq, settled, C(0, 13), inflight),
                "INFERENCES": inferences,
                "IRQ_ENABLE": enable,
                "IRQ_PENDING": pending,
                "ERRORS": errors,
            },
            counters,
        )
        return m

    def _writes(self, m: Module, clear: Signal, stored: dict[str, Value]) -> None:
        """Takes writes; `stored` are the registers that keep what is written, from bit 0 on."""
        self.write, self.mask = Signal(), Cat(bit.replicate(8) for bit in self.s_axi_wstrb)
        word = self.s_axi_awaddr[2:]
        m.d.comb += [
            self.write.eq(self.s_axi_awvalid & self.s_axi_wvalid & ~self.s_axi_bvalid),
            self.s_axi_awready.eq(self.write),
            self.s_axi_wready.eq(self.write),
        ]
        with m.If(self.write):
            m.d.sync += [self.s_axi_bvalid.eq(1), self.s_axi_bresp.eq(SLVERR)]
            with m.Switch(word):
                for target in REGISTERS:
                    if target.access in (Access.WRITE, Access.CLEAR):
                        with m.Case(target.offset >> 2):
                            m.d.sync += self.s_axi_bresp.eq(OKAY)
        with m.Elif(self.s_axi_bready):
            m.d.sync += self.s_axi_bvalid.eq(0)
        for name, value in stored.items():
            with m.If(self._writing(register(name))):
                m.d.sync += value.eq(value & ~self.mask | self.s_axi_wdata & self.mask)
        control = register("CONTROL")
        wiped = (self.s_axi_wdata & self.mask)[control.field("CLEAR").low]
        m.d.comb += clear.eq(self._writing(control) & wiped)

    def _writing(self, target: Register) -> Value:
        return self.write & (self.s_axi_awaddr[2:] == target.offset >> 2)

    def _flags(self, m: Module, name: str, flags: Signal, happens: Value) -> None:
        """Flags that are set by what happens and cleared by writing 1, setting first."""
        writing = self._writing(register(name))
        cleared = (self.s_axi_wdata & self.mask)[: len(flags)] & writing.replicate(len(flags))
        m.d.sync += flags.eq(flags & ~cleared | happens)

    def _counters(
        self, m: Module, freeze: Signal, clear: Signal, took: Signal, sent: Signal
    ) -> Counters:
        """The counters and what makes them count."""
        increments: dict[int, Value] = {}
        design = {
            "CYCLES": C(1, 1),
            "INPUT_TAKEN": took,
            "INPUT_STALLED": self.input_valid & ~self.input_ready,
            "OUTPUT_TAKEN": sent,
            "OUTPUT_STALLED": self.output_valid & ~self.output_ready,
        }
        for counter in DESIGN_COUNTERS:
            increments[_place(0, counter.index)] = design[counter.name]
        highest = dict.fromkeys(increments, 1)
        at = 0
        for block, layout in enumerate(self.layouts, 1):
            activity = Signal(layout)
            m.d.comb += activity.eq(self.activity[at : at + layout.size])
            at += layout.size
            for counter in self.layer_counters:
                place = _place(block, counter.index)
                increments[place] = _increment(counter.name, activity)
                highest[place] = 1
            name = self.network.targets[block - 1].name
            highest[_place(block, LAYER_COUNTERS[0].index)] = len(self.network.incoming(name))
            highest[_place(block, LAYER_COUNTERS[1].index)] = self.bursts.counts.get(name, 1)
        m.submodules.counters = counters = Counters(
            highest=highest, depth=counter_blocks(len(self.layouts)) * _BLOCK_WORDS
        )
        m.d.comb += [
            counters.count.eq(~freeze & ~self.hold),
            counters.clear.eq(clear),
            counters.increments.eq(Cat(increments[place] for place in sorted(increments))),
        ]
        return counters

    def _reads(self, m: Module, values: dict[str, Value], counters: Counters | None) -> None:
        """Answers reads, one at a time."""
        word = Signal(len(self.s_axi_araddr) - 2)
        data, known = Signal(32), Signal()
        with m.Switch(word):
            for source in REGISTERS:
                with m.Case(source.offset >> 2):
                    m.d.comb += [data.eq(values[source.name]), known.eq(1)]
        exists = self._find(m, word, counters) if counters else None
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.s_axi_arready.eq(1)
                with m.If(self.s_axi_arvalid):
                    m.d.sync += word.eq(self.s_axi_araddr[2:])
                    m.next = "LOOK"
            with m.State("LOOK"):
                answer = [self.s_axi_rdata.eq(data), self.s_axi_rresp.eq(SLVERR)]
                m.d.sync += [*answer, self.s_axi_rvalid.eq(1)]
                m.next = "ANSWER"
                with m.If(known):
                    m.d.sync += self.s_axi_rresp.eq(OKAY)
                if counters:
                    with m.If(exists):
                        m.d.sync += self.s_axi_rvalid.eq(0)
                        m.next = "LOOK"
                        with m.If(~counters.busy):
                            m.d.comb += counters.read.eq(1)
                            m.next = "WAIT"
            if counters:
                with m.State("WAIT"):
                    m.next = "FETCH"
                with m.State("FETCH"):
                    m.d.sync += [self.s_axi_rdata.eq(counters.data), self.s_axi_rresp.eq(OKAY)]
                    m.d.sync += self.s_axi_rvalid.eq(1)
                    m.next = "ANSWER"
            with m.State("ANSWER"), m.If(self.s_axi_rready):
                m.d.sync += self.s_axi_rvalid.eq(0)
                m.next = "IDLE"

    def _find(self, m: Module, word: Signal, counters: Counters) -> Signal:
        """Leads a counter's address to the counters; returns whether there is one."""
        place, exists = Signal.like(word), Signal()
        block, index = place // _BLOCK_WORDS, place % _BLOCK_WORDS
        in_block = Mux(block == 0, index < len(DESIGN_COUNTERS), index < len(self.layer_counters))
        m.d.comb += [
            place.eq(word - (COUNTERS_AT >> 2)),
            counters.address.eq(place),
            exists.eq((word >= COUNTERS_AT >> 2) & (block <= len(self.layouts)) & in_block),
        ]
        return exists


_BLOCK_WORDS = COUNTER_BLOCK >> 2


def _place(block: int, index: int) -> int:
    """A counter's word in the memory."""
    return _BLOCK_WORDS * block + index


def _increment(name: str, activity: Signal) -> Value:
    """What one cycle adds to a layer's counter."""
    parts = {
        "EVENTS": activity.events,
        "SPIKES": activity.spike,
        "BURSTS": activity.spike.any(),
    }
    return parts[name] if name in parts else activity.state == getattr(State, name)
