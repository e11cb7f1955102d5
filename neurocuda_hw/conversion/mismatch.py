"""Where a spiking network departs from the trained model: activation beside activation, by layer.

With N spikes of a neuron and u what one of them stands for, N u is set beside the activation a of
the trained model. Layers of the exact code differ by rounding alone; in the rate code by time too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neurocuda_hw.conversion.further import trained_model
from neurocuda_hw.conversion.graph import evaluate
from neurocuda_hw.conversion.training import float_graph
from neurocuda_hw.ground.showing import Brief
from neurocuda_hw.reference.snn import SpikingNetwork


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LayerMismatch(Brief):
    """One layer of both, in the trained model's units.

    Parameters
    ----------
    name : str
        Of the population.
    ann, snn : float64 array (B, *shape)
        Activations of the trained model (logits of the last layer), and what spikes (membranes of
        a readout) stand for.
    """

    name: str
    ann: np.ndarray
    snn: np.ndarray

    @property
    def error(self) -> float:
        """Root mean square of the difference, relative to that of the trained activations."""
        size = float(np.sqrt(np.mean(self.ann**2)))
        off = float(np.sqrt(np.mean((self.snn - self.ann) ** 2)))
        return off / size if size else (0.0 if off == 0 else float("inf"))

    @property
    def drift(self) -> float:
        """Mean of snn - ann, relative to the root mean square of the trained activations."""
        size = float(np.sqrt(np.mean(self.ann**2)))
        return float(np.mean(self.snn - self.ann)) / size if size else 0.0


@torch.no_grad()
def mismatch(snn: SpikingNetwork, x: Any) -> tuple[LayerMismatch, ...]:
    """Every layer of a converted network beside the trained model's, for the same inputs.

    Parameters
    ----------
    snn : SpikingNetwork
        From `convert` or `finetune`.
    x : (B, ...)
        Real inputs, as the trained model takes them.

    Returns
    -------
    tuple of LayerMismatch
        In topological order; the last one is that of the logits.

    Raises
    ------
    ModelError
        If `snn` was read from a file: what it was converted from is not known.
    DataError
        If the inputs do not fit.
    """
    graph = trained_model(snn).graph
    run = snn.run(x)
    real = evaluate(float_graph(graph.teacher), torch.as_tensor(x).cpu().float())
    found = []
    for layer, values in zip(graph.layers, real[1:], strict=True):
        population = snn.network[layer.name]
        counts = run.outputs if population.readout else run.counts[layer.name]
        worth = population.each(np.array(1.0) if population.scale is None else population.scale)
        own = values.double().numpy().reshape(len(counts), -1, *population.shape).mean(1)
        sent = counts.cpu().double().numpy().reshape(len(counts), *population.shape)
        found.append(LayerMismatch(name=layer.name, ann=own, snn=sent * worth))
    return tuple(found)
