"""A network whose layers only add up their input, as one smooth map from its input to its counts.

    count = clip(floor(v / threshold), 0, L)

Forward it is exact; backward `floor` is left out and a little gets past both ends of `clip`, so
that inputs can be improved along a gradient.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from neurocuda_hw.network import Network, Population
from neurocuda_hw.network.neurons import Ints, Spiking
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.reference.delivery import Delivery
from neurocuda_hw.reference.stepping import parameter

_PAST = 0.1  # of the gradient gets past the ends of `clip`
_CPU = torch.device("cpu")
Counts = dict[str, torch.Tensor]


def flows(network: Network) -> bool:
    """Whether nothing in a network tells its steps apart, so that sums of events say all."""
    return find_bursts(network).merged


class Flow:
    """Counts and membranes of a network for which `flows` holds."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.bursts = find_bursts(network)
        self.steps = {q.source: network.window(q.source).steps for q in network.projections}
        self.deliveries = {
            p.name: [
                Delivery(network, q, _CPU, self.steps[q.source]) for q in network.incoming(p.name)
            ]
            for p in network.targets
        }
        kinds = [d.dtype for found in self.deliveries.values() for d in found]
        self.dtype = torch.float64 if torch.float64 in kinds else torch.float32
        for found in self.deliveries.values():
            for delivery in found:
                delivery.dtype, delivery.weight = self.dtype, delivery.weight.to(self.dtype)

    def own(self, population: Population, values: Ints) -> torch.Tensor:
        """A parameter, shaped to broadcast."""
        return parameter(population, values, _CPU, self.dtype)

    def threshold(self, population: Population) -> torch.Tensor:
        """Its thresholds; 1 of a readout."""
        neuron = population.neuron
        values = neuron.threshold if isinstance(neuron, Spiking) else 1
        return self.own(population, values)

    def counts(
        self, total: torch.Tensor, until: str, *, smooth: bool = False
    ) -> tuple[Counts, torch.Tensor]:
        """What every population before `until` sends in all, and the membrane of `until`.

        `total` ``(B, *input shape)`` are payloads added up over the input's steps.
        """
        sent: Counts = {self.network.input.name: total.to(self.dtype)}
        for population in self.network.targets:
            v = self.membrane(population, sent)
            if population.name == until:
                return sent, v
            if population.spiking:
                sent[population.name] = self._fired(population, sent, v, smooth)
        raise KeyError(until)

    def membrane(self, population: Population, sent: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The membrane in the first step in which it may fire."""
        v = self.own(population, population.neuron.v_init)
        for delivery in self.deliveries[population.name]:
            v = v + delivery.deliver(sent[delivery.projection.source])
        return v

    def _fired(
        self, population: Population, sent: Counts, v: torch.Tensor, smooth: bool
    ) -> torch.Tensor:
        most = self.bursts.counts[population.name]
        ratio = v / self.threshold(population)
        if population.name in self.bursts.maxima:
            exact = torch.zeros_like(v)
            with torch.no_grad():
                for n in range(1, most + 1):
                    at = {name: (events >= n).to(self.dtype) for name, events in sent.items()}
                    exact += self.membrane(population, at) >= self.threshold(population)
        else:
            exact = ratio.detach().floor().clamp(0, most)
        if not smooth:
            return exact
        inside = ratio.clamp(0, most)
        inside = inside + _PAST * (ratio - inside)
        return inside + (exact - inside).detach()


def in_steps(network: Network, totals: np.ndarray) -> np.ndarray:
    """Payloads ``(S, *shape)`` that were added up over steps, as inputs of the network."""
    low, high = network.input_neuron.payload
    parts, rest = [], totals.astype(np.int64)
    for _ in range(network.window(network.input.name).steps):
        parts.append(np.clip(rest, low, high))
        rest = rest - parts[-1]
    return np.stack(parts, axis=1)
