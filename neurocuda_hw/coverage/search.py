"""Finds few inputs that show as many single-bit faults as can be.

Where a network `flows`, inputs are found on purpose, in two strides. Along the gradient of what may
be shown: neurons come into the reach of a spike while the sources of weights that are still to be
shown send much. Then patches of the input that reach no source of one layer in common are
redrawn, all at once: what each draw does to that layer's membranes adds up, so that the best of
very many choices is found with few runs of the network. Elsewhere inputs are drawn at random. What
shows nothing new is dropped. All of it is bounded by the operations of the network that it takes,
not by the clock: the same network gets the same inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from neurocuda_hw.coverage.combine import Combiner
from neurocuda_hw.coverage.flow import Flow, flows, in_steps
from neurocuda_hw.coverage.table import Coverage
from neurocuda_hw.coverage.tally import Tally
from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.network import Network, Population
from neurocuda_hw.reference.delivery import exact_arithmetic

Progress = Callable[[int, int], None]

SAMPLES = 200
OPERATIONS = 10**11  # additions of weights that the search may take
_USUAL = 4  # silence, extremes and corners, before any that are sought
_PATIENCE = 12  # inputs that show nothing new, one after the other
_BATCH = 16  # inputs that are improved side by side
_CLIMBS = 60  # steps along the gradient, each of which costs about three runs
_INSIDE = 1  # how much more it counts that a neuron comes into reach than that its sources send
_SHARES = (0.5, 0.5, 0.1)  # of neurons that come into reach together; few for the hard ones
_DRAWS = 32  # redrawn patches side by side
_ROUNDS = 6  # of redrawing, of one input
_WIDEST = 8  # faults that need a push of 2^k count at most so much more than the lowest bit


def operations(network: Network) -> int:
    """Weights that one run adds if every neuron sends once."""
    places = [
        q.synapse.weight.size * max(1, network[q.target].size // len(q.synapse.weight))
        for q in network.projections
    ]
    return sum(places)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Covering:
    """Inputs ``(S, ...)``, how many of them (the last ones) were made, and what all show."""

    inputs: np.ndarray
    made: int
    coverage: Coverage


def cover(
    network: Network,
    given: np.ndarray | None = None,
    samples: int | None = None,
    progress: Progress | None = None,
) -> Covering:
    """Inputs that show as many single-bit faults as can be: those `given`, and at most `samples`
    (`SAMPLES` where None) that are made for what they leave open."""
    tally = Tally(network)
    if given is not None:
        tally.add(given)
    made, tally = find_inputs(network, samples or SAMPLES, tally=tally, progress=progress)
    if given is None and not len(made):  # nothing shows anything; a trace holds something still
        made = default_inputs(network, min(16, samples or 16))
    inputs = made if given is None else np.concatenate([given, made])
    return Covering(inputs=inputs, made=len(made), coverage=Coverage.of(tally))


def find_inputs(
    network: Network,
    samples: int = SAMPLES,
    *,
    tally: Tally | None = None,
    seed: int = 0,
    operations_allowed: int = OPERATIONS,
    progress: Progress | None = None,
) -> tuple[np.ndarray, Tally]:
    """Inputs ``(S, ...)``, at most `samples` of them, and what they show.

    Parameters
    ----------
    tally : Tally, optional
        What other inputs have shown already.
    operations_allowed : int
        Bounds the search; of a large network, fewer samples are sought.
    progress : callable, optional
        Called with (samples tried, samples at most).
    """
    tally = tally or Tally(network)
    runs = operations_allowed // max(1, operations(network))
    flowing = flows(network)
    each = 3 * _CLIMBS + _ROUNDS * _DRAWS if flowing else 1
    usual = default_inputs(network, min(16, samples), seed)
    tries = min(samples, max(len(usual), runs // each))
    kept: list[np.ndarray] = []
    finder = _Flowing(network, tally, seed) if flowing else None
    drawn = np.random.default_rng(seed)
    idle = 0
    for tried in range(tries):
        if not tally.left or idle == _PATIENCE:
            break
        if tried < len(usual) and (finder is None or tried < _USUAL):
            found = usual[tried]
        elif finder is not None:
            found = finder.next()
        else:
            found = default_inputs(network, 5, int(drawn.integers(2**31)))[-1]
        gained = tally.add(found[None])
        idle = 0 if gained else idle + 1
        if gained:
            kept.append(found)
        if progress:
            progress(tried + 1, tries)
    nothing = np.zeros((0, *usual.shape[1:]), dtype=usual.dtype)
    return np.stack(kept) if kept else nothing, tally


class _Flowing:
    """Inputs on purpose, one after the other."""

    def __init__(self, network: Network, tally: Tally, seed: int) -> None:
        self.network, self.tally = network, tally
        self.flow = Flow(network)
        self.random = np.random.default_rng(seed)
        self.combiner = Combiner(self.flow, tally, self.random)
        low, high = network.input_neuron.payload
        steps = network.window(network.input.name).steps
        self.low, self.high = low * steps, high * steps
        self.batch: list[np.ndarray] = []
        self.focus: Population = network.output

    def next(self) -> np.ndarray:
        """The next input ``(steps, *shape)``."""
        with exact_arithmetic(torch.device("cpu")):
            if not self.batch:
                self.focus = self._focus()
                self.batch = list(self._climbed(self._drawn(_BATCH)))
            total = self.batch.pop()
            for number in range(_ROUNDS):
                drawn = self._drawn(_DRAWS) if number < 1 else self._nudged(total)
                total = self.combiner.better(total, self.focus, drawn)
        found: np.ndarray = in_steps(self.network, total[None])[0]
        return found

    def _drawn(self, count: int) -> np.ndarray:
        """Random inputs of many densities, ``(count, *shape)``."""
        shape = (count, *self.network.input.shape)
        values = self.random.integers(self.low, self.high + 1, shape)
        density = self.random.uniform(0.05, 1, (count, *(1,) * (len(shape) - 1)))
        return np.where(self.random.random(shape) < density, values, 0)

    def _nudged(self, total: np.ndarray) -> np.ndarray:
        """An input with all of its values a little other, ``(_DRAWS, *shape)``."""
        shape = (_DRAWS, *total.shape)
        scale = 2.0 ** self.random.uniform(0, 5, (_DRAWS, *(1,) * total.ndim))
        moved = total + np.rint(self.random.normal(size=shape) * scale).astype(np.int64)
        found: np.ndarray = np.clip(moved, self.low, self.high)
        return found

    def _focus(self) -> Population:
        """The population with the most bits left in its weights, of a random share of each."""
        left = {p.name: 0.0 for p in self.network.targets}
        for q, bits in zip(self.network.projections, self.tally.weights, strict=True):
            left[q.target] += bits.count
        return max(self.network.targets, key=lambda p: left[p.name] * self.random.uniform(0.2, 1))

    def _climbed(self, drawn: np.ndarray) -> np.ndarray:
        """Inputs from which much that is left may be shown, near those that were drawn."""
        focus, flow = self.focus, self.flow
        wanted = [self._wanted(i) for i in self.combiner.into(focus)]
        threshold = flow.threshold(focus)
        most = self.network.window(focus.name).steps if focus.spiking else 0
        share = self.random.choice(_SHARES, (len(drawn), *(1,) * len(focus.shape)))
        chosen = torch.from_numpy(self.random.random((len(drawn), *focus.shape)) < share)
        chosen = chosen.to(flow.dtype) * self._needs(wanted).reshape(focus.shape)
        x = torch.from_numpy(drawn).to(flow.dtype)
        axes = tuple(range(1, x.ndim))
        reach = (self.high - self.low) / 4
        for step in range(_CLIMBS):
            x.requires_grad_(True)
            whole = x + (x.round() - x).detach()
            sent, v = flow.counts(whole, focus.name, smooth=True)
            gain = torch.zeros_like(v)
            for delivery, weight in zip(flow.deliveries[focus.name], wanted, strict=True):
                events = sent[delivery.projection.source]
                part = delivery.projection.synapse.deliver(events, weight.to(flow.dtype))
                gain = gain + part.reshape(v.shape)
            gain = torch.log(gain.clamp(min=0) + 1)
            if most:
                ratio = v / threshold
                outside = torch.relu(0.6 - ratio) + torch.relu(ratio - most - 0.4)
                gain = chosen * (gain - _INSIDE * torch.log1p(outside))
            (slope,) = torch.autograd.grad(gain.sum(), x)
            with torch.no_grad():
                size = slope.square().mean(axes, keepdim=True).sqrt() + 1e-12
                move = (slope / size).clamp(-3, 3) * (reach * (1 - step / _CLIMBS) + 1)
                x = (x + move).clamp(self.low, self.high)
        found: np.ndarray = x.round().numpy().astype(np.int64)
        return found

    def _needs(self, wanted: list[torch.Tensor]) -> torch.Tensor:
        """How much each neuron of the focus has left to show, of the most, ``(N,)``."""
        total = sum(weight.flatten(1).sum(1) for weight in wanted)
        assert isinstance(total, torch.Tensor)
        each = total.repeat_interleave(self.focus.size // len(total))
        return (each / each.max().clamp(min=1e-12)).sqrt().to(self.flow.dtype)

    def _wanted(self, index: int) -> torch.Tensor:
        """How much each weight of a projection has left to show; low bits count less."""
        projection, left = self.network.projections[index], self.tally.weights[index]
        total = np.zeros(left.up.shape)
        for bit in range(left.bits):
            total += (left.masks >> bit & 1) * min(2**bit, _WIDEST)
        shape = projection.synapse.weight.shape
        return torch.from_numpy(total.reshape(shape) / max(1.0, total.max()))
