"""Fork, delay, packet ends, serializer beside naive models, with backpressure."""

import random
from collections import Counter

import numpy as np
import pytest
from amaranth import Module, Signal
from amaranth.sim import Simulator
from rtl.streams import transfer

from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout, Window
from neurocuda_hw.network.synapses import Conv2d, Dense
from neurocuda_hw.passes.planner import plan_layer
from neurocuda_hw.rtl.axi import EventOutput, Fault, PacketInput, ValueOutput
from neurocuda_hw.rtl.delay import Delay
from neurocuda_hw.rtl.fork import Fork
from neurocuda_hw.rtl.serializer import Selector, Serializer
from neurocuda_hw.rtl.signatures import events_of
from sim.odd_packets import Reader

SPIKES = Population(name="p", shape=(3, 2, 2), neuron=IF(threshold=1))
PIXELS = Population(
    name="x",
    shape=(2, 3, 5),
    neuron=Input(encoding=Encoding.GRADED, payload_bits=4, signed=True),
)


def spike(c, y=0, x=0):
    return {"c": c, "y": y, "x": x, "end": 0}


END = {"c": 0, "y": 0, "x": 0, "end": 1}


def plain(event):
    return END if event.end else spike(event.c, event.y, event.x)


@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_delay_lets_events_pass_one_step_later_and_forgets_the_last_step(stalls):
    chance = random.Random(3)
    steps = [[spike(chance.randrange(3)) for _ in range(chance.randrange(13))] for _ in range(12)]
    sent = [event for step in steps for event in (*step, END)]
    want = []
    for step in range(12):
        want += ([] if step % 4 == 0 else steps[step - 1]) + [END]
    delay = Delay(population=SPIKES, timesteps=4)
    got = transfer(
        delay, delay.events, delay.delayed, sent, expected=len(want), stalls=stalls, seed=5
    )
    assert [plain(event) for event in got[: len(want)]] == want
    assert len(got) <= len(want) + 1 + len(steps[-1])


def test_delay_takes_a_whole_step_with_nobody_reading():
    delay = Delay(population=SPIKES, timesteps=4)
    taken = []

    async def drive(context):
        context.set(delay.events.valid, 1)
        for event in [spike(i % 3) for i in range(SPIKES.size)] + [END]:
            context.set(delay.events.payload, event)
            taken.append(context.get(delay.events.ready))
            await context.tick()

    simulator = Simulator(delay)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    assert all(taken)


def test_fork_gives_every_branch_everything_in_order():
    chance = random.Random(1)
    events = [spike(chance.randrange(3)) for _ in range(60)]
    fork = Fork(signature=events_of(SPIKES), branches=3)
    got = [[], [], []]

    async def drive(context):
        sent = 0
        context.set(fork.events.valid, 1)
        while sent < len(events):
            context.set(fork.events.payload, events[sent])
            for i in range(3):
                branch = getattr(fork, f"branch_{i}")
                ready = chance.random() < 0.4
                context.set(branch.ready, ready)
                if ready and context.get(branch.valid):
                    got[i].append(plain(context.get(branch.payload)))
            sent += context.get(fork.events.ready)
            await context.tick()

    simulator = Simulator(fork)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    assert got == [events, events, events]


def word(c, y, x, value):
    return (value & 15) << 6 | c << 5 | y << 3 | x


MARKER = 1 << 31
BEYOND = 1 << 31 | 5  # what is beside the marker in its word does not matter
KEPT, NULL, PARTIAL = 15, 0, 7
PACKETS = [
    [word(1, 2, 4, -3), word(0, 0, 1, 7)],  # TLAST on an event: all markers are implied
    [word(0, 1, 1, 1), MARKER, word(1, 0, 0, 2), BEYOND],
    [MARKER],  # an empty inference
    [MARKER, word(1, 1, 1, 1), MARKER, MARKER],  # exactly T markers
    [MARKER, MARKER, MARKER, word(1, 1, 1, 1), MARKER],  # what follows the third is dropped
    [MARKER, MARKER, MARKER, (MARKER, NULL)],  # a late TLAST is no fault
    [(word(0, 0, 0, 1), NULL), word(0, 0, 0, 2), (MARKER, NULL), word(1, 0, 0, 3), (0, NULL)],
    [(0, NULL)],  # an empty inference, too
    [(word(0, 1, 1, 1), PARTIAL), (word(0, 1, 1, 1), 8), word(0, 1, 1, 4), (MARKER, PARTIAL)],
    [word(0, 3, 1, 1), word(0, 2, 4, 5), word(1, 0, 5, 1), MARKER, word(1, 3, 7, 1)],
    [word(0, 2, 3, -8)],
    [MARKER, MARKER, word(0, 1, 1, 3), word(0, 1, 1, 3)],  # after the window
    [word(0, 0, 0, 1)] * 32,  # two more than there are neurons
]
WINDOW = 0, 2


class Counted(PacketInput):
    """A packet input that counts the words with each fault."""

    def __init__(self, **options):
        super().__init__(**options)
        self.counts = [Signal(8) for _ in Fault]

    def elaborate(self, platform):
        m = super().elaborate(platform)
        for count, fault in zip(self.counts, self.faults, strict=True):
            m.d.sync += count.eq(count + fault)
        return m


