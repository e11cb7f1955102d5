"""The same integers population by population, each through all its steps: networks without loops.

All events of a source are known before its target begins, so one convolution delivers those of many
steps. And where a population has no leak and no floor, and its sources have sent all by the step s
in which it first may fire, the order in which they sent does not matter: up to its threshold,

    v-(s) = v_init + (s + 1) bias + sum over projections of W (sum of the source's events)

which is how a layer of the exact code comes to all its spikes with one convolution. Each quantity
is held in the cheapest type in which the ranges prove it to be exact.

The step of `neurons` stands here a second time, in place: this is the loop that training and
benchmarks wait for, and it makes no new tensors. `stepping` runs that of `neurons`; the tests hold
the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from neurocuda_hw.ground.fixed import decay, fits_float64
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import Neuron, Reset, Spiking
from neurocuda_hw.network.ranges import PopulationRanges, magnitude
from neurocuda_hw.reference.delivery import Delivery, exact_type
from neurocuda_hw.reference.stepping import Run, parameter


def is_layered(network: Network) -> bool:
    """Whether every projection goes from an earlier to a later population."""
    index = {p.name: i for i, p in enumerate(network.populations)}
    return all(index[q.source] < index[q.target] for q in network.projections)


@dataclass(slots=True, kw_only=True)
class _Sent:
    """Events of one population: those of each step from `start` on, ``(B, *shape)``; and their sum.

    A current is the same tensor in every step.
    """

    start: int
    steps: list[torch.Tensor]
    total: torch.Tensor | None = None

    @property
    def held(self) -> bool:
        """Whether it is a current."""
        return len(self.steps) > 1 and self.steps[0] is self.steps[-1]

    def summed(self) -> torch.Tensor:
        """The events of all steps."""
        if self.total is None:
            held = self.held
            self.total = self.steps[0] * len(self.steps) if held else torch.stack(self.steps).sum(0)
        return self.total


class _Stage:
    """One population with what ends in it, ready to run; `settles`: events come added up."""

    def __init__(
        self,
        network: Network,
        population: Population,
        ranges: PopulationRanges,
        device: torch.device,
        *,
        membranes: bool,
    ) -> None:
        neuron = population.neuron
        self.population, self.neuron = population, neuron
        self.window = network.window(population.name)
        self.steps = self.window.stop
        if membranes or neuron.readout:
            self.steps = network.timesteps
        incoming = network.incoming(population.name)
        # the step that the sources must be done by
        self.first = self.steps - 1 if neuron.readout else self.window.start
        arrivals = [network.window(q.source).steps for q in incoming]
        sums = sum(magnitude(q, network) * n for q, n in zip(incoming, arrivals, strict=True))
        extremes = [neuron.v_init, *_fire_values(neuron)]
        bias = int(np.abs(neuron.bias).max())
        fixed = sum(int(np.abs(values).max()) for values in extremes)
        bound = fixed + bias * self.steps + sums
        self.settles = not membranes and self._may_settle(network, incoming) and fits_float64(bound)
        if not self.settles:
            interval = ranges.membrane
            bound = max(-interval.lowest, interval.highest) + fixed + bias + ranges.magnitude
            arrivals = [1] * len(incoming)
        self.deliveries = [
            Delivery(network, q, device, n) for q, n in zip(incoming, arrivals, strict=True)
        ]
        self.dtype = torch.int64 if neuron.leak is not None else exact_type(bound, device)
        self.v_init, self.bias, *fire = (
            parameter(population, values, device, self.dtype)
            for values in (neuron.v_init, neuron.bias, *_fire_values(neuron))
        )
        self.biased = bias > 0
        if fire:
            self.threshold, self.v_reset = fire
        self.leaks = [
            parameter(population, leak, device, self.dtype)
            for leak in (neuron.leak, neuron.current_leak)
            if leak is not None
        ]

    def _may_settle(self, network: Network, incoming: tuple[Projection, ...]) -> bool:
        if self.neuron.leak is not None or self.neuron.v_floor is not None:
            return False
        return all(network.window(q.source).stop - 1 + q.delay <= self.first for q in incoming)

    def run(
        self, sent: dict[str, _Sent], samples: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
        """For each step that counts: the membranes after it (valid until the next), the spikes."""
        v = self.v_init.expand(samples, *self.population.shape).clone()
        begin, drives = 0, []
        if self.settles:
            for delivery in self.deliveries:
                v.add_(delivery.deliver(sent[delivery.projection.source].summed()))
            if self.biased:
                v.add_(self.bias * self.first)
            begin = self.first
        else:
            drives = [
                _Drive(delivery, sent[delivery.projection.source]) for delivery in self.deliveries
            ]
        u = None if self.neuron.current_leak is None else torch.zeros_like(v)
        for step in range(begin, self.steps):
            if self.leaks:
                v = decay(v, self.leaks[0])
            into = v
            if u is not None:
                into = u = decay(u, self.leaks[1])
            for drive in drives:
                drive.add(into, step)
            if u is not None:
                v.add_(u)
            if self.biased:
                v.add_(self.bias)
            yield v, self._fire(v, step)

    def _fire(self, v: torch.Tensor, step: int) -> torch.Tensor | None:
        """Spikes of membranes `v`, which are reset in place; None where none may fire."""
        neuron = self.neuron
        fired = None
        if neuron.spiking and step in self.window:
            reached = v >= self.threshold
            fired = reached.to(v.dtype)
            if neuron.reset is Reset.SUBTRACT:
                v.addcmul_(fired, self.threshold, value=-1)
            else:
                v.copy_(torch.where(reached, self.v_reset, v))
        if neuron.v_floor is not None:
            v.clamp_(min=neuron.v_floor)
        return fired


class _Drive:
    """What one projection delivers in each step: one convolution for all steps with an event."""

    def __init__(self, delivery: Delivery, sent: _Sent) -> None:
        self.start = sent.start + delivery.projection.delay
        if sent.held:
            self.sums = [delivery.deliver(sent.steps[0])]
            self.place: dict[int, int] = dict.fromkeys(range(len(sent.steps)), 0)
            return
        active = [k for k, events in enumerate(sent.steps) if bool(events.any())]
        self.place = {k: i for i, k in enumerate(active)}
        together = [sent.steps[k] for k in active]
        delivered = delivery.deliver(torch.cat(together)) if active else None
        self.sums = [] if delivered is None else list(delivered.chunk(len(active)))

    def add(self, v: torch.Tensor, step: int) -> None:
        """Adds what arrives in `step` to `v`."""
        place = self.place.get(step - self.start)
        if place is not None:
            v.add_(self.sums[place].to(v.dtype))


class Layerwise:
    """Runs a network without loops; spikes, membranes and outputs are those of `Stepper`.

    Parameters
    ----------
    network : Network
    ranges : dict of str to PopulationRanges
        From `network_ranges`.
    device : torch.device
    membranes : bool
        Whether the membranes of every step are wanted.
    """

    def __init__(
        self,
        network: Network,
        ranges: dict[str, PopulationRanges],
        device: torch.device,
        *,
        membranes: bool,
    ) -> None:
        self.network, self.membranes = network, membranes
        self.layers = {
            p.name: _Stage(network, p, ranges[p.name], device, membranes=membranes)
            for p in network.targets
        }
        order = [p.name for p in network.populations]
        self.last_use = {q.source: q.target for name in order for q in network.incoming(name)}
        # sources whose single steps somebody needs
        self.stepwise = {
            q.source
            for name, layer in self.layers.items()
            for q in network.incoming(name)
            if not layer.settles
        }

    @property
    def elements(self) -> int:
        """Values that the largest population holds for one sample."""
        largest = self.network.input.size
        for name, layer in self.layers.items():
            steps = self.network.window(name).steps if name in self.stepwise else 1
            sources = [self.network.window(q.source).steps for q in self.network.incoming(name)]
            steps = steps if layer.settles else max(steps, *sources)
            largest = max(largest, layer.population.size * steps)
        return largest

    def run(self, data: torch.Tensor, *, spikes: bool) -> Run:
        """One batch, from `check_inputs`."""
        self.result = Run(outputs=data[:0], events={}, counts={})
        sent: dict[str, _Sent] = {}
        for population in self.network.populations:
            if population.fed:
                sent[population.name] = self._feed(population, data)
            else:
                sent[population.name] = self._layer(population, sent, len(data), spikes)
            for name in [n for n in sent if self.last_use.get(n) == population.name]:
                del sent[name]
        return self.result

    def _feed(self, population: Population, data: torch.Tensor) -> _Sent:
        neuron, window = population.neuron, self.network.window(population.name)
        if neuron.held:
            steps = [data] * window.steps
            active = (data != 0).flatten(1).sum(1, keepdim=True).expand(-1, window.steps)
        else:
            steps = list(data.unbind(1))
            active = (data != 0).flatten(2).sum(2)
        self._note_events(population, active)
        return _Sent(start=window.start, steps=steps)

    def _note_events(self, population: Population, active: torch.Tensor) -> None:
        """Events of the steps of the window, ``(B, steps)``, among those of all steps."""
        window = self.network.window(population.name)
        events = active.new_zeros((len(active), self.network.timesteps))
        events[:, window.start : window.stop] = active
        self.result.events[population.name] = events

    def _layer(
        self, population: Population, sent: dict[str, _Sent], samples: int, spikes: bool
    ) -> _Sent:
        """Runs one population through its steps and keeps what is asked for."""
        name, result = population.name, self.result
        layer, window = self.layers[name], self.network.window(name)
        device = result.outputs.device
        shape = (samples, *population.shape)
        counts = torch.zeros(shape, dtype=layer.dtype, device=device)
        events, steps, potentials = [], [], []
        keep = spikes or name in self.stepwise
        for v, fired in layer.run(sent, samples):
            if self.membranes and population.spiking:
                potentials.append(v.to(torch.int64, copy=True))
            if fired is not None:
                counts += fired
                events.append(fired.flatten(1).sum(1).to(torch.int64))
                steps += [fired] if keep else []
        if population.spiking:
            result.counts[name] = counts.to(torch.int64)
            self._note_events(population, torch.stack(events, dim=1))
        if spikes and population.spiking:
            every = torch.zeros(
                (samples, self.network.timesteps, *population.shape),
                dtype=torch.uint8,
                device=device,
            )
            for step, fired in enumerate(steps, window.start):
                every[:, step] = fired
            result.spikes[name] = every
        if potentials:
            result.membranes[name] = torch.stack(potentials, dim=1)
        if population.name == self.network.output.name:
            last = result.counts[name] if population.spiking else v.to(torch.int64)
            result.outputs = last.flatten(1)
        return _Sent(start=window.start, steps=steps, total=counts)


def _fire_values(neuron: Neuron) -> tuple[np.ndarray, ...]:
    """Threshold and reset value, where there are any."""
    if not isinstance(neuron, Spiking):
        return ()
    return np.asarray(neuron.threshold), np.asarray(neuron.v_reset)
