"""Folding: how many lanes each layer gets."""

from __future__ import annotations

from neurocuda_hw.network import Network, Population


def lane_choices(population: Population) -> list[int]:
    """Lanes that suit `population`: powers of two below its channels, and all its channels."""
    channels = population.chw[0]
    powers = [1 << i for i in range(channels.bit_length()) if 1 << i < channels]
    return [*powers, channels]


def uniform_lanes(network: Network, limit: int) -> dict[str, int]:
    """As many lanes as suit each layer, but at most `limit`."""
    return {p.name: max(n for n in lane_choices(p) if n <= limit) for p in network.targets}


def choose_lanes(network: Network, limit: int = 16) -> dict[str, int]:
    return uniform_lanes(network, limit)
