"""Runs a lowered network step by step of the chip, batched, and brings its spikes back in time.

A population at depth d does its step t in step t + d, so its spike train is the golden one shifted
by d: the trace of a run has every shift undone, to be compared bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.loihi.engine import Edge, Engine, Node, Result
from neurocuda_hw.loihi.lower import ACCUMULATOR_BITS, Lowered, Route
from neurocuda_hw.loihi.microcode import LoihiOverflowError, Overflow, Program
from neurocuda_hw.loihi.neuron import ALIGN, STATE_LIMIT, CubaNeuron, Running
from neurocuda_hw.loihi.operators import Operator
from neurocuda_hw.network import Population
from neurocuda_hw.network.trace import Part, Trace, join, pack
from neurocuda_hw.network.wire import payload as payload_of
from neurocuda_hw.reference.reference import check_inputs

BATCH_ELEMENTS = 2**25
Progress = Callable[[int, int], None]


class ChipSimulator:
    """Executes a `Lowered` network.

    Parameters
    ----------
    lowered : Lowered
    overflow : str
        ``"raise"`` stops at the first register that overflows; ``"wrap"`` lets it, and lists the
        first of each population and step in `overflows`.
    """

    def __init__(self, lowered: Lowered, *, overflow: str = "raise") -> None:
        if overflow not in ("raise", "wrap"):
            raise ValueError(f"overflow must be 'raise' or 'wrap', not {overflow!r}")
        self.lowered, self.network, self.overflow = lowered, lowered.network, overflow
        self.given = lowered.given
        self.overflows: list[Overflow] = []
        self.edges = [self._edge(route) for route in lowered.routes]

    def _edge(self, route: Route) -> Edge:
        projection = route.projection
        source, target = self.network[projection.source], self.network[projection.target]
        most = self.lowered.counts.counts.get(source.name, 1)
        payload = max(most, *(abs(bound) for bound in payload_of(source)))
        operator = Operator(projection.synapse, source.shape, target.shape, payload)
        return Edge(source=source.name, target=target.name, operator=operator, hop=route.hop)

    def _report(self, overflow: Overflow) -> None:
        if self.overflow == "raise":
            raise LoihiOverflowError(overflow)
        self.overflows.append(overflow)

    def _nodes(self, offset: int) -> Iterator[Node]:
        bits = None if self.lowered.limits.microcode else ACCUMULATOR_BITS
        for population in self.network.populations:
            model = self.lowered.placements[population.name].model
            start: Callable[[int], Running] | None = None
            if isinstance(model, Program):
                start = partial(model.start, offset=offset, report=self._report)
            elif isinstance(model, CubaNeuron):
                start = partial(self._watched, population, model, offset)
            yield Node(
                name=population.name, size=population.size, start=start, accumulator_bits=bits
            )

    def _watched(
        self, population: Population, model: CubaNeuron, offset: int, batch: int
    ) -> Running:
        """The built-in neuron, reporting a membrane that clips."""
        state = model.start(batch, population.size)

        def watch(v: torch.Tensor, step: int) -> None:
            local = step - self.lowered.placements[population.name].depth
            if 0 <= local < self.network.timesteps:
                outside = v.abs() >= STATE_LIMIT
                sample, neuron = (int(i) for i in outside.nonzero()[0])
                place = (local, offset + sample, neuron, int(v[sample, neuron]))
                self._report(Overflow.at(population, "the membrane", place, int(outside.sum())))

        state.watch = watch
        return state

    def _report_wrapped(self, result: Result, offset: int) -> None:
        """Reports the first accumulator of each population and step that wrapped."""
        for name, found in result.wrapped.items():
            steps = Counter(place[0] for place in found)
            for step, sample, neuron, value in found:
                count = steps.pop(step, 0)
                local = step - self.lowered.placements[name].depth
                if count and local < self.network.timesteps:
                    place = (local, offset + sample, neuron, value)
                    self._report(
                        Overflow.at(
                            self.network[name], "the accumulator", place, count, ACCUMULATOR_BITS
                        )
                    )

    def batches(
        self,
        inputs: object,
        *,
        membranes: bool = False,
        awake: bool = False,
        batch: int | None = None,
    ) -> Iterator[Result]:
        """Runs `batch` samples at a time (default: as many as fit some 100 MB)."""
        data = check_inputs(self.given, inputs)
        widest = sum(p.size for p in self.network.populations)
        batch = batch or max(1, BATCH_ELEMENTS // (widest * self.lowered.steps))
        record = [p.name for p in self.network.targets if membranes or p.readout]
        for start in range(0, len(data), batch):
            part = data[start : start + batch]
            engine = Engine(list(self._nodes(start)), self.edges)
            result = engine.run(
                {self.network.input.name: self._sent(part)},
                self.lowered.steps,
                len(part),
                record=record,
                awake=awake,
            )
            self._report_wrapped(result, start)
            yield result

    def _sent(self, data: torch.Tensor) -> torch.Tensor:
        """Input events ``(steps from 0, B, N)``: spikes and payloads up to 255 as bytes."""
        population = self.network.input
        neuron = self.network.input_neuron
        low, high = neuron.payload
        kind = torch.uint8 if low >= 0 and high <= 255 else torch.float64
        flat = data.to(kind)
        window = self.network.window(population.name)
        if neuron.held:
            frames = flat.flatten(1)[None].expand(window.steps, -1, -1)
        else:
            frames = flat.flatten(2).transpose(0, 1)
        silent = torch.zeros((window.start, *frames.shape[1:]), dtype=kind)
        return torch.cat([silent, frames])

    def run(
        self,
        inputs: object,
        *,
        membranes: bool = False,
        batch: int | None = None,
        progress: Progress | None = None,
        observe: Callable[[Result], None] | None = None,
    ) -> Trace:
        """Runs any number of samples; `overflows` lists what wrapped meanwhile.

        Parameters
        ----------
        inputs : array or tensor of int
            As `reference.check_inputs` takes them.
        membranes : bool
            Whether the trace holds every membrane.
        observe : callable, optional
            Called with the `Result` of each batch, in the chip's own steps (the cost model counts
            its events there).

        Raises
        ------
        DataError
            If `inputs` has the wrong type, shape or range.
        ModelError
            If membranes are asked for, which nobody has in the steps that a count implies.
        LoihiOverflowError
            If a register overflows, unless the simulator lets it.
        """
        network, self.overflows = self.given, []
        if membranes and self.lowered.counts.counts:
            raise ModelError("membranes must be asked for without graded counts")
        data = check_inputs(network, inputs)
        names = [p.name for p in network.populations if p.spiking]
        parts: list[Part] = []
        for result in self.batches(
            data, membranes=membranes, awake=observe is not None, batch=batch
        ):
            spikes = {n: pack(self._spikes(result, n).numpy()) for n in names}
            kept = {n: self._membranes(result, n) for n in names if membranes}
            parts.append((spikes, kept, self._outputs(result)))
            if observe:
                observe(result)
            if progress:
                progress(sum(len(outputs) for *_, outputs in parts), len(data))
        return join(network, data.numpy(), parts)

    def _spikes(self, result: Result, name: str) -> torch.Tensor:
        """A population's spikes ``(B, T, N)``; of a count N the first N of its window."""
        sent = self._in_time(result.spikes[name], name)
        most = self.lowered.counts.counts.get(name, 0)
        if not most:
            return sent
        first = self.network.window(name).start
        counts, window = sent[:, first], self.given.window(name)
        assert counts.sum() == sent.sum(), "counts are sent in the first step of the window"
        assert ((counts >= 0) & (counts <= most)).all(), "counts are those of spikes"
        spikes = torch.zeros((len(sent), self.given.timesteps, sent.shape[-1]), dtype=torch.uint8)
        for number, step in enumerate(range(window.start, window.stop)):
            spikes[:, step] = counts > number
        return spikes

    def _in_time(self, values: torch.Tensor, name: str) -> torch.Tensor:
        """Undoes a population's shift: ``(K, B, N)`` to ``(B, T, N)``."""
        first = self.lowered.placements[name].depth
        return values[first : first + self.network.timesteps].transpose(0, 1)

    def _membranes(self, result: Result, name: str) -> np.ndarray:
        v = self._in_time(result.states[name]["v"], name).to(torch.int64)
        built_in = isinstance(self.lowered.placements[name].model, CubaNeuron)
        found: np.ndarray = (v >> ALIGN if built_in else v).numpy()
        return found

    def _outputs(self, result: Result) -> np.ndarray:
        last = self.network.output
        if last.readout:
            return self._membranes(result, last.name)[:, -1]
        counts = self._spikes(result, last.name).sum(dim=1, dtype=torch.int64)
        found: np.ndarray = counts.numpy()
        return found
