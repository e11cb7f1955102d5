"""The event loop of the chip: every connection takes at least one step, so layers run in turn.

In step n a neuron receives ``sum over connections of W . s[n - hop]``, ``hop >= 1``. Since nothing
arrives in the step in which it was sent, a population without a loop can be run over all its steps
before the next one starts, and all its spikes of all steps are delivered in one product: the same
spikes as stepping the whole chip, many times faster. Populations in a loop are stepped together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.fixed import fits_float32
from neurocuda_hw.loihi.neuron import Running, shift, wrap_register
from neurocuda_hw.loihi.operators import Operator

FRAME_ELEMENTS = 2**23


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A group of neurons; `start` gives its state for a batch, None marks an input."""

    name: str
    size: int
    start: Callable[[int], Running] | None
    accumulator_bits: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A connection: what spikes of one step add to the target, `hop` steps later.

    The operator's `bound` is the largest magnitude before the exponent is applied.
    """

    source: str
    target: str
    operator: Operator
    hop: int
    exponent: int = 0


@dataclass(slots=True, kw_only=True)
class Result:
    """What happened, by node, time first.

    Parameters
    ----------
    spikes : dict of str to tensor (K, B, N)
        uint8 of 0 and 1, or payloads in float64.
    states : dict of str to dict of str to tensor (K, B, N) int32
        After each step, for the nodes that were asked for.
    awake : dict of str to bool tensor (K, B, N)
        Whether a neuron's state was not zero before the step, on request.
    wrapped : dict of str to list of (step, sample, neuron, sum)
        Every sum that did not fit the accumulator of its neuron, and wrapped.
    """

    spikes: dict[str, torch.Tensor] = field(default_factory=dict)
    states: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)
    awake: dict[str, torch.Tensor] = field(default_factory=dict)
    wrapped: dict[str, list[tuple[int, int, int, int]]] = field(default_factory=dict)


class Engine:
    """Runs nodes and edges; see the module."""

    def __init__(self, nodes: Sequence[Node], edges: Sequence[Edge]) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.edges = tuple(edges)
        for edge in edges:
            if edge.hop < 1:
                raise ModelError(
                    f"connection {edge.source} -> {edge.target} must take at least one step, "
                    f"not {edge.hop!r}"
                )
        self.groups = _loops(list(self.nodes), [(e.source, e.target) for e in edges])

    @torch.inference_mode()
    def run(
        self,
        inputs: Mapping[str, torch.Tensor],
        steps: int,
        batch: int,
        *,
        currents: Mapping[str, torch.Tensor] | None = None,
        record: Sequence[str] = (),
        awake: bool = False,
    ) -> Result:
        """Runs `steps` steps of `batch` copies from the initial state.

        Parameters
        ----------
        inputs : dict of str to tensor (K <= steps, B, N)
            Spikes or payloads of every input node.
        currents : dict of str to tensor (K <= steps, B, N)
            Added to the sums that arrive in each step, in weight units.
        record : names of nodes whose states are kept
        awake : bool
            Whether to keep which neurons had a state before each step.
        """
        result = Result()
        for name, data in inputs.items():
            full = torch.zeros((steps, batch, self.nodes[name].size), dtype=data.dtype)
            full[: len(data)] = data
            result.spikes[name] = full
        for group in self.groups:
            members = [self.nodes[name] for name in group]
            if members[0].start is not None:
                _Group(self, members, result, steps, batch).run(currents or {}, record, awake)
        return result


class _Group:
    """Populations that are stepped together: one, or the members of a loop."""

    def __init__(
        self, engine: Engine, members: list[Node], result: Result, steps: int, batch: int
    ) -> None:
        self.members, self.result, self.steps, self.batch = members, result, steps, batch
        names = {node.name for node in members}
        self.inner = [e for e in engine.edges if e.target in names and e.source in names]
        self.outer = [e for e in engine.edges if e.target in names and e.source not in names]

    def run(self, currents: Mapping[str, torch.Tensor], record: Sequence[str], awake: bool) -> None:
        feeds = {node.name: self._feed(node, currents.get(node.name)) for node in self.members}
        running, kept = {}, {name: [] for name in record}  # type: ignore[var-annotated]
        known: dict[str, list[torch.Tensor]] = {node.name: [] for node in self.members}
        for node in self.members:
            assert node.start is not None
            running[node.name] = node.start(self.batch)
            self.result.spikes[node.name] = torch.zeros(
                (self.steps, self.batch, node.size),
                dtype=torch.float64 if running[node.name].graded else torch.uint8,
            )
        for step in range(self.steps):
            for node in self.members:
                neurons = running[node.name]
                drive = self._drive(node, feeds[node.name], step)
                if awake:
                    known[node.name].append(neurons.awake())
                fired = neurons.step(drive, step)
                if fired is not None:
                    self.result.spikes[node.name][step] = fired
                if node.name in kept:
                    kept[node.name].append(
                        {name: s.to(torch.int32) for name, s in neurons.state().items()}
                    )
        for node in self.members:
            if awake:
                self.result.awake[node.name] = torch.stack(known[node.name])
            if node.name in kept:
                states = kept[node.name]
                self.result.states[node.name] = {
                    name: torch.stack([state[name] for state in states]) for name in states[0]
                }

    def _feed(self, node: Node, current: torch.Tensor | None) -> _Feed:
        """Everything that arrives at `node` from outside the group, in all steps."""
        bound = sum(
            e.operator.bound * 2 ** max(e.exponent, 0) for e in self.outer if e.target == node.name
        )
        wide = current is not None or not fits_float32(bound)
        feed = _Feed(self.steps, self.batch, node.size, torch.float64 if wide else torch.float32)
        for edge in self.outer:
            if edge.target != node.name:
                continue
            sent = self.result.spikes[edge.source][: max(0, self.steps - edge.hop)]
            used = busy(sent)
            chunk = max(1, FRAME_ELEMENTS // (self.batch * max(node.size, sent.shape[-1])))
            for start in range(used.start, used.stop, chunk):
                stop = min(start + chunk, used.stop)
                arrived = edge.operator(sent[start:stop].flatten(0, 1))
                feed.add(start + edge.hop, shift(arrived, edge.exponent))
        if current is not None:
            feed.add(0, current[: self.steps].flatten(0, 1).to(torch.float64, copy=True))
        if node.accumulator_bits is not None and not any(e.target == node.name for e in self.inner):
            self.result.wrapped[node.name] = feed.wrap(node.accumulator_bits)
        return feed

    def _drive(self, node: Node, feed: _Feed, step: int) -> torch.Tensor | None:
        total = feed.at(step)
        loops = [e for e in self.inner if e.target == node.name]
        if not loops:
            return total
        total = None if total is None else total.to(torch.float64, copy=True)
        for edge in loops:
            if step < edge.hop:
                continue
            sent = self.result.spikes[edge.source][step - edge.hop]
            if not sent.any():
                continue
            part = shift(edge.operator(sent).to(torch.float64), edge.exponent)
            total = part if total is None else total + part
        if total is not None and node.accumulator_bits is not None:
            before = total.clone()
            total = wrap_register(total, node.accumulator_bits)
            found = self.result.wrapped.setdefault(node.name, [])
            for sample, neuron in (total != before).nonzero().tolist():
                found.append((step, sample, neuron, int(before[sample, neuron])))
        return total


class _Feed:
    """Sums that arrive from outside, ``(K, B, N)``, and the steps in which there are any."""

    def __init__(self, steps: int, batch: int, size: int, dtype: torch.dtype) -> None:
        self.shape, self.dtype = (steps, batch, size), dtype
        self.sums: torch.Tensor | None = None
        self.first, self.last = 0, 0

    def add(self, start: int, frames: torch.Tensor) -> None:
        """Adds frames ``(k * B, N)`` to the steps from `start` on; it keeps what it is given."""
        frames = frames.reshape(-1, *self.shape[1:])
        stop = start + len(frames)
        if self.sums is None:
            self.sums, self.first, self.last = frames, start, stop
            return
        if self.first > 0 or len(self.sums) < self.shape[0] or self.sums.dtype != self.dtype:
            whole = torch.zeros(self.shape, dtype=self.dtype)
            whole[self.first : self.first + len(self.sums)] = self.sums
            self.sums, self.first = whole, 0
        self.sums[start:stop] += frames
        self.last = max(self.last, stop)

    def wrap(self, bits: int) -> list[tuple[int, int, int, int]]:
        """Lets every sum wrap as a register of `bits` bits; (step, sample, neuron, sum) of each."""
        if self.sums is None:
            return []
        before = self.sums.to(torch.float64)
        self.sums = wrap_register(before.clone(), bits)
        changed = (self.sums != before).nonzero().tolist()
        return [(self.first + k, b, n, int(before[k, b, n])) for k, b, n in changed]

    def at(self, step: int) -> torch.Tensor | None:
        """Sums of one step, or None where nothing arrives."""
        if self.sums is None or not self.first <= step < self.last:
            return None
        return self.sums[step - self.first]


def busy(sent: torch.Tensor) -> slice:
    """From the first to the last step with an event."""
    steps = torch.nonzero(sent.flatten(1).any(dim=1)).flatten()
    return slice(int(steps[0]), int(steps[-1]) + 1) if len(steps) else slice(0, 0)


def _loops(names: list[str], arcs: list[tuple[str, str]]) -> list[list[str]]:
    """Strongly connected groups of names, sources first."""
    index = {name: i for i, name in enumerate(names)}
    reach = np.eye(len(names), dtype=bool)
    for source, target in arcs:
        reach[index[source], index[target]] = True
    for middle in range(len(names)):
        reach |= np.outer(reach[:, middle], reach[middle])
    both = reach & reach.T
    groups = {tuple(np.flatnonzero(both[i]).tolist()) for i in range(len(names))}
    ordered = sorted(groups, key=lambda g: (int(reach[:, g[0]].sum()), g[0]))
    return [[names[i] for i in group] for group in ordered]
