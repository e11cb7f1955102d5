"""How a population can be cut into parts, and what weights each part has to store."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from neurocuda_hw.loihi.lower import Route
from neurocuda_hw.loihi.operators import Operator, counting
from neurocuda_hw.network import Network, Population


class Cut:
    """One way to cut: flat indices as rows of equal importance that stay together."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __call__(self, parts: int) -> list[np.ndarray]:
        return [np.sort(part.reshape(-1)) for part in np.array_split(self.rows, parts)]


def cuts(population: Population) -> Iterator[Cut]:
    """By channels; of a map also by rows, and by positions."""
    index = np.arange(population.size, dtype=np.int64).reshape(population.chw)
    channels = index.reshape(len(index), -1)
    yield Cut(channels)
    rows = index.transpose(1, 0, 2).reshape(index.shape[1], -1)
    if len(rows) > 1:
        yield Cut(rows)
        yield Cut(index.transpose(1, 2, 0).reshape(-1, len(index)))


def counter_of(network: Network, route: Route) -> Operator:
    """What counts a route's synapses instead of summing their weights."""
    projection = route.projection
    return counting(
        projection.synapse, network[projection.source].shape, network[projection.target].shape
    )


def weight_bytes(route: Route, population: Population, neurons: np.ndarray) -> int:
    """Bytes of the weights that `neurons` need, stored once per core."""
    synapse = route.projection.synapse
    weight_bits = min(8, route.weight_bits) if route.planes == 1 else 8 * route.planes
    channels = len(np.unique(neurons // (population.size // population.chw[0])))
    return -(-synapse.stored(channels, len(neurons)) * weight_bits // 8)
