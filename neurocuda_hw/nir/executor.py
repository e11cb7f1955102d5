"""Runs a NIR graph itself, in floating point: what the integers are measured against.

Every node is evaluated once per step on the sum of the nodes that feed it. A delayed arc (see
`flat`) delivers what its neuron sent in the step before, nothing in step 0.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields

import nir
import numpy as np
import torch

from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.linear.steps import Step
from neurocuda_hw.nir.dynamics import Equations, Method, Timing, dynamics
from neurocuda_hw.nir.flat import Flat, delay_steps, flatten
from neurocuda_hw.nir.ops import step_of

Key = tuple[str, frozenset[str]]


@dataclass(slots=True, kw_only=True)
class FloatRun:
    """What one batch did.

    Parameters
    ----------
    outputs : tensor (B, *shape)
        The sum over all steps of what reached the Output node: spike counts of a last spiking
        layer, integrated values of a linear one. The value of the last step where the last node
        is an integrator (I, LI, CubaLI).
    spikes : dict of str to uint8 tensor (B, T, *shape)
        Of each node that fires, on request.
    """

    outputs: torch.Tensor
    spikes: dict[str, torch.Tensor]


class Executor:
    """Runs a NIR graph in floating point.

    Parameters
    ----------
    graph : nir.NIRGraph or Flat
    dt : float, optional
        Seconds per step; needed where the graph has time constants or Delay nodes.
    method : Method
    integrate_dt : bool
        See `dynamics.Timing`.
    subtract : bool
        Reset by subtraction of the threshold instead of NIR's reset to `v_reset`.
    fires_at : bool
        Fire at ``v >= threshold``, as some frameworks do, instead of NIR's ``v > threshold``.
    dtype : torch.dtype
        float32 to follow a framework; float64 is exact on integers.
    """

    def __init__(
        self,
        graph: nir.NIRGraph | Flat,
        *,
        dt: float | None = None,
        method: Method = Method.EULER,
        integrate_dt: bool = False,
        subtract: bool = False,
        fires_at: bool = False,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        timing = Timing(dt=dt, method=method, integrate_dt=integrate_dt)
        self.flat = graph if isinstance(graph, Flat) else flatten(graph, dt)
        self.subtract, self.fires_at, self.dtype = subtract, fires_at, dtype
        flat = self.flat
        self.dynamics = {
            name: Tensors(dynamics(flat.nodes[name], flat.shapes[name], name, timing), dtype)
            for name in flat.neurons
        }
        self.delays: dict[str, torch.Tensor] = {}
        self.operations: dict[str, Step] = {}
        for name, node in flat.nodes.items():
            if isinstance(node, nir.Delay):
                steps = np.broadcast_to(delay_steps(node, dt, name), flat.shapes[name])
                self.delays[name] = torch.from_numpy(steps.copy())
            elif name not in self.dynamics:
                self.operations[name] = step_of(node, flat.shapes[name], name, dtype)
        self.behind = _sources_behind(flat)

    def run(
        self, inputs: object, *, timesteps: int | None = None, spikes: bool = False
    ) -> FloatRun:
        """Runs one batch from rest.

        Parameters
        ----------
        inputs : array or tensor (B, T, *shape), or (B, *shape) with `timesteps`
            The latter is held for all steps.
        spikes : bool
            Whether to keep every spike.

        Raises
        ------
        DataError
            If the shape is wrong or a value is not finite.
        """
        data = torch.as_tensor(inputs)
        shape = self.flat.shapes[self.flat.input]
        want = shape if timesteps is not None else (-1, *shape)
        if data.ndim != len(want) + 1 or tuple(data.shape[-len(shape) :]) != shape:
            raise DataError(
                f"inputs must have the shape (samples, {'' if timesteps else 'steps, '}"
                f"{', '.join(map(str, shape))}), not {tuple(data.shape)}"
            )
        if data.is_floating_point() and not bool(torch.isfinite(data).all()):
            raise DataError("inputs must be finite, not NaN or infinite")
        with torch.no_grad():
            return _FloatStepper(self, len(data)).run(data, timesteps, spikes)


class Tensors:
    """Equations as tensors, and one step of them."""

    def __init__(self, source: Equations, dtype: torch.dtype) -> None:
        values = {field.name: getattr(source, field.name) for field in fields(source)}
        self.values = {
            name: torch.as_tensor(np.array(value)).to(dtype)
            for name, value in values.items()
            if value is not None
        }
        self.threshold = self.values.get("threshold")

    def step(
        self,
        x: torch.Tensor,
        v: torch.Tensor,
        u: torch.Tensor,
        subtract: bool,
        fires_at: bool,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Spikes (the membrane, of what never fires), membrane and current after one step."""
        terms = self.values
        if "keep_current" in terms:
            x = u = terms["keep_current"] * u + terms["gain_current"] * x
        v = terms["keep"] * v + terms["gain"] * x + terms["offset"]
        if self.threshold is None:
            return v, v, u
        fired = v >= self.threshold if fires_at else v > self.threshold
        after = v - self.threshold if subtract else terms["v_reset"]
        return fired.to(v.dtype), torch.where(fired, after, v), u


