"""What golden spikes have shown of a network so far, bit by bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from neurocuda_hw.coverage.bits import Left, below, bits_of, flipped, level
from neurocuda_hw.coverage.patches import patches
from neurocuda_hw.coverage.watch import Moments, Seen, Watcher
from neurocuda_hw.network import Network, Population
from neurocuda_hw.reference.reference import Reference

KINDS = ("threshold", "bias", "v_init")
_BATCH = 16  # samples at a time
_PAIRS = 2**21  # ratios at a time


def kinds(population: Population) -> list[str]:
    """The parameters of a population's neurons that are stored: of those that are 0, none is."""
    neuron = population.neuron
    named = [kind for kind in KINDS if kind in neuron.arrays]
    return [kind for kind in named if np.any(getattr(neuron, kind))]


class Tally:
    """The bits of a network's weights and parameters, and which of them no sample has shown yet.

    Parameters
    ----------
    network : Network
    """

    def __init__(self, network: Network) -> None:
        self.network, self.reference = network, Reference(network)
        self.watchers = {p.name: Watcher(network, p) for p in network.targets}
        self.weights = [
            Left.of(
                np.array(q.synapse.weight).reshape(len(q.synapse.weight), -1),
                q.synapse.weight_bits,
            )
            for q in network.projections
        ]
        self.parameters: dict[tuple[str, str], Left] = {}
        for population in network.targets:
            for kind in kinds(population):
                values = np.array(getattr(population.neuron, kind))
                self.parameters[population.name, kind] = Left.of(values, bits_of(values))

    @property
    def left(self) -> int:
        """Bits that are still to be shown."""
        return sum(left.count for _, left in self.parts())

    def parts(self) -> Iterator[tuple[int | tuple[str, str], Left]]:
        """Every array of bits: the number of a projection, or a population and its parameter."""
        yield from enumerate(self.weights)
        yield from self.parameters.items()

    def add(self, inputs: np.ndarray) -> int:
        """Notes what inputs ``(S, ...)`` show; how many bits they were the first to show."""
        before = self.left
        for start in range(0, len(inputs), _BATCH):
            seen = Seen(self.reference, inputs[start : start + _BATCH])
            for watcher in self.watchers.values():
                self._watch(watcher, seen)
        return before - self.left

    def _watch(self, watcher: Watcher, seen: Seen) -> None:
        drives = watcher.drives(seen)
        own = [(i, q) for i, q in enumerate(self.network.projections) if q in watcher.incoming]
        if any(self.weights[i].count for i, _ in own):
            for moments in watcher.moments(seen, drives):
                self.note(watcher.population, moments)
        name = watcher.population.name
        asked = [k for k in kinds(watcher.population) if self.parameters[name, k].count]
        if not asked:
            return
        samples = len(seen.data)
        usual = watcher.shows(watcher.neuron, drives, samples)
        for kind in asked:
            self._flip(watcher, kind, drives, usual)

    def _flip(self, watcher: Watcher, kind: str, drives: list[Any], usual: np.ndarray) -> None:
        """Flips each bit that is left of a parameter, in all neurons at once."""
        population = watcher.population
        left = self.parameters[population.name, kind]
        values = left.values
        wanted = int(np.bitwise_or.reduce(left.masks, axis=None))
        for bit in range(left.bits):
            if not wanted >> bit & 1:
                continue
            neuron = watcher.flipped(kind, flipped(values, bit, left.bits))
            differs = watcher.shows(neuron, drives, len(usual)) != usual
            neurons = differs.any(axis=tuple(range(differs.ndim - 1))).reshape(population.shape)
            shared = tuple(range(values.ndim, neurons.ndim))
            left.keep(np.where(neurons.any(axis=shared), ~(np.int64(1) << np.int64(bit)), -1))

    def note(self, population: Population, moments: Moments) -> None:
        """Notes which bits of the weights that end in `population` these moments show."""
        pairs = [(i, q) for i, q in enumerate(self.network.projections)]
        own = [(i, q) for i, q in pairs if q.target == population.name]
        for (i, projection), push in zip(own, moments.pushes, strict=True):
            met = patches(projection, push, population).numpy()
            for m in range(len(met)):
                _note(self.weights[i], moments.rise[m], moments.fall[m], met[m])


def _note(left: Left, rise: np.ndarray, fall: np.ndarray, met: np.ndarray) -> None:
    """One moment: `met` are patches ``(groups, K, P)``, `rise` and `fall` of N neurons."""
    outputs = len(left.up)
    gaps = {"up": rise.reshape(outputs, -1), "down": fall.reshape(outputs, -1)}
    signs = [1, -1] if met.min() < 0 else [1]
    for name, other in (("up", "down"), ("down", "up")):
        for sign in signs:
            gap = gaps[name if sign > 0 else other]
            _show(getattr(left, name), gap, met if sign > 0 else -met)


def _show(masks: np.ndarray, gap: np.ndarray, met: np.ndarray) -> None:
    """Drops from `masks` ``(O, K)`` the bits k for which ``2^k * met >= gap`` ``(O, P)``."""
    outputs = len(gap)
    groups = len(met)
    most = met.max(axis=1).repeat(outputs // groups, axis=0)  # (O, P)
    highest = np.bitwise_or.reduce(masks, axis=1)  # above the highest bit by less than twice
    near = gap <= most * highest[:, None].astype(np.float64)
    out, place = np.nonzero(near & (most > 0))
    step = max(1, _PAIRS // met.shape[1])
    for start in range(0, len(out), step):
        o, p = out[start : start + step], place[start : start + step]
        amount = met[o * groups // outputs, :, p]  # (pairs, K)
        with np.errstate(divide="ignore"):
            ratio = np.where(amount > 0, gap[o, p][:, None] / np.maximum(amount, 0), np.inf)
        rows, first = np.unique(o, return_index=True)
        least = np.minimum.reduceat(ratio, first, axis=0)
        masks[rows] &= below(level(least))
