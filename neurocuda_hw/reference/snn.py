"""An integer network as a PyTorch module: real inputs in, real logits out, integer steps between.

Its spikes are the golden trace: `SpikingNetwork` runs the reference, so what it computes is, bit
for bit, what every hardware target computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.ground.fixed import quantise
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.reference.reference import Progress, Reference, Run


def quantised_inputs(
    x: np.ndarray | torch.Tensor,
    shape: tuple[int, ...],
    scale: np.ndarray,
    payload: tuple[int, int],
) -> np.ndarray:
    """Real inputs ``(B, ...)`` as payloads ``(B, *shape)``; a DataError where they do not fit."""
    array = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)
    if array.ndim < 2 or array[0].size != int(np.prod(shape)):
        raise DataError(
            f"inputs must have the shape (samples, {', '.join(map(str, shape))}), not {array.shape}"
        )
    return quantise(array.reshape(-1, *shape), scale, payload)


class SpikingNetwork(nn.Module):
    """A spiking network to call like any other module.

    It has no state between calls: every call starts from the initial membranes. Calls record no
    gradients; `conversion.finetune` trains the network that it was converted from.

    Parameters
    ----------
    network : Network
        The integers.
    trained : torch.nn.Module, optional
        What it was converted from, with trainable weights; None if it was read from a file.
    notes : sequence of str
        What was tried on the way to it and thrown away.
    """

    # Converted neurons reset by subtraction, which plain NIR cannot say: `to_nir` writes it with
    # nodes where those can say all, else with notes in the metadata, unless told how.
    nir_export = "auto"

    def __init__(
        self, network: Network, trained: nn.Module | None = None, notes: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.network = network
        self.trained = trained
        self.notes = tuple(notes)
        self.register_buffer("_place", torch.empty(0), persistent=False)
        self._references: dict[torch.device, Reference] = {}

    @property
    def timesteps(self) -> int:
        """Steps of one inference, T."""
        return self.network.timesteps

    @property
    def device(self) -> torch.device:
        """Where it computes; `to` moves it. Results are the same everywhere."""
        place: torch.Tensor = self._buffers["_place"]  # type: ignore[assignment]
        return place.device

    def quantise(self, x: np.ndarray | torch.Tensor) -> np.ndarray:
        """Real inputs as the integers that the hardware takes.

        Parameters
        ----------
        x : (B, *shape), or (B, steps, *shape) where the input comes in steps

        Returns
        -------
        int64 array of the same shape

        Raises
        ------
        DataError
            If the shape does not fit, or values are NaN or infinite.
        """
        population = self.network.input
        neuron = self.network.input_neuron
        steps = self.network.window(population.name).steps
        held = neuron.held or steps == 1
        wanted = population.shape if held else (steps, *population.shape)
        scale = np.array(1.0 if population.scale is None else population.scale)
        return quantised_inputs(x, wanted, population.spread(scale), neuron.payload)

    def run(self, x: np.ndarray | torch.Tensor, *, spikes: bool = False) -> Run:
        """Runs one batch of real inputs; see `reference.Run` for what it tells."""
        return self.reference().run(self.quantise(x), spikes=spikes)

    def trace(
        self,
        x: np.ndarray | torch.Tensor,
        *,
        membranes: bool = False,
        progress: Progress | None = None,
    ) -> Trace:
        """The golden trace of real inputs: every spike of every population."""
        data = self.quantise(x)
        return self.reference().trace(data, membranes=membranes, progress=progress)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits ``(B, classes)`` in the trained model's units, float64: no two integers merge."""
        return self.logits(self.run(x).outputs)

    def logits(self, outputs: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Integer outputs ``(B, N)`` of any target in the trained model's units, float64."""
        integers = torch.as_tensor(outputs)
        output = self.network.output
        scale = np.array(1.0 if output.scale is None else output.scale)
        worth = output.each(scale).reshape(-1)
        return integers.double() * torch.from_numpy(worth.copy()).to(integers.device)

    def reference(self) -> Reference:
        """The reference that computes on this module's device."""
        if self.device not in self._references:
            self._references[self.device] = Reference(self.network, self.device)
        return self._references[self.device]

    def __repr__(self) -> str:
        return f"SpikingNetwork({self.network.outline})"

    def _repr_html_(self) -> str:
        """The populations as a table, for notebooks."""
        return self.network._repr_html_()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_references": {}}