def _sources_behind(flat: Flat) -> dict[str, frozenset[str]]:
    """For each node without a state: the neurons and inputs that reach it."""
    found: dict[str, set[str]] = {name: set() for name in flat.nodes}
    changed = True
    while changed:
        changed = False
        for name, feeding in flat.sources.items():
            before = len(found[name])
            for source in feeding:
                found[name] |= {source} if flat.is_source(source) else found[source]
            changed |= len(found[name]) != before
    return {name: frozenset(sources) for name, sources in found.items()}


class _FloatStepper:
    """The state of one batch in flight."""

    def __init__(self, executor: Executor, batch: int) -> None:
        self.executor, self.flat, self.batch = executor, executor.flat, batch
        self.v = {name: self._zeros(name) for name in self.flat.neurons}
        self.u = {name: self._zeros(name) for name in self.flat.neurons}
        self.sent: dict[str, torch.Tensor] = {}
        self.previous: dict[str, torch.Tensor] = {n: self._zeros(n) for n in self.flat.neurons}
        self.lines: dict[Key, deque[torch.Tensor]] = {}
        self.memo: dict[Key, torch.Tensor] = {}

    def _zeros(self, name: str) -> torch.Tensor:
        return torch.zeros(self.batch, *self.flat.shapes[name], dtype=self.executor.dtype)

    def run(self, data: torch.Tensor, timesteps: int | None, spikes: bool) -> FloatRun:
        firing = [n for n in self.flat.neurons if self.executor.dynamics[n].threshold is not None]
        kept: dict[str, list[torch.Tensor]] = {name: [] for name in firing}
        last = self.executor.behind[self.flat.output]
        integrated = not last & {self.flat.input, *firing}
        total = self._zeros(self.flat.output)
        for step in range(data.shape[1] if timesteps is None else timesteps):
            frame = data if timesteps is not None else data[:, step]
            self.sent = {self.flat.input: frame.to(self.executor.dtype)}
            self.memo = {}
            for name in self.flat.neurons:
                self.sent[name] = self._neuron(name)
                if spikes and name in kept:
                    kept[name].append(self.sent[name].to(torch.uint8))
            now = self._gather(self.flat.output, frozenset())
            total = now if integrated else total + now
            self._advance_lines()
            self.previous = {n: v for n, v in self.sent.items() if n != self.flat.input}
        return FloatRun(
            outputs=total,
            spikes={name: torch.stack(s, dim=1) for name, s in kept.items() if s},
        )

    def _neuron(self, name: str) -> torch.Tensor:
        """One step of one neuron node: its spikes, or its membrane if it never fires."""
        rule = self.executor.dynamics[name]
        late = frozenset(s for s, target in self.flat.delayed if target == name)
        x = self._gather(name, late)
        out, self.v[name], self.u[name] = rule.step(
            x, self.v[name], self.u[name], self.executor.subtract, self.executor.fires_at
        )
        return out

    def _gather(self, name: str, late: frozenset[str]) -> torch.Tensor:
        """The sum of what feeds a node; `late` sources deliver what they sent a step before."""
        first, *rest = (self._value(source, late) for source in self.flat.sources[name])
        return sum(rest, first)

    def _value(self, name: str, late: frozenset[str]) -> torch.Tensor:
        if self.flat.is_source(name):
            return self.previous[name] if name in late else self.sent[name]
        key = (name, late & self.executor.behind[name])
        if key not in self.memo:
            if name in self.executor.delays:
                self.memo[key] = self._delayed(name, key)
            else:
                self.memo[key] = self.executor.operations[name].apply(self._gather(name, key[1]))
        return self.memo[key]

    def _delayed(self, name: str, key: Key) -> torch.Tensor:
        """Output of a Delay node; its line is filled at the end of the step."""
        steps = self.executor.delays[name]
        line = self.lines.setdefault(key, deque(maxlen=max(1, int(steps.max()))))
        least = int(steps.min())
        out = self._zeros(name) if least else self._gather(name, key[1])
        for delay in sorted({int(d) for d in steps.flatten().tolist()} - {0}):
            then = line[-delay] if delay <= len(line) else self._zeros(name)
            out = torch.where(steps == delay, then, out)
        return out

    def _advance_lines(self) -> None:
        arrived = {key: self._gather(*key) for key in self.lines}
        for key, value in arrived.items():
            self.lines[key].append(value)
