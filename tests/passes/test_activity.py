"""Rows counted from a trace beside a loop over events, and the longest chain of steps by hand."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import SPIKES, chain
from strategies import inputs_for, networks

from neurocuda_hw.network.neurons import IF, Readout
from neurocuda_hw.network.synapses import Dense
from neurocuda_hw.passes.activity import _later
from neurocuda_hw.passes.cycles import critical_path, layer_work, mean_events
from neurocuda_hw.passes.folding import lane_choices
from neurocuda_hw.passes.planner import plan_layer
from neurocuda_hw.reference.reference import Reference


def visited(part, c, y, x):
    """Rows that one event visits, as the walker's three loops do."""
    return [
        (part.y.out[y] + i * part.y.out_step) * part.row_y
        + (part.x.out[x] + j * part.x.out_step) * part.row_x
        + part.channel_first[c]
        + k
        for i in range(part.y.count[y])
        for j in range(part.x.count[x])
        for k in range(part.channel_rows[c])
    ]


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(networks(timesteps=10), st.data())  # more steps than a byte has bits
def test_rows_are_those_that_a_loop_over_events_finds(network, data):
    trace = Reference(network).trace(data.draw(inputs_for(network, samples=2)))
    activity = mean_events(network, trace)
    for population in network.targets:
        lanes = data.draw(st.sampled_from(lane_choices(population, 64)))
        plan = plan_layer(network, population, lanes, touched=True)
        rows = activity.rows(plan)
        for sample in range(2):
            due = set(np.flatnonzero(np.resize(plan.awake.rows[:, 0], plan.layout.rows)))
            ever, count = set(), 0
            for step in range(network.timesteps):
                total = 0
                for projection, source, part in zip(
                    plan.projections, plan.sources, plan.fanouts, strict=True
                ):
                    if step < projection.delay:
                        continue
                    sent = activity.sent(projection.source, sample)[step - projection.delay]
                    for c, y, x in np.argwhere(sent.reshape(source.chw)):
                        found = visited(part, c, y, x)
                        total += len(found)
                        due |= set(found)
                assert rows.events[sample, step] == total
                if population.spiking:
                    fired = activity.sent(population.name, sample)[step]
                    due |= set(np.flatnonzero(plan.layout.arrange(fired).any(axis=-1)))
                if step not in plan.sweep_steps():
                    assert rows.swept[sample, step] == 0
                    continue
                ever |= due
                every = step == plan.last_sweep or not plan.touched
                assert rows.swept[sample, step] == (plan.layout.rows if every else len(due))
                if not every:
                    assert rows.needed[sample, step] == len(due)
                elif plan.touched:
                    assert rows.needed[sample, step] == len(ever)
                due = set()
                count += 1
            assert count == plan.sweeps


def test_a_delay_carries_from_one_byte_of_steps_to_the_next():
    steps = np.random.default_rng(0).integers(0, 2, (3, 2, 24), dtype=np.uint8)
    later = np.unpackbits(
        _later(np.packbits(steps, axis=-1, bitorder="little")), axis=-1, bitorder="little"
    )
    assert not later[..., 0].any()
    np.testing.assert_array_equal(later[..., 1:], steps[..., :-1])


def three_layers():
    """Two events in step 0, one in step 1: 2 -> 3 -> 1 neurons on one lane."""
    network = chain(
        2,
        {
            "x": ((2,), SPIKES),
            "a": ((3,), IF(threshold=1)),
            "o": ((1,), Readout()),
        },
        Dense(weight=np.ones((3, 2), dtype=int)),
        Dense(weight=np.ones((1, 3), dtype=int)),
    )
    plans = {p.name: plan_layer(network, p, 1) for p in network.targets}
    trace = Reference(network).trace(np.array([[[1, 1], [0, 1]]]))
    return plans, mean_events(network, trace)


def test_the_longest_chain_of_steps():
    plans, activity = three_layers()
    # x: 3, then 2 words; a: 2*3 + 3 and 3 + 3 rows; o: 3 and 3 + 1 rows; one value
    assert critical_path(plans, activity).tolist() == [3 + 9 + 6 + 4 + 1]


@pytest.mark.parametrize("means_only", [False, True])
def test_work_of_a_layer_without_a_list_is_the_same_from_means(means_only):
    plans, activity = three_layers()
    work = layer_work(plans["a"], dict(activity) if means_only else activity)
    assert (work.events, work.event_rows, work.sweep_rows, work.bound) == (3, 9, 6, 15)
