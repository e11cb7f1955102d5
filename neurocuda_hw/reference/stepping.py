"""The integer semantics step by step, population by population: any network, recurrent ones too."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
import torch

from neurocuda_hw.ground.showing import Brief
from neurocuda_hw.network import Network, Population
from neurocuda_hw.network.neurons import Ints, Spiking
from neurocuda_hw.reference.delivery import Delivery


@dataclass(slots=True, kw_only=True, repr=False)
class Run(Brief):
    """What one batch did.

    Parameters
    ----------
    outputs : int64 tensor (B, N)
        Membranes of the Readout after the last step, or spike counts of the last population.
    events : dict of str to int64 tensor (B, T)
        Events that each population sent in each step (non-zero payloads for the input).
    counts : dict of str to int64 tensor (B, *shape)
        Spikes per neuron over all steps.
    spikes : dict of str to uint8 tensor (B, T, *shape)
        Filled on request.
    membranes : dict of str to int64 tensor (B, T, *shape)
        Membrane at the end of each step, filled on request.
    """

    outputs: torch.Tensor
    events: dict[str, torch.Tensor]
    counts: dict[str, torch.Tensor]
    spikes: dict[str, torch.Tensor] = field(default_factory=dict)
    membranes: dict[str, torch.Tensor] = field(default_factory=dict)


def join_runs(runs: list[Run]) -> Run:
    """Several batches as one."""
    if len(runs) == 1:
        return runs[0]
    first = runs[0]
    tables = {
        f.name: {
            name: torch.cat([getattr(run, f.name).pop(name) for run in runs])
            for name in list(getattr(first, f.name))
        }
        for f in fields(Run)
        if f.name != "outputs"
    }
    return Run(outputs=torch.cat([run.outputs for run in runs]), **tables)


def parameter(
    population: Population,
    values: Ints,
    device: torch.device,
    dtype: torch.dtype = torch.int64,
) -> torch.Tensor:
    """A parameter of a population, shaped to broadcast against ``(B, *shape)``."""
    return torch.from_numpy(np.array(population.spread(values))).to(device=device, dtype=dtype)


class Stepper:
    """The state of one batch in flight.

    Parameters
    ----------
    network : Network
    deliveries : dict of str to list of Delivery
        What ends in each population.
    data : int64 tensor
        From `check_inputs`.
    """

    def __init__(
        self, network: Network, deliveries: dict[str, list[Delivery]], data: torch.Tensor
    ) -> None:
        self.network = network
        self.deliveries = deliveries
        self.data = data
        self.sent: dict[str, torch.Tensor | None] = {}
        self.previous: dict[str, torch.Tensor | None] = {}
        self.v = {
            p.name: parameter(p, p.neuron.v_init, data.device).expand(len(data), *p.shape)
            for p in network.targets
        }
        self.u = {p.name: torch.zeros_like(self.v[p.name]) for p in network.targets}
        self.held: dict[int, torch.Tensor] = {}

    def run(self, *, spikes: bool, membranes: bool) -> Run:
        """All steps."""
        names = [p.name for p in self.network.populations if p.spiking]
        kept: dict[str, list[torch.Tensor]] = {name: [] for name in names}
        potentials: dict[str, list[torch.Tensor]] = {name: [] for name in names}
        events: dict[str, list[torch.Tensor]] = {p.name: [] for p in self.network.populations}
        counts = {name: torch.zeros_like(self.v[name]) for name in names}
        nothing = torch.zeros(len(self.data), dtype=torch.int64, device=self.data.device)
        for step in range(self.network.timesteps):
            self.previous, self.sent = self.sent, {}
            for population in self.network.populations:
                name = population.name
                fired = self._step(population, step)
                self.sent[name] = fired
                sent = nothing if fired is None else (fired != 0).flatten(1).sum(1)
                if not population.readout:
                    events[name].append(sent)
                if population.spiking:
                    if fired is not None:
                        counts[name] += fired
                    if spikes:
                        blank = torch.zeros_like(self.v[name]) if fired is None else fired
                        kept[name].append(blank.to(torch.uint8))
                    if membranes:
                        potentials[name].append(self.v[name].clone())
        last = self.network.output
        outputs = self.v[last.name] if last.readout else counts[last.name]
        return Run(
            outputs=outputs.flatten(1),
            events={name: torch.stack(e, dim=1) for name, e in events.items() if e},
            counts=counts,
            spikes={name: torch.stack(s, dim=1) for name, s in kept.items() if s},
            membranes={name: torch.stack(m, dim=1) for name, m in potentials.items() if m},
        )

    def _step(self, population: Population, step: int) -> torch.Tensor | None:
        """Events of `population` in this step, or None where it sends nothing at all."""
        neuron, name = population.neuron, population.name
        window = self.network.window(name)
        if population.fed:
            if step not in window:
                return None
            return self.data if neuron.held else self.data[:, step - window.start]
        drive = self._drive(population)

        def own(values: Ints) -> torch.Tensor:
            return parameter(population, values, self.data.device)

        v, self.u[name] = neuron.integrate(self.v[name], self.u[name], drive, own)
        fired = None
        if isinstance(neuron, Spiking) and step in window:
            fired, v = neuron.fire(v, own)
        if neuron.v_floor is not None:
            v = v.clamp(min=neuron.v_floor)
        self.v[name] = v
        return fired

    def _drive(self, population: Population) -> torch.Tensor | None:
        total = None
        for delivery in self.deliveries[population.name]:
            projection = delivery.projection
            sent = (self.previous if projection.delay else self.sent).get(projection.source)
            if sent is None:
                continue
            if sent is self.data:  # CURRENT: the same in every step
                if id(delivery) not in self.held:
                    self.held[id(delivery)] = delivery.deliver(sent).to(torch.int64)
                part = self.held[id(delivery)]
            else:
                part = delivery.deliver(sent).to(torch.int64)
            total = part if total is None else total + part
        return total
