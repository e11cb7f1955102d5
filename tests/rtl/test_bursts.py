"""Networks with bursts in Amaranth's simulator: every spike and every output is the reference's."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from exact_networks import exact_networks
from exact_small import FIRST, exact_network
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from rtl.bench import Bench
from strategies import inputs_for

from neurocuda_hw.network.neurons import IF
from neurocuda_hw.network.trace import first_divergence
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.passes.folding import lane_choices
from neurocuda_hw.reference.reference import Reference

pytestmark = pytest.mark.slow

# more of them: NCHW_RANDOM_NETWORKS=300 pytest tests/rtl/test_bursts.py
EXAMPLES = int(os.environ.get("NCHW_RANDOM_NETWORKS", "25"))

many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="NCHW_RANDOM_NETWORKS" not in os.environ,
    suppress_health_check=list(HealthCheck),
)


def check(network, data, bursts):
    event(f"merged {bursts.merged}, maxima {bool(bursts.maxima)}, any {bool(bursts.counts)}")
    inputs = data.draw(inputs_for(network, samples=2))
    lanes = {p.name: data.draw(st.sampled_from(lane_choices(p, 64))) for p in network.targets}
    stalls = data.draw(st.sampled_from([0.0, 0.3]))
    got = Bench(network, lanes=lanes, stalls=stalls, seed=1, bursts=bursts).run(inputs)
    divergence = first_divergence(network, Reference(network).trace(inputs), got)
    assert divergence is None, str(divergence)


def test_membranes_that_stay_below_0_never_fire():
    """Few bits are enough for them; the threshold, which needs more, is still out of reach."""
    network = exact_network(a=IF(threshold=3, v_init=-40, window=FIRST))
    bursts = find_bursts(network)
    assert "a" in bursts.counts
    inputs = np.random.default_rng(0).integers(0, 4, (4, 1, 4))
    got = Bench(network, bursts=bursts).run(inputs)
    assert not got.spikes["a"].any()
    divergence = first_divergence(network, Reference(network).trace(inputs), got)
    assert divergence is None, str(divergence)


@many
@given(exact_networks(), st.data())
def test_exact_code(network, data):
    check(network, data, find_bursts(network))


@many
@given(exact_networks(odd=True), st.data())
def test_both_kinds_in_one_design(network, data):
    bursts = find_bursts(network)
    assume(0 < len(bursts.counts) < sum(p.spiking and not p.fed for p in network.populations))
    check(network, data, bursts)


@settings(many, max_examples=max(6, EXAMPLES // 4))
@given(exact_networks(), st.data())
def test_products_in_logic_and_weights_without_their_low_bits(network, data):
    """Every projection's weights times a power of two of its own."""
    scaled = [
        replace(p, synapse=replace(p.synapse, weight=p.synapse.weight << (2 + 3 * (i % 2))))
        for i, p in enumerate(network.projections)
    ]
    network = replace(network, projections=tuple(scaled))
    inputs = data.draw(inputs_for(network, samples=3))
    bursts = find_bursts(network)
    bench = Bench(network, bursts=bursts, soft=data.draw(st.booleans()))
    shifted = [any(p.weight_shifts) or p.maximum for p in bench.plans.values()]
    assert all(shifted) or any(not p.synapse.weight.any() for p in network.projections)
    divergence = first_divergence(network, Reference(network).trace(inputs), bench.run(inputs))
    assert divergence is None, str(divergence)
