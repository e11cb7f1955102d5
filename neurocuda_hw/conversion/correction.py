"""Makes up, layer after layer, for what rounding did to the layers before: without training.

Rounded activations shift the mean of the sums of the next layer, and so on: 19 layers on, little is
left. With z the real sums and z' those of the layer's integers behind the integers before it,

    b <- b + E[z - z']        lambda <- argmin over lambda of E[(a - Q(z' + E[z - z']; lambda))^2]

per channel (Nagel et al., ICCV 2019, correct biases so; Li et al., ICML 2021, calibrate layer by
layer for spikes).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from neurocuda_hw.conversion.graph import Graph, Layer
from neurocuda_hw.conversion.qcfs import QcfsModel
from neurocuda_hw.conversion.training import float_graph
from neurocuda_hw.linear.steps import per_channel

# values of one layer that are held at a time, and values per channel that clip values are fitted to
_VALUES = 2**24
_FITTED = 2**14
_RATIOS = np.geomspace(0.6, 1.6, 33)


@torch.no_grad()
def correct(model: QcfsModel, x: torch.Tensor, *, channel_wise: bool, seed: int) -> None:
    """Corrects the biases and clip values of `model` for real inputs `x` ``(B, ...)``.

    As many of them are used as memory allows; recordings, and models that spike themselves, are
    left as they are.

    Parameters
    ----------
    channel_wise : bool
        Whether each channel has its own clip value; else one factor for all of a layer.
    seed : int
        Of the choice of positions in feature maps.
    """
    graph = float_graph(model.graph, model.biases[0].device)
    if graph.frames is not None or graph.steps is not None:
        return
    most = max(int(np.prod(shape)) for shape in graph.shapes)
    x = x[: max(64, _VALUES // most)].to(model.biases[0].device)
    generator = torch.Generator().manual_seed(seed)
    real, counts = [x.reshape(-1, *graph.input_shape)], [model.summed(x)]
    clips, levels = iter(model.log_clips), model.settings.levels
    for number, layer, wanted in side_by_side(graph, real, counts):
        sums = _Sums(model, number, counts)
        add_to_bias(model.biases[number], wanted - sums.real())
        if not layer.spiking:
            break
        sums.renew()
        own = next(clips)
        if layer.staircase is None:
            _fit(own, layer, real[-1], sums.real(), levels, channel_wise, generator)
            sums.renew()
        counts.append(sums.levels())


def side_by_side(
    graph: Graph, real: list[torch.Tensor], sent: list[torch.Tensor]
) -> Iterator[tuple[int, Layer, torch.Tensor]]:
    """Layers but maxima, in order, and their real sums.

    `real` and `sent` begin with the input; `real` grows by activations, and what the integers of a
    layer send is to be appended to `sent`. What no layer needs any more is let go.
    """
    last_use = {t.source: n for n, layer in enumerate(graph.layers) for t in layer.terms}
    for number, layer in enumerate(graph.layers):
        if layer.maximum:
            for values in (real, sent):
                values.append(layer.largest(values))
            continue
        wanted = layer.add_up(real)
        real.append(layer.activate(wanted))
        yield number, layer, wanted
        for source in [s for s, user in last_use.items() if user == number]:
            real[source] = sent[source] = torch.empty(0)


class _Sums:
    """Sums of layer `number` in its integers, as they stand."""

    def __init__(self, model: QcfsModel, number: int, counts: list[torch.Tensor]) -> None:
        self.model, self.number, self.counts = model, number, counts
        self.layer = model.graph.layers[number]
        self.tensors = model.tensors(number, model.units())
        self.total = model.total(self.layer, self.tensors, counts, steps=model.steps)

    def renew(self) -> None:
        """Follows a change of the bias or the clip values; weights only depend on the scale."""
        before, self.tensors = self.tensors, self.model.tensors(self.number, self.model.units())
        if torch.equal(before.scale, self.tensors.scale):
            shift = per_channel(self.tensors.bias - before.bias, len(self.layer.shape))
            self.total += shift * self.model.steps
        else:
            steps = self.model.steps
            self.total = self.model.total(self.layer, self.tensors, self.counts, steps=steps)

    def real(self) -> torch.Tensor:
        """In the trained model's units."""
        scale = self.tensors.scale / self.model.steps
        return self.total * per_channel(scale, len(self.layer.shape))

    def levels(self) -> torch.Tensor:
        """The spike counts."""
        assert self.tensors.threshold is not None
        threshold = per_channel(self.tensors.threshold, len(self.layer.shape))
        counts = (self.total + threshold.div(2).floor()).div_(threshold).floor_()
        return counts.clamp_(0, self.model.settings.levels)


def add_to_bias(bias: torch.Tensor, missing: torch.Tensor) -> None:
    """Adds the mean per channel of what is `missing` ``(B, C, ...)`` to a bias ``(C, ...)``."""
    mean = missing.transpose(0, 1).flatten(1).mean(1)
    bias.add_(mean if bias.ndim == 1 else per_channel(mean, bias.ndim))


def _fit(
    log_clips: torch.Tensor,
    layer: Layer,
    wanted: torch.Tensor,
    sums: torch.Tensor,
    levels: int,
    channel_wise: bool,
    generator: torch.Generator,
) -> None:
    """Sets clip values (their logarithms) to those that round `sums` nearest to `wanted`."""
    channels = layer.shape[0]
    targets, sums = (v.transpose(0, 1).reshape(channels, -1) for v in (wanted, sums))
    if targets.shape[1] > _FITTED:
        chosen = torch.randperm(targets.shape[1], generator=generator)[:_FITTED].to(sums.device)
        targets, sums = targets[:, chosen], sums[:, chosen]
    kept = log_clips.exp()
    best = torch.full_like(kept, torch.inf)
    found = kept.clone()
    for ratio in _RATIOS:
        clip = kept * float(ratio)
        unit = (clip / levels).unsqueeze(1)
        rounded = (sums / unit + 0.5).floor_().clamp_(0, levels).mul_(unit)
        error = (rounded - targets).square_().mean(1)
        if not channel_wise:
            error = error.mean().expand_as(error)
        better = error < best
        best = torch.where(better, error, best)
        found = torch.where(better, clip, found)
    log_clips.copy_(found.log())
