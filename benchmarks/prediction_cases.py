"""The networks and folds that predictions are held against; what is held out is not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurocuda_hw.network import (
    IF,
    LIF,
    CubaLIF,
    Input,
    Network,
    Population,
    Projection,
    Readout,
    Window,
)
from neurocuda_hw.network.neurons import Encoding, Reset, Spiking
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool, Synapse
from neurocuda_hw.passes.bursts import NO_BURSTS, find_bursts
from neurocuda_hw.passes.mapping import Ways
from neurocuda_hw.passes.study import Study


class Net:
    """Builds a network population by population, with random weights."""

    def __init__(self, source: Population, timesteps: int, bits: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.populations, self.projections = [source], list[Projection]()
        self.timesteps, self.limit = timesteps, 2 ** (bits - 1) - 1

    def weight(self, *shape: int) -> np.ndarray:
        """Weights that use all their bits."""
        return self.random.integers(-self.limit, self.limit + 1, shape)

    def add(
        self, name: str, shape: tuple[int, ...], neuron: Spiking | Readout, **sources: Synapse
    ) -> Net:
        """A population and what leads to it."""
        self.populations.append(Population(name=name, shape=shape, neuron=neuron))
        for source, synapse in sources.items():
            self.projections.append(Projection(source=source, target=name, synapse=synapse))
        return self

    def done(self) -> Network:
        """The network."""
        return Network(
            name="case",
            populations=tuple(self.populations),
            projections=tuple(self.projections),
            timesteps=self.timesteps,
        )


def image(size: int, bits: int, *, steps: int = 1) -> Population:
    """GRADED pixels in the first steps."""
    neuron = Input(encoding=Encoding.GRADED, payload_bits=bits, window=Window(start=0, stop=steps))
    return Population(name="image", shape=(1, size, size), neuron=neuron)


def events(size: int) -> Population:
    """An event camera's two polarities."""
    return Population(name="image", shape=(2, size, size), neuron=Input(encoding=Encoding.SPIKES))


