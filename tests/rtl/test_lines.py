"""Networks that send line by line in Amaranth's simulator: every spike is the reference's, and no
queue may be shorter than it must be."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from rtl import bench
from rtl.bench import Bench, packet
from stream_networks import residual, stream_inputs, stream_network

from neurocuda_hw.network.trace import first_divergence
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.passes.folding import lane_choices
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.queues import least_depth, least_lines
from neurocuda_hw.passes.streams import why_no_raster, why_no_streams
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import plan_network

pytestmark = pytest.mark.slow

# more of them: NCHW_RANDOM_NETWORKS=300 pytest tests/rtl/test_lines.py
SEEDS = range(int(os.environ.get("NCHW_RANDOM_NETWORKS", "25")))


@pytest.mark.parametrize("seed", SEEDS)
def test_random_networks(seed: int) -> None:
    network, rng = stream_network(seed), np.random.default_rng(seed + 10**6)
    bursts = find_bursts(network)
    if why_no_streams(network, bursts):
        pytest.skip("nothing in it has lines behind another population")
    raster = not why_no_raster(network, bursts) and rng.random() < 0.6
    inputs = stream_inputs(network, seed, samples=2)
    lanes = {p.name: int(rng.choice(lane_choices(p, 16))) for p in network.targets}
    got = Bench(
        network,
        lanes=lanes,
        stalls=float(rng.choice([0, 0.3])),
        seed=1,
        bursts=replace(bursts, streams=True, raster=raster),
    ).run(inputs)
    divergence = first_divergence(network, Reference(network).trace(inputs), got)
    assert divergence is None, str(divergence)


NETWORK = residual()
BURSTS = replace(find_bursts(NETWORK), streams=True, raster=True)
ALL = np.full((2, 1, 1, 7, 3), 3)  # every neuron is active


def shortest(plans: dict[str, LayerPlan], less: int) -> dict[str, LayerPlan]:
    """With queues as long as they must be, that of the skip connection by so many masks shorter."""
    waiting, found = least_lines(plans), {}
    for name, plan in plans.items():
        if plan.lines is None or plan.lines.sends == 1:
            found[name] = plan
            continue
        depths = [least_depth(plan, lines) for lines in waiting[name]]
        depths[-1] -= less * (name == "p")
        found[name] = replace(plan, lines=replace(plan.lines, depths=tuple(depths)))
    return found


@pytest.mark.parametrize("lanes", [{"p": 4, "a": 4, "m": 4}, {"p": 4, "a": 16, "m": 16}])
def test_two_masks_less_deadlock(lanes: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PATIENCE", 1000)
    plans = plan_network(NETWORK, lanes | {"o": 1}, BURSTS)
    waiting = least_lines(plans)
    assert waiting["p"] == [0, 2 if lanes["a"] == 4 else 3]
    expected = Reference(NETWORK).trace(ALL)
    got = Bench(NETWORK, bursts=BURSTS, plans=shortest(plans, 0)).run(ALL)
    assert first_divergence(NETWORK, expected, got) is None
    # the events of one mask more fit into a walker's buffers, which the proof does not count
    with pytest.raises(AssertionError, match="stuck after"):
        Bench(NETWORK, bursts=BURSTS, plans=shortest(plans, 2)).run(ALL)


def test_a_word_above_its_line_is_dropped() -> None:
    made = Bench(NETWORK, lanes={"p": 4, "a": 4, "m": 4, "o": 2}, bursts=BURSTS)
    full = (1 << made.top.tdata_bits // 8) - 1
    words = [[(w, full) for w, _ in packet(NETWORK, x, 32, raster=True)] for x in ALL]
    first, late, rest = words[0][:3], words[0][3:4], words[0][6:]  # the second line but one word
    late = [first + rest[:3] + late + rest[3:], words[1]]
    kept = ALL.copy()
    kept[0, 0, 0, 1] = 0
    got = made.run(kept, late)
    assert made.faults == {"WINDOW": 1}
    assert first_divergence(NETWORK, Reference(NETWORK).trace(kept), got) is None
