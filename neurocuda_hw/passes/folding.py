"""Folding: how many lanes each layer gets.

Layers work at the same time, so lanes are wasted on a layer that has to wait for the slowest one
anyway. Each layer gets the fewest lanes with which it still keeps pace with the slowest layer at
its widest.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from neurocuda_hw.network import Network, Population
from neurocuda_hw.passes.cycles import layer_work
from neurocuda_hw.passes.plan import plan_layer

MOST_LANES = 16


def lane_choices(population: Population, limit: int) -> list[int]:
    """Lanes that suit `population`: powers of two below its channels, and all its channels."""
    channels = population.chw[0]
    powers = [1 << i for i in range(channels.bit_length()) if 1 << i < channels]
    return [n for n in (*powers, channels) if n <= limit]


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
    network: Network, events: Mapping[str, np.ndarray], limit: int = MOST_LANES
) -> dict[str, int]:
    """The fewest lanes, at most `limit`, that do not slow the network down.

    Parameters
    ----------
    events : mapping of str to array
        Mean events per inference of each source, from `cycles.mean_events`.
    """
    bounds = {
        p.name: {
            n: layer_work(plan_layer(network, p, n), events).bound for n in lane_choices(p, limit)
        }
        for p in network.targets
    }
    pace = max(min(of_layer.values()) for of_layer in bounds.values())
    return {
        name: min(n for n, bound in of_layer.items() if bound <= pace)
        for name, of_layer in bounds.items()
    }
