"""Runs the chip's own neurons on given integers, and records u, v and s of every step.

>>> import numpy as np
>>> from neurocuda_hw.loihi import CubaNeuron, DirectNetwork, Group, Synapses
>>> network = DirectNetwork(
...     groups=(
...         Group(name="in", size=1),
...         Group(name="out", size=1, neuron=CubaNeuron(vth=131071, du=0, dv=2048)),
...     ),
...     synapses=(Synapses(source="in", target="out", weight=np.array([[128]])),),
... )
>>> spikes = np.zeros((6, 1), dtype=int)
>>> spikes[0] = 1
>>> network.run({"in": spikes}).v["out"][0, :, 0].tolist()
[0, 8192, 12286, 14331, 15351, 15859]

In step t, in this order: what was sent at ``t - 1 - delay`` arrives, the neurons are updated by the
equations of `neuron`, and what they send is recorded as s[t]. A spike of an input group at t is one
sent at t. u and v are recorded at the end of the step, so v is 0 in a step with a spike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import torch

from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.loihi.engine import Edge, Engine, Node
from neurocuda_hw.loihi.neuron import STATE_LIMIT, GradedNeuron, LoihiNeuron
from neurocuda_hw.loihi.operators import Operator
from neurocuda_hw.loihi.weights import WeightFormat
from neurocuda_hw.network.neurons import Ints, freeze
from neurocuda_hw.network.synapses import Dense

MAX_DELAY = 62
BATCH_ELEMENTS = 2**25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Neurons of one kind; without a `neuron` it is an input.

    `payload` bounds the magnitude of what an input group sends: 1 for spikes.
    """

    name: str
    size: int
    neuron: LoihiNeuron | None = None
    payload: int = 1

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ModelError(
                f"group {self.name!r}: size must be at least 1 neuron, not {self.size}"
            )
        if self.neuron is not None:
            self.neuron.check(self.size, self.name)

    @property
    def largest(self) -> int:
        """Largest magnitude of one event that the group sends."""
        if self.neuron is None:
            return self.payload
        return STATE_LIMIT if isinstance(self.neuron, GradedNeuron) else 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Synapses:
    """All-to-all synapses between two groups.

    Parameters
    ----------
    weight : array of int (size of target, size of source)
        0 is no synapse.
    delay : int or array of int of the shape of `weight`
        0 to 62 steps on top of the one that every synapse takes.
    format : WeightFormat
        How the chip stores them: by default 8 bits, so that mixed weights lose their lowest bit.
    """

    source: str
    target: str
    weight: np.ndarray
    delay: Ints = 0
    format: WeightFormat = field(default_factory=WeightFormat)

    def __post_init__(self) -> None:
        weight = freeze(self.weight, f"synapses {self.label}: weight")
        delay = freeze(self.delay, f"synapses {self.label}: delay")
        if delay.shape not in ((), weight.shape):
            raise ModelError(
                f"synapses {self.label}: delay must be one integer or {weight.shape}, "
                f"not {delay.shape}"
            )
        if delay.size and not (delay.min() >= 0 and delay.max() <= MAX_DELAY):
            raise ModelError(
                f"synapses {self.label}: delay must be 0 to {MAX_DELAY} steps, "
                f"not {int(delay.min() if delay.min() < 0 else delay.max())}"
            )
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "delay", delay)

    @property
    def label(self) -> str:
        """``source -> target``, for messages."""
        return f"{self.source} -> {self.target}"


