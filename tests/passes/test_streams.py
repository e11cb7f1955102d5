"""Lines that are complete, rings that hold them, and the cycles that they take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from exact_small import exact_network
from small import small_network
from stream_networks import residual, stream_inputs, stream_network

from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import LeakyReadout
from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.passes.cycles import marks_wait, network_work
from neurocuda_hw.passes.folding import lane_choices
from neurocuda_hw.passes.pipeline import predict
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.queues import least_lines, line_order, queue_depths, readers
from neurocuda_hw.passes.streams import alike, by_lines, why_no_raster, why_no_streams
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import plan_network

SEEDS = range(60)


def streaming(seed: int) -> tuple[Network, dict[str, LayerPlan]] | None:
    """A random network with random lanes, by lines; None where it has none."""
    network, rng = stream_network(seed), np.random.default_rng(seed)
    bursts = find_bursts(network)
    if why_no_streams(network, bursts):
        return None
    lanes = {p.name: int(rng.choice(lane_choices(p, 64))) for p in network.targets}
    raster = not why_no_raster(network, bursts) and seed % 2 == 0
    return network, plan_network(network, lanes, replace(bursts, streams=True, raster=raster))


DRAWN = [drawn for seed in SEEDS if (drawn := streaming(seed)) is not None]


def reached(plan: LayerPlan, index: int) -> list[set[int]]:
    """Lines of the target that each line of positions of a source reaches, row by row."""
    part, layout = plan.fanouts[index], plan.layout
    found = []
    for count, out in zip(part.y.count, part.y.out, strict=True):
        rows = {
            (out + j * part.y.out_step) * part.row_y + first + k
            for j in range(count)
            for first, number in zip(part.channel_first, part.channel_rows, strict=True)
            for k in (0, number - 1)
        }
        lines = {row // plan.line_rows for row in rows}
        found.append(set(range(min(lines), max(lines) + 1)) if lines else set())
        assert all(line < layout.lines for line in found[-1])
    return found


def test_a_line_is_complete_when_nothing_reaches_it_any_more() -> None:
    shrunk = 0
    for network, plans in DRAWN:
        for plan in plans.values():
            lines = plan.lines
            if lines is None or lines.sends == 1:
                assert (
                    plan.population.name == network.output.name
                    or plan.layout.lines == 1
                    or (lines is None)
                )
                continue
            held = []
            for index, (needs, height) in enumerate(zip(lines.needs, lines.heights, strict=True)):
                hits = reached(plan, index)
                marks = -(-len(hits) // height)
                assert (np.diff(needs) >= 0).all()
                assert needs[-1] == marks
                for line, need in enumerate(needs):
                    early, late = hits[: need * height], hits[need * height :]
                    assert all(line < min(reach, default=lines.sends) for reach in late)
                    if 1 < need < marks:  # no line of the source is waited for in vain
                        last = hits[(need - 1) * height : need * height]
                        assert any(min(reach, default=lines.sends) <= line for reach in last)
                    held += [max(reach) - line + 1 for reach in early if reach]
            assert lines.ring == max([*held, 1])
            shrunk += lines.ring < plan.layout.lines
    assert shrunk > 20


def test_each_place_gets_the_initial_state_of_its_next_line() -> None:
    checked = 0
    for network, plans in DRAWN:
        whole = plan_network(
            network, {n: p.layout.lanes for n, p in plans.items()}, find_bursts(network)
        )
        for name, plan in plans.items():
            if (
                plan.lines is None
                or not plan.initial.per_row
                or plan.lines.ring == plan.layout.lines
            ):
                continue
            shape, ring = (plan.layout.lines, plan.line_rows, -1), plan.lines.ring
            want, got = (p.initial.rows.reshape(shape) for p in (whole[name], plan))
            place = [want[line] for line in range(ring)]
            for line in [*range(len(want)), *range(len(want))]:
                assert (place[line % ring] == want[line]).all()
                place[line % ring] = got[line]
            checked += 1
    assert checked > 3


def test_nothing_waits_beyond_its_queue() -> None:
    """All lines of an inference in the order of the proof, through queues of the least length."""
    waited = 0
    for _, plans in DRAWN:
        waiting, queued = least_lines(plans), {}
        order = list(line_order(plans))
        for name, plan in plans.items():
            sends = 1 if plan.lines is None else plan.lines.sends
            assert order.count(name) == sends
        taken = {(name, end): 0 for name in plans for end in readers(plans, name)}
        sent = dict.fromkeys(plans, 0)
        for name in order:
            if name not in plans:
                continue
            sent[name] += 1
            for (source, (target, index)), _ in list(taken.items()):
                lines = plans[target].lines
                needs = [1] if lines is None else lines.needs[index]
                now = int(needs[min(sent[target], len(needs) - 1)])
                taken[source, (target, index)] = now
                queued[source, (target, index)] = max(
                    queued.get((source, (target, index)), 0), sent[source] - now
                )
        for name in plans:
            for branch, end in enumerate(readers(plans, name)):
                assert waiting[name][branch] == queued[name, end]
                waited += queued[name, end] > 0
            if plans[name].lines is not None and plans[name].lines.sends > 1:
                depths = queue_depths(plans[name], len(waiting[name]))
                for depth, lines in zip(depths, waiting[name], strict=True):
                    assert depth >= lines * plans[name].line_rows
    assert waited > 5


def test_a_skip_connection_has_the_first_turn() -> None:
    """It comes last among the projections here, and from further ahead."""
    network = residual()
    plans = by_lines(network, plan_network(network, None, find_bursts(network)))
    assert [p.source for p in plans["m"].projections] == ["a", "p"]
    assert plans["m"].turns == (1, 0)


def test_why_not() -> None:
    plain = small_network()
    assert why_no_streams(plain, find_bursts(plain)) == "no population sends bursts"
    apart = exact_network(o=LeakyReadout(decay=7))
    assert "tell the steps" in why_no_streams(apart, find_bursts(apart))
    flat = exact_network()
    said = "no population behind another has more than one line"
    assert why_no_streams(flat, find_bursts(flat)) == said
    assert why_no_raster(flat, find_bursts(flat)) == said


def test_a_plan_alone_is_as_it_will_be_among_others() -> None:
    """With the same block height everywhere what is assumed of the others is so."""
    for network, _ in DRAWN:
        bursts = find_bursts(network)
        narrow = plan_network(network, {p.name: 1 for p in network.targets}, bursts)
        together = by_lines(network, narrow)
        alone = alike(network, {name: {1: plan} for name, plan in narrow.items()})
        for name, plan in together.items():
            other = alone[name][1]
            assert (plan.lines is None) == (other.lines is None)
            assert plan.state_rows == other.state_rows
            if plan.lines is not None:
                assert marks_wait(plan) == marks_wait(other)


@pytest.mark.parametrize("number", [0, 3, 8])
def test_no_inference_is_faster_than_its_slowest_layer(number: int) -> None:
    network, plans = DRAWN[number]
    trace = Reference(network).trace(stream_inputs(network, number, samples=6))
    activity = Activity(network, trace)
    work = network_work(plans, activity)
    predicted = predict(plans, activity)
    ends = max(one.cycles for one in work.values())
    assert predicted.cycles * 5 + predicted.latency >= 0.95 * 6 * ends
