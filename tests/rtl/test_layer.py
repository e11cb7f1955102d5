"""One layer by itself, fed by streams, beside the naive oracle; sources and branches that wait."""

from __future__ import annotations

import random

import numpy as np
import oracle
import pytest
from amaranth.sim import Simulator
from rtl.layers import LAYERS, plan_of
from rtl.slow_rows import SlowRows

from neurocuda_hw.network.neurons import Encoding, Input
from neurocuda_hw.rtl.activity import State
from neurocuda_hw.rtl.layer import LayerCore
from neurocuda_hw.rtl.rows import RomRows

pytestmark = pytest.mark.slow

INFERENCES = 2
PATIENCE = 600  # cycles without any transfer, once all that waits may go
# from an event's take to its step's marker, beside rows that are added and swept, and `lead`: the
# walker, the lanes and the compactor
LATENCY = 9


def drawn(plan, seed, density=0.4, inferences=INFERENCES):
    """What every source sends: for each inference, step and source, an integer per neuron."""
    random_ = np.random.default_rng(seed)

    def frame(source, silent):
        on = random_.random(source.size) < density * (not silent)
        neuron = source.neuron
        if isinstance(neuron, Input) and neuron.encoding is not Encoding.SPIKES:
            return np.where(on, random_.integers(neuron.payload[0], neuron.payload[1] + 1), 0)
        return on.astype(np.int64)

    sent = []
    for _ in range(inferences):
        # after the first step some are silent: a membrane may then fire once more by itself
        silent = [False, *(random_.random(plan.timesteps - 1) < 0.4)]
        steps = [{s.name: frame(s, quiet) for s in plan.sources} for quiet in silent]
        for source, held in zip(plan.sources, plan.held, strict=True):
            if held:
                for step in steps:
                    step[source.name] = steps[0][source.name]
        sent.append(steps)
    return sent


def expected(network, sent):
    """For each inference, the spikes of each step and the last membranes."""
    model, layer = oracle.Oracle(network), network["layer"]
    found = []
    for steps in sent:
        v = {"layer": oracle.parameter(layer, layer.neuron.v_init)}
        u, result = {"layer": [0] * layer.size}, oracle.Recording(outputs=[])
        events = [{name: list(map(int, frame)) for name, frame in s.items()} for s in steps]
        spikes = [model._step(layer, t, events[: t + 1], v, u, result) for t in range(len(steps))]
        found.append((spikes, v["layer"]))
    return found


def words(source, held, sent):
    """Event payloads of one source for all inferences, each step behind its events."""
    found = []
    for steps in sent:
        for number, step in enumerate(steps):
            frame = step[source.name].reshape(source.chw)
            if not (held and number):
                for c, y, x in np.argwhere(frame):
                    place = {"c": int(c), "y": int(y), "x": int(x), "end": 0}
                    neuron = source.neuron
                    if isinstance(neuron, Input) and neuron.encoding is not Encoding.SPIKES:
                        place["value"] = int(frame[c, y, x])
                    found.append(place)
            found.append({"c": 0, "y": 0, "x": 0, "end": 1})
    return found


