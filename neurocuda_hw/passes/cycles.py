"""How many cycles a network must take: the rows that its events visit and its sweeps walk.

The lower bound of a layer is the sum over the steps of (rows of weights that its events visit) +
(state rows that must be swept), one row per cycle. Layers work at the same time, so inferences that
follow one another cannot come faster than the slowest layer. A single inference waits for one layer
after another: see `critical_path`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.plan import SETTLE, LayerPlan

TAKEN = 4  # events of the input that its target holds: one being walked, and three behind it
# what follows is without `LayerPlan.lead`, which comes to each of them
TOUCHED_WAIT = 4  # cycles from a step's last row of weights until its last touched row is known
HOP = 11  # cycles from a row that is swept to the first row that its spikes visit; division apart
VALUES_WAIT = 3  # cycles from a row of a readout until its first value may leave


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerWork:
    """Mean work of one layer per inference.

    Parameters
    ----------
    events : float
        Events that arrive.
    event_rows : float
        Rows of weights that they visit.
    sweep_rows : float
        State rows that must be swept.
    walked_rows : float
        State rows that the hardware sweeps.
    waits : float
        Cycles in which the layer passes steps on, takes events that visit no row, or waits for its
        own pipeline.
    """

    events: float
    event_rows: float
    sweep_rows: float
    walked_rows: float
    waits: float

    @property
    def bound(self) -> float:
        """Cycles that the layer needs at one row per cycle."""
        return self.event_rows + self.sweep_rows

    @property
    def cycles(self) -> float:
        """Cycles that the hardware takes, as long as its neighbours do not hold it up."""
        return self.event_rows + self.walked_rows + self.waits


def mean_events(network: Network, trace: Trace) -> Activity:
    """Mean number of events per inference that each neuron of each source sends, ``shape``."""
    return Activity(network, trace)


def layer_work(plan: LayerPlan, events: Mapping[str, np.ndarray]) -> LayerWork:
    """Work of one layer, given what `mean_events` says of its sources.

    Plain means do not tell which rows are touched: every sweep is then taken to walk all rows.
    """
    idle_steps = float(plan.timesteps - plan.sweeps)
    if isinstance(events, Activity):
        rows = events.rows(plan)
        waiting = (rows.events > 0) & (rows.swept > 0)
        waiting[:, plan.last_sweep] = False
        quiet = (rows.swept[:, plan.sweep_steps()] == 0).sum(axis=1)
        waits = idle_steps + float(quiet.mean())
        if plan.touched:
            waits += touched_wait(plan) * float(waiting.sum(axis=1).mean())
        if plan.leaks:
            waits += SETTLE * float((rows.swept > 0).sum(axis=1).mean())
        waits += sum(float(missed.sum(axis=1).mean()) for missed in rows.missed)
        waits += values_wait(plan) + marks_wait(plan)
        return LayerWork(
            events=events.arriving(plan),
            event_rows=float(rows.events.sum(axis=1).mean()),
            sweep_rows=float(rows.needed.sum(axis=1).mean()),
            walked_rows=float(rows.swept.sum(axis=1).mean()),
            waits=waits,
        )
    arriving = event_rows = 0.0
    links = zip(plan.projections, plan.sources, plan.fanouts, plan.bursts, strict=True)
    for projection, source, part, burst in links:
        sent = events[projection.source]
        sent = np.minimum(sent, 1) if burst else sent  # at most: means hide who is silent
        arriving += float(sent.sum())
        event_rows += float((sent.reshape(source.chw) * part.visits()).sum())
    swept = float(plan.sweeps * plan.layout.rows)
    return LayerWork(
        events=arriving,
        event_rows=event_rows,
        sweep_rows=swept,
        walked_rows=swept,
        waits=idle_steps
        + (SETTLE * plan.sweeps if plan.leaks else 0)
        + values_wait(plan)
        + marks_wait(plan),
    )


def marks_wait(plan: LayerPlan) -> int:
    """Cycles that the marks of lines take."""
    return 0 if plan.lines is None else sum(int(needs[-1]) for needs in plan.lines.needs)


def values_wait(plan: LayerPlan) -> int:
    """Cycles in which a readout's last sweep waits: a row goes when the one before has left."""
    if plan.fires or plan.by_channel:
        return 0
    return (plan.layout.rows - 1) * (plan.layout.lanes + VALUES_WAIT + plan.lead)


def touched_wait(plan: LayerPlan) -> int:
    """Cycles from a step's last row of weights until its last touched row is known."""
    return TOUCHED_WAIT + plan.lead


def hop(plan: LayerPlan) -> int:
    """Cycles from a row that is swept to the first row that its spikes visit."""
    return HOP + plan.lead + len(plan.division)


def network_work(
    plans: Mapping[str, LayerPlan], events: Mapping[str, np.ndarray]
) -> dict[str, LayerWork]:
    """Work of every layer, by population."""
    return {name: layer_work(plan, events) for name, plan in plans.items()}


def slowest(work: Mapping[str, LayerWork]) -> str:
    """The layer that bounds the rate of inferences."""
    return max(work, key=lambda name: work[name].bound)


def critical_path(plans: Mapping[str, LayerPlan], events: Activity) -> np.ndarray:
    """Cycles of each inference if it were alone, ``(S,)``: the sum of its longest chain of steps.

    A layer's work of step t (rows of events and of the sweep) can end when it has ended step t - 1
    and its sources have ended step t, and as many cycles later as it has rows. The input's work is
    its events and one marker; a readout's values follow the last step.
    """
    network = events.network
    samples, steps = events.trace.samples, max(plan.timesteps for plan in plans.values())
    ends = {network.input.name: np.cumsum(events.words(steps), axis=1)}
    works = {}
    for name, plan in plans.items():
        rows = events.rows(plan)
        works[name] = rows.events + rows.needed
        ends[name] = np.zeros((samples, steps), dtype=np.int64)
    for step in range(steps):
        for name, plan in plans.items():  # in topological order
            start = ends[name][:, step - 1] if step else np.zeros(samples, dtype=np.int64)
            for projection in plan.projections:
                if step >= projection.delay:
                    of_source = ends[projection.source][:, step - projection.delay]
                    start = np.maximum(start, of_source)
            ends[name][:, step] = start + works[name][:, step]
    out = network.output
    return ends[out.name][:, -1] + (0 if out.spiking else out.size)
