"""Redraws patches of an input that have nothing in common, and takes the best of all their choices.

Patches whose cones, the neurons that they may reach, share no source of a population add up in its
membranes. With R such patches and A draws of each, A runs of the network say what (A + 1)^R inputs
do; patch by patch the best draw is taken until nothing becomes better.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from neurocuda_hw.coverage.flow import Flow
from neurocuda_hw.coverage.tally import Tally
from neurocuda_hw.network import Network, Population, Window
from neurocuda_hw.network.synapses import Dense

Worth = Callable[[np.ndarray], np.ndarray]

_FINE = 8  # places for each doubling of a distance
_PLACES = 24 * _FINE  # distances up to 2^24 are told apart
_SWEEPS = 4
_SIZES = (4, 2, 1)
_MOST = 256  # patches at a time
_PULL = 0.3  # what coming near is worth, of what the nearest place is


class Combiner:
    """Improves one input for one population."""

    def __init__(self, flow: Flow, tally: Tally, random: np.random.Generator) -> None:
        self.flow, self.tally, self.random = flow, tally, random
        self.network = flow.network
        self.patches = [p for size in _SIZES for p in _patches(self.network, size)]
        self.cones: dict[str, np.ndarray] = {}

    def into(self, population: Population) -> list[int]:
        """Numbers of the projections that end in a population."""
        return [i for i, q in enumerate(self.network.projections) if q.target == population.name]

    def better(self, total: np.ndarray, focus: Population, drawn: np.ndarray) -> np.ndarray:
        """`total` ``(*shape)`` with some patches of those `drawn` ``(A, *shape)``."""
        projections = [self.network.projections[i] for i in self.into(focus)]
        if not focus.spiking or not all(isinstance(q.synapse, Dense) for q in projections):
            return total
        patches, cones = self._apart(focus)
        any_patch = np.any(patches, axis=0)
        mixed = np.where(any_patch, drawn, total)
        with torch.no_grad():
            both = torch.from_numpy(np.concatenate([total[None], mixed]))
            sent, _ = self.flow.counts(both, focus.name)
            pushes = self._pushes(focus, sent)
        weights = np.concatenate(
            [q.synapse.weight.reshape(len(q.synapse.weight), -1) for q in projections], axis=1
        ).astype(pushes.dtype)
        neuron = focus.neuron
        threshold = np.asarray(focus.each(neuron.threshold)).ravel().astype(pushes.dtype)  # type: ignore[attr-defined]
        v = pushes[0] @ weights.T + focus.each(neuron.v_init).ravel()
        change = pushes[1:] - pushes[0]
        moves = np.zeros((len(patches), len(drawn) + 1, focus.size), dtype=pushes.dtype)
        for number, cone in enumerate(cones):
            moves[number, 1:] = change[:, cone] @ weights[:, cone].T
        worth = _Worth(self._gains(focus, pushes[0]), threshold, self.network.window(focus.name))
        choice = np.zeros(len(moves), dtype=np.int64)
        aimed = self._descend(v, moves, choice, worth.aim(v, pushes[0]))
        aimed = self._descend(aimed, moves, choice, worth)
        if worth(aimed[None])[0] < worth(v[None])[0]:
            choice[:] = 0
            self._descend(v, moves, choice, worth)
        found = total.copy()
        for patch, draw in zip(patches, choice, strict=True):
            if draw:
                found[patch] = drawn[draw - 1][patch]
        return found

    def _descend(
        self, v: np.ndarray, moves: np.ndarray, choice: np.ndarray, worth: Worth
    ) -> np.ndarray:
        """Takes the best draw of each patch, 0 for what it was, in `choice`; the membranes then."""
        best = float(worth(v[None])[0])
        for _ in range(_SWEEPS):
            before = best
            for patch in self.random.permutation(len(moves)):
                options = v - moves[patch, choice[patch]] + moves[patch]
                scores = worth(options)
                draw = int(scores.argmax())
                if scores[draw] > best:
                    v, best, choice[patch] = options[draw], float(scores[draw]), draw
            if best == before:
                break
        return v

    def _pushes(self, focus: Population, sent: dict[str, torch.Tensor]) -> np.ndarray:
        """What the sources of all its weights send, ``(B, K)``."""
        parts = []
        for i in self.into(focus):
            q = self.network.projections[i]
            events = sent[q.source]
            if q.synapse.pool is not None:
                from torch.nn.functional import avg_pool2d

                pool = q.synapse.pool
                events = avg_pool2d(events, pool.kernel, pool.stride, divisor_override=1)
            parts.append(events.flatten(1))
        found: np.ndarray = torch.cat(parts, dim=1).numpy()
        return found

    def _apart(self, focus: Population) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Patches of one size that reach no source in common; masks of both."""
        cones = self._cones(focus)
        size = len(self.patches[int(self.random.integers(len(self.patches)))].nonzero()[0])
        order = self.random.permutation(len(self.patches))
        used = np.zeros(cones.shape[1], dtype=bool)
        taken = []
        for index in order:
            cone = cones[index]
            wrong = self.patches[index].sum() > size or not cone.any() or (used & cone).any()
            if not wrong:
                used |= cone
                taken.append(index)
            if len(taken) == _MOST:
                break
        return [self.patches[i] for i in taken], [cones[i] for i in taken]

    def _cones(self, focus: Population) -> np.ndarray:
        """The sources of a population that each patch reaches, ``(patches, K)``."""
        if focus.name not in self.cones:
            reached = {
                self.network.input.name: torch.from_numpy(np.stack(self.patches)).to(
                    self.flow.dtype
                )
            }
            for population in self.network.targets:
                if population.name == focus.name:
                    break
                total = 0.0
                for d in self.flow.deliveries[population.name]:
                    ones = torch.ones_like(d.weight)
                    parts = d.projection.synapse.deliver(reached[d.projection.source], ones)
                    total = total + parts.reshape(-1, *population.shape)  # type: ignore[assignment]
                reached[population.name] = (total > 0).to(self.flow.dtype)  # type: ignore[attr-defined]
            self.cones[focus.name] = self._pushes(focus, reached) > 0
        return self.cones[focus.name]

    def _gains(self, focus: Population, push: np.ndarray) -> np.ndarray:
        """Bits that would be newly shown at each distance of a neuron, ``(2, N, _PLACES)``.

        Of spikes more, and of spikes less.
        """
        lefts = [self.tally.weights[i] for i in self.into(focus)]
        sends = np.flatnonzero(push > 0)
        place = np.floor(_FINE * np.log2(push[sends])).astype(np.int64)
        onehot = np.zeros((len(sends), int(place.max(initial=0)) + 1), dtype=np.float32)
        onehot[np.arange(len(sends)), place] = 1
        width = onehot.shape[1]
        found = np.zeros((2, focus.size, _PLACES), dtype=np.float32)
        for side, name in enumerate(("up", "down")):
            masks = np.concatenate([getattr(left, name) for left in lefts], axis=1)[:, sends]
            every = int(np.bitwise_or.reduce(masks, axis=None)) if len(sends) else 0
            for bit in range(every.bit_length()):
                if every >> bit & 1 and _FINE * bit + width < _PLACES:
                    counts = ((masks >> bit) & 1).astype(np.float32) @ onehot
                    found[side, :, _FINE * bit : _FINE * bit + width] += counts
        return np.flip(np.cumsum(np.flip(found, axis=2), axis=2), axis=2).copy()


