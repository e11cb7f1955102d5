"""The L-level quantised ANN in plain integers, and the spiking network that computes it.

    N_p = clip(floor((sum over q of W_q N_q + b + theta // 2) / theta), 0, L)

`QuantizedAnn` evaluates this layer by layer, without time. `to_network` builds the network whose
spike counts are these N (code EXACT), or approach them (code RATE).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import torch
import torch.nn.functional as F

from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.ground.fixed import fits_float64
from neurocuda_hw.ground.showing import Brief
from neurocuda_hw.linear.steps import Shape
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, LIF, Encoding, Input, Readout, Reset, Window
from neurocuda_hw.network.ranges import network_ranges
from neurocuda_hw.network.synapses import Conv2d, Synapse
from neurocuda_hw.reference.delivery import exact_arithmetic, exact_type
from neurocuda_hw.reference.snn import quantised_inputs


class Code(Enum):
    """How spikes carry an activation: EXACT, layer after layer; RATE, all layers at once."""

    EXACT = "exact"
    RATE = "rate"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class IntegerLayer(Brief):
    """One layer in integers.

    Parameters
    ----------
    name : str
    shape : tuple of int
    terms : tuple of (int, Synapse)
        Source number (0 is the input) and integer weights.
    threshold : int array (C,), or None for the logits
    bias : int array (C,) or of the whole shape
    scale : float array, () or (C,)
        What one spike, or one unit of a logit, is worth in the trained model.
    maximum : bool
        Fires when any neuron of a window of its only term does; the largest count of the window.
    neuron : IF or LIF, optional
        Where the trained model held neurons itself: the whole neuron.
    """

    name: str
    shape: Shape
    terms: tuple[tuple[int, Synapse], ...]
    threshold: np.ndarray | None
    bias: np.ndarray
    scale: np.ndarray
    maximum: bool = False
    neuron: IF | LIF | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class QuantizedAnn(Brief):
    """The quantised ANN that a network was built from.

    Parameters
    ----------
    code : Code
    levels : int
        L under EXACT, the steps T under RATE.
    input_shape : tuple of int
    payload_bits, signed
        Of the integer that stands for one input value.
    input_scale : float array, () or (C,)
        What one unit of it is worth.
    frames : int, optional
        Inputs are recordings of so many frames, one per step; None: one value per neuron.
    layers : tuple of IntegerLayer
    """

    code: Code
    levels: int
    input_shape: Shape
    payload_bits: int
    signed: bool
    input_scale: np.ndarray
    layers: tuple[IntegerLayer, ...]
    frames: int | None = None

    @property
    def payload(self) -> tuple[int, int]:
        """Lowest and highest integer of an input value."""
        return self.input_neuron().payload

    @property
    def timeless(self) -> bool:
        """Whether it is a quantised ANN; trained neurons have no answer without time."""
        return all(layer.neuron is None for layer in self.layers)

    def input_neuron(self, window: Window | None = None) -> Input:
        """The neuron of the network's input population."""
        if self.frames is not None and self.payload_bits == 1 and not self.signed:
            encoding = Encoding.SPIKES
        elif self.frames is not None or self.code is Code.EXACT:
            encoding = Encoding.GRADED
        else:
            encoding = Encoding.CURRENT
        return Input(
            encoding=encoding,
            payload_bits=self.payload_bits,
            signed=self.signed,
            window=window,
        )

    def quantise(self, x: np.ndarray | torch.Tensor) -> np.ndarray:
        """Real inputs ``(B, ...)`` as the integers that the network takes, ``(B, *input_shape)``.

        Recordings ``(B, frames, ...)`` stay such.

        Raises
        ------
        DataError
            If `x` has the wrong number of values per sample, or holds NaN or infinity.
        """
        shape = self.input_shape if self.frames is None else (self.frames, *self.input_shape)
        scale = self.input_scale.reshape(-1, *[1] * (len(self.input_shape) - 1))
        return quantised_inputs(x, shape, scale, self.payload)

    @torch.no_grad()
    def counts(self, payload: np.ndarray | torch.Tensor) -> list[torch.Tensor]:
        """Integers of every layer for inputs from `quantise`: counts N, logits last; int64, on the
        device of `payload`.

        Sums are exact: far below 2^53, in float64 (checked).

        Raises
        ------
        ModelError
            If the trained model held spiking neurons: there is no quantised ANN.
        """
        if not self.timeless:
            raise ModelError("a model of spiking neurons is no quantised ANN: it has no counts")
        x = torch.as_tensor(payload).double()
        with exact_arithmetic(x.device):
            return self._counts(x)

    def _counts(self, payload: torch.Tensor) -> list[torch.Tensor]:
        steps = self.levels if self.code is Code.RATE else 1
        values = [payload]
        held = steps
        if self.frames is not None:
            values, held = [values[0].sum(1)], 1
        for layer in self.layers:
            total = torch.zeros((), dtype=torch.float64, device=payload.device)
            for source, synapse in layer.terms:
                if layer.maximum:
                    values.append(_largest(synapse, values[source]).reshape(-1, *layer.shape))
                    break
                part = _deliver(synapse, values[source]).reshape(-1, *layer.shape)
                total = total + (part * held if source == 0 else part)
            if layer.maximum:
                continue
            total = total + torch.from_numpy(_spread(layer.bias, layer.shape)).to(total) * steps
            if not fits_float64(float(total.abs().max())):
                raise DataError(f"layer {layer.name!r}: sums are too large to be exact")
            if layer.threshold is not None:
                threshold = torch.from_numpy(_spread(layer.threshold, layer.shape)).to(total)
                total = (total + threshold // 2).div(threshold, rounding_mode="floor")
                total = total.clamp(0, self.levels)
            values.append(total)
        return [value.to(torch.int64) for value in values[1:]]

    def logits(self, payload: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Integers of the last layer, ``(B, N)``."""
        return self.counts(payload)[-1].flatten(1)


def silence(ann: QuantizedAnn) -> QuantizedAnn:
    """Clears the channels that no input can make fire: they need no wide threshold.

    Their weights and biases become 0 and their thresholds 1, so they still never fire.
    """
    rate = ann.code is Code.RATE
    steps = ann.levels if rate else 1
    arriving = ann.frames if ann.frames is not None and not rate else 1
    layers = []
    for layer in ann.layers:
        if layer.threshold is None or layer.maximum or layer.neuron is not None:
            layers.append(layer)
            continue
        channels = layer.shape[0]
        most = layer.bias.reshape(channels, -1).max(axis=1)
        for source, synapse in layer.terms:
            low, high = (0, 1 if rate else ann.levels)
            if source == 0:
                low, high = (arriving * bound for bound in ann.payload)
            drive = np.maximum(synapse.weight * high, synapse.weight * low)
            cells = 1 if synapse.pool is None else synapse.pool.cells
            most = most + cells * drive.reshape(channels, -1, _fan_in(synapse)).sum(2).max(1)
        dead = layer.threshold // 2 + steps * most < layer.threshold
        layers.append(_cleared(layer, dead) if dead.any() else layer)
    return replace(ann, layers=tuple(layers))


def _fan_in(synapse: Synapse) -> int:
    """Weights that end in one neuron."""
    return 1 if synapse.weight.ndim == 1 else int(np.prod(synapse.weight.shape[1:]))


def _cleared(layer: IntegerLayer, dead: np.ndarray) -> IntegerLayer:
    """`layer` with the channels `dead` cleared."""
    terms = []
    for source, synapse in layer.terms:
        rows = np.repeat(dead, len(synapse.weight) // len(dead))
        weight = synapse.weight.copy()
        weight[rows] = 0
        terms.append((source, replace(synapse, weight=weight)))
    bias = layer.bias.copy()
    bias[dead] = 0
    assert layer.threshold is not None
    threshold = np.where(dead, 1, layer.threshold)
    return replace(layer, terms=tuple(terms), bias=bias, threshold=threshold)


def to_network(ann: QuantizedAnn, name: str = "network") -> Network:
    """The spiking network that computes `ann`.

    EXACT: each layer fires in its own window of L steps, from the last step of its sources on, and
    every spike count and logit equals the ANN's. RATE: all layers fire in all T steps.

    A maximum is an IF neuron of threshold 1 that forgets: it fires in the steps in which any of its
    sources fires. Under EXACT a neuron with N spikes fires in the first N steps of its window,
    since all its input is in by then; so the steps in which any of them fires are as many as the
    largest N. Under RATE spikes of a window in different steps add up.
    """
    exact = ann.code is Code.EXACT
    windows = [Window(start=0, stop=ann.frames or 1)]
    names = ["input", *(layer.name for layer in ann.layers)]
    populations = [
        Population(
            name="input",
            shape=ann.input_shape,
            neuron=ann.input_neuron(windows[0] if exact else None),
            scale=ann.input_scale,
        )
    ]
    projections = []
    for layer in ann.layers:
        start = max(windows[source].stop for source, _ in layer.terms) - 1
        if layer.maximum:
            start = windows[layer.terms[0][0]].start
        windows.append(Window(start=start, stop=start + ann.levels))
        neuron: IF | LIF | Readout
        if layer.neuron is not None:
            neuron = layer.neuron
        elif layer.maximum:
            neuron = IF(threshold=1, reset=Reset.ZERO, window=windows[-1] if exact else None)
        elif layer.threshold is None:
            neuron = Readout(v_init=layer.bias) if exact else Readout(bias=layer.bias)
        else:
            half = layer.threshold // 2
            if exact:
                half = half.reshape(-1, *[1] * (layer.bias.ndim - 1))
            neuron = IF(
                threshold=layer.threshold,
                bias=0 if exact else layer.bias,
                v_init=half + layer.bias if exact else half,
                window=windows[-1] if exact else None,
            )
        populations.append(
            Population(name=layer.name, shape=layer.shape, neuron=neuron, scale=layer.scale)
        )
        projections += [
            Projection(source=names[source], target=layer.name, synapse=synapse)
            for source, synapse in layer.terms
        ]
    last = ann.layers[-1]
    steps = windows[-1].start + 1 if last.threshold is None else windows[-1].stop
    network = Network(
        name=name,
        populations=tuple(populations),
        projections=tuple(projections),
        timesteps=steps if exact else ann.levels,
    )
    network_ranges(network)  # proves that every membrane has a width
    return network


def _spread(values: np.ndarray, shape: Shape) -> np.ndarray:
    """Per-channel values, shaped to broadcast against `shape`, as float64."""
    wide = values if values.shape == shape else values.reshape(-1, *[1] * (len(shape) - 1))
    return wide.astype(np.float64)


def _largest(synapse: Synapse, x: torch.Tensor) -> torch.Tensor:
    """The largest value of each window of a maximum's synapse."""
    if isinstance(synapse, Conv2d):
        kernel = synapse.weight.shape[2:]
        return F.max_pool2d(x, kernel, synapse.stride, synapse.padding, synapse.dilation)
    assert synapse.pool is not None
    return F.max_pool2d(x, synapse.pool.kernel, synapse.pool.stride)


def _deliver(synapse: Synapse, x: torch.Tensor) -> torch.Tensor:
    """Sums of integers `x` (float64); in float32 where their magnitudes rule rounding out."""
    cells = 1 if synapse.pool is None else synapse.pool.cells
    most = cells * np.abs(synapse.weight).reshape(len(synapse.weight), -1).sum(1).max()
    kind = exact_type(int(most) * int(x.abs().max()), x.device)
    weight = torch.from_numpy(np.array(synapse.weight)).to(device=x.device, dtype=kind)
    return synapse.deliver(x.to(kind), weight).double()