@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_packet_input_completes_and_cuts_packets_to_three_steps(stalls):
    reader = Reader((2, 3, 5), (1, 2, 3), 4, 32, 3, *WINDOW, PIXELS.size)
    sent, want, faults = [], [], Counter()
    for packet in PACKETS:
        words = [w if isinstance(w, tuple) else (w, KEPT) for w in packet]
        sent += [
            {"word": w, "keep": keep, "last": int(i == len(words) - 1)}
            for i, (w, keep) in enumerate(words)
        ]
        steps, wrong = reader.read(words)
        want += [event for step in steps for event in (*step, "end")]
        faults += wrong
    end = Counted(
        population=PIXELS,
        arrivals=Window(start=WINDOW[0], stop=WINDOW[1]),
        limited=True,
        timesteps=3,
        tdata_bits=32,
    )
    counts = []
    got = transfer(
        end,
        end.words,
        end.events,
        sent,
        expected=len(want),
        stalls=stalls,
        seed=2,
        finish=lambda context: counts.extend(context.get(count) for count in end.counts),
    )
    read = ["end" if e.end else word(e.c, e.y, e.x, e.value) for e in got]
    assert read == want
    assert faults == {"KEEP": 3, "ADDRESS": 3, "OVERLONG": 2, "WINDOW": 2, "CROWDED": 2}
    assert dict(zip(Fault.__members__, counts, strict=True)) == faults


def test_event_output_marks_the_last_step():
    steps = [[spike(2, 1, 0)], [], [spike(0), spike(1, 1, 1)]]
    sent = [event for step in steps * 2 for event in (*step, END)]
    end = EventOutput(population=SPIKES, timesteps=3, tdata_bits=32)
    got = transfer(end, end.events, end.words, sent, expected=len(sent), stalls=0.3, seed=4)
    assert [w.last for w in got] == [0, 0, 0, 0, 0, 1] * 2
    assert {w.keep for w in got} == {15}
    words = [w.word for w in got]
    assert [bool(w & MARKER) for w in words] == [bool(e["end"]) for e in sent]
    assert words[0] == 2 << 2 | 1 << 1


def plan(channels, lanes):
    """Of a readout."""
    last = Population(name="o", shape=(channels,), neuron=Readout())
    pixels = Population(name="x", shape=(2,), neuron=Input(encoding=Encoding.SPIKES))
    synapse = Dense(weight=np.ones((channels, 2), int))
    network = Network(
        populations=(pixels, last),
        projections=(Projection(source="x", target="o", synapse=synapse),),
        timesteps=2,
    )
    return plan_layer(network, last, lanes)


@pytest.mark.parametrize(("channels", "lanes"), [(1, 1), (5, 2), (7, 7), (8, 4)])
def test_serializer_sends_every_neuron_in_order(channels, lanes):
    p = plan(channels, lanes)
    serializer = Serializer(p)
    bits = p.state_bits
    chance = random.Random(channels)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    values = [[chance.randint(low, high) for _ in range(channels)] for _ in range(3)]
    got = []

    async def drive(context):
        rows = [inference[i : i + lanes] for inference in values for i in range(0, channels, lanes)]
        for _ in range(200):
            put = bool(rows) and context.get(serializer.room)
            context.set(serializer.put, put)
            if put:
                row = rows.pop(0)
                packed = sum((v & ((1 << bits) - 1)) << (bits * i) for i, v in enumerate(row))
                context.set(serializer.row, packed)
            context.set(serializer.values.ready, int(chance.random() < 0.6))
            if context.get(serializer.values.valid) and context.get(serializer.values.ready):
                got.append(context.get(serializer.values.payload))
            await context.tick()

    simulator = Simulator(serializer)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    assert [v.value for v in got] == [v for inference in values for v in inference]
    assert [v.end for v in got] == ([0] * (channels - 1) + [1]) * 3


@pytest.mark.parametrize("lanes", [1, 3])
def test_selector_sends_the_lanes_that_it_is_told(lanes):
    shape = (3, 2, 2)
    last = Population(name="o", shape=shape, neuron=Readout())
    network = Network(
        populations=(
            Population(name="x", shape=shape, neuron=Input(encoding=Encoding.SPIKES)),
            last,
        ),
        projections=(
            Projection(source="x", target="o", synapse=Conv2d(weight=np.ones((3, 3, 1, 1), int))),
        ),
        timesteps=2,
    )
    p = plan_layer(network, last, lanes)
    selector = Selector(p)
    bits, size = p.state_bits, last.size
    chance = random.Random(lanes)
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    sent, got = [], []

    async def drive(context):
        room = [0, 0, 0]
        for _ in range(400):
            # a row arrives two cycles after `room` allowed it, as from the lanes
            room = [*room[1:], context.get(selector.room) and len(sent) + sum(room[1:]) < 5 * size]
            context.set(selector.put, int(room[0]))
            if room[0]:
                row, lane = (
                    [chance.randint(low, high) for _ in range(lanes)],
                    chance.randrange(lanes),
                )
                sent.append(row[lane])
                packed = sum((v & ((1 << bits) - 1)) << (bits * i) for i, v in enumerate(row))
                context.set(selector.row, packed)
                context.set(selector.lane, lane)
            context.set(selector.values.ready, int(chance.random() < 0.6))
            if context.get(selector.values.valid) and context.get(selector.values.ready):
                got.append(context.get(selector.values.payload))
            await context.tick()

    simulator = Simulator(selector)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    assert len(sent) == 5 * size
    assert [v.value for v in got] == sent
    assert [v.end for v in got] == ([0] * (size - 1) + [1]) * 5


@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_values_become_whole_words(stalls):
    chance = random.Random(8)
    sent = [{"value": chance.randrange(-512, 512), "end": int(i % 5 == 4)} for i in range(40)]
    out = ValueOutput(bits=10, tdata_bits=32)
    clocked = Module()  # it has no register of its own
    clocked.submodules.out = out
    clocked.d.sync += Signal().eq(0)
    got = transfer(clocked, out.values, out.words, sent, expected=40, stalls=stalls, seed=2)
    want = [(value["value"] % 2**32, 15, value["end"]) for value in sent]
    assert [(word.word, word.keep, word.last) for word in got] == want
