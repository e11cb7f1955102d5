"""Cycles that the C++ takes by its own schedule: each loop starts one row a cycle (II = 1).

Per step a layer takes one cycle for each row that an event visits (at least one an event), one for
the end of the step of each source, and one for each state row if the step is swept. An expander
looks at each of its bursts in each step of their window. Layers run at
the same time: an inference follows another after as many cycles as the slowest process takes. The
few cycles in which a loop's pipeline fills are not counted: only the vendor's tool knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neurocuda_hw.hls.plan import HlsLayer, HlsPlan, plan_network
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCycles:
    """Predicted cycles of one layer, mean per inference.

    Parameters
    ----------
    events, rows : float
        Events that arrive, and cycles that their rows take.
    ends : int
        Ends of steps that are read.
    sweeps : int
        State rows that are swept, and values that a readout reports.
    sends, expands : float
        Cycles of the processes that send spikes on, and bursts as spikes, at the same time.
    """

    events: float
    rows: float
    ends: int
    sweeps: int
    sends: float
    expands: float

    @property
    def total(self) -> float:
        """Cycles of the layer's own process."""
        return self.rows + self.ends + self.sweeps


def predicted_cycles(
    subject: Network | Study, trace: Trace | None = None, lanes: Mapping[str, int] | None = None
) -> dict[str, LayerCycles]:
    """Predicted cycles of every layer for the inputs of `trace`, by population."""
    study = Study.of(subject, trace=trace, lanes=lanes)
    plan = study.once(plan_network)
    return {name: _cycles(plan, layer, study.activity) for name, layer in plan.layers.items()}


def bound(plan: HlsPlan, cycles: Mapping[str, LayerCycles]) -> float:
    """Cycles per inference of the slowest process; the members of a loop take turns."""
    paces = [0.0]
    for process in plan.processes:
        layers = [cycles[name] for name in process]
        if plan.loops(process):
            paces.append(sum(layer.total + layer.sends for layer in layers))
        else:
            paces += [
                pace for layer in layers for pace in (layer.total, layer.sends, layer.expands)
            ]
    return max(paces)


def _cycles(whole: HlsPlan, layer: HlsLayer, activity: Activity) -> LayerCycles:
    rows = arriving = 0.0
    for edge in layer.edges:
        come = activity.events(edge.source.name, edge.burst).reshape(edge.source.chw)
        rows += float((come * np.maximum(edge.fanout.visits(), 1)).sum())
        arriving += float(come.sum())
    population, steps, burst = layer.population, whole.steps, layer.plan.burst
    readout = population.readout
    sent = 0.0 if readout else float(activity.events(population.name, burst).sum())
    expands = 0.0
    if population.name in whole.expanded:
        expands = sent * (1 + burst) + steps + whole.network.timesteps
    sweeps = layer.sweeps * layer.plan.layout.rows
    if readout:
        sweeps += layer.plan.layout.rows * (layer.plan.layout.lanes + 1)
    return LayerCycles(
        events=arriving,
        rows=rows,
        ends=steps * len(layer.edges),
        sweeps=sweeps,
        sends=0.0 if readout else sent + steps,
        expands=expands,
    )