class Run:
    """Feeds a layer until all its branches have given what they should.

    Parameters
    ----------
    late : dict of int to int
        Cycles in which a source offers nothing, at first.
    blocked : dict of int to int
        Cycles in which a branch takes nothing, at first.
    drain : float
        Share of the cycles in which a branch takes something, beside `stalls`.
    source : type of RowSource
    """

    def __init__(
        self,
        plan,
        sent,
        *,
        branches=1,
        stalls=0.0,
        seed=0,
        late=None,
        blocked=None,
        drain=1.0,
        source=RomRows,
    ):
        self.drain = drain
        self.plan, self.core = plan, LayerCore(plan, branches, source)
        self.feeds = [words(*pair, sent) for pair in zip(plan.sources, plan.held, strict=True)]
        self.chance, self.stalls = random.Random(seed), stalls
        self.late, self.blocked = late or {}, blocked or {}
        self.got = [[] for _ in range(branches)]
        self.taken = [[] for _ in self.feeds]  # the cycles in which events were taken
        self.came = [[] for _ in range(branches)]
        self.states = []
        simulator = Simulator(self.core)
        simulator.add_clock(1e-8)
        simulator.add_testbench(self._drive)
        simulator.run()

    def _goes(self):
        return self.chance.random() >= self.stalls

    async def _drive(self, context):
        cycle, quiet, offered = 0, 0, [False] * len(self.feeds)
        waits = max([0, *self.late.values(), *self.blocked.values()])
        while quiet < PATIENCE:
            quiet += cycle >= waits
            for i, feed in enumerate(self.feeds):
                events = getattr(self.core, f"events_{i}")
                left = len(self.taken[i]) < len(feed) and cycle >= self.late.get(i, 0)
                offered[i] = offered[i] or (left and self._goes())
                context.set(events.valid, int(offered[i]))
                if offered[i]:
                    context.set(events.payload, feed[len(self.taken[i])])
            for i, out in enumerate(self.core.outputs()):
                goes = self._goes() and self.chance.random() < self.drain
                context.set(out.ready, int(cycle >= self.blocked.get(i, 0) and goes))
            for i in range(len(self.feeds)):
                if offered[i] and context.get(getattr(self.core, f"events_{i}").ready):
                    self.taken[i].append(cycle)
                    offered[i], quiet = False, 0
            for i, out in enumerate(self.core.outputs()):
                if context.get(out.valid) and context.get(out.ready):
                    self.got[i].append(context.get(out.payload))
                    self.came[i].append(cycle)
                    quiet = 0
            self.states.append(State(context.get(self.core.activity.state)))
            cycle += 1
            await context.tick()

    def steps(self, branch=0):
        """The neurons that fired, sorted, step by step."""
        _, height, width = self.plan.population.chw
        found = [[]]
        for event in self.got[branch]:
            if event.end:
                found.append([])
            else:
                found[-1].append((event.c * height + event.y) * width + event.x)
        assert found.pop() == [], "events behind the last marker"
        return [sorted(step) for step in found]


def check(plan, network, sent, run):
    """Every branch is what the oracle says."""
    want = expected(network, sent)
    for branch in range(run.core.branches):
        if plan.fires:
            spikes = [np.flatnonzero(step).tolist() for steps, _ in want for step in steps]
            assert run.steps(branch) == spikes
            continue
        values = [value for _, membranes in want for value in membranes]
        assert [word.value for word in run.got[branch]] == values
        last = [i % plan.population.size == plan.population.size - 1 for i in range(len(values))]
        assert [bool(word.end) for word in run.got[branch]] == last


CASES = [
    *(("subtract", n, t) for n in (1, 4) for t in (False, True)),
    *(("value, graded, by channel", n, False) for n in (4, 16)),
    *(("zero, floor, by neuron", n, t) for n in (3, 32) for t in (False, True)),
    *(("window, two sources", n, t) for n in (4, 16) for t in (False, True)),
    ("two graded", 4, False),
    ("some awake", 2, True),
    *(("held current", n, False) for n in (2, 6)),
    *(("leak", n, False) for n in (4, 8)),
    ("two leaks", 2, False),
    ("two leaks, held current", 6, False),
    *(("readout", n, False) for n in (2, 7)),
    *(("readout of a map", n, False) for n in (2, 5)),
    ("readout of a map, one step", 2, False),
    ("leaky readout", 2, False),
    ("leaky readout with a current", 4, False),
]


@pytest.mark.parametrize(
    ("name", "lanes", "touched", "stalls"),
    [(*case, 0.4) for case in CASES] + [(*case, 0.0) for case in CASES[::3]],
)
def test_spikes_and_values(name, lanes, touched, stalls):
    plan = plan_of(name, lanes, touched=touched)
    sent = drawn(plan, seed=lanes)
    run = Run(plan, sent, stalls=stalls, seed=lanes)
    check(plan, LAYERS[name], sent, run)
    if plan.fires:
        assert sum(map(len, run.steps())) > 3


