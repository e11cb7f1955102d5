"""Inputs that are sought: few, the same every time, and better than drawn ones."""

from __future__ import annotations

import numpy as np
import torch
from brute import shows, with_values
from small import SPIKES, chain, small_network

from neurocuda_hw.coverage.bits import flipped
from neurocuda_hw.coverage.bounds import hidden_parameters, hidden_weights, reaches
from neurocuda_hw.coverage.flow import Flow, flows
from neurocuda_hw.coverage.search import cover, find_inputs
from neurocuda_hw.coverage.table import Coverage
from neurocuda_hw.coverage.tally import Tally
from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.network import IF, LIF, Input, Network, Readout, Window
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.reference.reference import Reference


def two_layers() -> Network:
    """An exact code of two layers, with pixels of 8 bits."""
    rng = np.random.default_rng(5)
    windows = [Window(start=i * 3, stop=i * 3 + 4) for i in range(2)]
    return chain(
        7,
        {
            "image": (
                (1, 4, 4),
                Input(encoding=Encoding.GRADED, payload_bits=8, window=Window(start=0, stop=1)),
            ),
            "first": ((12,), IF(threshold=rng.integers(900, 9000, 12), window=windows[0])),
            "second": ((6,), IF(threshold=rng.integers(20, 90, 6), window=windows[1])),
            "out": ((3,), Readout(bias=np.array([1, -2, 3]))),
        },
        Dense(weight=rng.integers(-40, 60, (12, 16))),
        Dense(weight=rng.integers(-40, 60, (6, 12))),
        Dense(weight=rng.integers(-8, 8, (3, 6))),
    )


def test_what_is_sought_shows_far_more_than_what_is_drawn() -> None:
    network = two_layers()
    drawn = Tally(network)
    total = drawn.left
    inputs, tally = find_inputs(network, 30)
    drawn.add(default_inputs(network, len(inputs)))
    assert len(inputs) <= 30
    assert tally.left < 0.1 * total < drawn.left
    again, _ = find_inputs(network, 30)
    assert np.array_equal(inputs, again)


def test_it_adds_to_what_is_given_and_stops_where_nothing_is_left() -> None:
    network = two_layers()
    given = default_inputs(network, 5)
    found = cover(network, given, 6)
    assert np.array_equal(found.inputs[:5], given)
    assert 0 < found.made <= 6
    alone = Tally(network)
    alone.add(given)
    assert found.coverage.open < Coverage.of(alone).open
    small = chain(1, {"x": ((1,), SPIKES), "out": ((1,), Readout())}, Dense(weight=np.array([[1]])))
    assert cover(small).made == 1
    assert str(cover(small).coverage) == (
        "the golden spikes show a flip of 2 of 2 stored bits (100.00 %)"
    )


def test_flows_are_what_the_reference_counts() -> None:
    network = two_layers()
    assert flows(network)
    assert not flows(small_network())
    inputs = default_inputs(network, 16)
    run = Reference(network).run(inputs)
    sent, v = Flow(network).counts(torch.from_numpy(inputs[:, 0]), "out")
    for name, counts in run.counts.items():
        assert torch.equal(sent[name].to(torch.int64), counts)
    bias = torch.from_numpy(np.array([1, -2, 3])) * network.timesteps
    assert torch.equal(v.to(torch.int64) + bias, run.outputs)


def dead_ends() -> Network:
    """Neuron 0 of `hidden` never fires, by far; source 0 of `last` is therefore silent."""
    rng = np.random.default_rng(2)
    weight = rng.integers(-3, 4, (4, 5))
    return chain(
        4,
        {
            "x": ((5,), SPIKES),
            "hidden": ((4,), LIF(threshold=np.array([500, 3, 4, 5]), decay=100, v_init=1)),
            "last": ((3,), IF(threshold=np.array([2, 3, 60]), bias=np.array([0, 1, 0]))),
            "out": ((2,), Readout()),
        },
        Dense(weight=weight),
        Dense(weight=rng.integers(-3, 4, (3, 4))),
        Dense(weight=rng.integers(-3, 4, (2, 3))),
    )


def test_what_is_proved_hidden_is_shown_by_no_input() -> None:
    network = dead_ends()
    inputs = np.random.default_rng(0).integers(0, 2, (200, 4, 5))
    golden, known, proved = Reference(network).trace(inputs), reaches(network), 0
    for key, left in Tally(network).parts():
        masks = (
            hidden_weights(network, key, left, known)
            if isinstance(key, int)
            else hidden_parameters(network, *key, left, known)
        )
        for index in np.flatnonzero(masks).tolist():
            for bit in range(left.bits):
                if masks.flat[index] >> bit & 1:
                    values = left.values.copy()
                    values.flat[index] = flipped(values.flat[index], bit, left.bits)
                    assert not shows(with_values(network, key, values), golden), (key, index, bit)
                    proved += 1
    assert proved > 20
    _, tally = find_inputs(network, 60)
    coverage = Coverage.of(tally)
    assert coverage.bits == coverage.shown + coverage.hidden + coverage.open
    assert coverage.hidden == proved
    assert f"; of {proved} more it is proved that no input can" in str(coverage)
