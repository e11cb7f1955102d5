"""The whole network: packets in, one layer core per population, packets out, a tap on each layer.

Layers work on different steps at the same time; every stream has backpressure, so nothing is ever
dropped, and a packet may follow another at once.
"""

from __future__ import annotations

from amaranth import Cat, Elaboratable, Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect

from neurocuda_hw.network import Network
from neurocuda_hw.network.wire import event_bits, word_bits
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.queues import limits_input
from neurocuda_hw.rtl.activity import activity_layout
from neurocuda_hw.rtl.axi import EventOutput, Fault, LastMarker, LineMarks, PacketInput, ValueOutput
from neurocuda_hw.rtl.delay import Delay
from neurocuda_hw.rtl.expander import Expander
from neurocuda_hw.rtl.fork import Fork
from neurocuda_hw.rtl.layer import LayerCore
from neurocuda_hw.rtl.signatures import events_of


class Top(Component):
    """The network with AXI4-Stream ports; an input word per cycle, as long as layers keep up.

    Members
    -------
    s_axis_tdata, s_axis_tkeep, s_axis_tlast, s_axis_tvalid : In;  s_axis_tready : Out
    m_axis_tdata, m_axis_tkeep, m_axis_tlast, m_axis_tvalid : Out;  m_axis_tready : In
    packet_faults : Out
        One bit per `axi.Fault`, high in a cycle in which an input transfer is dropped for it.
    activity : Out
        What each layer does in this cycle, the first target population's `activity_layout` lowest.

    For each spiking population NAME there are the internal signals ``tap_NAME_valid`` and
    ``tap_NAME_data`` (``{end, address}``, of a burst ``{end, count, address}``): what it sent in
    this cycle. ``tap_NAME_activity`` is the part of `activity` of each target population. Nothing
    reads them.
    """

    def __init__(self, network: Network, plans: dict[str, LayerPlan]) -> None:
        self.network, self.plans = network, plans
        self.tdata_bits = word_bits(network, plans[network.output.name].state_bits)
        ends = {}
        for name, this, other in (("s", In, Out), ("m", Out, In)):
            ends[f"{name}_axis_tdata"] = this(self.tdata_bits)
            ends[f"{name}_axis_tkeep"] = this(
                self.tdata_bits // 8, init=(1 << self.tdata_bits // 8) - 1
            )
            ends[f"{name}_axis_tlast"] = this(1)
            ends[f"{name}_axis_tvalid"] = this(1)
            ends[f"{name}_axis_tready"] = other(1)
        # an inference is one step of the hardware
        self.merged = 1 == plans[network.output.name].timesteps < network.timesteps
        layouts = {n: activity_layout(len(p.sources), p.burst) for n, p in plans.items()}
        ends["packet_faults"] = Out(len(Fault))
        ends["activity"] = Out(sum(layout.size for layout in layouts.values()))
        super().__init__(ends)
        # kept through the clean-up of the Verilog, though nothing reads them
        self.taps = {
            name: (
                Signal(name=f"tap_{name}_valid", attrs={"keep": 1}),
                Signal(
                    event_bits(plan.population, plan.burst),
                    name=f"tap_{name}_data",
                    attrs={"keep": 1},
                ),
            )
            for name, plan in plans.items()
            if plan.fires
        }
        self.activities = {
            name: Signal(layout.size, name=f"tap_{name}_activity", attrs={"keep": 1})
            for name, layout in layouts.items()
        }

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        network = self.network
        raster = any(
            plan.lines is not None and plan.lines.needs[i][-1] > 1
            for plan in self.plans.values()
            for i, projection in enumerate(plan.projections)
            if projection.source == network.input.name
        )
        packets = PacketInput(
            population=network.input,
            arrivals=network.arrivals,
            limited=limits_input(network),
            timesteps=network.timesteps,
            tdata_bits=self.tdata_bits,
            raster=raster,
        )
        m.submodules.packets = packets
        m.d.comb += [
            packets.words.payload.word.eq(self.s_axis_tdata),
            packets.words.payload.keep.eq(self.s_axis_tkeep),
            packets.words.payload.last.eq(self.s_axis_tlast),
            packets.words.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(packets.words.ready),
            self.packet_faults.eq(packets.faults),
            self.activity.eq(Cat(self.activities.values())),
        ]
        cores = {name: LayerCore(plan, self._branches(name)) for name, plan in self.plans.items()}
        for name, core in cores.items():
            m.submodules[f"layer_{name}"] = core
            m.d.comb += self.activities[name].eq(core.activity)
            if core.plan.fires:
                valid, data = self.taps[name]
                m.d.comb += [valid.eq(core.out.valid & core.out.ready), data.eq(core.out.payload)]
        events = packets.events
        if self.merged:
            last = LastMarker(population=network.input, timesteps=network.timesteps)
            m.submodules.last_marker = last
            connect(m, events, last.events)
            events = last.merged
        if raster:
            m.submodules.line_marks = marks = LineMarks(population=network.input)
            connect(m, events, marks.events)
            events = marks.marked
        events = self.passed(m, network.input.name, 0, events)
        self._join(m, events, self._ends(m, network.input.name, cores))
        for name, core in cores.items():
            ends = self._ends(m, name, cores)
            if name == network.output.name:
                ends.append(self._output(m, core))
            for branch, (out, end) in enumerate(zip(core.outputs(), ends, strict=True)):
                connect(m, self.passed(m, name, branch, out), end)
        return m

    def passed(self, m: Module, name: str, branch: int, sent: stream.Interface) -> stream.Interface:
        """What the end of a branch gets of what a population has `sent`: all, as it is."""
        return sent

    def _branches(self, name: str) -> int:
        """To how many ends a population's events or values go."""
        ends = sum(p.source == name for p in self.network.projections)
        return ends + (name == self.network.output.name)

    def _ends(self, m: Module, name: str, cores: dict[str, LayerCore]) -> list[stream.Interface]:
        """Where a population's events go: every projection from there, some behind a delay."""
        ends = []
        for core in cores.values():
            for i, projection in enumerate(core.plan.projections):
                if projection.source != name:
                    continue
                end = getattr(core, f"events_{i}")
                if projection.delay:
                    delay = Delay(population=self.network[name], timesteps=self.network.timesteps)
                    m.submodules[f"delay_{core.plan.population.name}_{i}"] = delay
                    connect(m, delay.delayed, end)
                    end = delay.events
                if name in cores and cores[name].plan.burst and not core.plan.bursts[i]:
                    end = self._expanded(m, f"{core.plan.population.name}_{i}", name, end)
                ends.append(end)
        return ends

    def _expanded(
        self, m: Module, label: str, name: str, end: stream.Interface
    ) -> stream.Interface:
        """Leads the spikes of a population of bursts to `end`, one by one; returns where from."""
        expander = Expander(
            population=self.network[name],
            window=self.network.window(name),
            timesteps=self.network.timesteps,
            merged=self.merged,
        )
        m.submodules[f"expander_{label}"] = expander
        connect(m, expander.events, end)
        return expander.bursts

    def _join(self, m: Module, source: stream.Interface, ends: list[stream.Interface]) -> None:
        """Leads the stream of the input to all its ends."""
        if len(ends) == 1:
            connect(m, source, ends[0])
            return
        fork = Fork(signature=events_of(self.network.input), branches=len(ends))
        m.submodules[f"fork_{self.network.input.name}"] = fork
        connect(m, source, fork.events)
        for i, end in enumerate(ends):
            connect(m, getattr(fork, f"branch_{i}"), end)

    def _output(self, m: Module, core: LayerCore) -> stream.Interface:
        """The end that turns the last population's events or values into words."""
        output: EventOutput | ValueOutput
        if core.plan.fires:
            output = EventOutput(
                population=core.plan.population,
                timesteps=self.network.timesteps,
                tdata_bits=self.tdata_bits,
            )
        else:
            output = ValueOutput(bits=core.plan.state_bits, tdata_bits=self.tdata_bits)
        m.submodules.output = output
        m.d.comb += [
            self.m_axis_tdata.eq(output.words.payload.word),
            self.m_axis_tkeep.eq(output.words.payload.keep),
            self.m_axis_tlast.eq(output.words.payload.last),
            self.m_axis_tvalid.eq(output.words.valid),
            output.words.ready.eq(self.m_axis_tready),
        ]
        if isinstance(output, ValueOutput):
            return output.values
        if core.plan.burst:
            return self._expanded(m, "output", self.network.output.name, output.events)
        return output.events
