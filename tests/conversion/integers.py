"""From a trained model to its integer network without the training in between, for tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from neurocuda_hw.conversion.approximate import approximate
from neurocuda_hw.conversion.calibrate import clip_values
from neurocuda_hw.conversion.capture import capture
from neurocuda_hw.conversion.graph import Graph
from neurocuda_hw.conversion.inputs import payload_of
from neurocuda_hw.conversion.qcfs import QcfsModel, Settings
from neurocuda_hw.conversion.quantize import Code, QuantizedAnn, silence, to_network
from neurocuda_hw.conversion.temporal import Frames
from neurocuda_hw.network import Network
from neurocuda_hw.reference.reference import Reference, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Integers:
    """A converted model, and what its network did with some inputs."""

    graph: Graph
    module: QcfsModel
    quantized: QuantizedAnn
    network: Network
    payload: np.ndarray
    run: Run

    def unequal(self) -> int:
        """Samples of which any spike count or logit differs from the quantised ANN's."""
        wrong = torch.zeros(len(self.payload), dtype=torch.bool)
        counts = self.quantized.counts(self.payload)
        for layer, wanted in zip(self.quantized.layers, counts, strict=True):
            spiking = layer.threshold is not None
            got = self.run.counts[layer.name] if spiking else self.run.outputs
            wrong |= (got.flatten(1) != wanted.flatten(1)).any(1)
        return int(wrong.sum())

    def logits(self) -> torch.Tensor:
        """Of the network, in the trained model's units."""
        scale = self.network.output.scale
        return self.run.outputs.double() * torch.tensor(1.0 if scale is None else np.array(scale))


def read(model: nn.Module, x: torch.Tensor, frames: Frames | None = None) -> Graph:
    """The model's layers, every activation a clipped ReLU."""
    return approximate(capture(model, x, frames), x)


def integers(
    graph: Graph,
    x: torch.Tensor,
    *,
    code: Code = Code.EXACT,
    levels: int = 4,
    bits: int = 8,
) -> Integers:
    """Converts a graph, calibrated on `x`, and runs `x`."""
    payload_bits, scale, _ = payload_of(graph.frames, x, bits, graph.input_shape)
    if code is Code.RATE and graph.frames is not None:
        levels = graph.frames.steps
    settings = Settings(
        code=code,
        levels=levels,
        weight_bits=(8,) * len(graph.layers),
        payload_bits=payload_bits,
        signed=float(x.min()) < 0,
        input_scale=scale,
    )
    clips, _ = clip_values(graph, [x], levels, channel_wise=True, seed=0)
    module = QcfsModel(graph, settings, clips)
    quantized = silence(module.quantized())
    network = to_network(quantized)
    payload = quantized.quantise(x)
    return Integers(
        graph=graph,
        module=module,
        quantized=quantized,
        network=network,
        payload=payload,
        run=Reference(network).run(payload, spikes=True),
    )
