"""The quantised ANN as a PyTorch module that is trained in the integers it will be built from.

Each spiking channel has a clip value lambda = exp(p) > 0, one spike is worth u = lambda / L, and

    W = round(w u_source / s)    theta = round(u / s)    b = round(bias / s)
    N = clip(floor((sum of W N_source + b + theta // 2) / theta), 0, L)

which is a = lambda clip(floor(x L / lambda + 1/2) / L, 0, 1) (QCFS; Bu et al., ICLR 2022) with all
rounding inside. Rounding passes gradients straight through. s, one per channel (one for all
logits), makes the largest weight fill its bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import torch
from torch import nn

from neurocuda_hw.conversion.graph import Graph, Layer, Term
from neurocuda_hw.conversion.quantize import Code, IntegerLayer, QuantizedAnn
from neurocuda_hw.conversion.rounding import Levels, round_through
from neurocuda_hw.conversion.tasks import Task
from neurocuda_hw.conversion.temporal import Reduce
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.fixed import DECAY_ONE
from neurocuda_hw.linear.maps import Kind
from neurocuda_hw.linear.steps import per_channel
from neurocuda_hw.network.neurons import IF, LIF, Reset, payload_range

# a skip connection has one weight per channel, so it may have more bits than the kernels
_SKIP_BITS = 8
# a threshold beyond this many weight units resolves nothing
_LARGEST_THRESHOLD = 2.0**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the conversion aims at.

    `levels` is L of the exact code, T of the rate code; `weight_bits` one number per layer;
    `input_scale` what one unit of an input is worth, one for all or one per channel.
    """

    code: Code
    levels: int
    weight_bits: tuple[int, ...]
    payload_bits: int = 8
    signed: bool = False
    input_scale: float | tuple[float, ...] = 1.0

    def recoded(self, code: Code, levels: int) -> Settings:
        """The same for another code and other levels (steps)."""
        return replace(self, code=code, levels=levels)

    @property
    def payload(self) -> tuple[int, int]:
        """Lowest and highest integer of an input value."""
        return payload_range(self.payload_bits, self.signed)


