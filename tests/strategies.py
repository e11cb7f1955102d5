"""Random networks and inputs for hypothesis: the shape is drawn (it shrinks), values are seeded.

>>> @given(networks(neurons=(IF,), recurrent=False), st.data())
... def test(network, data):
...     inputs = data.draw(inputs_for(network, samples=2))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from hypothesis import strategies as st

from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import (
    IF,
    LIF,
    CubaLIF,
    CubaReadout,
    Encoding,
    Input,
    LeakyReadout,
    Readout,
    Reset,
    Spiking,
    Window,
)
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool, Synapse

Draw = Any
Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Features:
    """What `networks` may use; each is a keyword of `networks`.

    Parameters
    ----------
    encodings, neurons, resets, synapses : tuple
        What to choose from; readouts leak as the neurons may.
    pools, overlapping : bool
        Sum pools; of a stride below their kernel.
    strides, paddings, dilations, groups : bool
        What a Conv2d may use.
    residual, parallel : bool
        More than one projection into a population; from the same source, too.
    recurrent : bool
        Projections of delay 1: to itself, backwards, and forwards.
    floors, windows, signed : bool
        ``v_floor``; windows of inputs and neurons; negative payloads.
    per_channel, per_neuron : bool
        Parameters that differ per channel, per neuron.
    exact : bool
        Each population fires in steps of its own, behind those of the one before it.
    negative : bool
        Thresholds of 0 and below (never under SUBTRACT).
    readout : bool, optional
        Whether the last population is a Readout; None: either.
    shapes : tuple of int
        Numbers of axes a population may have: 1 (flat), 3 (channels, height, width).
    layers, timesteps, channels, extent, weight_bits, payload_bits : int
        Largest number of populations behind the input, of steps, channels, height and width; bits.
    """

    encodings: Sequence[Encoding] = tuple(Encoding)
    neurons: Sequence[type[Spiking]] = (IF, LIF, CubaLIF)
    resets: Sequence[Reset] = tuple(Reset)
    synapses: Sequence[type[Synapse]] = (Dense, Conv2d, Diagonal)
    pools: bool = True
    overlapping: bool = True
    strides: bool = True
    paddings: bool = True
    dilations: bool = True
    groups: bool = True
    residual: bool = True
    parallel: bool = False
    recurrent: bool = True
    floors: bool = True
    windows: bool = True
    signed: bool = True
    exact: bool = False
    per_channel: bool = True
    per_neuron: bool = True
    negative: bool = True
    readout: bool | None = None
    shapes: Sequence[int] = (1, 3)
    layers: int = 3
    timesteps: int = 6
    channels: int = 5
    extent: int = 6
    weight_bits: int = 5
    payload_bits: int = 4


def networks(**switches: Any) -> st.SearchStrategy[Network]:
    """Random valid networks; the keywords are the fields of `Features`."""
    unknown = set(switches) - {f.name for f in fields(Features)}
    if unknown:
        raise TypeError(f"switches must be fields of Features, not {sorted(unknown)}")
    return _networks(Features(**switches))


@st.composite
def inputs_for(draw: Draw, network: Network, samples: int = 2) -> np.ndarray:
    """Inputs ``(samples, steps, *shape)`` (CURRENT: without steps): random, or extreme."""
    neuron = network.input.neuron
    low, high = neuron.payload
    shape = network.input.shape
    if neuron.encoding is not Encoding.CURRENT:
        shape = (network.window(network.input.name).steps, *shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="input seed"))
    found = []
    for _ in range(samples):
        style = draw(
            st.sampled_from(("sparse", "dense", "silent", "highest", "lowest", "extremes"))
        )
        values = rng.integers(low, high + 1, shape)
        if style == "sparse":
            values = np.where(rng.random(shape) < 0.2, values, 0)
        elif style == "extremes":
            values = np.where(rng.random(shape) < 0.5, low, high)
        elif style != "dense":
            values = np.full(shape, {"silent": 0, "highest": high, "lowest": low}[style])
        found.append(values)
    return np.stack(found).astype(np.int64)


@st.composite
def _networks(draw: Draw, features: Features) -> Network:
    return _Builder(draw, features).build()


class _Builder:
    """Draws one network, population by population."""

    def __init__(self, draw: Draw, features: Features) -> None:
        self.draw, self.features = draw, features
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="network seed"))
        self.steps = self.own = draw(st.integers(1, features.timesteps))
        if features.exact:
            self.steps *= features.layers
        self.populations: list[Population] = []
        self.projections: list[Projection] = []

    def build(self) -> Network:
        self.populations.append(self._input())
        layers = self.draw(st.integers(1, self.features.layers))
        for number in range(layers):
            self._layer(number, last=number == layers - 1)
        if self.features.recurrent:
            self._recur()
        return Network(
            populations=tuple(self.populations),
            projections=tuple(self.projections),
            timesteps=self.steps,
        )

    def _maybe(self, allowed: bool) -> bool:
        return allowed and self.draw(st.booleans())

    def _size(self, largest: int) -> int:
        return int(self.draw(st.integers(1, largest)))

    def _shape(self) -> Shape:
        f = self.features
        if self.draw(st.sampled_from(tuple(f.shapes))) == 1:
            return (self._size(f.channels * 3),)
        return (self._size(f.channels), self._size(f.extent), self._size(f.extent))

    def _window(self) -> Window | None:
        if self.features.exact:
            before = len(self.populations) - 1  # layers
            return Window(start=max(0, before * self.own), stop=max(1, (before + 1) * self.own))
        if not self._maybe(self.features.windows):
            return None
        start = self.draw(st.integers(0, self.steps - 1))
        return Window(start=start, stop=self.draw(st.integers(start + 1, self.steps)))

    def _input(self) -> Population:
        encoding = self.draw(st.sampled_from(tuple(self.features.encodings)))
        bits, signed = 1, False
        if encoding is not Encoding.SPIKES:
            bits, signed = self._size(self.features.payload_bits), self._maybe(self.features.signed)
        window = None if encoding is Encoding.CURRENT else self._window()
        neuron = Input(encoding=encoding, payload_bits=bits, signed=signed, window=window)
        return Population(name="input", shape=self._shape(), neuron=neuron)

    def _layer(self, number: int, *, last: bool) -> None:
        source = self.populations[-1]
        if not last and self.features.residual:
            source = self.draw(st.sampled_from(self.populations))
        synapse, shape = self._synapse(source)
        name = "out" if last else f"layer{number}"
        readout = last and self.features.readout is not False
        if readout and self.features.readout is None:
            readout = self.draw(st.booleans())
        neuron = self._readout(shape) if readout else self._neuron(shape)
        target = Population(name=name, shape=shape, neuron=neuron)
        self._join(source, target, synapse)
        if self.features.residual:
            for other in self.populations:
                # every population must lead somewhere: the last layer takes what nobody took
                if self._maybe(self.features.parallel or other is not source) or (
                    last and self._unused(other)
                ):
                    self._join(other, target, self._synapse(other, shape)[0])
        self.populations.append(target)

    def _unused(self, population: Population) -> bool:
        return all(p.source != population.name for p in self.projections)

    def _join(
        self, source: Population, target: Population, synapse: Synapse, delay: int = 0
    ) -> None:
        self.projections.append(
            Projection(source=source.name, target=target.name, synapse=synapse, delay=delay)
        )

    def _recur(self) -> None:
        for _ in range(self.draw(st.integers(0, 2))):
            sources = [p for p in self.populations if not isinstance(p.neuron, Readout)]
            source = self.draw(st.sampled_from(sources))
            target = self.draw(st.sampled_from(self.populations[1:]))
            self._join(source, target, self._synapse(source, target.shape)[0], delay=1)

    def _synapse(self, source: Population, target: Shape | None = None) -> tuple[Synapse, Shape]:
        """A synapse from `source`, to a given shape or to one of its own choice."""
        shape, pool = source.shape, None
        if len(shape) == 3 and self._maybe(self.features.pools):
            pool = self._pool(shape)
            shape = pool.output(shape)
        kinds = [kind for kind in self.features.synapses if self._possible(kind, shape, target)]
        kind = self.draw(st.sampled_from(kinds or [Dense]))
        if kind is Diagonal:
            return Diagonal(weight=self._weights(shape[:1]), pool=pool), shape
        if kind is Conv2d:
            if target is not None:
                weight = self._weights((target[0], shape[0], 1, 1))
                return Conv2d(weight=weight, pool=pool), target
            return self._convolution(shape, pool)
        target = self._shape() if target is None else target
        weight = self._weights((int(np.prod(target)), int(np.prod(shape))))
        return Dense(weight=weight, pool=pool), target

    def _possible(self, kind: type[Synapse], shape: Shape, target: Shape | None) -> bool:
        if kind is Dense:
            return target is not None or bool(self.features.shapes)
        if kind is Diagonal:
            return target is None or target == shape
        return len(shape) == 3 and (target is None or target[1:] == shape[1:])

    def _pool(self, shape: Shape) -> SumPool:
        kernel = (self._size(min(3, shape[1])), self._size(min(3, shape[2])))
        if not self._maybe(self.features.overlapping):
            return SumPool(kernel=kernel)
        return SumPool(kernel=kernel, stride=(self._size(3), self._size(3)))

    def _convolution(self, shape: Shape, pool: SumPool | None) -> tuple[Synapse, Shape]:
        f = self.features
        padding = (self.draw(st.integers(0, 2)), self.draw(st.integers(0, 2)))
        padding = padding if f.paddings else (0, 0)
        fits = [min(3, n + 2 * p) for n, p in zip(shape[1:], padding, strict=True)]
        kernel = (self._size(fits[0]), self._size(fits[1]))
        dilation = [1, 1]
        for axis in range(2):
            room = shape[1 + axis] + 2 * padding[axis]
            if 2 * (kernel[axis] - 1) + 1 <= room and self._maybe(f.dilations):
                dilation[axis] = 2
        stride = (self._size(3), self._size(3)) if self._maybe(f.strides) else (1, 1)
        groups = shape[0] if self._maybe(f.groups) else 1
        outs = self._size(f.channels) if groups == 1 else groups * self._size(2)
        synapse = Conv2d(
            weight=self._weights((outs, shape[0] // groups, *kernel)),
            stride=stride,
            padding=padding,
            dilation=(dilation[0], dilation[1]),
            groups=groups,
            pool=pool,
        )
        return synapse, synapse.output(shape)

    def _weights(self, shape: Shape) -> np.ndarray:
        half = 2 ** (self.features.weight_bits - 1)
        return self.rng.integers(-half, half, shape)

    def _values(self, shape: Shape, low: int, high: int) -> np.ndarray:
        """One value, one per channel, or one per neuron, of [low, high)."""
        kinds: list[Shape] = [()]
        kinds += [shape[:1]] if self.features.per_channel else []
        kinds += [shape] if self.features.per_neuron else []
        return self.rng.integers(low, high, self.draw(st.sampled_from(kinds)))

    def _small(self, shape: Shape) -> np.ndarray | int:
        half = 2 ** (self.features.weight_bits - 1)
        return self._values(shape, -half, half) if self.draw(st.booleans()) else 0

    def _decay(self, shape: Shape) -> np.ndarray:
        low, high = self.draw(st.sampled_from([(0, 1), (4096, 4097), (0, 4097), (100, 1000)]))
        return self._values(shape, low, high)

    def _readout(self, shape: Shape) -> Readout:
        kinds: list[type[Readout]] = [Readout]
        kinds += [LeakyReadout] if LIF in self.features.neurons else []
        kinds += [CubaReadout] if CubaLIF in self.features.neurons else []
        kind = self.draw(st.sampled_from(kinds))
        common: dict[str, Any] = {"bias": self._small(shape), "v_init": self._small(shape)}
        if kind is LeakyReadout:
            return LeakyReadout(decay=self._decay(shape), **common)
        if kind is CubaReadout:
            return CubaReadout(du=self._decay(shape), dv=self._decay(shape), **common)
        return Readout(**common)

    def _neuron(self, shape: Shape) -> Spiking:
        f = self.features
        reset = self.draw(st.sampled_from(tuple(f.resets)))
        lowest = 1 if reset is Reset.SUBTRACT or not self._maybe(f.negative) else -4
        common: dict[str, Any] = {
            "threshold": self._values(shape, lowest, 2**f.weight_bits),
            "bias": self._small(shape),
            "v_init": self._small(shape),
            "reset": reset,
            "v_reset": self._small(shape) if reset is Reset.TO_VALUE else 0,
            "v_floor": self.draw(st.integers(-20, 5)) if self._maybe(f.floors) else None,
            "window": self._window(),
        }
        kind = self.draw(st.sampled_from(tuple(f.neurons)))
        if kind is LIF:
            return LIF(decay=self._decay(shape), **common)
        if kind is CubaLIF:
            return CubaLIF(du=self._decay(shape), dv=self._decay(shape), **common)
        return IF(**common)
