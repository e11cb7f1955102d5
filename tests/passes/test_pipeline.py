"""The model of the pipeline beside the simulated hardware, and what a queue is good for."""

import numpy as np
import pytest
from rtl.bench import Bench
from small import wired

from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout, Window
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal
from neurocuda_hw.passes import pipeline
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.passes.cycles import layer_work, mean_events
from neurocuda_hw.passes.folding import balanced_lanes
from neurocuda_hw.passes.pipeline import predict
from neurocuda_hw.passes.planner import plan_layer
from neurocuda_hw.reference.reference import Reference

RNG = np.random.default_rng(5)


def residual(windows):
    """Three layers, a skip connection around the second, a readout; exact or rate code."""
    weight = [RNG.integers(-6, 9, shape) for shape in ((4, 1, 3, 3), (4, 4, 3, 3), (4, 4, 3, 3))]
    levels = 3
    populations = [
        Population(
            name="x",
            shape=(1, 6, 6),
            neuron=Input(
                encoding=Encoding.GRADED,
                payload_bits=4,
                window=Window(start=0, stop=1) if windows else None,
            ),
        )
    ]
    for i, name in enumerate("abc"):
        stop = (i + 1) * (levels - 1) + 1
        window = Window(start=stop - levels, stop=stop) if windows else None
        neuron = IF(threshold=20, v_init=10, window=window)
        populations.append(Population(name=name, shape=(4, 6, 6), neuron=neuron))
    populations.append(Population(name="o", shape=(3,), neuron=Readout()))

    def conv(source, target, i):
        return Projection(
            source=source, target=target, synapse=Conv2d(weight=weight[i], padding=(1, 1))
        )

    return Network(
        populations=tuple(populations),
        projections=(
            conv("x", "a", 0),
            conv("a", "b", 1),
            conv("b", "c", 2),
            Projection(source="a", target="c", synapse=Diagonal(weight=np.full(4, 9))),
            Projection(source="c", target="o", synapse=Dense(weight=RNG.integers(-3, 3, (3, 144)))),
        ),
        timesteps=3 * (levels - 1) + 1 if windows else 3,
    )


def inputs_of(network, samples):
    steps = network.window("x").steps
    drawn = RNG.integers(0, 16, (samples, steps, 1, 6, 6))
    return np.where(RNG.random(drawn.shape) < 0.5, drawn, 0)


@pytest.mark.slow
@pytest.mark.parametrize("windows", [True, False])
def test_predicted_cycles_are_those_of_the_hardware(windows):
    network = residual(windows)
    lanes = {"a": 4, "b": 4, "c": 4, "o": 1}
    inputs = inputs_of(network, 4)
    plans = {p.name: plan_layer(network, p, lanes[p.name]) for p in network.targets}
    found = predict(plans, mean_events(network, Reference(network).trace(inputs)))
    bench = Bench(network, lanes=lanes)
    bench.run(inputs)
    each = (bench.ends[3] - bench.ends[0]) / 3
    assert found.cycles == pytest.approx(each, rel=0.03)


def strided():
    """A skip connection of stride 2, past whose kernel most events fall, around a layer."""
    rng = np.random.default_rng(8)
    image = Input(encoding=Encoding.GRADED, payload_bits=4, window=Window(start=0, stop=1))
    cells = {"x": ((1, 8, 8), image)}
    shapes = {"a": (4, 8, 8), "b": (4, 4, 4), "c": (8, 4, 4)}
    for i, (name, shape) in enumerate(shapes.items()):
        window = Window(start=7 * i, stop=7 * i + 8)
        cells[name] = (shape, IF(threshold=60, v_init=30, window=window))

    def conv(outputs, inputs, size, **more):
        return Conv2d(weight=rng.integers(-20, 40, (outputs, inputs, size, size)), **more)

    return wired(
        22,
        cells | {"o": ((2,), Readout())},
        ("x", "a", conv(4, 1, 3, padding=(1, 1))),
        ("a", "b", conv(4, 4, 3, padding=(1, 1), stride=(2, 2))),
        ("b", "c", conv(8, 4, 3, padding=(1, 1))),
        ("a", "c", conv(8, 4, 1, stride=(2, 2))),
        ("c", "o", Dense(weight=rng.integers(-3, 4, (2, 128)))),
    )


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [2, 4])
def test_bursts_wait_for_room_and_for_events_that_lead_nowhere(lanes):
    network = strided()
    chosen = {"a": lanes, "b": lanes, "c": lanes, "o": 1}
    inputs = np.random.default_rng(9).integers(0, 16, (6, 1, 1, 8, 8))
    bursts = find_bursts(network)
    bench = Bench(network, lanes=chosen, bursts=bursts)
    bench.run(inputs)
    found = predict(bench.plans, mean_events(network, Reference(network).trace(inputs)))
    each = (bench.ends[5] - bench.ends[0]) / 5
    assert found.cycles == pytest.approx(each, rel=0.03)


def test_a_layer_takes_a_cycle_for_an_event_that_leads_nowhere():
    network = strided()
    inputs = np.random.default_rng(9).integers(0, 16, (6, 1, 1, 8, 8))
    activity = mean_events(network, Reference(network).trace(inputs))
    plan = plan_layer(network, network["c"], 4, bursts=find_bursts(network))
    nowhere = activity.events("a", 8)
    nowhere[:, ::2, ::2] = 0
    work = layer_work(plan, activity)
    assert work.waits == nowhere.sum() > 20


def test_a_short_queue_makes_layers_wait(monkeypatch):
    network = residual(windows=True)
    inputs = inputs_of(network, 8)
    activity = mean_events(network, Reference(network).trace(inputs))
    plans = {p.name: plan_layer(network, p, 4 if p.spiking else 1) for p in network.targets}
    slowest = max(layer_work(plan, activity).cycles for plan in plans.values())
    assert predict(plans, activity).cycles < 1.1 * slowest
    monkeypatch.setattr(pipeline, "queue_depth", lambda plan: 8)
    assert predict(plans, activity).cycles > 1.4 * slowest


def test_lanes_are_not_saved_where_a_layer_would_hold_another_up(monkeypatch):
    network = residual(windows=True)
    activity = mean_events(network, Reference(network).trace(inputs_of(network, 8)))
    means = balanced_lanes(network, dict(activity))
    monkeypatch.setattr(pipeline, "queue_depth", lambda plan: 8)
    seen = balanced_lanes(network, activity)
    assert sum(seen.values()) > sum(means.values())
    plans = {p.name: plan_layer(network, p, seen[p.name]) for p in network.targets}
    fewer = {p.name: plan_layer(network, p, means[p.name]) for p in network.targets}
    assert predict(plans, activity).cycles < predict(fewer, activity).cycles