@dataclass(slots=True, kw_only=True)
class LayerTensors:
    """One layer's integers, held in float32 tensors through which gradients pass."""

    weights: list[torch.Tensor]
    threshold: torch.Tensor | None
    bias: torch.Tensor
    scale: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Inputs that nothing was trained on, and the trained model's outputs: what later changes of
    the network are judged by."""

    x: torch.Tensor
    wanted: torch.Tensor


class QcfsModel(nn.Module):
    """The quantised ANN of a graph; call it with real inputs, it returns real logits.

    Parameters
    ----------
    graph : Graph
    settings : Settings
    clips : sequence of float tensor (C,)
        Initial lambda of each spiking layer but maxima, in order; positive.
    centre : tensor (C,), optional
        Mean of each input channel. Biases are held as they are at inputs of that mean, so that a
        step of a weight does not shift the sums, however far from 0 the inputs are.
    task : Task
        What it is trained for.

    Raises
    ------
    ModelError
        If the graph's recordings cannot be taken under the settings' code and steps.
    """

    def __init__(
        self,
        graph: Graph,
        settings: Settings,
        clips: Sequence[torch.Tensor],
        *,
        centre: torch.Tensor | None = None,
        task: Task = Task.CLASSIFY,
    ) -> None:
        super().__init__()
        _check_frames(graph, settings)
        self.graph = graph
        self.settings = settings
        self.task = task
        self.judged: Judged | None = None
        self.assumed = False  # whether the task was, for want of labels
        mean = torch.zeros(graph.input_shape[0]) if centre is None else centre.float()
        self.register_buffer("centre", mean)
        self.centre: torch.Tensor
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        self.log_clips = nn.ParameterList()
        left = list(clips)
        for number, layer in enumerate(graph.layers):
            for term in layer.terms:
                weight = term.weight.float()
                self.weights.append(nn.Parameter(weight, requires_grad=term.trained))
            own = layer.bias.float()
            for term in layer.terms if not layer.maximum else ():
                if term.source == 0:
                    own = own + _like(_pulled(term.weight.float(), term, layer, mean), own)
            self.biases.append(nn.Parameter(own, requires_grad=not layer.maximum))
            if layer.clipped:
                self.log_clips.append(nn.Parameter(left.pop(0).float().log()))
            channels = layer.shape[0] if layer.spiking else 1
            self.register_buffer(f"shrink_{number}", torch.ones(channels))

    def shrink(self, number: int) -> torch.Tensor:
        """Share of the largest weight that is still represented, per channel of a layer."""
        found: torch.Tensor = getattr(self, f"shrink_{number}")
        return found

    @property
    def steps(self) -> int:
        """How often the input and the bias are added up in one inference."""
        return self.settings.levels if self.settings.code is Code.RATE else 1

    def clips(self) -> list[torch.Tensor]:
        """lambda of each spiking layer but maxima, ``(C,)``."""
        return [p.exp() for p in self.log_clips]

    def units(self) -> list[torch.Tensor]:
        """What one event of each source is worth when it arrives, ``(C,)``; the input's first."""
        device = self.biases[0].device
        share = 1 if self.settings.code is Code.RATE else self.settings.levels
        frames = self.graph.frames
        gain = 1.0 if frames is None else frames.gain(self.settings.code is Code.RATE)
        scale = torch.tensor(self.settings.input_scale, device=device) * gain
        units = [scale.expand(self.graph.input_shape[0])]
        clips = iter(self.clips())
        for layer in self.graph.layers:
            if layer.maximum:
                units.append(units[layer.terms[0].source])
            elif layer.spiking:
                units.append(next(clips) / share)
        return units

    def tensors(self, number: int, units: list[torch.Tensor]) -> LayerTensors:
        """The integers of layer `number`, rounded straight through."""
        layer = self.graph.layers[number]
        if layer.maximum:
            return self._maximum(number)
        bits = self.settings.weight_bits[number]
        wanted, limits = [], []
        for place, term in zip(self._places(number), layer.terms, strict=True):
            wanted.append(term.by_input(self.weights[place], units[term.source]))
            limits.append(2 ** ((bits if term.trained else max(bits, _SKIP_BITS)) - 1) - 1)
        unit = units[number + 1] if layer.spiking else None
        with torch.no_grad():
            scale = self._scale(number, wanted, limits, unit)
        weights = []
        for weight, term, limit in zip(wanted, layer.terms, limits, strict=True):
            steps = _per_row(scale, term, layer)
            weights.append(round_through((weight / steps).clamp(-limit, limit)))
        bias = self.biases[number]
        for weight, term in zip(weights, layer.terms, strict=True):
            if term.source == 0:  # by what weights are once rounded: far from 0 that is much
                pulled = _pulled(weight, term, layer, self.centre / units[0])
                bias = bias - _like(scale * pulled, bias)
        return LayerTensors(
            weights=weights,
            threshold=None if unit is None else round_through(unit / scale).clamp(min=1),
            bias=round_through(bias / _like(scale, bias)),
            scale=scale,
        )

    def _maximum(self, number: int) -> LayerTensors:
        """The integers of a maximum: it fires when any neuron of its window does."""
        ones = torch.ones_like(self.biases[number])
        weights = [self.weights[place] for place in self._places(number)]
        return LayerTensors(weights=weights, threshold=ones, bias=self.biases[number], scale=ones)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Real logits ``(B, N)`` of real inputs ``(B, ...)``, through the integers."""
        units, values = self.units(), [self.summed(x)]
        scale = torch.ones(())
        for number, layer in enumerate(self.graph.layers):
            if layer.maximum:
                values.append(layer.largest(values))
                scale = units[number + 1] / self.steps
                continue
            tensors = self.tensors(number, units)
            total = self.total(layer, tensors, values, steps=self.steps)
            scale = tensors.scale / self.steps
            if tensors.threshold is not None:
                threshold = per_channel(tensors.threshold, len(layer.shape))
                total = Levels.apply(total, threshold, self.settings.levels)  # type: ignore[no-untyped-call]
                scale = units[number + 1] / self.steps
            values.append(total)
        return (values[-1] * per_channel(scale, values[-1].ndim - 1)).flatten(1)

    def total(
        self, layer: Layer, tensors: LayerTensors, values: list[torch.Tensor], *, steps: int
    ) -> torch.Tensor:
        """Sum of what the sources deliver and of the bias; a held input counts `steps` times."""
        held = [t.source == 0 and self.graph.frames is None and steps != 1 for t in layer.terms]
        parts = zip(layer.parts(values, tensors.weights), held, strict=True)
        total = reduce(add, (part * steps if times else part for part, times in parts))
        return total + per_channel(tensors.bias, len(layer.shape)) * steps

    def payload(self, x: torch.Tensor) -> torch.Tensor:
        """Real inputs as integers ``(B, *input_shape)``, recordings ``(B, T, *input_shape)``, in
        float32."""
        low, high = self.settings.payload
        frames, shape = self.graph.frames, self.graph.input_shape
        time = () if frames is None else (frames.steps,)
        scale = torch.tensor(self.settings.input_scale, dtype=torch.float64, device=x.device)
        values = x.double().reshape(-1, *time, *shape) / per_channel(scale, len(shape))
        return values.round().clamp(low, high).float()

    def summed(self, x: torch.Tensor) -> torch.Tensor:
        """`payload`, the frames of recordings added up: ``(B, *input_shape)``."""
        payload = self.payload(x)
        return payload if self.graph.frames is None else payload.sum(1)

    @torch.no_grad()
    def fit_shrink(self) -> None:
        """Picks, per channel, how much of the largest weights to cut off for the least error."""
        units = self.units()
        for number in range(len(self.graph.layers)):
            if self.settings.weight_bits[number] >= 8 or self.graph.layers[number].maximum:
                continue
            shrink = self.shrink(number)
            best = torch.full_like(shrink, torch.inf)
            kept = shrink.clone()
            for share in (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4):
                shrink.fill_(share)
                error = self._rounding_error(number, units)
                better = error < best
                best = torch.where(better, error, best)
                kept = torch.where(better, torch.full_like(kept, share), kept)
            shrink.copy_(kept)

    def _rounding_error(self, number: int, units: list[torch.Tensor]) -> torch.Tensor:
        layer = self.graph.layers[number]
        tensors = self.tensors(number, units)
        error = torch.zeros_like(self.shrink(number))
        for place, term, weight in zip(
            self._places(number), layer.terms, tensors.weights, strict=True
        ):
            wanted = term.by_input(self.weights[place], units[term.source])
            off = (wanted - weight * _per_row(tensors.scale, term, layer)).square()
            error = error + off.reshape(len(error), -1).sum(1)
        return error

    def _places(self, number: int) -> range:
        """Where the weights of a layer's terms stand in `weights`."""
        before = sum(len(layer.terms) for layer in self.graph.layers[:number])
        return range(before, before + len(self.graph.layers[number].terms))

    def _scale(
        self,
        number: int,
        wanted: list[torch.Tensor],
        limits: list[int],
        unit: torch.Tensor | None,
    ) -> torch.Tensor:
        """s of a layer: the largest weight of a channel (of all logits) fills its bits."""
        shrink = self.shrink(number)
        largest = torch.stack(
            [
                w.abs().reshape(len(shrink), -1).amax(1) / limit
                for w, limit in zip(wanted, limits, strict=True)
            ]
        ).amax(0)
        least = torch.full_like(largest, 1e-12) if unit is None else unit / _LARGEST_THRESHOLD
        return torch.maximum(largest * shrink, least)

    @torch.no_grad()
    def quantized(self) -> QuantizedAnn:
        """The integers of this moment."""
        units, layers = self.units(), []
        for number, layer in enumerate(self.graph.layers):
            tensors = self.tensors(number, units)
            worth = units[number + 1] / self.steps if layer.spiking else tensors.scale / self.steps
            layers.append(
                IntegerLayer(
                    name=layer.name,
                    shape=layer.shape,
                    terms=tuple(
                        (term.source, term.synapse(_integers(weight)))
                        for term, weight in zip(layer.terms, tensors.weights, strict=True)
                    ),
                    threshold=None if tensors.threshold is None else _integers(tensors.threshold),
                    bias=_integers(tensors.bias),
                    scale=worth.double().cpu().numpy() if layer.spiking else np.array(float(worth)),
                    maximum=layer.maximum,
                    neuron=_neuron(layer, tensors),
                )
            )
        return QuantizedAnn(
            code=self.settings.code,
            levels=self.settings.levels,
            input_shape=self.graph.input_shape,
            payload_bits=self.settings.payload_bits,
            signed=self.settings.signed,
            input_scale=np.array(self.settings.input_scale),
            frames=None if self.graph.frames is None else self.graph.frames.steps,
            layers=tuple(layers),
        )


