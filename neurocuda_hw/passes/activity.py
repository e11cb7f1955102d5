"""What a network does, counted in a trace: events per neuron, and the rows that layers visit.

An activity is also a mapping from the name of each source to the mean number of events per
inference that each of its neurons sends, ``shape``. Inputs of GRADED and CURRENT send one event per
non-zero value.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from neurocuda_hw.network import Network, Population
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.layout import Fanout
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.passes.taps import AxisTaps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepRows:
    """Rows of one layer in every inference and step of the hardware, each array ``(S, T)``.

    Parameters
    ----------
    events : array
        Rows of weights that events visit.
    needed : array
        State rows that must be swept: where the layer may leave untouched rows alone, those that
        were touched or fired; in the last sweep of an inference, those that ever did.
    swept : array
        State rows that the hardware sweeps: in the last sweep it takes all.
    fired : array
        State rows with a spike.
    parts : tuple of array
        `events` of each projection.
    missed : tuple of array
        Events of each projection that visit no row, which take a cycle each. Counted for bursts.
    """

    events: np.ndarray
    needed: np.ndarray
    swept: np.ndarray
    fired: np.ndarray
    parts: tuple[np.ndarray, ...]
    missed: tuple[np.ndarray, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineRows:
    """What one layer does line by line, in an inference that is one step of the hardware.

    Parameters
    ----------
    events : tuple of array (S, marks)
        Of each projection: rows of weights that a line's events visit, 1 where one visits none.
    masks : array (S, lines)
        State rows of a line that it sends with a spike, and its last one.
    """

    events: tuple[np.ndarray, ...]
    masks: np.ndarray


class Activity(Mapping[str, np.ndarray]):
    """Events of all populations in all inferences of a trace, or in the `first` of another."""

    def __init__(self, network: Network, trace: Trace, whole: Activity | None = None) -> None:
        self.network, self.trace, self._whole = network, trace, whole
        self._times: dict[str, np.ndarray] = {}
        self._counts: dict[tuple[str, bytes], np.ndarray] = {}
        self._rows: dict[Hashable, StepRows] = {}
        self._lines: dict[Hashable, LineRows] = {}
        self.means = {name: self._mean(name) for name in (network.input.name, *trace.sizes)}

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
        return Activity(self.network, self.trace.select(slice(0, samples)), self)

    def _mean(self, name: str) -> np.ndarray:
        total = np.bitwise_count(self.times(name)[:-1]).sum(axis=(1, 2), dtype=np.int64)
        mean: np.ndarray = (total / self.trace.samples).reshape(self.network[name].shape)
        return mean

    def sent(self, name: str, sample: int) -> np.ndarray:
        """Which neurons of a source send an event in each step of an inference, ``(T, N)`` bool."""
        if name != self.network.input.name:
            return self.trace.bits(name, sample).view(bool)
        found = np.zeros((self.network.timesteps, self.network.input.size), dtype=bool)
        frames = self.trace.inputs[sample] != 0
        if self.network.input_neuron.held:
            found[0] = frames.ravel()
            return found
        start = self.network.window(name).start
        found[start : start + len(frames)] = frames.reshape(len(frames), -1)
        return found

    def times(self, name: str) -> np.ndarray:
        """When each neuron of a source sends: ``(N + 1, S, ceil(T / 8))``, steps packed in bits.

        The last one never sends: -1 in a layout's index finds it.
        """
        if self._whole is not None:
            return self._whole.times(name)[:, : self.trace.samples]
        if name not in self._times:
            steps, size = self.network.timesteps, self.network[name].size
            octets = -(-steps // 8)
            found = np.zeros((size + 1, self.trace.samples, octets), dtype=np.uint8)
            padded = np.zeros((octets * 8, size), dtype=np.uint8)
            for sample in range(self.trace.samples):
                padded[:steps] = self.sent(name, sample)
                bits = padded.reshape(octets, 8, size) << np.arange(8, dtype=np.uint8)[:, None]
                found[:-1, sample] = np.bitwise_or.reduce(bits, axis=1).T
            self._times[name] = found
        return self._times[name]

    def rows(self, plan: LayerPlan) -> StepRows:
        """The rows of one layer, step by step."""
        if self._whole is not None:
            rows, first = self._whole.rows(plan), slice(0, self.trace.samples)
            return StepRows(
                events=rows.events[first],
                needed=rows.needed[first],
                swept=rows.swept[first],
                fired=rows.fired[first],
                parts=tuple(part[first] for part in rows.parts),
                missed=tuple(part[first] for part in rows.missed),
            )
        own = (plan.burst, plan.bursts, plan.timesteps)
        key = (plan.population.name, plan.layout.lanes, plan.touched, own)
        if key not in self._rows:
            self._rows[key] = self._rows_of(plan)
        return self._rows[key]

    def lines(self, plan: LayerPlan) -> LineRows:
        """The rows of one layer, line by line."""
        heights = plan.lines.heights if plan.lines else tuple(s.chw[1] for s in plan.sources)
        sends = plan.lines.sends if plan.lines else 1
        key = (plan.population.name, plan.layout.lanes, heights, sends)
        if key not in self._lines:
            links = zip(plan.sources, plan.fanouts, plan.bursts, heights, strict=True)
            events = tuple(self._line_events(*link) for link in links)
            self._lines[key] = LineRows(events=events, masks=self._line_masks(plan, sends))
        return self._lines[key]

    def input_lines(self, height: int) -> np.ndarray:
        """Words that the input sends in each line of so many lines of positions, ``(S, marks)``."""
        every = np.ones(self.network.input.chw[0], bool)
        return _by_line(self._in_step(self.network.input, every, 0), height)

    def _line_events(self, source: Population, part: Fanout, burst: int, height: int) -> np.ndarray:
        places = part.y.count[:, None] * part.x.count
        rows = np.zeros((self.trace.samples, *places.shape), np.int64)
        for number in np.unique(part.channel_rows):
            sent = self._in_step(source, part.channel_rows == number, burst)
            rows += np.maximum(number * places, 1) * sent
        return _by_line(rows, height)

    def _in_step(self, source: Population, channels: np.ndarray, burst: int) -> np.ndarray:
        """Events of some channels of a source at each place, ``(S, H, W)``."""
        sent = self._at_places(source.name, channels)
        first = self.network.window(source.name).start
        once = sent[:, first] if burst else sent.sum(axis=1, dtype=np.int64)
        places: np.ndarray = once.reshape(len(sent), *source.chw[1:]).astype(np.int64)
        return places

    def _line_masks(self, plan: LayerPlan, lines: int) -> np.ndarray:
        rows, first = plan.layout.rows, self.network.window(plan.population.name).start
        fired = np.zeros((lines, rows // lines, self.trace.samples), bool)
        if plan.fires:
            own = np.take(self.times(plan.population.name), plan.layout.neurons(), axis=0)
            own = (own & _at(first, own.shape[-1])).any(axis=(1, 3))
            fired = own.reshape(fired.shape)
        fired[:, -1] = True
        masks: np.ndarray = fired.sum(axis=1).T
        return masks

    def words(self, steps: int) -> np.ndarray:
        """Words that the input sends in each of so many steps of the hardware, ``(S, steps)``."""
        name, samples = self.network.input.name, self.trace.samples
        sent = np.stack([self.sent(name, s).sum(axis=1) for s in range(samples)])
        return _merged(sent + 1, steps)

    def arriving(self, plan: LayerPlan) -> float:
        """Mean events per inference that the layer takes."""
        total = 0.0
        for projection, burst in zip(plan.projections, plan.bursts, strict=True):
            total += float(self.events(projection.source, burst).sum())
        return total

    def events(self, name: str, burst: int) -> np.ndarray:
        """Mean events of each neuron per inference, ``shape``: bursts where `burst` is not 0."""
        if not burst:
            return self[name]
        times, start = self.times(name)[:-1], self.network.window(name).start
        bursts = (times & _at(start, times.shape[-1])).any(axis=-1).mean(axis=1)
        mean: np.ndarray = bursts.reshape(self.network[name].shape)
        return mean

    def _rows_of(self, plan: LayerPlan) -> StepRows:
        samples, steps, rows = self.trace.samples, self.network.timesteps, plan.layout.rows
        links = list(zip(plan.projections, plan.sources, plan.fanouts, plan.bursts, strict=True))
        parts, missed = [], []
        needed = np.zeros((samples, plan.timesteps), dtype=np.int64)
        spikes = np.zeros_like(needed)
        for projection, _, part, burst in links:
            visits, misses = self._visits(projection.source, part), np.zeros((samples, steps))
            if burst:  # all at once: who sends any sends in the first step
                first = self.network.window(projection.source).start
                visits[:, np.arange(steps) != first] = 0
                misses[:, first] = self._missed(projection.source, part)[:, first]
            late = np.zeros_like(visits)
            late[:, projection.delay :] = visits[:, : steps - projection.delay]
            parts.append(_merged(late, plan.timesteps))
            missed.append(_merged(misses, plan.timesteps))
        fired = np.zeros((rows, samples, -(-steps // 8)), dtype=np.uint8)
        if plan.fires:
            own = np.take(self.times(plan.population.name), plan.layout.neurons(), axis=0)
            fired = np.bitwise_or.reduce(own, axis=1)
            if plan.burst:
                first = self.network.window(plan.population.name).start
                fired = fired & _at(first, fired.shape[-1])
            spikes = _merged(_in_steps(fired, steps), plan.timesteps)
        found = partial(
            StepRows,
            events=np.sum(parts, axis=0),
            fired=spikes,
            parts=tuple(parts),
            missed=tuple(missed),
        )
        if not plan.touched:
            needed[:, plan.sweep_steps()] = rows
            return found(needed=needed, swept=needed)
        for projection, source, part, burst in links:
            times = self.times(projection.source)[:-1]
            if burst:
                times = times & _at(self.network.window(source.name).start, times.shape[-1])
            if projection.delay:
                times = _later(times)
            _touch(fired, times.reshape(*source.chw, *times.shape[1:]), part)
        # per row, or per group: groups alternate
        awake = np.resize(plan.awake.rows[:, 0] != 0, rows)[:, None]
        due = _in_steps(fired, steps)
        inner = plan.sweep_steps()[1:-1]
        needed[:, inner] = due[:, inner]
        for sweep in (plan.first_sweep, plan.last_sweep):
            until = np.packbits(np.arange(steps) <= sweep, bitorder="little")
            needed[:, sweep] = ((fired & until).any(axis=-1) | awake).sum(axis=0)
        swept = needed.copy()
        swept[:, plan.last_sweep] = rows
        return found(needed=needed, swept=swept)

    def _visits(self, name: str, part: Fanout) -> np.ndarray:
        """Rows of weights that the events of one source visit, ``(S, T)``."""
        places = (part.y.count[:, None] * part.x.count).ravel().astype(np.float64)
        total = np.zeros((self.trace.samples, self.network.timesteps))
        for rows in np.unique(part.channel_rows):
            total += rows * (self._at_places(name, part.channel_rows == rows) @ places)
        return total.astype(np.int64)

    def _missed(self, name: str, part: Fanout) -> np.ndarray:
        """Events of one source that visit no row, ``(S, T)``."""
        nowhere = (part.y.count[:, None] * part.x.count).ravel() == 0
        if not nowhere.any():
            return np.zeros((self.trace.samples, self.network.timesteps))
        everyone = np.ones(len(part.channel_rows), dtype=bool)
        missed: np.ndarray = self._at_places(name, everyone) @ nowhere.astype(np.float64)
        return missed

    def _at_places(self, name: str, channels: np.ndarray) -> np.ndarray:
        """How many of some `channels` send at each place, ``(S, T, H * W)``."""
        key = (name, channels.tobytes())
        if key not in self._counts:
            each = [
                self.sent(name, sample)
                .reshape(self.network.timesteps, len(channels), -1)[:, channels]
                .sum(axis=1, dtype=np.min_scalar_type(len(channels)))
                for sample in range(self.trace.samples)
            ]
            self._counts[key] = np.stack(each)
        return self._counts[key]


def _by_line(places: np.ndarray, height: int) -> np.ndarray:
    """Sums of ``(S, H, W)`` in lines of so many lines of positions, ``(S, marks)``."""
    found: np.ndarray = np.add.reduceat(
        places.sum(axis=2), np.arange(0, places.shape[1], height), axis=1
    )
    return found


def _at(step: int, octets: int) -> np.ndarray:
    """The bit of one step, of steps packed in so many bytes."""
    return np.packbits(np.arange(8 * octets) == step, bitorder="little")


def _merged(per_step: np.ndarray, steps: int) -> np.ndarray:
    """Counts ``(S, T)`` in the steps of the hardware: T, or all in one."""
    return per_step if per_step.shape[1] == steps else per_step.sum(axis=1, keepdims=True)


def _in_steps(rows: np.ndarray, steps: int) -> np.ndarray:
    """How many `rows` ``(R, S, ceil(T / 8))`` have each step's bit, ``(S, T)``."""
    total = np.zeros((rows.shape[1], steps), dtype=np.int64)
    few = min(2**16 - 1, max(1, 2**20 // max(1, total.size)))  # no more bytes than a cache holds
    for start in range(0, len(rows), few):
        bits = np.unpackbits(rows[start : start + few], axis=-1, count=steps, bitorder="little")
        total += bits.sum(axis=0, dtype=np.uint16)
    return total


def _later(times: np.ndarray) -> np.ndarray:
    """Every event of `times` one step later."""
    carried = np.zeros_like(times)
    carried[..., 1:] = times[..., :-1] >> 7
    carried |= times << 1
    return carried


def _touch(touched: np.ndarray, times: np.ndarray, part: Fanout) -> None:
    """Marks in `touched` ``(rows, ...)`` when events ``(C, H, W, ...)`` visit each row."""
    for first, count in sorted(set(zip(part.channel_first, part.channel_rows, strict=True))):
        alike = (part.channel_first == first) & (part.channel_rows == count)
        anywhere = np.bitwise_or.reduce(times[alike], axis=0)
        places = _reached(_reached(anywhere, part.y).swapaxes(0, 1), part.x).swapaxes(0, 1)
        down, across = (np.arange(size)[:, None] for size in places.shape[:2])
        rows = (down * part.row_y)[:, None] + across * part.row_x + np.arange(first, first + count)
        touched[rows] |= places[:, :, None]


def _reached(values: np.ndarray, taps: AxisTaps) -> np.ndarray:
    """The bits of all sources ``(size, ...)`` that reach each output along one axis."""
    last = taps.out + np.maximum(taps.count - 1, 0) * taps.out_step
    reached = np.zeros((int(last.max()) + 1, *values.shape[1:]), dtype=values.dtype)
    for value, count, out in zip(values, taps.count, taps.out, strict=True):
        reached[out : out + count * taps.out_step : taps.out_step] |= value
    return reached
