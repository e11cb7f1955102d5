"""Folding: how many lanes each layer gets.

Layers work at the same time, so lanes are wasted on a layer that has to wait for the slowest one
anyway. Each layer gets the fewest lanes with which it still keeps pace with the slowest layer at
its widest, and does not make that one wait (`pipeline.predict`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from neurocuda_hw.network import Network, Population
from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.cycles import layer_work
from neurocuda_hw.passes.layout import suitable_lanes
from neurocuda_hw.passes.pipeline import predict
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.planner import plan_layer

MOST_LANES = 16
PREDICTED = 12  # inferences on which lanes are tried
SLACK = 1.03  # of the slowest layer's cycles, before other layers get more lanes


def lane_choices(population: Population, limit: int) -> list[int]:
    """Lanes that suit `population`, at most `limit`; see `layout.suitable_lanes`."""
    return [n for n in suitable_lanes(population) if n <= limit]


def uniform_lanes(network: Network, limit: int = MOST_LANES) -> dict[str, int]:
    """As many lanes as suit each layer, but at most `limit`.

    Raises
    ------
    ValueError
        Unless `limit` is at least 1.
    """
    if limit < 1:
        raise ValueError(f"lanes must be at least 1, not {limit!r}")
    return {p.name: max(lane_choices(p, limit)) for p in network.targets}


def balanced_lanes(
    network: Network,
    events: Mapping[str, np.ndarray],
    limit: int = MOST_LANES,
    *,
    plan: Callable[[str, int], LayerPlan] | None = None,
) -> dict[str, int]:
    """The fewest lanes, at most `limit`, that do not slow the network down.

    Parameters
    ----------
    events : mapping of str to array
        Mean events per inference of each source, from `cycles.mean_events`. From an `Activity`,
        layers that hold one another up are seen too, and get more lanes.
    plan : callable, optional
        Plans a population by name with a number of lanes; see `study.Study.plan`.
    """
    choices = {p.name: lane_choices(p, limit) for p in network.targets}
    plan = plan or (lambda name, lanes: plan_layer(network, network[name], lanes))
    plans = {(p.name, n): plan(p.name, n) for p in network.targets for n in choices[p.name]}
    bounds = {key: layer_work(of, events).bound for key, of in plans.items()}
    pace = max(min(bounds[name, n] for n in of_layer) for name, of_layer in choices.items())

    def keeping(least: float) -> dict[str, int]:
        """The fewest lanes of each layer that need at most so many cycles; its best if none do."""
        return {
            name: next((n for n in of_layer if bounds[name, n] <= least), of_layer[-1])
            for name, of_layer in choices.items()
        }

    if not isinstance(events, Activity):
        return keeping(pace)
    few = events.first(PREDICTED)

    def cycles(lanes: Mapping[str, int]) -> float:
        return predict({name: plans[name, n] for name, n in lanes.items()}, few).cycles

    least = max(layer_work(plans[key], few).cycles for key in keeping(pace).items())
    for part in (1.0, 0.7, 0.5, 0.35, 0.25, 0.0):
        lanes = keeping(pace * part)
        if cycles(lanes) <= SLACK * least:
            break
    for name, of_layer in choices.items():
        for fewer in (n for n in of_layer if keeping(pace)[name] <= n < lanes[name]):
            if cycles({**lanes, name: fewer}) <= max(SLACK * least, cycles(lanes)):
                lanes[name] = fewer
                break
    return lanes
