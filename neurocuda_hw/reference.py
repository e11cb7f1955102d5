"""The oracle: the integer semantics of `network` in PyTorch, batched and exact.

Convolutions and products run in floating point where the ranges prove that no sum can round: sums
of integers whose magnitudes add up to at most 2^24 (float32) or 2^53 (float64) are exact in any
order. On a GPU float64 is used throughout and convolutions become products of unfolded patches,
since its fast convolutions (Winograd, TF32) are not exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F

from neurocuda_hw.errors import DataError
from neurocuda_hw.fixed import fits_float32
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.neurons import LIF, CubaLIF, Encoding, Input, Readout, Reset, Spiking
from neurocuda_hw.ranges import magnitude, network_ranges
from neurocuda_hw.synapses import Conv2d, Dense
from neurocuda_hw.trace import Divergence, Trace, pack

Progress = Callable[[int, int], None]


@dataclass(slots=True, kw_only=True)
class Run:
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


def check_inputs(network: Network, inputs: object) -> torch.Tensor:
    """Inputs as an int64 tensor ``(B, steps, *shape)`` (``(B, *shape)`` for CURRENT).

    An input whose window has one step may leave the step axis out.

    Raises
    ------
    DataError
        If the type, the shape or the range is wrong.
    """
    neuron = network.input.neuron
    assert isinstance(neuron, Input)
    data = torch.as_tensor(inputs)
    if data.is_floating_point() or data.is_complex():
        raise DataError(f"inputs must be integers, not {data.dtype}; quantise real data first")
    steps = network.window(network.input.name).steps
    shape = network.input.shape
    want = shape if neuron.encoding is Encoding.CURRENT else (steps, *shape)
    if neuron.encoding is not Encoding.CURRENT and steps == 1 and tuple(data.shape[1:]) == shape:
        data = data.unsqueeze(1)
    if data.ndim != len(want) + 1 or tuple(data.shape[1:]) != want:
        raise DataError(
            f"inputs must have the shape (samples, {', '.join(map(str, want))}), "
            f"not {tuple(data.shape)}"
        )
    if data.shape[0] == 0:
        raise DataError("inputs must hold at least one sample, not none")
    low, high = neuron.payload
    data = data.to(torch.int64)
    if int(data.min()) < low or int(data.max()) > high:
        raise DataError(
            f"inputs must be {low} to {high}, not {int(data.min())} to {int(data.max())}"
        )
    return data


class _Synapses:
    """One projection, ready to deliver: its weights in the cheapest type that is exact."""

    def __init__(self, network: Network, projection: Projection, device: torch.device) -> None:
        self.projection = projection
        self.target = network[projection.target].shape
        self.flat_source = len(network[projection.source].shape) == 1
        exact32 = fits_float32(magnitude(projection, network)) and device.type == "cpu"
        self.dtype = torch.float32 if exact32 else torch.float64
        weight = torch.from_numpy(np.array(projection.synapse.weight))
        self.weight = weight.to(device=device, dtype=self.dtype)

    def deliver(self, events: torch.Tensor) -> torch.Tensor:
        """Events ``(B, *source shape)`` to int64 sums ``(B, *target shape)``."""
        synapse = self.projection.synapse
        x = events.to(self.dtype)
        if synapse.pool is not None:
            x = F.avg_pool2d(x, synapse.pool.kernel, synapse.pool.stride, divisor_override=1)
        if isinstance(synapse, Dense):
            y = F.linear(x.flatten(1), self.weight)
        elif isinstance(synapse, Conv2d):
            y = self._convolve(x, synapse)
        else:
            y = x * (self.weight if x.ndim == 2 else self.weight.reshape(-1, 1, 1))
        return y.reshape(-1, *self.target).to(torch.int64)

    def _convolve(self, x: torch.Tensor, synapse: Conv2d) -> torch.Tensor:
        if x.device.type != "cpu":
            return unfolded_convolution(x, self.weight, synapse)
        return F.conv2d(
            x,
            self.weight,
            None,
            synapse.stride,
            synapse.padding,
            synapse.dilation,
            synapse.groups,
        )


def unfolded_convolution(x: torch.Tensor, weight: torch.Tensor, synapse: Conv2d) -> torch.Tensor:
    """The convolution as one product of patches, ``(B, groups, C_out / groups, H * W)``: no FFT,
    no Winograd, so that integers stay exact on a GPU."""
    patches = F.unfold(
        x, synapse.weight.shape[2:], synapse.dilation, synapse.padding, synapse.stride
    )
    patches = patches.reshape(x.shape[0], synapse.groups, -1, patches.shape[-1])
    weight = weight.reshape(synapse.groups, weight.shape[0] // synapse.groups, -1)
    return torch.einsum("bgkp,gok->bgop", patches, weight)


class Reference:
    """Runs a network exactly.

    Parameters
    ----------
    network : Network
    device : str or torch.device
        Results are the same on every device.
    """

    def __init__(self, network: Network, device: str | torch.device = "cpu") -> None:
        self.network = network
        self.ranges = network_ranges(network)
        self.device = torch.device(device)
        self._synapses = {
            p.name: [_Synapses(network, q, self.device) for q in network.incoming(p.name)]
            for p in network.targets
        }

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
        return _Stepper(self, check_inputs(self.network, inputs).to(self.device)).run(
            spikes, membranes
        )

    def trace(
        self,
        inputs: object,
        *,
        membranes: bool = False,
        batch: int = 250,
        progress: Progress | None = None,
    ) -> Trace:
        """Records the golden trace of any number of samples, `batch` at a time.

        `progress` is called with (samples done, samples in all).
        """
        data = check_inputs(self.network, inputs)
        names = [p.name for p in self.network.populations if p.spiking]
        runs: list[Run] = []
        packed: dict[str, list[np.ndarray]] = {name: [] for name in names}
        potentials: dict[str, list[np.ndarray]] = {name: [] for name in names if membranes}
        for start in range(0, len(data), batch):
            run = self.run(data[start : start + batch], spikes=True, membranes=membranes)
            for name in names:
                packed[name].append(pack(run.spikes.pop(name).flatten(2).cpu().numpy()))
                if membranes:
                    potentials[name].append(run.membranes.pop(name).flatten(2).cpu().numpy())
            runs.append(run)
            if progress:
                progress(min(start + batch, len(data)), len(data))
        return Trace(
            network_hash=self.network.hash,
            timesteps=self.network.timesteps,
            sizes={name: self.network[name].size for name in names},
            inputs=data.numpy(),
            spikes={name: np.concatenate(parts) for name, parts in packed.items()},
            outputs=torch.cat([run.outputs for run in runs]).cpu().numpy(),
            membranes={name: np.concatenate(parts) for name, parts in potentials.items()},
        )


class _Stepper:
    """The state of one batch in flight."""

    def __init__(self, reference: Reference, data: torch.Tensor) -> None:
        self.reference = reference
        self.network = reference.network
        self.data = data
        self.sent: dict[str, torch.Tensor | None] = {}
        self.previous: dict[str, torch.Tensor | None] = {}
        self.v = {p.name: self._spread(p, p.neuron.v_init) for p in self.network.targets}  # type: ignore[attr-defined]
        self.u = {p.name: torch.zeros_like(self.v[p.name]) for p in self.network.targets}
        self.held: dict[int, torch.Tensor] = {}

    def _spread(self, population: Population, values: object) -> torch.Tensor:
        array = population.spread(np.asarray(values))
        full = np.broadcast_to(array, (len(self.data), *population.shape))
        return torch.from_numpy(np.array(full)).to(self.data.device)

    def run(self, spikes: bool, membranes: bool) -> Run:
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
                if not isinstance(population.neuron, Readout):
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
        outputs = self.v[last.name] if isinstance(last.neuron, Readout) else counts[last.name]
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
        if isinstance(neuron, Input):
            if step not in window:
                return None
            current = neuron.encoding is Encoding.CURRENT
            return self.data if current else self.data[:, step - window.start]
        assert isinstance(neuron, Readout | Spiking)
        drive = self._drive(population)
        v = self.v[name]
        if isinstance(neuron, CubaLIF):
            u = _decay(self.u[name], self._spread(population, neuron.du))
            self.u[name] = u if drive is None else u + drive
            v = _decay(v, self._spread(population, neuron.dv)) + self.u[name]
        else:
            if isinstance(neuron, LIF):
                v = _decay(v, self._spread(population, neuron.decay))
            v = v if drive is None else v + drive
        if np.any(neuron.bias):
            v = v + self._spread(population, neuron.bias)
        if isinstance(neuron, Readout):
            self.v[name] = v
            return None
        fired = None
        if step in window:
            threshold = self._spread(population, neuron.threshold)
            fired = (v >= threshold).to(torch.int64)
            if neuron.reset is Reset.SUBTRACT:
                v = v - threshold * fired
            else:
                v = torch.where(fired.bool(), self._spread(population, neuron.v_reset), v)
        if neuron.v_floor is not None:
            v = v.clamp(min=neuron.v_floor)
        self.v[name] = v
        return fired

    def _drive(self, population: Population) -> torch.Tensor | None:
        total = None
        for synapses in self.reference._synapses[population.name]:
            projection = synapses.projection
            sent = (self.previous if projection.delay else self.sent).get(projection.source)
            if sent is None:
                continue
            if sent is self.data:  # CURRENT: the same in every step
                if id(synapses) not in self.held:
                    self.held[id(synapses)] = synapses.deliver(sent)
                part = self.held[id(synapses)]
            else:
                part = synapses.deliver(sent)
            total = part if total is None else total + part
        return total


def _decay(values: torch.Tensor, constant: torch.Tensor) -> torch.Tensor:
    """`fixed.decay` on tensors."""
    return torch.sign(values) * ((values.abs() * (4096 - constant)) >> 12)


def run(network: Network, inputs: object, *, spikes: bool = False, membranes: bool = False) -> Run:
    """Runs one batch on the CPU; see `Reference`."""
    return Reference(network).run(inputs, spikes=spikes, membranes=membranes)


def explain(network: Network, expected: Trace, divergence: Divergence) -> Divergence:
    """Runs it again to add the membrane before the step and the events that reached the neuron."""
    if divergence.step < 0:
        return divergence
    sample = expected.inputs[divergence.sample : divergence.sample + 1]
    result = Reference(network).run(sample, spikes=True, membranes=True)
    population = network[divergence.population]
    if divergence.step == 0:
        start = population.spread(np.asarray(population.neuron.v_init))  # type: ignore[attr-defined]
        before = int(np.broadcast_to(start, population.shape).flat[divergence.neuron])
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
    if isinstance(source.neuron, Input):
        current = source.neuron.encoding is Encoding.CURRENT
        frame = torch.as_tensor(sample[0] if current else sample[0, step - window.start])
    else:
        frame = result.spikes[source.name][0, step]
    synapses = _Synapses(network, projection, torch.device("cpu"))
    found = []
    for index in frame.flatten().nonzero().flatten().tolist():
        single = torch.zeros(source.size, dtype=torch.int64)
        single[index] = 1
        weight = int(synapses.deliver(single.reshape(1, *source.shape)).flatten()[place.neuron])
        if weight:
            value = int(frame.flatten()[index])
            amount = f"{weight:+d}" if value == 1 else f"{weight:+d} x {value}"
            found.append(f"{source.name}{source.coordinates(index)} {amount}")
    return found
