"""How layers hold one another up where lines are sent as they are complete: predicted cycles.

As `pipeline`, by lines instead of steps. With E rows of the events of a line of a source (1 of an
event that visits none), W rows of a line that is swept, and ``k`` counting the lines of all
inferences::

    t          = end[l, k-1];  for each line j that k needs and k - 1 did not, as they come, in
                               the turns of the plan where several are there:
    t          = max(t + E[s, j] + 1, end[s, j])                 at the earliest from sweep[s, j] on
    sweep[l,k] = t
    end[l, k]  = max(sweep[l, k] + W, until each queue has room)

Lines are gone through in the order in which `queues` proves that they can always be sent, so what
each waits for comes before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.cycles import TAKEN, hop, values_wait
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.queues import line_order, marks_needed, queue_depths, readers


@dataclass(slots=True, kw_only=True)
class _Port:
    """A projection on its way through the lines of its source, of all inferences.

    `rows` of each line: rows of weights, and events that visit none.
    """

    source: _Sender
    target: _Sender
    rows: list[int]
    needs: Sequence[int]
    begin: list[float] = field(default_factory=list)
    end: list[float] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Sender:
    """A population on its way through the lines that it sends; `ports` in their turns.

    `swept` cycles of each line; `masks` of all lines up to each, with 0 in front; `queues` of so
    many masks before each target.
    """

    lines: int
    hop: int
    swept: list[int]
    masks: list[int]
    ports: list[_Port] = field(default_factory=list)
    queues: list[tuple[_Port, int]] = field(default_factory=list)
    begin: list[float] = field(default_factory=list)
    end: list[float] = field(default_factory=list)

    def advance(self) -> None:
        """Works out when the next line is swept."""
        k = len(self.end)
        inference, line = divmod(k, self.lines)
        now = self.end[-1] if k else 0.0
        waiting = []
        for port in self.ports:
            first = port.needs[line - 1] if line else 0
            base = inference * port.needs[-1]
            waiting.append(deque(range(base + int(first), base + int(port.needs[line]))))
        while any(waiting):
            coming = [
                (max(now, port.source.begin[lines[0]] + port.source.hop), turn)
                for turn, (port, lines) in enumerate(zip(self.ports, waiting, strict=True))
                if lines
            ]
            begin, turn = min(coming)
            port, j = self.ports[turn], waiting[turn].popleft()
            now = max(begin + port.rows[j], port.source.end[j] + port.source.hop) + 1
            port.begin.append(begin)
            port.end.append(now)
        self.begin.append(now)
        self.begin[-1] = max(now, self._room(self.masks[k] + 1))
        self.end.append(max(self.begin[-1] + self.swept[k], self._room(self.masks[k + 1])))

    def _room(self, masks: int) -> float:
        """When every queue has room for so many masks in all: all but its depth have left it, and
        one more, which is about to."""
        return max((self._gone(port, masks - depth - 1) for port, depth in self.queues), default=0)

    def _gone(self, port: _Port, masks: int) -> float:
        if masks <= 0:
            return 0.0
        j = bisect_left(self.masks, masks) - 1  # the line of that mask
        part = (masks - self.masks[j]) / (self.masks[j + 1] - self.masks[j])
        if j < len(port.end):
            return port.begin[j] + part * (port.end[j] - port.begin[j])
        free = port.target.end[-1] if port.target.end else 0.0
        return max(free, self.begin[-1] + self.hop) + part * port.rows[j]  # taken as it is sent


def line_ends(plans: Mapping[str, LayerPlan], activity: Activity) -> np.ndarray:
    """When the output ends each inference, in cycles from the first word on, ``(S,)``."""
    network = activity.network
    senders = _senders(plans, activity)
    order = list(line_order(plans))
    for _ in range(activity.trace.samples):
        for name in order:
            senders[name].advance()
    out = senders[network.output.name]
    return np.array(out.end[out.lines - 1 :: out.lines])


def _senders(plans: Mapping[str, LayerPlan], activity: Activity) -> dict[str, _Sender]:
    source, samples = activity.network.input, activity.trace.samples
    height = next(
        plan.lines.heights[plan.sources.index(source)] if plan.lines else source.chw[1]
        for plan in plans.values()
        if source in plan.sources
    )
    words = activity.input_lines(height) + 1
    senders = {source.name: _sender(words.shape[1], 0, words, words)}
    for name, plan in plans.items():
        lines, masks = (1 if plan.lines is None else plan.lines.sends), activity.lines(plan).masks
        swept = np.full((samples, lines), plan.layout.rows // lines + values_wait(plan))
        senders[name] = _sender(lines, hop(plan), swept, masks)
    ports: dict[str, list[_Port]] = {}
    for name, plan in plans.items():
        given = zip(plan.sources, activity.lines(plan).events, marks_needed(plan), strict=True)
        ports[name] = [
            _Port(
                source=senders[source.name],
                target=senders[name],
                rows=rows.ravel().tolist(),
                needs=needs.tolist(),
            )
            for source, rows, needs in given
        ]
        senders[name].ports = [ports[name][turn] for turn in plan.turns]
    for name, sender in senders.items():
        taken = [ports[target][index] for target, index in readers(plans, name)]
        # of the input no mask waits, but its target holds a few events
        depths = queue_depths(plans[name], len(taken)) if name in plans else [TAKEN] * len(taken)
        sender.queues = list(zip(taken, depths, strict=False))
    return senders


def _sender(lines: int, hop: int, swept: np.ndarray, masks: np.ndarray) -> _Sender:
    return _Sender(
        lines=lines,
        hop=hop,
        swept=swept.ravel().tolist(),
        masks=[0, *np.cumsum(masks.ravel()).tolist()],
    )
