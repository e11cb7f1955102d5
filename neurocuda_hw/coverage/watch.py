"""How far each membrane is from another spike, and what every unit of a weight has added by then.

A flipped bit changes nothing but one population's membranes until the first spike that it changes.
So a weight w + d is seen if, in some step in which its neuron may fire,

    d * n >= threshold - v-      where it did not fire      (`Moments.rise`)
    -d * n > v- - threshold      where it did               (`Moments.fall` = v- - threshold + 1)

with n the events that its source had sent by then. That is exact for a neuron that neither leaks
nor has a floor and whose reset subtracts. Elsewhere n counts the events of the same step alone:
what came before, of the same sign, can only add to it, so that what is called seen is seen (a
source that has sent both signs counts no more).
Parameters of neurons are flipped one bit at a time in all neurons of a population at once, with
the events that reach it held fast: each neuron then goes its own way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from neurocuda_hw.network import Network, Population
from neurocuda_hw.network.neurons import Ints, Neuron, Reset, Spiking
from neurocuda_hw.passes.bursts import adds_up
from neurocuda_hw.reference.delivery import Delivery, exact_arithmetic
from neurocuda_hw.reference.reference import Reference, check_inputs
from neurocuda_hw.reference.stepping import Run, parameter

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """One population in M moments: samples, and steps where they count one by one.

    Parameters
    ----------
    rise, fall : float64 array (M, N)
        The least that must be added, or taken, for another spike or one less; inf where nothing
        is enough.
    pushes : tuple of float64 tensor (M, *source shape)
        Of each projection that ends in it: what its sources have sent.
    """

    rise: np.ndarray
    fall: np.ndarray
    pushes: tuple[torch.Tensor, ...]


class Seen:
    """What a network sent on some inputs."""

    def __init__(self, reference: Reference, inputs: object) -> None:
        network = reference.network
        self.network, self.data = network, check_inputs(network, inputs)
        self.run: Run = reference.run(self.data, spikes=True)

    def total(self, name: str) -> torch.Tensor:
        """Events of population `name` in all steps, ``(S, *shape)``."""
        population = self.network[name]
        if not population.fed:
            return self.run.counts[name]
        steps = self.network.window(name).steps
        return self.data * steps if population.neuron.held else self.data.sum(1)

    def sent(self, name: str, step: int) -> torch.Tensor | None:
        """Events of population `name` in one step, ``(S, *shape)``; None where it sends none."""
        population, window = self.network[name], self.network.window(name)
        if step not in window:
            return None
        if not population.fed:
            return self.run.spikes[name][:, step]
        return self.data if population.neuron.held else self.data[:, step - window.start]


class Watcher:
    """One population that computes, to be asked what its spikes depend on."""

    def __init__(self, network: Network, population: Population) -> None:
        self.network, self.population, self.neuron = network, population, population.neuron
        self.window = network.window(population.name)
        self.incoming = network.incoming(population.name)
        neuron = self.neuron
        self.closed = isinstance(neuron, Spiking) and adds_up(network, population)
        kept = neuron.leak is None and neuron.v_floor is None and neuron.reset is Reset.SUBTRACT
        self.adds = kept  # a push stays in the membrane
        steps = max((network.window(q.source).steps for q in self.incoming), default=1)
        with exact_arithmetic(CPU):
            self.deliveries = [Delivery(network, q, CPU, steps) for q in self.incoming]

    def own(self, values: Ints) -> torch.Tensor:
        """A parameter, shaped to broadcast against ``(S, *shape)``."""
        return parameter(self.population, values, CPU)

    def drives(self, seen: Seen) -> list[torch.Tensor | None]:
        """What the synapses deliver: one sum if `closed`, else one for each step."""
        with torch.no_grad(), exact_arithmetic(CPU):
            if self.closed:
                return [self._sum([seen.total(q.source) for q in self.incoming])]
            return [
                self._sum([seen.sent(q.source, step - q.delay) for q in self.incoming])
                for step in range(self.network.timesteps)
            ]

    def _sum(self, events: list[torch.Tensor | None]) -> torch.Tensor | None:
        total = None
        for delivery, sent in zip(self.deliveries, events, strict=True):
            if sent is not None:
                part = delivery.deliver(sent).to(torch.int64)
                total = part if total is None else total + part
        return total

    def shows(self, neuron: Neuron, drives: list[torch.Tensor | None], samples: int) -> np.ndarray:
        """What is compared of the population, with another `neuron` in it, ``(S, ..., N)``."""
        if self.closed:
            assert isinstance(neuron, Spiking)
            assert drives[0] is not None
            counts = (drives[0] + self.own(neuron.v_init)) // self.own(neuron.threshold)
            return counts.clamp(0, self.window.steps).flatten(1).numpy()
        found = []
        for v, fired, _ in self._steps(neuron, drives, samples):
            if fired is not None:
                found.append(fired.flatten(1).numpy())
            elif neuron.readout:
                found = [v.flatten(1).numpy()]
        return np.stack(found, axis=1)

    def _steps(
        self, neuron: Neuron, drives: list[torch.Tensor | None], samples: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor | None, int]]:
        """Membranes v- before the reset, spikes where it may fire, and the step."""
        v = self.own(neuron.v_init).expand(samples, *self.population.shape)
        u = torch.zeros_like(v)
        for step, drive in enumerate(drives):
            v, u = neuron.integrate(v, u, drive, self.own)
            before, fired = v, None
            if isinstance(neuron, Spiking) and step in self.window:
                fired, v = neuron.fire(v, self.own)
            yield before, fired, step
            if neuron.v_floor is not None:
                v = v.clamp(min=neuron.v_floor)

    def moments(self, seen: Seen, drives: list[torch.Tensor | None]) -> Iterator[Moments]:
        """How far it was from another spike; of a readout, whatever comes in is seen."""
        neuron, samples = self.neuron, len(seen.data)
        if self.closed:
            assert isinstance(neuron, Spiking)
            assert drives[0] is not None
            v, threshold = drives[0] + self.own(neuron.v_init), self.own(neuron.threshold)
            count = (v // threshold).clamp(0, self.window.steps)
            totals = tuple(seen.total(q.source).double() for q in self.incoming)
            rise = _where(count < self.window.steps, threshold * (count + 1) - v)
            yield Moments(
                rise=rise, fall=_where(count > 0, v - threshold * count + 1), pushes=totals
            )
            return
        zero = [
            torch.zeros((samples, *self.network[q.source].shape), dtype=torch.float64)
            for q in self.incoming
        ]
        pushes = list(zero)
        signs = [(z > 0, z < 0) for z in zero]
        for v, fired, step in self._steps(neuron, drives, samples):
            for i, q in enumerate(self.incoming):
                sent = seen.sent(q.source, step - q.delay)
                new = zero[i] if sent is None else sent.double()
                if self.adds:
                    pushes[i] = pushes[i] + new
                    continue
                up, down = (signs[i][0] | (new > 0), signs[i][1] | (new < 0))
                signs[i], pushes[i] = (up, down), torch.where(up & down, 0.0, new)
            if neuron.readout and step == self.network.timesteps - 1:
                one = np.ones((samples, self.population.size))
                yield Moments(rise=one, fall=one, pushes=tuple(pushes))
            elif fired is not None and isinstance(neuron, Spiking):
                over = v - self.own(neuron.threshold)
                yield Moments(
                    rise=_where(fired == 0, -over),
                    fall=_where(fired == 1, over + 1),
                    pushes=tuple(pushes),
                )

    def flipped(self, kind: str, values: np.ndarray) -> Neuron:
        """Its neuron with other values of the parameter `kind`.

        Of a threshold below 1 that subtracts, 1 stands in: it shows no more than the flip does.
        """
        if kind == "threshold" and self.neuron.reset is Reset.SUBTRACT:
            values = np.maximum(values, 1)
        return replace(self.neuron, **{kind: values})


def _where(holds: torch.Tensor, amount: torch.Tensor) -> np.ndarray:
    found: np.ndarray = torch.where(holds, amount.double(), torch.inf).flatten(1).numpy()
    return found
