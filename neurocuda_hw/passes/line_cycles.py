"""How layers hold one another up where lines are sent as they are complete: predicted cycles.

As `pipeline`, by lines instead of steps. With E rows of the events of a line of a source, W rows of
a line that is swept, and ``k`` counting the lines of all inferences::

    t          = end[l, k-1];  for each line j that k needs and k - 1 did not, as they come:
    t          = max(t + max(E[s, j], events) + 1, end[s, j])    at the earliest from sweep[s, j] on
    sweep[l,k] = t
    end[l, k]  = max(sweep[l, k] + W, until each queue has room)

Lines are gone through in the order in which `queues` proves that they can always be sent, so what
each waits for comes before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.cycles import values_wait
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.queues import line_order, marks_needed, queue_depth, readers

HOP = 6  # cycles from a row that is swept to the first row that its spikes visit; division apart


@dataclass(slots=True)
class _Port:
    """A projection on its way through the lines of its source, of all inferences."""

    rows: list[int]  # rows of weights of each, or events if they are more
    needs: list[int]
    begin: list[float] = field(default_factory=list)
    end: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Sender:
    """A population on its way through the lines that it sends."""

    hop: int
    masks: list[int]  # cumulative
    lines: int
    swept: int = 0
    values: int = 0
    ports: list[tuple[str, _Port]] = field(default_factory=list)
    queues: list[tuple[_Port, int]] = field(default_factory=list)
    begin: list[float] = field(default_factory=list)
    end: list[float] = field(default_factory=list)


def line_ends(plans: Mapping[str, LayerPlan], activity: Activity) -> list[float]:
    """When the output ends each inference, in cycles from the first word on."""
    name, samples = activity.network.input.name, activity.trace.samples
    senders = _senders(plans, activity)
    order = list(line_order(plans))
    for _ in range(samples):
        for sender in order:
            _send(senders, sender, name)
    return senders[activity.network.output.name].end[senders[activity.network.output.name].lines - 1 :: senders[activity.network.output.name].lines]
