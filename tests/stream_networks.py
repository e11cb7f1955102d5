"""Random networks of maps whose populations send line by line: skips, strides, maxima, blocks."""

from __future__ import annotations

import numpy as np
from small import wired

from neurocuda_hw.network import Network, Window
from neurocuda_hw.network.neurons import IF, Encoding, Input, Neuron, Readout, Reset
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool, Synapse

Shape = tuple[int, ...]


def stream_network(seed: int) -> Network:
    """A network of the exact code: an input of one step, then maps, then a readout or spikes."""
    return _Drawn(np.random.default_rng(seed)).network()


def stream_inputs(network: Network, seed: int, samples: int = 3) -> np.ndarray:
    """Inputs of which one is all silent and one all active."""
    rng = np.random.default_rng(seed)
    shape = (samples, 1, *network.input.shape)
    inputs = rng.integers(0, 4, shape) * (rng.random(shape) < rng.choice([0.2, 0.6, 1.0]))
    inputs[0] = 0
    inputs[-1] = 3
    return inputs


def residual() -> Network:
    """Two convolutions with a skip connection around the second and third population; all fire."""

    def ones(*shape: int) -> np.ndarray:
        return np.ones(shape, dtype=np.int64)

    def cell(start: int) -> IF:
        return IF(threshold=1, window=Window(start=start, stop=start + 3))

    image = Input(encoding=Encoding.GRADED, payload_bits=2, window=Window(start=0, stop=1))
    convolution = Conv2d(weight=ones(4, 4, 3, 3), padding=(1, 1))
    return wired(
        8,
        {
            "x": ((1, 7, 3), image),
            "p": ((4, 7, 3), cell(0)),
            "a": ((4, 7, 3), cell(2)),
            "m": ((4, 7, 3), cell(4)),
            "o": ((2,), Readout()),
        },
        ("x", "p", Conv2d(weight=ones(4, 1, 3, 3), padding=(1, 1))),
        ("p", "a", convolution),
        ("a", "m", convolution),
        ("p", "m", Diagonal(weight=ones(4))),
        ("m", "o", Dense(weight=ones(2, 84))),
    )


class _Drawn:
    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.levels = int(rng.choice([1, 2, 3, 4, 7, 8, 16, rng.integers(1, 256)]))
        self.shapes: dict[str, Shape] = {}
        self.windows: dict[str, Window] = {}
        self.cells: dict[str, tuple[Shape, Neuron]] = {}
        self.links: list[tuple[str, str, Synapse]] = []

    def network(self) -> Network:
        rng = self.rng
        self._add("x", tuple(rng.integers([1, 2, 2], [3, 8, 6])), Window(start=0, stop=1))
        neuron = Input(encoding=Encoding.GRADED, payload_bits=2, window=self.windows["x"])
        self.cells["x"] = (self.shapes["x"], neuron)
        for number in range(int(rng.integers(2, 5))):
            self._layer(f"p{number}")
        last = list(self.shapes)[-1]
        stop = max(window.stop for window in self.windows.values())
        if rng.random() < 0.25:  # spikes are the output
            self._layer("o")
            stop = self.windows["o"].stop
        else:
            self._readout(last)
        return wired(stop + int(rng.integers(0, 2)), self.cells, *self.links)

    def _add(self, name: str, shape: Shape, window: Window) -> None:
        self.shapes[name] = tuple(int(n) for n in shape)
        self.windows[name] = window

    def _layer(self, name: str) -> None:
        rng, source = self.rng, list(self.shapes)[-1]
        if rng.random() < 0.2 and source != "x":
            self._maximum(name, source)
            return
        synapse = self._convolution(self.shapes[source])
        shape = synapse.output(self.shapes[source])
        earlier = list(self.shapes)[1:-1]
        self._link(source, name, synapse)
        sources = [source]
        for other in earlier:
            skip = self._skip(self.shapes[other], shape)
            if skip is not None and rng.random() < 0.6:
                self._link(other, name, skip)
                sources.append(other)
        start = max(self.windows[s].stop for s in sources) - 1
        self._add(name, shape, Window(start=start, stop=start + self.levels))
        of = [(), shape[:1], shape]
        of = of[int(rng.integers(3))]
        threshold = rng.integers(1, rng.choice([4, 12, 40]), of)
        initial = rng.integers(-1, 3, of) * threshold // 2
        cell = IF(threshold=threshold, v_init=initial, window=self.windows[name])
        self.cells[name] = (shape, cell)

    def _maximum(self, name: str, source: str) -> None:
        rng, (channels, height, width) = self.rng, self.shapes[source]
        kernel = int(rng.integers(1, 1 + min(3, height, width)))
        synapse = Conv2d(
            weight=np.full((channels, 1, kernel, kernel), 2),
            stride=(kernel,) * 2 if rng.random() < 0.6 else (1, 1),
            padding=(int(rng.integers(0, kernel)),) * 2,
            groups=channels,
        )
        self._link(source, name, synapse)
        shape = synapse.output(self.shapes[source])
        self._add(name, shape, self.windows[source])
        cell = IF(threshold=2, reset=Reset.ZERO, window=self.windows[source])
        self.cells[name] = (shape, cell)

    def _convolution(self, shape: Shape) -> Conv2d:
        rng, (channels, height, width) = self.rng, shape
        kernel = tuple(int(rng.integers(1, 1 + min(4, n))) for n in (height, width))
        dilation = tuple(
            2 if rng.random() < 0.2 and 2 * (k - 1) < n else 1
            for k, n in zip(kernel, (height, width), strict=True)
        )
        padding = [int(rng.integers(0, k)) for k in kernel]
        if rng.random() < 0.6:  # maps of the same size, for skips
            padding = [d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True)]
        groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
        outputs = groups * int(rng.integers(1, 3))
        weight = rng.integers(-3, 6, (outputs, channels // groups, *kernel))
        return Conv2d(
            weight=weight * (rng.random(weight.shape) < 0.8),
            stride=(2, 2) if rng.random() < 0.3 else (1, 1),
            padding=(padding[0], padding[1]),
            dilation=dilation,
            groups=groups,
        )

    def _skip(self, source: Shape, target: Shape) -> Synapse | None:
        rng = self.rng
        if source[1:] == target[1:]:
            if source[0] == target[0]:
                return Diagonal(weight=rng.integers(-3, 6, source[0]))
            stride = 1
        elif all(-(-s // 2) == t for s, t in zip(source[1:], target[1:], strict=True)):
            stride = 2
        else:
            return None
        weight = rng.integers(-3, 6, (target[0], source[0], 1, 1))
        return Conv2d(weight=weight, stride=(stride, stride))

    def _readout(self, source: str) -> None:
        rng, shape = self.rng, self.shapes[source]
        if rng.random() < 0.2:
            synapse: Synapse = self._convolution(shape)
            out = synapse.output(shape)
        else:
            pool = min(shape[1:]) if rng.random() < 0.4 else 1
            pooled = (shape[0], (shape[1] - pool) // pool + 1, (shape[2] - pool) // pool + 1)
            out = (int(rng.integers(1, 5)),)
            synapse = Dense(
                weight=rng.integers(-4, 5, (out[0], int(np.prod(pooled)))),
                pool=SumPool(kernel=(pool, pool)) if pool > 1 else None,
            )
        self._link(source, "o", synapse)
        self.cells["o"] = (out, Readout(bias=rng.integers(-3, 4)))

    def _link(self, source: str, target: str, synapse: Synapse) -> None:
        self.links.append((source, target, synapse))
