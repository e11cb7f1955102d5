"""Runs a network's hardware in Amaranth's simulator and returns what its taps and output saw."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
from amaranth.sim import Simulator

from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import Encoding, Input
from neurocuda_hw.network.trace import Trace, pack
from neurocuda_hw.network.wire import address_bits, event_bits
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts
from neurocuda_hw.passes.mapping import Ways
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.planner import plan_layer
from neurocuda_hw.rtl.axi import Fault
from neurocuda_hw.rtl.emit import plan_network
from neurocuda_hw.rtl.top import Top

PATIENCE = 4000  # cycles without any transfer after which the hardware is taken to be stuck


def packet(
    network: Network, sample: np.ndarray, tdata_bits: int, *, raster: bool = False
) -> list[tuple[int, int]]:
    """One inference as (word, last) pairs; by lines if `raster`."""
    population = network.input
    neuron = population.neuron
    assert isinstance(neuron, Input)
    c_bits, y_bits, x_bits = address_bits(population)
    value_bits = 0 if neuron.encoding is Encoding.SPIKES else neuron.payload_bits
    frames = sample[None] if neuron.encoding is Encoding.CURRENT else sample
    window = network.window(population.name)
    marker = 1 << (tdata_bits - 1)
    words = [marker] * window.start
    for frame in frames:
        places = np.argwhere(frame.reshape(population.chw))
        for c, y, x in sorted(places, key=lambda p: p[1]) if raster else places:
            value = int(frame.reshape(population.chw)[c, y, x]) & ((1 << value_bits) - 1)
            address = ((int(c) << y_bits | int(y)) << x_bits) | int(x)
            words.append(value << (c_bits + y_bits + x_bits) | address)
        words.append(marker)
    return [(word, int(i == len(words) - 1)) for i, word in enumerate(words)]


class Bench:
    """Drives a network's top level.

    Parameters
    ----------
    network : Network
    lanes : dict of str to int, optional
    stalls : float
        Probability that a stream pauses in a cycle.
    touched : bool, optional
        See `plan_layer`.
    bursts : Bursts
        What is sent as bursts; they are spread over their steps by the rules of the harnesses.
    soft : bool
        Whether lanes multiply in logic.
    plans : dict of str to LayerPlan, optional
        Those of `lanes` and `bursts` where None.
    observe : bool
        Whether to note in `activity` what each layer does in each cycle, as (state, events, spike).
    """

    def __init__(
        self,
        network: Network,
        *,
        lanes: dict[str, int] | None = None,
        stalls: float = 0.0,
        seed: int = 0,
        touched: bool | None = None,
        bursts: Bursts = NO_BURSTS,
        soft: bool = False,
        observe: bool = False,
        plans: dict[str, LayerPlan] | None = None,
    ) -> None:
        self.network, self.bursts = network, bursts
        self.plans = plans or plan_network(network, lanes, bursts)
        if touched is not None:
            self.plans = {
                name: plan_layer(
                    network, p.population, p.layout.lanes, touched=touched, bursts=bursts
                )
                for name, p in self.plans.items()
            }
        if soft:
            self.plans = {n: replace(p, ways=Ways(soft=True)) for n, p in self.plans.items()}
        self.top = Top(network, self.plans)
        self.random = random.Random(seed)
        self.stalls = stalls
        self.cycles = 0
        self.ends: list[int] = []  # the cycle of each inference's last output word
        self.observe = observe
        self.faults: Counter[str] = Counter()
        self.line = dict.fromkeys(self.plans, 0)  # marks of an inference, where lines are sent
        # spikes that bursts stand for: (step, neuron)
        self.later: dict[str, list[tuple[int, int]]] = {name: [] for name in self.plans}
        self.activity: dict[str, list[tuple[int, int, int]]] = {name: [] for name in self.plans}

    def run(self, inputs: np.ndarray, packets: list[list[tuple[int, int]]] | None = None) -> Trace:
        """Sends all samples back to back and returns the trace that the hardware made.

        Or `packets` of (word, TKEEP) in their stead; `faults` then has the dropped transfers.
        """
        bits = self.top.tdata_bits
        full = (1 << bits // 8) - 1
        raster = self.bursts.raster
        words = [
            (w, full, z) for x in inputs for w, z in packet(self.network, x, bits, raster=raster)
        ]
        if packets is not None:
            words = [(*w, int(i == len(p) - 1)) for p in packets for i, w in enumerate(p)]
        spiking = [p for p in self.network.populations if p.spiking]
        seen: dict[str, list[list[int]]] = {p.name: [[]] for p in spiking}
        outputs: list[int] = []
        steps = len(inputs) * self.network.timesteps
        wanted = len(inputs) * self.network.output.size
        values = not self.network.output.spiking

        def finished() -> bool:
            done = all(len(parts) > steps for parts in seen.values())
            return done and (not values or len(outputs) >= wanted)

        async def drive(context) -> None:  # type: ignore[no-untyped-def]
            top, sent, quiet, offered, rest = self.top, 0, 0, False, 3
            while rest:
                rest -= finished() and sent == len(words)  # what was dropped is told later
                # once offered, a word stays until it is taken
                offered = offered or (sent < len(words) and self.random.random() >= self.stalls)
                context.set(top.s_axis_tvalid, int(offered))
                if offered:
                    context.set(top.s_axis_tdata, words[sent][0])
                    context.set(top.s_axis_tkeep, words[sent][1])
                    context.set(top.s_axis_tlast, words[sent][2])
                context.set(top.m_axis_tready, int(self.random.random() >= self.stalls))
                quiet += 1
                faults = context.get(top.packet_faults)
                self.faults.update(f.name for f in Fault if faults >> f & 1)
                if offered and context.get(top.s_axis_tready):
                    sent, quiet, offered = sent + 1, 0, False
                for population in spiking:
                    valid, data = top.taps[population.name]
                    if context.get(valid):
                        quiet = 0
                        self._note(population.name, context.get(data), seen)
                if context.get(top.m_axis_tvalid) and context.get(top.m_axis_tready):
                    quiet = 0
                    word = context.get(top.m_axis_tdata)
                    half = 1 << (top.tdata_bits - 1)
                    outputs.append((word ^ half) - half)
                    if context.get(top.m_axis_tlast):
                        self.ends.append(self.cycles)
                if self.observe:
                    self._observe(context)
                assert quiet < PATIENCE, f"stuck after {self.cycles} cycles, {sent} words sent"
                self.cycles += 1
                await context.tick()

        simulator = Simulator(self.top)
        simulator.add_clock(1e-8)
        simulator.add_testbench(drive)
        simulator.run()
        return self._trace(inputs, seen, np.array(outputs, dtype=np.int64), len(inputs))

    def _observe(self, context) -> None:  # type: ignore[no-untyped-def]
        for name, signal in self.top.activities.items():
            plan = self.plans[name]
            value, spike = context.get(signal), 3 + len(plan.sources).bit_length()
            events = (value & ((1 << spike) - 1)) >> 3
            self.activity[name].append((value & 7, events, value >> spike))

    def _note(self, name: str, data: int, seen: dict[str, list[list[int]]]) -> None:
        population = self.network[name]
        c_bits, y_bits, x_bits = address_bits(population)
        most, address = self.bursts.counts.get(name, 0), c_bits + y_bits + x_bits
        lines = self.plans[name].lines if name in self.plans else None
        if data >> (event_bits(population, most) - 1):
            if lines is not None:
                self.line[name] = (self.line[name] + 1) % lines.sends
                if self.line[name]:
                    return
            ended = self.network.timesteps if self.bursts.merged else 1
            seen[name] += [[] for _ in range(ended)]
            return
        count, data = data >> address or 1, data & ((1 << address) - 1)
        c, y = data >> (y_bits + x_bits), data >> x_bits & ((1 << y_bits) - 1)
        _, height, width = population.chw
        neuron = (c * height + y) * width + (data & ((1 << x_bits) - 1))
        if lines is not None and lines.sends > 1:
            assert y // self.plans[name].layout.block[0] == self.line[name], (name, c, y, self.line)
        if not most:
            seen[name][-1].append(neuron)
            return
        step, start = len(seen[name]) - 1, self.network.window(name).start
        assert step % self.network.timesteps == (0 if self.bursts.merged else start)
        step += start if self.bursts.merged else 0
        assert count <= most
        self.later[name] += [(step + i, neuron) for i in range(count)]

    def _trace(
        self,
        inputs: np.ndarray,
        seen: dict[str, list[list[int]]],
        outputs: np.ndarray,
        samples: int,
    ) -> Trace:
        network, spikes = self.network, {}
        for name, parts in seen.items():
            bits = np.zeros((samples * network.timesteps, network[name].size), dtype=np.uint8)
            for step, neurons in enumerate(parts[: len(bits)]):
                assert len(set(neurons)) == len(neurons), (
                    f"{name} sent a spike twice in step {step}"
                )
                bits[step, neurons] = 1
            for step, neuron in self.later[name]:
                assert not bits[step, neuron], f"{name} sent neuron {neuron} twice"
                bits[step, neuron] = 1
            spikes[name] = bits.reshape(samples, network.timesteps, -1)
        if network.output.spiking:
            outputs = spikes[network.output.name].sum(axis=1, dtype=np.int64)
        return Trace(
            network_hash=network.hash,
            timesteps=network.timesteps,
            sizes={name: network[name].size for name in spikes},
            inputs=inputs,
            spikes={name: pack(bits) for name, bits in spikes.items()},
            outputs=outputs.reshape(samples, -1),
        )