@dataclass(slots=True, kw_only=True)
class Recording:
    """Every step of every group.

    Parameters
    ----------
    s : dict of str to array (B, T, N), uint8 (int32 for payloads)
        Spikes, or payloads of graded ones; input groups too.
    u, v : dict of str to array (B, T, N), int32
        State at the end of each step; u of groups that have a current.
    wrapped : dict of str to int
        Sums that wrapped in the accumulator, for groups where `accumulator_bits` is set.
    """

    s: dict[str, np.ndarray] = field(default_factory=dict)
    u: dict[str, np.ndarray] = field(default_factory=dict)
    v: dict[str, np.ndarray] = field(default_factory=dict)
    wrapped: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class DirectNetwork:
    """Groups of chip neurons joined by synapses, loops included.

    Parameters
    ----------
    accumulator_bits : int, optional
        16 for Loihi 1: what arrives at a neuron in one step wraps at +-2^15 in weight units.
        None, as in lava: it never wraps.
    """

    groups: tuple[Group, ...]
    synapses: tuple[Synapses, ...]
    accumulator_bits: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(self.groups))
        object.__setattr__(self, "synapses", tuple(self.synapses))
        sizes = {group.name: group.size for group in self.groups}
        if len(sizes) < len(self.groups):
            raise ModelError(
                f"group names must be unique, not {[group.name for group in self.groups]}"
            )
        inputs = {group.name for group in self.groups if group.neuron is None}
        for synapses in self.synapses:
            for end in (synapses.source, synapses.target):
                if end not in sizes:
                    raise ModelError(f"synapses {synapses.label}: there is no group {end!r}")
            if synapses.target in inputs:
                raise ModelError(f"synapses {synapses.label}: nothing may end in an input group")
            want = (sizes[synapses.target], sizes[synapses.source])
            if synapses.weight.shape != want:
                raise ModelError(
                    f"synapses {synapses.label}: weight must have the shape {want}, "
                    f"not {synapses.weight.shape}"
                )

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        steps: int | None = None,
        *,
        currents: Mapping[str, np.ndarray] | None = None,
        states: bool | Sequence[str] = True,
    ) -> Recording:
        """Runs all samples from the initial state.

        Parameters
        ----------
        inputs : dict of str to int array (T, N) or (B, T, N)
            What each input group sends in each step.
        steps : int, optional
            Steps to run; default the longest input. Inputs are silent after their end.
        currents : dict of str to int array (T, N) or (B, T, N), optional
            Added to what arrives at a group in each step, in weight units.
        states : bool or names
            Whether, or for which groups, u and v are kept: without them it is much faster.

        Raises
        ------
        DataError
            If an input is missing, has the wrong shape or type, or exceeds the group's payload.
        """
        data = self._data(inputs, currents or {})
        longest = max((array.shape[1] for array in data.values()), default=0)
        steps = longest if steps is None else steps
        if steps < 1:
            raise DataError(f"steps must be at least 1, not {steps!r}")
        spiking = [group.name for group in self.groups if group.neuron is not None]
        kept = spiking if states is True else [] if states is False else list(states)
        batch = max((len(array) for array in data.values()), default=1)
        width = max(group.size for group in self.groups)
        chunk = max(1, BATCH_ELEMENTS // (steps * width))
        engine, parts = self._engine, []
        for start in range(0, batch, chunk):
            parts.append(
                self._run_batch(engine, data, range(start, min(start + chunk, batch)), steps, kept)
            )
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _run_batch(
        self,
        engine: Engine,
        data: Mapping[str, np.ndarray],
        samples: range,
        steps: int,
        kept: list[str],
    ) -> Recording:
        timed = {}
        for name, array in data.items():
            some = array if len(array) == 1 else array[samples.start : samples.stop]
            spread = np.broadcast_to(some, (len(samples), *array.shape[1:]))
            timed[name] = torch.from_numpy(np.array(spread.swapaxes(0, 1)[:steps]))
        result = engine.run(
            {
                g.name: timed[g.name].to(torch.float64 if g.payload > 1 else torch.uint8)
                for g in self.groups
                if g.neuron is None
            },
            steps,
            len(samples),
            currents={g.name: timed[g.name] for g in self.groups if g.neuron and g.name in timed},
            record=kept,
        )
        recording = Recording(wrapped={n: len(w) for n, w in result.wrapped.items()})
        for name, spikes in result.spikes.items():
            spikes = spikes.to(torch.int32) if spikes.dtype == torch.float64 else spikes
            recording.s[name] = spikes.transpose(0, 1).numpy()
        for name, state in result.states.items():
            recording.v[name] = state["v"].transpose(0, 1).numpy()
            if "u" in state:
                recording.u[name] = state["u"].transpose(0, 1).numpy()
        return recording

    def _data(
        self, inputs: Mapping[str, np.ndarray], currents: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        groups = {group.name: group for group in self.groups}
        found = {
            g.name: np.zeros((1, 0, g.size), np.uint8) for g in self.groups if g.neuron is None
        }
        for what, given in (("inputs", inputs), ("currents", currents)):
            for name, values in given.items():
                group = groups.get(name)
                if group is None or (group.neuron is None) != (what == "inputs"):
                    kind = "an input group" if what == "inputs" else "a group of neurons"
                    raise DataError(f"{what} must be given for {kind}, not for {name!r}")
                array = np.asarray(values)
                if array.dtype != bool and not np.issubdtype(array.dtype, np.integer):
                    raise DataError(f"{what} of {name!r} must be integers, not {array.dtype}")
                array = array[None] if array.ndim == 2 else array
                if array.ndim != 3 or array.shape[2] != group.size:
                    raise DataError(
                        f"{what} of {name!r} must have the shape (T, {group.size}) or "
                        f"(B, T, {group.size}), not {np.shape(values)}"
                    )
                low = -group.payload if group.payload > 1 else 0
                high = group.payload
                outside = array.size and (array.min() < low or array.max() > high)
                if what == "inputs" and outside:
                    raise DataError(
                        f"inputs of {name!r} must be {low} to {high}, "
                        f"not {int(array.min())} to {int(array.max())}"
                    )
                found[name] = array
        sizes = {len(array) for array in found.values()} - {1}
        if len(sizes) > 1:
            raise DataError(f"inputs must have one number of samples, not {sorted(sizes)}")
        return found

    @cached_property
    def _engine(self) -> Engine:
        nodes = [
            Node(
                name=group.name,
                size=group.size,
                start=None
                if group.neuron is None
                else partial(group.neuron.start, size=group.size),
                accumulator_bits=self.accumulator_bits,
            )
            for group in self.groups
        ]
        largest = {group.name: group.largest for group in self.groups}
        edges: list[Edge] = []
        for synapses in self.synapses:
            edges += _edges(synapses, largest[synapses.source])
        return Engine(nodes, edges)


def _edges(synapses: Synapses, payload: int) -> list[Edge]:
    """One edge for each delay in use: the chip shifts what arrives in one step from one delay."""
    weight, exponent = synapses.format.effective(synapses.weight)
    delays = np.broadcast_to(np.asarray(synapses.delay), weight.shape)
    edges = []
    for delay in np.unique(delays).tolist():
        part = np.where(delays == delay, weight, 0)
        if not part.any():
            continue
        targets, sources = part.shape
        operator = Operator(Dense(weight=part), (sources,), (targets,), payload)
        edges.append(
            Edge(
                source=synapses.source,
                target=synapses.target,
                operator=operator,
                hop=1 + delay,
                exponent=exponent,
            )
        )
    return edges


def _joined(parts: list[Recording]) -> Recording:
    whole = Recording()
    for field_name in ("s", "u", "v"):
        for name in getattr(parts[0], field_name):
            arrays = [getattr(part, field_name)[name] for part in parts]
            getattr(whole, field_name)[name] = np.concatenate(arrays)
    for part in parts:
        for name, count in part.wrapped.items():
            whole.wrapped[name] = whole.wrapped.get(name, 0) + count
    return whole
