"""How layers hold one another up: predicted cycles of inferences that follow one another.

Each layer works on one step after another: it integrates the events of the step, then sweeps. With
E rows of events, W rows of the sweep, and ``k`` counting the steps of all inferences::

    begin[l, k] = max(end[l, k-1], sweep[s, k])              a source s sends while it sweeps,
    sweep[l, k] = max(begin[l, k] + E, end[s, k])            and ends the step when it has swept
    end[l, k]   = max(sweep[l, k] + W, until its queue has room)

Bursts of several sources come at different times, one long before another, and the layer adds each
as it comes: in the order of their sweeps, ``t = max(t, sweep[s, k]) + E[s]``. An event that visits
no row takes a cycle, too.

A layer's spikes wait in a queue of so many masks (`queue_depth`): it cannot end a step before its
targets have taken all but that many. Within a step a target takes them at an even pace. A sweep of
bursts that never waits fills the queue, for the rows behind it in the pipeline are not counted yet;
one that does wait leaves room for them (`in_flight`). The input's markers come behind its events,
one per cycle, also where the hardware takes an inference as one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurocuda_hw.network import Network
from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.cycles import TAKEN, hop, touched_wait, values_wait
from neurocuda_hw.passes.line_cycles import line_ends
from neurocuda_hw.passes.plan import SETTLE, LayerPlan
from neurocuda_hw.passes.queues import in_flight, queue_depth

WALK = 5  # cycles from an event of the input to its first row


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the model says.

    Parameters
    ----------
    cycles : float
        Cycles per inference when they follow one another, the first not counted.
    latency : int
        Cycles from the first input word of the first inference to its last output.
    """

    cycles: float
    latency: int


@dataclass(slots=True)
class _Stage:
    """One layer on its way through the steps; lists of length steps, of all inferences."""

    plan: LayerPlan | None
    sources: list[tuple[_Stage, int]]
    rows: list[int]
    parts: list[list[int]]  # `rows` of each source, and its events that visit none
    swept: list[int]
    masks: np.ndarray  # cumulative, with 0 in front
    depth: int
    marks: int  # markers of the input in a step
    targets: list[tuple[_Stage, int, int]]  # with the delay, and which of its sources this is
    begin: list[float]
    sweep: list[float]
    first: list[float]  # when the first mask of each step leaves
    end: list[float]

    @property
    def hop(self) -> int:
        """Cycles from a row that it sweeps to the first row that its events visit."""
        return hop(self.plan) if self.plan else WALK

    def before(self, k: int) -> float:
        return self.end[k - 1] if k else 0.0


def predict(plans: Mapping[str, LayerPlan], activity: Activity) -> Prediction:
    """Runs the model over all inferences of the trace that `activity` counts."""
    network, samples = activity.network, activity.trace.samples
    if any(plan.lines is not None for plan in plans.values()):
        return _prediction(network, plans, line_ends(plans, activity))
    steps = max(plan.timesteps for plan in plans.values())
    stages = _stages(plans, activity, steps)
    for k in range(samples * steps):
        for stage in stages.values():
            _advance(stage, k)
    ends = np.array(stages[network.output.name].end)[steps - 1 :: steps]
    return _prediction(network, plans, ends)


def _prediction(network: Network, plans: Mapping[str, LayerPlan], ends: np.ndarray) -> Prediction:
    """What follows from when the output's sweep ends, ``(S,)``."""
    out = network.output
    ends = ends + hop(plans[out.name]) + (0 if out.spiking else out.size)
    mean = float(ends[-1] - ends[0]) / (len(ends) - 1) if len(ends) > 1 else float(ends[0])
    return Prediction(cycles=mean, latency=round(float(ends[0])))


def _advance(stage: _Stage, k: int) -> None:
    """Works out when a layer integrates and sweeps step `k`."""
    if stage.plan is None:  # the input: one word per cycle
        stage.begin.append(stage.before(k))
        stage.sweep.append(stage.begin[-1])
    else:
        known = [(s, k - d) for s, d in stage.sources if k >= d]
        begins = [s.first[j] + s.hop for s, j in known]
        if any(stage.plan.bursts):
            begin = done = max(stage.before(k), min(begins))
            for begins_at, part in sorted(zip(begins, stage.parts, strict=True)):
                done = max(done, begins_at) + part[k]
        else:
            begin = max([stage.before(k), *begins])
            done = begin + stage.rows[k]
        stage.begin.append(begin)
        stage.sweep.append(max([done, *(s.end[j] + s.hop for s, j in known)]))
    _sweep(stage, k)


