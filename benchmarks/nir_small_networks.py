"""The small networks of `nir_frameworks`, in PyTorch and in integers, and how they are compared.

Weights lie on a grid of 1/8 and thresholds of leaking neurons beside it, so that float32 is exact.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch

from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, Encoding, Input, Reset
from neurocuda_hw.network.synapses import Conv2d, Dense
from neurocuda_hw.nir import Executor, compare, from_nir, nir_bytes, read
from neurocuda_hw.reference.reference import Reference

STEPS, BATCH, DT = 20, 3, 2.0**-10
IMAGES = (np.random.default_rng(1).random((BATCH, STEPS, 2, 8, 8)) < 0.3).astype(np.uint8)
FRAMES = torch.from_numpy(IMAGES).float().transpose(0, 1)  # (T, B, C, H, W)
OFF_GRID = 1.03  # a threshold that no membrane meets exactly: a time constant in a file has rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one case found.

    Parameters
    ----------
    spikes, differences : int
        Of the last layer there, and places and steps at which ours differ.
    integers : float, optional
        Of a graph that came in: share of spikes that the integers (8 bits) keep in every layer.
    error : str
        Why there is nothing to compare: the first line of what the framework raised.
    """

    spikes: int = 0
    differences: int = 0
    integers: float | None = None
    error: str = ""

    @property
    def verdict(self) -> str:
        """``exact``, ``approximate``, or ``unreadable``."""
        if self.error:
            return "unreadable"
        return "approximate" if self.differences else "exact"


# ---------------------------------------------------------------- networks in PyTorch


def on_a_grid(module: torch.nn.Module) -> torch.nn.Module:
    """The module with weights that float32 adds up exactly; neurons keep their parameters."""
    generator = torch.Generator().manual_seed(3)
    for part in module.modules():
        if isinstance(part, torch.nn.Linear | torch.nn.Conv2d):
            for parameter in part.parameters():
                low, high = (-9, 12) if parameter.ndim > 1 else (-1, 3)
                values = torch.randint(low, high, parameter.shape, generator=generator)
                parameter.data = values.float() / 8
    return module


