"""Streams: a line of a population is swept and sent as soon as all that reaches it has come.

In an inference that is one step of the hardware, every population of bursts sends a mark behind
each of its lines of blocks. Events come in the order of lines, so a line l of the target is
complete when each source has sent ``needs[l]`` marks::

    needs[l] = 1 + the last line of the source that reaches a line of the target up to l

at least one, for nothing is sent before its inference has begun, and all of them for the last
line. Until then the target takes lines ``i < needs[l]`` and no other: events beyond wait in their
queue. So it holds at once

    ring = max over l, over lines i < needs[l] of the sources:  last line that i reaches - l + 1

lines, one after another in the same rows: line l is in place ``l mod ring``. While a line is swept
nothing is added, so no line is held for that. When it has been swept its place gets the initial
state of the line that comes there next. How long queues must be is in `passes.queues`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from neurocuda_hw.network import Network
from neurocuda_hw.passes.bursts import Bursts
from neurocuda_hw.passes.layout import Fanout
from neurocuda_hw.passes.plan import LayerPlan, Lines, Parameter
from neurocuda_hw.passes.queues import least_lines, line_depth, line_depths, line_step, readers


def why_no_streams(network: Network, bursts: Bursts) -> str:
    """Why nothing can be sent by lines; empty where something can."""
    if not bursts.counts:
        return "no population sends bursts"
    if not bursts.merged:
        return "some populations tell the steps of an inference apart"
    if not any(_by_lines(network, name) for name in bursts.counts):
        return "no population behind another has more than one line"
    return ""


def why_no_raster(network: Network, bursts: Bursts) -> str:
    """Why the input cannot come by lines; empty where it can."""
    why = why_no_streams(network, bursts)
    if why:
        return why
    name = network.input.name
    if network.input.chw[1] == 1:
        return f"population {name!r} has one line"
    if network.arrivals.steps > 1:
        return f"population {name!r} sends in several steps"
    if len(network.outgoing(name)) > 1:
        return f"population {name!r} is read by several populations, without queues between them"
    return ""


def by_lines(
    network: Network, plans: Mapping[str, LayerPlan], *, raster: bool = False
) -> dict[str, LayerPlan]:
    """The plans of a network whose populations send line by line wherever they can.

    Parameters
    ----------
    plans : mapping of str to LayerPlan
        Of an inference as one step, in topological order.
    raster : bool
        The input's events come by lines of positions.
    """
    source = network.input
    heights = {source.name: 1 if raster else source.chw[1]}
    for name, plan in plans.items():
        heights[name] = plan.layout.block[0] if _sends(network, plan) else plan.layout.height
    found = {name: _with_lines(network, plan, heights) for name, plan in plans.items()}
    depths = line_depths(found)
    return {
        name: plan
        if plan.lines is None
        else replace(plan, lines=replace(plan.lines, depths=depths[name]))
        for name, plan in found.items()
    }


def alike(
    network: Network, options: Mapping[str, Mapping[int, LayerPlan]], *, raster: bool = False
) -> dict[str, dict[int, LayerPlan]]:
    """Each plan as `by_lines` would make it where its sources have lines as high as its own.

    Parameters
    ----------
    options : mapping of str to (mapping of int to LayerPlan)
        Of each population, in topological order, by number of lanes.
    """
    narrow = {name: next(iter(of_layer.values())) for name, of_layer in options.items()}
    streaming = by_lines(network, narrow, raster=raster)
    waiting = {
        name: [
            (lines, line_step(streaming[target], index))
            for lines, (target, index) in zip(of_layer, readers(narrow, name), strict=True)
        ]
        for name, of_layer in least_lines(streaming).items()
    }
    return {
        name: {n: _alike(network, plan, raster, waiting[name]) for n, plan in of_layer.items()}
        for name, of_layer in options.items()
    }


def _alike(
    network: Network, plan: LayerPlan, raster: bool, waiting: list[tuple[int, int]]
) -> LayerPlan:
    layout = plan.layout
    down = layout.block[0]
    heights = {plan.population.name: down if _sends(network, plan) else layout.height}
    for source, burst in plan.senders:
        height, times = source.chw[1], max(1, source.chw[1] // layout.height) if down > 1 else 1
        if source.name == network.input.name:
            heights[source.name] = 1 if raster else height
        else:
            sends = burst and _by_lines(network, source.name)
            heights[source.name] = min(height, down * times) if sends else height
    found = _with_lines(network, plan, heights)
    if found.lines is None:
        return found
    depths = (
        line_depth(found, -(-lines // down) + (lines > 0 and down > 1), step)
        for lines, step in waiting
    )
    return replace(found, lines=replace(found.lines, depths=tuple(depths)))


def _sends(network: Network, plan: LayerPlan) -> bool:
    return bool(plan.burst) and _by_lines(network, plan.population.name)


def _by_lines(network: Network, name: str) -> bool:
    return name != network.output.name and network[name].chw[1] > 1


def _with_lines(network: Network, plan: LayerPlan, heights: Mapping[str, int]) -> LayerPlan:
    layout, sources = plan.layout, plan.sources
    sends = -(-layout.height // heights[plan.population.name])
    taken = [heights[s.name] for s in sources]
    order = [p.name for p in network.populations]
    marks = tuple(-(-s.chw[1] // height) for s, height in zip(sources, taken, strict=True))
    if max(sends, *marks) == 1:
        return plan
    needs, ring = [np.array([count]) for count in marks], layout.lines
    if sends > 1:
        reached = [reached_lines(part, sends) for part in plan.fanouts]
        needs = [
            needed_marks(lines, height, sends) for lines, height in zip(reached, taken, strict=True)
        ]
        ring = max(map(_ring, reached, taken, needs))
    lines = Lines(
        sends=sends,
        ring=ring,
        heights=tuple(taken),
        needs=tuple(needs),
        turns=tuple(sorted(range(len(sources)), key=lambda i: order.index(sources[i].name))),
    )
    return replace(plan, lines=lines, initial=_next_initial(plan, ring))


def reached_lines(part: Fanout, lines: int) -> np.ndarray:
    """First and last line of the target that each line of positions reaches, ``(H, 2)``; -1: none.

    Parameters
    ----------
    lines : int
        Of the target, all of which a row of a matrix reaches.
    """
    rows = int((part.channel_first + part.channel_rows).max())
    more = -(-rows // part.row_y) - 1  # a matrix visits all of them from the first on
    last = part.y.out + np.maximum(part.y.count - 1, 0) * part.y.out_step + more
    found = np.stack([part.y.out, np.minimum(last, lines - 1)], axis=1)
    found[part.y.count == 0] = -1
    return found


def needed_marks(reached: np.ndarray, height: int, lines: int) -> np.ndarray:
    """Marks of the source before each line of the target is complete, ``(lines,)``.

    Parameters
    ----------
    reached : array (H, 2)
        See `reached_lines`.
    height : int
        Positions down in a line of the source that a mark ends.
    """
    marks = np.arange(len(reached)) // height + 1
    reaches = reached[:, 0] >= 0
    first = np.where(reaches, reached[:, 0], lines)
    needs = np.array([max(1, (marks * (first <= line)).max()) for line in range(lines)])
    needs[-1] = marks[-1]
    return needs


def _ring(reached: np.ndarray, height: int, needs: np.ndarray) -> int:
    """Lines that events of one source reach before the first of them is complete."""
    line = np.arange(len(reached)) // height
    return max(
        int(reached[line < need, 1].max(initial=number)) - number + 1
        for number, need in enumerate(needs)
    )


def _next_initial(plan: LayerPlan, ring: int) -> Parameter:
    """The initial states in the order in which places need them: a line's place is next the one of
    ``ring`` lines below, and the last line's there that of the next inference's first."""
    initial, lines = plan.initial, plan.layout.lines
    if not initial.per_row or ring == lines:
        return initial
    after = np.arange(lines) + ring
    after = np.where(after < lines, after, np.arange(lines) % ring)
    rows = initial.rows.reshape(lines, plan.line_rows, -1)[after]
    return replace(initial, rows=rows.reshape(initial.rows.shape))
