"""What a network does, counted in a trace: events per neuron, and the rows that layers visit.

An activity is also a mapping from the name of each source to the mean number of events per
inference that each of its neurons sends, ``shape``. Inputs of GRADED and CURRENT send one event per
non-zero value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.layout import Fanout
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.taps import AxisTaps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepRows:
    """Rows of one layer in every inference and step, each array ``(S, T)``.

    Parameters
    ----------
    events : array
        Rows of weights that events visit.
    needed : array
        State rows that must be swept: where the layer may leave untouched rows alone, those that
        were touched or fired; in the last sweep of an inference, those that ever did.
    swept : array
        State rows that the hardware sweeps: in the last sweep it takes all.
    """

    events: np.ndarray
    needed: np.ndarray
    swept: np.ndarray


class Activity(Mapping[str, np.ndarray]):
    """Events of all populations in all inferences of a trace."""

    def __init__(self, network: Network, trace: Trace) -> None:
        self.network, self.trace = network, trace
        self.means = {name: self._mean(name) for name in (network.input.name, *trace.sizes)}
        self._rows: dict[tuple[str, int, bool], StepRows] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.means[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.means)

    def __len__(self) -> int:
        return len(self.means)

    def first(self, samples: int) -> Activity:
        """That of the first inferences."""
        if self.trace.samples <= samples:
            return self
        return Activity(self.network, self.trace.select(slice(0, samples)))

    def _mean(self, name: str) -> np.ndarray:
        total = np.zeros(self.network[name].size)
        for sample in range(self.trace.samples):
            total += self.sent(name, sample).sum(axis=0)
        mean: np.ndarray = (total / self.trace.samples).reshape(self.network[name].shape)
        return mean

    def sent(self, name: str, sample: int) -> np.ndarray:
        """Which neurons of a source send an event in each step of an inference, ``(T, N)`` bool."""
        if name != self.network.input.name:
            return self.trace.bits(name, sample).astype(bool)
        found = np.zeros((self.network.timesteps, self.network.input.size), dtype=bool)
        frames = self.trace.inputs[sample] != 0
        if self.network.input_neuron.held:
            found[0] = frames.ravel()
            return found
        start = self.network.window(name).start
        found[start : start + len(frames)] = frames.reshape(len(frames), -1)
        return found

    def rows(self, plan: LayerPlan) -> StepRows:
        """The rows of one layer, step by step."""
        key = (plan.population.name, plan.layout.lanes, plan.touched)
        if key not in self._rows:
            each = [self._rows_of(plan, sample) for sample in range(self.trace.samples)]
            events, needed, swept = (np.stack(part) for part in zip(*each, strict=True))
            self._rows[key] = StepRows(events=events, needed=needed, swept=swept)
        return self._rows[key]

    def _rows_of(self, plan: LayerPlan, sample: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        steps, rows = plan.timesteps, plan.layout.rows
        events = np.zeros(steps, dtype=np.int64)
        touched = np.zeros((steps, rows), dtype=bool)
        for projection, source, part in zip(
            plan.projections, plan.sources, plan.fanouts, strict=True
        ):
            sent = self.sent(projection.source, sample)
            if projection.delay:
                sent = np.concatenate([np.zeros_like(sent[:1]), sent[:-1]])
            events += sent @ part.visits().reshape(-1)
            if plan.touched:
                _touch(touched, sent.reshape(steps, *source.chw), part)
        needed = np.zeros(steps, dtype=np.int64)
        if not plan.touched:
            needed[plan.sweep_steps()] = rows
            return events, needed, needed
        fired = np.asarray(
            plan.layout.arrange(self.sent(plan.population.name, sample)).any(axis=-1)
        )
        awake = plan.awake.rows[:, 0] != 0
        due: np.ndarray = np.resize(awake, rows)  # per row, or per group: groups alternate
        ever = np.zeros(rows, dtype=bool)
        before = 0
        for step in plan.sweep_steps():
            due = due | touched[before : step + 1].any(axis=0) | fired[step]
            ever, before = ever | due, step + 1
            needed[step], due = due.sum(), np.zeros_like(due)
        needed[plan.last_sweep] = ever.sum()
        swept = needed.copy()
        swept[plan.last_sweep] = rows
        return events, needed, swept


def _touch(touched: np.ndarray, sent: np.ndarray, part: Fanout) -> None:
    """Marks the rows ``(T, rows)`` that events ``(T, C, H, W)`` visit."""
    down, across = _reached(part.y, sent.shape[2]), _reached(part.x, sent.shape[3])
    origin = (
        np.arange(down.shape[1])[:, None] * part.row_y + np.arange(across.shape[1]) * part.row_x
    )
    for first, count in sorted(set(zip(part.channel_first, part.channel_rows, strict=True))):
        alike = (part.channel_first == first) & (part.channel_rows == count)
        anywhere = sent[:, alike].any(axis=1).astype(np.float32)
        places = (down.T @ anywhere @ across) > 0
        hit = np.broadcast_to(origin, places.shape[1:])
        for row in range(int(first), int(first + count)):
            touched[:, hit.ravel() + row] |= places.reshape(len(places), -1)


def _reached(taps: AxisTaps, size: int) -> np.ndarray:
    """Which outputs each source coordinate reaches along one axis, ``(size, outputs)`` of 0, 1."""
    last = taps.out + np.maximum(taps.count - 1, 0) * taps.out_step
    reached = np.zeros((size, int(last.max()) + 1), dtype=np.float32)
    for i, (count, out) in enumerate(zip(taps.count, taps.out, strict=True)):
        reached[i, out : out + count * taps.out_step : taps.out_step] = 1
    return reached