class Residual(torch.nn.Module):
    """Two convolutions of one layer's spikes, added up."""

    def __init__(self, neuron: Callable[..., torch.nn.Module]) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(2, 4, 3, padding=1)
        self.fire1 = neuron(4, 8, 8)
        self.conv2 = torch.nn.Conv2d(4, 4, 3, padding=1)
        self.skip = torch.nn.Conv2d(4, 4, 1)
        self.fire2 = neuron(4, 8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One step."""
        spikes = self.fire1(self.conv1(x))
        return self.fire2(self.conv2(spikes) + self.skip(spikes))


class ResidualState(Residual):
    """The same, for neurons that take and give their state."""

    def forward(self, x: torch.Tensor, state: Any = None) -> Any:
        """One step."""
        one, two = (None, None) if state is None else state
        spikes, one = self.fire1(self.conv1(x), one)
        out, two = self.fire2(self.conv2(spikes) + self.skip(spikes), two)
        return out, (one, two)


class Keeping(torch.nn.Module):
    """A cell that takes and gives its state, which is kept here."""

    def __init__(self, cell: torch.nn.Module) -> None:
        super().__init__()
        self.cell, self.state = cell, None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One step."""
        out, self.state = self.cell(x, self.state)
        return out


def chain(
    neuron: Callable[..., torch.nn.Module],
    pool: torch.nn.Module,
    flatten: Callable[[], torch.nn.Module] = torch.nn.Flatten,
) -> torch.nn.Module:
    """A convolution, a pool, a dense layer."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1),
        neuron(4, 8, 8),
        pool,
        flatten(),
        torch.nn.Linear(64, 5),
        neuron(5),
    )


def stepped(module: torch.nn.Module) -> torch.Tensor:
    """Spikes (T, B, ...) of a module with its state inside."""
    with torch.no_grad():
        return torch.stack([module(frame) for frame in FRAMES])


def comes_in(graph: nir.NIRGraph, spikes: torch.Tensor, **settings: Any) -> Outcome:
    """Through a file; in floating point, where it must equal the framework, and as integers."""
    with tempfile.NamedTemporaryFile(suffix=".nir") as file:
        file.write(nir_bytes(graph))
        file.flush()
        graph = read(file.name)
    executor = Executor(graph, **settings)
    if len(executor.flat.sources[executor.flat.output]) != 1:
        return Outcome(
            error="its file sums the convolutions at the output: the last neurons are lost"
        )
    run = executor.run(FRAMES.transpose(0, 1), spikes=True)
    (last,) = executor.flat.sources[executor.flat.output]
    want = spikes.transpose(0, 1).to(torch.uint8).reshape(run.spikes[last].shape)
    settings["reset"] = "subtract" if settings.pop("subtract", False) else "nir"
    network = from_nir(graph, STEPS, **settings)
    return Outcome(
        spikes=int(want.sum()),
        differences=int((run.spikes[last] != want).sum()),
        integers=round(compare(executor, network, IMAGES).agreement, 4),
    )


# ---------------------------------------------------------------- integer networks


def ours(
    reset: Reset, *, residual: bool, head: bool = True, kind: Any = IF, **more: Any
) -> Network:
    """Convolutions, perhaps a shortcut, perhaps a dense layer."""
    rng = np.random.default_rng(4)

    def population(name: str, shape: tuple[int, ...], threshold: int) -> Population:
        return Population(
            name=name, shape=shape, neuron=kind(threshold=threshold, reset=reset, **more)
        )

    def conv(out: int, into: int, kernel: int) -> Conv2d:
        weight = rng.integers(-6, 8, (out, into, kernel, kernel))
        return Conv2d(weight=weight, padding=(kernel // 2, kernel // 2))

    populations = [
        Population(name="image", shape=(2, 8, 8), neuron=Input(encoding=Encoding.SPIKES)),
        population("one", (4, 8, 8), 12),
        population("two", (4, 8, 8), 8),
    ]
    projections = [
        Projection(source="image", target="one", synapse=conv(4, 2, 3)),
        Projection(source="one", target="two", synapse=conv(4, 4, 3)),
    ]
    if residual:
        projections.append(Projection(source="one", target="two", synapse=conv(4, 4, 1)))
    populations.append(population("last", (5,), 16))
    weight = rng.integers(-6, 7, (5, 256))
    projections.append(Projection(source="two", target="last", synapse=Dense(weight=weight)))
    return Network(populations=populations, projections=projections, timesteps=STEPS)


def goes_out(network: Network, spikes: torch.Tensor) -> Outcome:
    """A framework's spikes (T, B, ...) of our file against the reference's."""
    want = Reference(network).run(IMAGES, spikes=True).spikes[network.output.name].transpose(0, 1)
    differences = int((spikes.reshape(want.shape) != want).sum())
    return Outcome(spikes=int(want.sum()), differences=differences)


def stateful(module: torch.nn.Module, *, batched: bool = True) -> torch.Tensor:
    """Spikes (T, B, ...) of a module that takes and gives its state."""

    def run(frames: torch.Tensor) -> torch.Tensor:
        fresh, state, spikes = copy.deepcopy(module), None, []
        for frame in frames:
            out = fresh(frame) if state is None else fresh(frame, state)
            out, state = out if isinstance(out, tuple) else (out, state)
            spikes.append(out)
        return torch.stack(spikes)

    with torch.no_grad():
        if batched:
            return run(FRAMES)
        return torch.stack([run(FRAMES[:, b]) for b in range(BATCH)], dim=1)


def settled(module: torch.nn.Module, **attributes: Any) -> torch.nn.Module:
    """Sets what a loader does not: attributes, on every part that has them."""
    for part in module.modules():
        for name, value in attributes.items():
            if hasattr(part, name):
                setattr(part, name, value)
    return module