class _Worth:
    """What membranes ``(..., N)`` are worth: bits that they show, and something for coming near."""

    def __init__(self, gains: np.ndarray, threshold: np.ndarray, window: Window) -> None:
        near = np.linspace(1, 0, _PLACES, dtype=np.float32)
        self.gains = gains + _PULL * gains[:, :, :1] * near
        self.gains[:, :, -1] = 0
        self.threshold, self.most = threshold, window.steps
        self.neuron = np.arange(len(threshold))

    def aim(self, v: np.ndarray, push: np.ndarray) -> Worth:
        """How near membranes come to the places where most is shown, each to its nearest."""
        half = float(np.median(push[push > 0])) / 2 if (push > 0).any() else 0.0
        rises = self.gains[0, :, 0] >= self.gains[1, :, 0]
        edge = np.clip(np.rint(v / self.threshold), 1, self.most) * self.threshold
        target = edge + np.where(rises, -1 - half, half)
        weight = np.maximum(self.gains[0, :, 0], self.gains[1, :, 0]).astype(v.dtype)
        weight[(v < 0) | (v > (self.most + 1) * self.threshold)] = 0  # too far: others would lose
        return lambda options: -(weight * np.square(options - target)).sum(axis=-1)

    def __call__(self, v: np.ndarray) -> np.ndarray:
        count = np.clip(np.floor(v / self.threshold), 0, self.most)
        over = v - self.threshold * count
        rise = np.where(count < self.most, self.threshold - over, np.inf)
        fall = np.where(count > 0, over + 1, np.inf)
        found = self.gains[0, self.neuron, _place(rise)] + self.gains[1, self.neuron, _place(fall)]
        total: np.ndarray = found.sum(axis=-1)
        return total


def _place(distance: np.ndarray) -> np.ndarray:
    """Where a distance stands in a table of gains; the last place is out of reach."""
    places = np.minimum(np.ceil(_FINE * np.log2(distance)), _PLACES - 1)
    found: np.ndarray = places.astype(np.int64)
    return found


def _patches(network: Network, size: int) -> list[np.ndarray]:
    """Masks of the input's blocks of `size` by `size` positions, or of `size` values in a row."""
    shape = network.input.shape
    found = []
    if len(shape) == 1:
        starts: list[tuple[slice, ...]] = [(slice(x, x + size),) for x in range(0, shape[0], size)]
    else:
        starts = [
            (slice(None), slice(y, y + size), slice(x, x + size))
            for y in range(0, shape[1], size)
            for x in range(0, shape[2], size)
        ]
    for place in starts:
        mask = np.zeros(shape, dtype=bool)
        mask[place] = True
        found.append(mask)
    return found