def dense(
    size: int,
    sizes: tuple[int, ...],
    *,
    bits: int,
    pixels: int,
    kind: type[Spiking],
    steps: int = 8,
) -> Network:
    """A multilayer perceptron: IF in the windows of the exact code, others in all steps."""
    exact = kind is IF
    net = Net(image(size, pixels), steps, bits, seed=1)
    if exact:
        net.timesteps = (len(sizes) - 1) * (steps - 1) + 1
    before, width, start = "image", size * size, 0
    for number, neurons in enumerate(sizes[:-1]):
        worth = bits + (pixels - 1 if number == 0 else 0)
        threshold = net.random.integers(1 << worth, 3 << worth, neurons)
        more: dict[str, object] = {}
        if exact:
            more["window"] = Window(start=start, stop=start + steps)
        elif kind is LIF:
            more["decay"] = 400
        else:
            more |= {"du": 1000, "dv": net.random.integers(100, 900, neurons)}
        neuron = kind(threshold=threshold, v_init=threshold // 2, **more)  # type: ignore[arg-type]
        name = f"hidden{number}"
        net.add(name, (neurons,), neuron, **{before: Dense(weight=net.weight(neurons, width))})
        before, width, start = name, neurons, start + steps - 1
    out = Readout(v_init=net.random.integers(-50, 50, sizes[-1]))
    net.add("out", (sizes[-1],), out, **{before: Dense(weight=net.weight(sizes[-1], width))})
    return net.done()


def conv(
    source: Population,
    *,
    bits: int,
    skip: bool = False,
    channels: int = 8,
    steps: int = 8,
    kind: type[Spiking] = IF,
    exact: bool = False,
    maximum: bool = False,
) -> Network:
    """Two or four convolutions, one behind a sum pool, with or without a skip connection.

    With `maximum` the largest of four follows the first one.
    """
    net = Net(source, steps, bits, seed=2)
    size, inputs = source.shape[1], source.shape[0]
    assert isinstance(source.neuron, Input)
    pixels = source.neuron.payload_bits

    def neuron(count: int) -> Spiking:
        worth = bits + (pixels - 1 if len(net.populations) == 1 else 0)
        threshold = net.random.integers(1 << worth, 3 << worth, count)
        more: dict[str, object] = {"decay": 400} if kind is LIF else {}
        if exact:  # windows in turn
            start = (len(net.populations) - 1) * (steps - 1)
            more["window"] = Window(start=start, stop=start + steps)
            net.timesteps = start + steps
        return kind(threshold=threshold, v_init=threshold // 2, **more)  # type: ignore[arg-type]

    def kernel(outputs: int, given: int, stride: int = 1, pool: int = 1) -> Conv2d:
        return Conv2d(
            weight=net.weight(outputs, given, 3, 3),
            padding=(1, 1),
            stride=(stride, stride),
            pool=SumPool(kernel=(pool, pool)) if pool > 1 else None,
        )

    net.add("first", (channels, size, size), neuron(channels), image=kernel(channels, inputs))
    last = "first"
    if maximum:
        size //= 2
        largest = IF(threshold=1, reset=Reset.ZERO, window=net.populations[-1].neuron.window)
        ones = np.ones((channels, 1, 2, 2), dtype=np.int64)
        pooling = Conv2d(weight=ones, stride=(2, 2), groups=channels)
        last = "largest"
        net.add(last, (channels, size, size), largest, first=pooling)
    if skip:
        inner = {last: kernel(channels, channels)}
        net.add("inner", (channels, size, size), neuron(channels), **inner)
        merged: dict[str, Synapse] = {
            "inner": kernel(channels, channels),
            last: Diagonal(weight=net.random.integers(9, 2 << bits, channels)),
        }
        net.add("merged", (channels, size, size), neuron(channels), **merged)
        last = "merged"
    small = (size // 2 - 1) // 2 + 1
    net.add(
        "second",
        (2 * channels, small, small),
        neuron(2 * channels),
        **{last: kernel(2 * channels, channels, stride=2, pool=2)},
    )
    fan_in = 2 * channels * small * small
    return net.add("out", (10,), Readout(), second=Dense(weight=net.weight(10, fan_in))).done()


def _lanes(default: int, **others: int) -> Callable[[Network], dict[str, int]]:
    return lambda network: {p.name: others.get(p.name, default) for p in network.targets}


def _mnist() -> Network:
    return dense(28, (128, 10), bits=4, pixels=1, kind=IF)


@dataclass(frozen=True, slots=True)
class Case:
    """A network and its fold; `density` of the random inputs.

    It sends `bursts` or spikes; lanes multiply in LUTs if `soft`; and the costs are not fitted to
    it if it is `held` out.
    """

    make: Callable[[], Network]
    lanes: Callable[[Network], dict[str, int]]
    density: float = 0.15
    bursts: bool = False
    soft: bool = False
    held: bool = False

    def study(self) -> Study:
        """What is predicted and built."""
        network = self.make()
        ways = {p.name: Ways(soft=True) for p in network.targets} if self.soft else None
        bursts = find_bursts(network) if self.bursts else NO_BURSTS
        return Study(network, lanes=self.lanes(network), bursts=bursts, ways=ways)


def _bursts(
    make: Callable[[], Network],
    lanes: Callable[[Network], dict[str, int]],
    *,
    soft: bool = False,
    held: bool = False,
) -> Case:
    return Case(make, lanes, bursts=True, soft=soft, held=held)


def _exact(size: int, pixels: int, **more: Any) -> Callable[[], Network]:
    return lambda: conv(image(size, pixels), exact=True, **more)


def _mlp(size: int, *sizes: int, **more: Any) -> Callable[[], Network]:
    return lambda: dense(size, sizes, kind=IF, **more)


CASES: Mapping[str, Case] = {
    "mlp4": Case(_mnist, _lanes(4)),
    "mlp8": Case(_mnist, _lanes(8, out=2)),
    "mlp32": Case(_mnist, _lanes(32, out=4)),
    "mlp64": Case(_mnist, _lanes(64, out=10)),
    "deep8": Case(lambda: dense(14, (64, 32, 10), bits=8, pixels=8, kind=IF), _lanes(8, out=2)),
    "deep16": Case(lambda: dense(16, (96, 64, 10), bits=5, pixels=1, kind=IF), _lanes(16, out=4)),
    "lif8": Case(lambda: dense(14, (64, 10), bits=8, pixels=4, kind=LIF), _lanes(8, out=2)),
    "cuba4": Case(lambda: dense(14, (32, 10), bits=6, pixels=1, kind=CubaLIF), _lanes(4, out=1)),
    "conv4": Case(lambda: conv(image(14, 8), bits=8), _lanes(4, out=1)),
    "conv8": Case(lambda: conv(image(16, 4), bits=6), _lanes(8, second=16, out=2)),
    "events2": Case(lambda: conv(events(16), bits=5), _lanes(2, out=2), 0.04),
    "events8": Case(lambda: conv(events(20), bits=8), _lanes(8, out=2), 0.04),
    "skip4": Case(lambda: conv(image(14, 2), bits=4, skip=True), _lanes(4, out=2)),
    "skip8": Case(lambda: conv(events(12), bits=6, skip=True), _lanes(8, out=4), 0.06),
    "leak8": Case(lambda: conv(events(12), bits=6, kind=LIF), _lanes(8, out=2), 0.06),
    "burst_mlp8": _bursts(_mnist, _lanes(8, out=2)),
    "burst_mlp32": _bursts(_mnist, _lanes(32, out=4)),
    "burst_deep8": _bursts(_mlp(14, 64, 32, 10, bits=8, pixels=8), _lanes(8, out=2)),
    "burst_deep16": _bursts(_mlp(16, 96, 64, 10, bits=5, pixels=1, steps=15), _lanes(16, out=4)),
    "burst_conv4": _bursts(_exact(14, 8, bits=8), _lanes(4, out=1)),
    "burst_conv8": _bursts(_exact(16, 4, bits=6, steps=16), _lanes(8, second=16, out=2)),
    "burst_skip4": _bursts(_exact(14, 2, bits=4, skip=True, steps=4), _lanes(4, out=2)),
    "burst_skip8": _bursts(_exact(12, 8, bits=8, skip=True), _lanes(8, second=16, out=2)),
    "burst_skip32": _bursts(_exact(12, 8, bits=8, skip=True), _lanes(32, out=1)),
    "burst_wide16": _bursts(_exact(16, 8, bits=8, channels=16, steps=10), _lanes(16, out=1)),
    "burst_pool4": _bursts(_exact(12, 8, bits=8, channels=4, maximum=True), _lanes(4, out=1)),
    "burst_pool8": _bursts(_exact(12, 4, bits=5, maximum=True, steps=4), _lanes(8, out=2)),
    "soft_conv4": _bursts(_exact(10, 4, bits=6, steps=16), _lanes(4, out=2), soft=True),
    "soft_deep8": _bursts(_mlp(12, 48, 32, 10, bits=8, pixels=8), _lanes(8, out=2), soft=True),
    "held_mlp16": _bursts(
        _mlp(20, 64, 10, bits=6, pixels=2, steps=5), _lanes(16, out=10), held=True
    ),
    "held_deep4": _bursts(
        _mlp(12, 48, 48, 24, 10, bits=7, pixels=4, steps=9), _lanes(4, out=1), held=True
    ),
    "held_deep8": _bursts(
        _mlp(10, 64, 32, 10, bits=8, pixels=8, steps=16), _lanes(8, hidden1=2, out=2), held=True
    ),
    "held_conv2": _bursts(_exact(12, 8, bits=8, steps=31), _lanes(2, out=1), held=True),
    "held_conv16": _bursts(
        _exact(12, 2, bits=5, channels=4), _lanes(16, second=8, out=1), held=True
    ),
    "held_wide8": _bursts(
        _exact(8, 4, bits=7, channels=16, steps=12), _lanes(8, second=4, out=2), held=True
    ),
    "held_pool2": _bursts(_exact(12, 6, bits=6, channels=4, maximum=True), _lanes(2), held=True),
    "held_pool16": _bursts(
        _exact(12, 8, bits=8, channels=4, maximum=True, steps=10),
        _lanes(4, first=16, out=1),
        held=True,
    ),
    "held_skip2": _bursts(
        _exact(8, 4, bits=6, channels=4, skip=True, steps=16), _lanes(2, out=1), held=True
    ),
    "held_skip4": _bursts(
        _exact(10, 8, bits=8, skip=True, steps=6), _lanes(4, second=8, out=1), held=True
    ),
    "held_pool_skip4": _bursts(
        _exact(12, 8, bits=8, channels=4, maximum=True, skip=True), _lanes(4, out=2), held=True
    ),
    "held_soft_skip4": _bursts(
        _exact(8, 8, bits=8, channels=4, skip=True), _lanes(4, out=2), soft=True, held=True
    ),
}