def _sweep(stage: _Stage, k: int) -> None:
    """Works out when a layer's first mask of step `k` leaves, and when the last one has."""
    first = stage.sweep[-1]
    stage.first.append(first)
    before, last = (int(stage.masks[i]) - stage.depth for i in (k, k + 1))
    if stage.plan is None or not stage.plan.burst:
        end = max(first + stage.swept[k], _taken(stage, k, last))
        stage.end.append(end + stage.marks)
        return
    reserve = in_flight(stage.plan) - 1  # one mask has left the queue for the compactor
    stage.first[-1] = first = max(first, _taken(stage, k, before + reserve))
    end = first + stage.swept[k]
    if _taken(stage, k, last - 1) > end:
        end = max(end, _taken(stage, k, last + reserve - 1))
    stage.end.append(end)


def _taken(stage: _Stage, k: int, wanted: int) -> float:
    """When the targets have taken so many masks, seen from step `k`."""
    if wanted <= 0:
        return 0.0
    j = int(np.searchsorted(stage.masks, wanted)) - 1  # the step in which that mask was sent
    part = (wanted - int(stage.masks[j])) / int(stage.masks[j + 1] - stage.masks[j])
    latest = 0.0
    for target, delay, index in stage.targets:
        if delay:
            continue  # a delay holds a whole step
        if stage.plan is not None and stage.plan.burst:
            # all of it is there at once: it is taken while the target waits for other sources
            begin = max(target.before(j), stage.first[j] + stage.hop)
            length: float = target.parts[index][j]
        elif j < k:
            begin, length = target.begin[j], target.sweep[j] - target.begin[j]
        else:
            begin = max(target.before(k), stage.sweep[k] + stage.hop)
            length = target.rows[k]
        latest = max(latest, begin + part * length)
    return latest


def _stages(plans: Mapping[str, LayerPlan], activity: Activity, steps: int) -> dict[str, _Stage]:
    network = activity.network
    words = activity.words(steps)
    marks = network.timesteps // steps
    none = np.zeros_like(words)
    events = words - marks
    stages = {network.input.name: _stage(None, none, (), events, events, TAKEN, marks)}
    for name, plan in plans.items():
        rows = activity.rows(plan)
        swept = np.maximum(rows.swept, 1)  # a step that sweeps nothing is passed on in one cycle
        if plan.touched:
            waits = (rows.events > 0) & (rows.swept > 0)
            waits[:, plan.last_sweep] = False
            swept = swept + touched_wait(plan) * waits
        if plan.leaks:
            swept = swept + SETTLE * (rows.swept > 0)
        swept[:, plan.last_sweep] += values_wait(plan)
        depth = queue_depth(plan) if plan.fires else 1
        parts = tuple(a + b for a, b in zip(rows.parts, rows.missed, strict=True))
        stages[name] = _stage(plan, rows.events, parts, swept, rows.fired, depth)
    for name, plan in plans.items():
        for index, projection in enumerate(plan.projections):
            source, delay = stages[projection.source], projection.delay
            stages[name].sources.append((source, delay))
            source.targets.append((stages[name], delay, index))
    return stages


def _stage(
    plan: LayerPlan | None,
    rows: np.ndarray,
    parts: tuple[np.ndarray, ...],
    swept: np.ndarray,
    masks: np.ndarray,
    depth: int,
    marks: int = 0,
) -> _Stage:
    sums = np.concatenate([[0], np.cumsum(masks.ravel())])
    return _Stage(
        plan=plan,
        sources=[],
        rows=rows.ravel().tolist(),
        parts=[part.ravel().tolist() for part in parts],
        swept=swept.ravel().tolist(),
        masks=sums,
        depth=depth,
        marks=marks,
        targets=[],
        begin=[],
        sweep=[],
        first=[],
        end=[],
    )