def _check_frames(graph: Graph, settings: Settings) -> None:
    frames = graph.frames
    if frames is None:
        return
    if settings.code is Code.EXACT and frames.reduce is Reduce.EACH:
        raise ModelError(
            "the model is applied to each frame, which the exact code cannot follow: it needs one "
            "answer to the sum or the mean of the frames; use the rate code, or train on summed "
            "frames"
        )
    if settings.code is Code.RATE and settings.levels != frames.steps:
        raise ModelError(
            f"timesteps must be {frames.steps} under the rate code, one for each frame of the "
            f"recordings, not {settings.levels}"
        )


def _neuron(layer: Layer, tensors: LayerTensors) -> IF | LIF | None:
    """The neuron that the trained model held already, in integers."""
    if layer.rule is None or tensors.threshold is None:
        return None
    dynamics = replace(layer.rule.dynamics, whole=True)
    integers: dict[str, Any] = {
        "threshold": _integers(tensors.threshold),
        "bias": _integers(tensors.bias),
        "v_init": _integers(dynamics.initial(tensors.threshold)),
        "reset": Reset.ZERO if dynamics.zero else Reset.SUBTRACT,
    }
    if layer.rule.decay is None:
        return IF(**integers)
    return LIF(decay=_integers((layer.rule.decay * DECAY_ONE).round()), **integers)


def _pulled(weight: torch.Tensor, term: Term, layer: Layer, centre: torch.Tensor) -> torch.Tensor:
    """What inputs of the mean `centre` add to a layer's sums away from borders, ``(C,)``."""
    drive = term.by_input(weight, centre).reshape(len(weight), -1).sum(1)
    cells = 1 if term.pool is None else math.prod(term.pool)
    return drive.reshape(layer.shape[0], -1).mean(1) * cells


def _per_row(scale: torch.Tensor, term: Term, layer: Layer) -> torch.Tensor:
    """s of each output channel, shaped to divide the weights of `term`."""
    if len(scale) == 1 or term.kind is Kind.GAIN:
        return scale
    if term.kind is Kind.MATRIX:
        return scale.repeat_interleave(int(np.prod(layer.shape[1:]))).reshape(-1, 1)
    return scale.reshape(-1, 1, 1, 1)


def _like(scale: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return scale if bias.ndim == 1 else scale.reshape(-1, *[1] * (bias.ndim - 1))


def _integers(values: torch.Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy().astype(np.int64)
