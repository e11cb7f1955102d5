"""How many cycles a network must take: the rows that its events visit and its sweeps walk.

The lower bound of a layer is the sum over the steps of (rows of weights that its events visit) +
(state rows that a sweep walks), one row per cycle. Layers work at the same time, so inferences that
follow one another cannot come faster than the slowest layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurocuda_hw.network import Network
from neurocuda_hw.neurons import Encoding, Input
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerWork:
    """Mean work of one layer per inference.

    Parameters
    ----------
    events : float
        Events that arrive.
    event_rows : float
        Rows of weights that they visit.
    sweep_rows : int
        State rows that sweeps walk.
    """

    events: float
    event_rows: float
    sweep_rows: int

    @property
    def bound(self) -> float:
        """Cycles that the layer needs at one row per cycle."""
        return self.event_rows + self.sweep_rows


def mean_events(network: Network, trace: Trace) -> dict[str, np.ndarray]:
    """Mean number of events per inference that each neuron of each source sends, ``shape``.

    Inputs of GRADED and CURRENT send one event per non-zero value.
    """
    neuron = network.input.neuron
    assert isinstance(neuron, Input)
    sent = (trace.inputs != 0).astype(np.float64)
    per_neuron = sent.mean(axis=0) if neuron.encoding is Encoding.CURRENT else sent.sum(1).mean(0)
    found = {network.input.name: per_neuron.reshape(network.input.shape)}
    for name in trace.sizes:
        total = np.zeros(network[name].size)
        for sample in range(trace.samples):
            total += trace.bits(name, sample).sum(axis=0)
        found[name] = (total / trace.samples).reshape(network[name].shape)
    return found


def layer_work(plan: LayerPlan, events: Mapping[str, np.ndarray]) -> LayerWork:
    """Work of one layer, given what `mean_events` says of its sources."""
    rows = arriving = 0.0
    for projection, source, part in zip(plan.projections, plan.sources, plan.fanouts, strict=True):
        sent = events[projection.source].reshape(source.chw)
        rows += float((sent * part.visits()).sum())
        arriving += float(sent.sum())
    sweeps = plan.last_sweep - plan.first_sweep + 1
    return LayerWork(
        events=arriving,
        event_rows=rows,
        sweep_rows=sweeps * plan.layout.rows,
    )


def network_work(
    plans: Mapping[str, LayerPlan], events: Mapping[str, np.ndarray]
) -> dict[str, LayerWork]:
    """Work of every layer, by population."""
    return {name: layer_work(plan, events) for name, plan in plans.items()}


def slowest(work: Mapping[str, LayerWork]) -> str:
    """The layer that bounds the rate of inferences."""
    return max(work, key=lambda name: work[name].bound)
