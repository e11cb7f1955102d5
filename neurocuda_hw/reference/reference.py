"""The oracle: the integer semantics of `network` in PyTorch, batched and exact.

A network without loops runs population by population (`layerwise`), any other step by step
(`stepping`): spikes, membranes and outputs are the same, the first is faster by far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch

from neurocuda_hw.network import Network, Projection
from neurocuda_hw.network.inputs import check_inputs as check_inputs
from neurocuda_hw.network.ranges import network_ranges
from neurocuda_hw.network.trace import Divergence, Part, Trace, join, pack
from neurocuda_hw.reference.delivery import Delivery, exact_arithmetic
from neurocuda_hw.reference.layerwise import Layerwise, is_layered
from neurocuda_hw.reference.stepping import Run as Run
from neurocuda_hw.reference.stepping import Stepper, join_runs

Progress = Callable[[int, int], None]

# values of the largest population that are worked on at a time: what a cache holds, what keeps a
# GPU busy
_CPU_ELEMENTS = 2**20
_GPU_ELEMENTS = 2**25
_TRACE_BYTES = 2**28


class Reference:
    """Runs a network exactly.

    Parameters
    ----------
    network : Network
    device : str or torch.device
        Results are the same on every device.
    stepwise : bool
        Whether to go step by step where population by population would do.
    """

    def __init__(
        self, network: Network, device: str | torch.device = "cpu", *, stepwise: bool = False
    ) -> None:
        self.network = network
        self.ranges = network_ranges(network)
        self.device = torch.device(device)
        self.stepwise = stepwise or not is_layered(network)

    @cached_property
    def _deliveries(self) -> dict[str, list[Delivery]]:
        return {
            p.name: [Delivery(self.network, q, self.device) for q in self.network.incoming(p.name)]
            for p in self.network.targets
        }

    @cached_property
    def _plain(self) -> Layerwise:
        return Layerwise(self.network, self.ranges, self.device, membranes=False)

    @cached_property
    def _recording(self) -> Layerwise:
        return Layerwise(self.network, self.ranges, self.device, membranes=True)

    def run(self, inputs: object, *, spikes: bool = False, membranes: bool = False) -> Run:
        """Runs one batch from the initial state.

        Parameters
        ----------
        inputs : array or tensor of int
            See `check_inputs`.
        spikes, membranes : bool
            Whether to record every spike, every membrane.

        Raises
        ------
        DataError
            If `inputs` has the wrong type, shape or range.
        """
        data = check_inputs(self.network, inputs)
        with torch.no_grad(), exact_arithmetic(self.device):
            if self.stepwise:
                stepper = Stepper(self.network, self._deliveries, data.to(self.device))
                return stepper.run(spikes=spikes, membranes=membranes)
            layerwise = self._recording if membranes else self._plain
            room = _CPU_ELEMENTS if self.device.type == "cpu" else _GPU_ELEMENTS
            parts = torch.split(data, max(1, room // layerwise.elements))
            return join_runs([layerwise.run(part.to(self.device), spikes=spikes) for part in parts])

    def trace(
        self,
        inputs: object,
        *,
        membranes: bool = False,
        batch: int | None = None,
        progress: Progress | None = None,
    ) -> Trace:
        """Records the golden trace of any number of samples, `batch` at a time.

        `progress` is called with (samples done, samples in all). Without `batch`, as many as about
        256 MiB of spikes and membranes hold.
        """
        data = check_inputs(self.network, inputs, small=True)
        names = [p.name for p in self.network.populations if p.spiking]
        if batch is None:
            each = self.network.timesteps * sum(self.network[name].size for name in names)
            batch = min(250, max(1, _TRACE_BYTES // max(1, each * (9 if membranes else 1))))
        parts: list[Part] = []
        for start in range(0, len(data), batch):
            run = self.run(data[start : start + batch], spikes=True, membranes=membranes)
            packed = {n: pack(run.spikes.pop(n).flatten(2).cpu().numpy()) for n in names}
            potentials = {n: m.flatten(2).cpu().numpy() for n, m in run.membranes.items()}
            parts.append((packed, potentials, run.outputs.cpu().numpy()))
            if progress:
                progress(min(start + batch, len(data)), len(data))
        return join(self.network, data.numpy(), parts)


def explain(network: Network, expected: Trace, divergence: Divergence) -> Divergence:
    """Runs it again to add the membrane before the step and the events that reached the neuron."""
    if divergence.step < 0:
        return divergence
    sample = expected.inputs[divergence.sample : divergence.sample + 1]
    result = Reference(network).run(sample, spikes=True, membranes=True)
    population = network[divergence.population]
    if divergence.step == 0:
        before = int(population.each(population.neuron.v_init).flat[divergence.neuron])
    else:
        before = int(
            result.membranes[population.name][0, divergence.step - 1].flatten()[divergence.neuron]
        )
    events: list[str] = []
    for projection in network.incoming(population.name):
        events += _events_at(network, projection, sample, result, divergence)
    shown = events[:12] + ([f"and {len(events) - 12} more"] if len(events) > 12 else [])
    return replace(divergence, membrane_before=before, events=tuple(shown))


def _events_at(
    network: Network, projection: Projection, sample: np.ndarray, result: Run, place: Divergence
) -> list[str]:
    """The source's events of the step that reach the neuron, each with its weight."""
    source = network[projection.source]
    window = network.window(source.name)
    step = place.step - projection.delay
    if step not in window:
        return []
    if source.fed:
        held = source.neuron.held
        frame = torch.as_tensor(sample[0] if held else sample[0, step - window.start])
    else:
        frame = result.spikes[source.name][0, step]
    delivery = Delivery(network, projection, torch.device("cpu"))
    found = []
    for index in frame.flatten().nonzero().flatten().tolist():
        single = torch.zeros(source.size, dtype=torch.int64)
        single[index] = 1
        weight = int(delivery.deliver(single.reshape(1, *source.shape)).flatten()[place.neuron])
        if weight:
            value = int(frame.flatten()[index])
            amount = f"{weight:+d}" if value == 1 else f"{weight:+d} x {value}"
            found.append(f"{source.name}{source.coordinates(index)} {amount}")
    return found
