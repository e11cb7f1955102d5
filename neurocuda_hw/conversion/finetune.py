"""Trains the quantised ANN, in its integers, to answer as the trained model answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F

from neurocuda_hw.conversion.data import Batches
from neurocuda_hw.conversion.graph import Graph, evaluate
from neurocuda_hw.conversion.qcfs import QcfsModel
from neurocuda_hw.errors import ModelError

Forward = Callable[[QcfsModel, torch.Tensor], torch.Tensor]
Progress = Callable[[str, int, int], None]


def float_graph(graph: Graph) -> Graph:
    """The same graph in float32, to be evaluated fast."""
    layers = tuple(
        replace(
            layer,
            bias=layer.bias.float(),
            terms=tuple(replace(term, weight=term.weight.float()) for term in layer.terms),
        )
        for layer in graph.layers
    )
    return replace(graph, layers=layers)


def finetune(
    model: QcfsModel,
    data: Batches,
    *,
    forward: Forward,
    epochs: int,
    rate: float,
    seed: int,
    stage: str,
    progress: Progress | None = None,
) -> None:
    """Adam with a cosine rate over `epochs`; the last state is kept, whatever it scores.

    The loss is the cross entropy to the softened answers of the trained model, and to the labels
    where there are any.

    Parameters
    ----------
    forward : callable
        Real logits of the model for real inputs: the quantised ANN, or its IF neurons through time.
    rate : float
        Initial step of Adam, relative to the size of each tensor's values.
    """
    teacher = float_graph(model.graph)
    generator = torch.Generator().manual_seed(seed)
    groups = [
        {"params": [p], "lr": rate * _size(p), "peak": rate * _size(p)}
        for p in (*model.weights, *model.biases)
        if p.requires_grad
    ]
    groups += [{"params": [p], "lr": rate, "peak": rate} for p in model.log_clips]
    optimiser = torch.optim.Adam(groups, lr=rate)
    per_epoch = max(1, data.count())
    for epoch in range(epochs):
        for number, (x, y) in enumerate(data.epoch(generator)):
            done = min(1.0, (epoch + number / per_epoch) / epochs)
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * 0.5 * (1 + math.cos(math.pi * done))
            loss = _loss(forward(model, x), evaluate(teacher, x)[-1].flatten(1), y)
            if not math.isfinite(float(loss.detach())):
                raise ModelError(
                    f"fine-tuning ({stage}) diverged in epoch {epoch + 1}; use a smaller rate than "
                    f"{rate:g}"
                )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if progress:
                progress(stage, epoch * per_epoch + number + 1, epochs * per_epoch)


def _size(parameter: torch.Tensor) -> float:
    return float(parameter.detach().abs().mean().clamp(min=1e-3))


def _loss(logits: torch.Tensor, wanted: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
    softened = F.cross_entropy(logits, wanted.softmax(1))
    return softened if y is None else softened + F.cross_entropy(logits, y)
