"""The walker visits exactly the rows that a naive walk over taps visits, one per cycle."""

import numpy as np
import pytest
import torch
from amaranth.sim import Simulator

from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool
from neurocuda_hw.passes.layout import fanout, state_layout, suitable_lanes
from neurocuda_hw.reference.delivery import Delivery
from neurocuda_hw.rtl.walker import Walker


def two_layers(shape, target_shape, synapse):
    """A network whose middle projection is the one to be walked."""
    middle = Population(name="a", shape=shape, neuron=IF(threshold=1))
    target = Population(name="b", shape=target_shape, neuron=IF(threshold=1))
    size = target.size
    return Network(
        populations=(
            Population(name="x", shape=shape, neuron=Input(encoding=Encoding.SPIKES)),
            middle,
            target,
            Population(name="o", shape=(1,), neuron=Readout()),
        ),
        projections=(
            Projection(source="x", target="a", synapse=Diagonal(weight=np.ones(shape[0], int))),
            Projection(source="a", target="b", synapse=synapse),
            Projection(source="b", target="o", synapse=Dense(weight=np.ones((1, size), int))),
        ),
        timesteps=1,
    )


def numbered(*shape):
    """Weights that tell where they came from."""
    return np.arange(1, 1 + int(np.prod(shape))).reshape(shape)


CASES = {
    "dense": ((5,), (7,), Dense(weight=numbered(7, 5))),
    "dense from a pooled map": (
        (2, 5, 4),
        (6,),
        Dense(weight=numbered(6, 8), pool=SumPool(kernel=(2, 2))),
    ),
    "dense behind an overlapping pool": (
        (1, 5, 5),
        (3,),
        Dense(weight=numbered(3, 4), pool=SumPool(kernel=(3, 3), stride=(2, 2))),
    ),
    "strided and padded": (
        (2, 6, 5),
        (4, 3, 3),
        Conv2d(weight=numbered(4, 2, 3, 3), stride=(2, 2), padding=(1, 1)),
    ),
    "dilated": (
        (1, 7, 6),
        (3, 4, 6),
        Conv2d(weight=numbered(3, 1, 2, 3), dilation=(3, 2), padding=(0, 2)),
    ),
    "stride and dilation with a common divisor": (
        (1, 9, 9),
        (2, 4, 4),
        Conv2d(weight=numbered(2, 1, 3, 3), stride=(2, 2), dilation=(2, 2), padding=(1, 1)),
    ),
    "grouped across lanes": (
        (4, 3, 3),
        (6, 3, 3),
        Conv2d(weight=numbered(6, 2, 3, 3), padding=(1, 1), groups=2),
    ),
    "depthwise behind a pool": (
        (4, 5, 4),
        (4, 2, 2),
        Conv2d(weight=numbered(4, 1, 3, 3), padding=(1, 1), groups=4, pool=SumPool(kernel=(2, 2))),
    ),
    "convolution behind an overlapping pool": (
        (1, 7, 7),
        (2, 2, 2),
        Conv2d(weight=numbered(2, 1, 2, 2), pool=SumPool(kernel=(3, 3), stride=(2, 2))),
    ),
    "diagonal": ((5, 2, 2), (5, 2, 2), Diagonal(weight=numbered(5))),
}


def suitable(name):
    target = Population(name="b", shape=CASES[name][1], neuron=IF(threshold=1))
    return suitable_lanes(target)


def effect(network, index):
    """What one spike of source neuron `index` adds to each target neuron, by the reference."""

    projection = network.projections[1]
    event = torch.zeros(1, *network["a"].shape, dtype=torch.int64)
    event.view(-1)[index] = 1
    delivery = Delivery(network, projection, torch.device("cpu"))
    return delivery.deliver(event).flatten().to(torch.int64).numpy()


def walk(walker, words):
    """(weight row, state row) lists per event, and the cycles from first to last row."""
    rows, taken, cycles = [[]], 0, []

    async def drive(context):
        nonlocal taken
        context.set(walker.addresses.ready, 1)
        for cycle in range(40 + 60 * len(words)):
            context.set(walker.events.valid, int(taken < len(words)))
            if taken < len(words):
                context.set(walker.events.payload, words[taken])
                taken += context.get(walker.events.ready)
            address = context.get(walker.addresses.payload)
            if context.get(walker.addresses.valid) and address.row.end:
                rows.append([])
            elif context.get(walker.addresses.valid):
                rows[-1].append((address.weight, address.row.state))
                cycles.append(cycle)
            await context.tick()

    simulator = Simulator(walker)
    simulator.add_clock(1e-8)
    simulator.add_testbench(drive)
    simulator.run()
    return rows, cycles


@pytest.mark.parametrize(
    ("name", "lanes"), [(n, p) for n in CASES for p in (1, 2, 4, 8, 32) if p in suitable(n)]
)
def test_rows_add_up_to_what_the_reference_delivers(name, lanes):
    shape, target_shape, synapse = CASES[name]
    network = two_layers(shape, target_shape, synapse)
    part = fanout(network, network.projections[1], lanes)
    layout = state_layout(network["b"], lanes)
    walker = Walker(source=network["a"], fanout=part, rows=layout.rows)
    words = []
    for index in range(network["a"].size):
        c, y, x = np.unravel_index(index, network["a"].chw)
        words += [{"c": int(c), "y": int(y), "x": int(x)}, {"end": 1}]
    rows, _ = walk(walker, words)
    neurons = layout.neurons()
    visits = part.visits().reshape(-1)
    for index in range(network["a"].size):
        total = np.zeros(network["b"].size, dtype=np.int64)
        for weight_row, state_row in rows[index]:
            for lane, neuron in enumerate(neurons[state_row]):
                if neuron >= 0:
                    total[neuron] += part.weights[weight_row, lane]
        assert total.tolist() == effect(network, index).tolist(), f"{name}, event {index}"
        assert len(rows[index]) == visits[index]


def test_no_bubble_between_rows_or_events():
    shape, target_shape, synapse = CASES["strided and padded"]
    network = two_layers(shape, target_shape, synapse)
    part = fanout(network, network.projections[1], 2)
    walker = Walker(source=network["a"], fanout=part, rows=3 * 3 * 2)
    words = [{"c": 1, "y": y, "x": x} for y in range(5) for x in range(4)]
    rows, cycles = walk(walker, words)
    assert len(cycles) == part.visits()[1, :5, :4].sum() == len(rows[0])
    assert cycles[-1] - cycles[0] == len(cycles) - 1


def test_an_event_that_reaches_nothing_costs_no_cycle():
    network = two_layers(*CASES["dense from a pooled map"])
    part = fanout(network, network.projections[1], 1)
    walker = Walker(source=network["a"], fanout=part, rows=6)
    words = []
    for y in range(4):  # the pool leaves line 4 out
        words += [{"c": 0, "y": y, "x": 1}, {"c": 1, "y": 4, "x": y}]
    rows, cycles = walk(walker, words)
    assert len(cycles) == 4 * 6 == len(rows[0])
    assert cycles[-1] - cycles[0] == len(cycles) - 1