@pytest.mark.parametrize(
    ("name", "lanes", "touched", "stalls"),
    [(*case, 0.0) for case in CASES[1::3]] + [(*case, 0.4) for case in CASES[2::6]],
)
def test_a_slow_source_of_rows_changes_the_time_only(name, lanes, touched, stalls):
    plan = plan_of(name, lanes, touched=touched)
    sent = drawn(plan, seed=lanes)
    slow, fast = (Run(plan, sent, stalls=stalls, source=s) for s in (SlowRows, RomRows))
    check(plan, LAYERS[name], sent, slow)
    if plan.fires:
        assert slow.steps() == fast.steps()
    assert slow.came[0][-1] > 1.5 * fast.came[0][-1]
    adds = [run.states.count(State.INTEGRATING) for run in (slow, fast)]
    assert adds[0] == adds[1]


def test_who_waits_for_rows_is_not_starved_of_events():
    plan = plan_of("subtract", 4)
    assert plan.layout.rows < SlowRows.DEPTH  # an event's rows may all have left the walker
    run = Run(plan, drawn(plan, seed=1), stalls=0.9, source=SlowRows)
    feed, starved = run.feeds[0], 0
    for cycle, state in enumerate(run.states):
        if state is State.STARVED:
            events = sum(
                c < cycle and not w["end"] for c, w in zip(run.taken[0], feed, strict=True)
            )
            added = run.states[:cycle].count(State.INTEGRATING)
            assert added == events * plan.layout.rows
            starved += bool(added)
    assert starved > 50


@pytest.mark.parametrize("ahead", [0, 1])
@pytest.mark.parametrize("name", ["window, two sources", "held current"])
def test_a_source_that_is_ahead_waits_for_the_other(name, ahead):
    plan = plan_of(name, 2)
    sent = drawn(plan, seed=5)
    run = Run(plan, sent, late={1 - ahead: 300})
    check(plan, LAYERS[name], sent, run)
    # it ends the first step, and may offer what follows, as much as walker and buffers hold; no
    # more is taken before the other came
    first = [word["end"] for word in run.feeds[ahead]].index(1) + 1
    assert first <= sum(cycle < 300 for cycle in run.taken[ahead]) <= first + 5


def test_a_blocked_branch_does_not_hold_up_the_others():
    plan = plan_of("subtract", 2)
    sent = drawn(plan, seed=2, density=0.9)
    run = Run(plan, sent, branches=3, blocked={1: 500})
    check(plan, LAYERS["subtract"], sent, run)
    free = Run(plan, sent, branches=3)
    # its queue holds what one inference sends; then all wait
    ends = [i for i, event in enumerate(free.got[0]) if event.end]
    inference = slice(0, ends[plan.timesteps - 1] + 1)
    assert run.came[0][inference] == free.came[0][inference]
    assert run.came[2][inference] == free.came[2][inference]
    assert min(run.came[1]) == 500


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_full_queue_loses_nothing(lanes):
    plan = plan_of("subtract", lanes)
    sent = drawn(plan, seed=3, density=0.9, inferences=8)
    run = Run(plan, sent, drain=0.05, seed=lanes)
    check(plan, LAYERS["subtract"], sent, run)
    assert run.states.count(State.STALLED) > 100  # it was full


@pytest.mark.parametrize("lanes", [1, 2, 4, 6])
@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
def test_no_cycle_is_lost(lanes, density):
    """A row a cycle: of weights, then of states; then a constant until the marker comes out."""
    plan = plan_of("subtract", lanes)
    sent = drawn(plan, seed=9, density=density)
    run = Run(plan, sent, late={0: 20})  # states are clear by then
    events = sum(int(np.count_nonzero(step["x"])) for steps in sent for step in steps)
    rows = plan.layout.rows
    assert run.states.count(State.INTEGRATING) == events * rows
    swept = rows * (1 + plan.sweeps * INFERENCES)  # once to clear after the reset
    assert run.states.count(State.SWEEPING) == swept
    first = [word["end"] for word in run.feeds[0]].index(1)  # events of the first step
    end = next(c for c, event in zip(run.came[0], run.got[0], strict=True) if event.end)
    spent = end - run.taken[0][0] - first * rows - rows
    fired = run.steps()[0]
    latency = LATENCY + plan.lead
    assert latency <= spent <= latency + len(fired)
