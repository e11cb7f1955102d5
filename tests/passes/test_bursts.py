"""Which populations may send bursts, and what that changes in their plans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from exact_networks import exact_networks
from exact_small import FIRST, SECOND
from exact_small import exact_network as network
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import inputs_for

from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import IF, LIF, LeakyReadout, Reset
from neurocuda_hw.network.neurons import Window as W
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.passes.planner import plan_layer
from neurocuda_hw.passes.queues import in_flight, queue_depth
from neurocuda_hw.reference.reference import Reference


def test_all_of_a_network_of_the_exact_code() -> None:
    found = find_bursts(network())
    assert dict(found.counts) == {"a": 4, "m": 4, "b": 4}
    assert found.maxima == {"m"}
    assert found.merged


@pytest.mark.parametrize(
    "cell",
    [
        IF(threshold=5, window=SECOND, bias=1),
        IF(threshold=5, window=SECOND, v_floor=-3),
        IF(threshold=5, window=SECOND, reset=Reset.ZERO),
        IF(threshold=5, window=W(start=2, stop=6)),
        LIF(threshold=5, window=SECOND, decay=9),
    ],
)
def test_what_must_read_step_by_step_sends_step_by_step(cell: IF) -> None:
    found = find_bursts(network(b=cell))
    assert set(found.counts) >= {"a"}
    assert "b" not in found.counts
    assert not found.merged


@pytest.mark.parametrize(
    "cell",
    [
        IF(threshold=3, window=FIRST, reset=Reset.ZERO),  # a weight of 2 does not reach it
        IF(threshold=2, window=FIRST, reset=Reset.ZERO, v_init=-1),
        IF(threshold=2, window=FIRST, reset=Reset.ZERO, v_init=2),
        IF(threshold=2, window=W(start=0, stop=3), reset=Reset.ZERO),
        IF(threshold=2, window=FIRST, reset=Reset.ZERO, bias=1),
    ],
)
def test_what_is_no_maximum(cell: IF) -> None:
    assert "m" not in find_bursts(network(m=cell)).counts


def test_who_takes_bursts() -> None:
    def received(**cells: object) -> list[int]:
        changed = network(**cells)
        found = find_bursts(changed)
        return [found.received(changed, p) for p in changed.projections]

    assert received() == [0, 4, 4, 4, 4]
    # a bias only moves the membrane: it adds before its window like the others
    assert received(b=IF(threshold=5, window=SECOND, bias=1)) == [0, 4, 4, 4, 0]
    assert received(b=IF(threshold=5, window=SECOND, v_floor=0)) == [0, 4, 0, 0, 0]
    assert received(o=LeakyReadout(decay=7)) == [0, 4, 4, 4, 0]


@given(exact_networks(odd=True), st.data())
@settings(max_examples=60)
def test_spikes_are_the_first_of_their_window(drawn: Network, data: st.DataObject) -> None:
    trace = Reference(drawn).trace(data.draw(inputs_for(drawn, samples=4)))
    for name, most in find_bursts(drawn).counts.items():
        for sample in range(trace.samples):
            spikes, window = trace.bits(name, sample), drawn.window(name)
            assert most == window.steps
            inside = spikes[window.start : window.stop].astype(np.int64)
            assert inside.sum() == spikes.sum()
            assert (np.diff(inside, axis=0) <= 0).all()


@pytest.mark.parametrize("most", range(1, 256))
def test_the_division_counts_up_to_the_window(most: int) -> None:
    plan = plan_layer(network(), network()["a"], 4, bursts=find_bursts(network()))
    plan = replace(plan, burst=most)
    assert len(plan.division) == most.bit_length()  # ceil(log2(L + 1)) comparisons
    for value in (-7, *range(3 * (most + 2))):
        rest, count = value, 0
        for times in plan.division:
            if rest >= 3 * times:
                rest, count = rest - 3 * times, count + times
        assert min(count, most) == min(max(value // 3, 0), most)


def test_the_queue_holds_an_inference() -> None:
    found = find_bursts(network())
    plan = plan_layer(network(), network()["b"], 1, bursts=found)
    assert (plan.timesteps, plan.sweeps, in_flight(plan)) == (1, 1, 11)
    assert queue_depth(plan) == 32  # twice what may be in flight
    apart = replace(plan_layer(network(), network()["b"], 1), burst=4, timesteps=700)
    assert queue_depth(apart) == 1024  # three rows and the markers of all other steps
