"""Where each channel's clip value starts: the lambda that rounds its real activations best.

lambda = argmin of E[(a - lambda clip(floor(a L / lambda + 1/2), 0, L) / L)^2]
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from neurocuda_hw.conversion.graph import Graph, evaluate
from neurocuda_hw.ground.errors import DataError

# samples kept per channel: enough for a quantile, little enough for a hundred layers
_KEPT_POSITIONS = 32
_CANDIDATES = 48
# a channel that hardly ever fires gets at least this share of its layer's typical clip value
_LEAST_SHARE = 0.05


def input_range(batches: Iterable[torch.Tensor]) -> tuple[float, float]:
    """Lowest and highest input value.

    Raises
    ------
    DataError
        If there are no inputs, all are 0, or some are NaN or infinite.
    """
    low, high, seen = 0.0, 0.0, False
    for x in batches:
        seen = True
        if not torch.isfinite(x).all():
            raise DataError("inputs must be finite, not NaN or infinite")
        low, high = min(low, float(x.min())), max(high, float(x.max()))
    if not seen:
        raise DataError("calibration data must hold at least one batch, not none")
    if low == high:
        raise DataError("calibration inputs must not all be 0")
    return low, high


@torch.no_grad()
def clip_values(
    graph: Graph, batches: Iterable[torch.Tensor], levels: int, *, channel_wise: bool, seed: int
) -> tuple[list[torch.Tensor], list[int]]:
    """lambda of each spiking layer but maxima, ``(C,)``, and how many of its channels never fired.

    Of a model that was trained with `QCFS` they are its own.

    Parameters
    ----------
    batches : real inputs
    levels : int
        L.
    channel_wise : bool
        One lambda per channel, or one per layer.
    seed : int
        Of the choice of positions in feature maps.
    """
    generator = torch.Generator().manual_seed(seed)
    clipped = [layer for layer in graph.layers if layer.clipped]
    kept: list[list[torch.Tensor]] = [[] for _ in clipped]
    for x in batches:
        values = evaluate(graph, x)[1:]
        spiking = [v for v, layer in zip(values, graph.layers, strict=True) if layer.clipped]
        for store, value in zip(kept, spiking, strict=True):
            store.append(some_positions(value, generator))
    clips, silent = [], []
    for layer, store in zip(clipped, kept, strict=True):
        samples = torch.cat(store, dim=1)
        silent.append(int((samples.amax(1) <= 0).sum()))
        if layer.staircase is not None:
            clips.append(layer.staircase.clip)
        else:
            clips.append(best_clips(samples, levels, channel_wise=channel_wise))
    return clips, silent


def some_positions(value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Of activations ``(B, C, ...)`` all samples at up to 32 positions: ``(C, samples)``."""
    flat = value.flatten(2) if value.ndim > 2 else value.unsqueeze(2)
    if flat.shape[2] > _KEPT_POSITIONS:
        chosen = torch.randperm(flat.shape[2], generator=generator)[:_KEPT_POSITIONS]
        flat = flat[:, :, chosen]
    return flat.transpose(0, 1).flatten(1)


def best_clips(samples: torch.Tensor, levels: int, *, channel_wise: bool) -> torch.Tensor:
    """lambda of ``(C, samples)``."""
    if not channel_wise:
        one = best_clips(samples.reshape(1, -1), levels, channel_wise=True)
        return one.expand(len(samples)).clone()
    highest = samples.amax(1, keepdim=True)
    best = torch.full((len(samples),), torch.inf)
    clips = highest[:, 0].clone()
    for share in np.linspace(1 / _CANDIDATES, 1, _CANDIDATES):
        clip = (highest * share).clamp(min=1e-12)
        rounded = (samples * (levels / clip) + 0.5).floor().clamp(0, levels) * (clip / levels)
        error = (samples - rounded).square().mean(1).float()
        better = error < best
        best = torch.where(better, error, best)
        clips = torch.where(better, clip[:, 0], clips)
    alive = clips[highest[:, 0] > 0]
    typical = float(alive.median()) if len(alive) else 1.0
    return torch.where(highest[:, 0] > 0, clips, torch.full_like(clips, typical)).clamp(
        min=typical * _LEAST_SHARE
    )
