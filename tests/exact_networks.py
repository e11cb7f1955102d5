"""Random networks under the exact code: windows in turn, maxima, populations that do not fit in.

The shape is drawn as other random networks are (`strategies`); then every population gets a window
behind those of its sources.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from strategies import networks

from neurocuda_hw.network import Network, Population
from neurocuda_hw.network.neurons import IF, LIF, Encoding, Input, Reset, Spiking, Window
from neurocuda_hw.network.ranges import population_ranges

LEVELS = (1, 2, 3, 4, 5, 7, 8, 10, 15, 16, 31, 100, 255)


@st.composite
def exact_networks(draw: Any, *, odd: bool = False) -> Network:
    """A network of the exact code; with `odd`, some populations are not burst-coded.

    Those take each step by itself: with many levels there are few layers, or a simulation would
    take minutes.
    """
    levels = draw(st.sampled_from(LEVELS) | st.integers(1, 255))
    network = draw(
        networks(
            encodings=(Encoding.GRADED, Encoding.SPIKES),
            neurons=(IF,),
            resets=(Reset.SUBTRACT,),
            recurrent=odd,
            residual=draw(st.booleans()),  # without: one source each, as a maximum often has
            layers=2 if odd and levels > 16 else 4,
            windows=False,
            floors=False,
            timesteps=1,
        )
    )
    return _Recoded(draw, network, levels, odd).network


class _Recoded:
    def __init__(self, draw: Any, network: Network, levels: int, odd: bool) -> None:
        self.draw, self.before, self.levels, self.odd = draw, network, levels, odd
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="values"))
        self.windows: dict[str, Window] = {}
        self.maxima: set[str] = set()
        populations = tuple(self._population(p) for p in network.populations)
        stop = max(window.stop for window in self.windows.values())
        self.network = replace(
            network,
            populations=populations,
            projections=tuple(
                replace(p, synapse=replace(p.synapse, weight=self._weight(p)))
                for p in network.projections
            ),
            timesteps=stop + draw(st.integers(0, 2)),
        )

    def _weight(self, projection: Any) -> np.ndarray:
        weight = projection.synapse.weight
        if projection.target in self.maxima:
            return np.where(weight > 0, 3, 0)
        return weight

    def _population(self, population: Population) -> Population:
        name, neuron = population.name, population.neuron
        if isinstance(neuron, Input):
            self.windows[name] = Window(start=0, stop=self.draw(st.sampled_from((1, 1, 3))))
            if self.odd and self.draw(st.integers(0, 4)) == 4:
                return replace(population, neuron=Input(encoding=Encoding.CURRENT, payload_bits=2))
            return replace(population, neuron=replace(neuron, window=self.windows[name]))
        if not isinstance(neuron, Spiking):
            return population
        sources = [p.source for p in self.before.incoming(name) if not p.delay]
        windows = {self.windows[source] for source in sources if source in self.windows}
        fired = all(source != self.before.input.name for source in sources)
        if fired and len(windows) == 1 and self.draw(st.integers(0, 2)):
            (self.windows[name],) = windows
            self.maxima.add(name)
            values = {"threshold": self.rng.integers(1, 4), "v_init": 0, "reset": Reset.ZERO}
            return replace(population, neuron=IF(**values, window=self.windows[name]))
        start = max((window.stop for window in windows), default=1) - 1
        start += self.draw(st.sampled_from((0, 0, 0, 2)))
        self.windows[name] = window = Window(start=start, stop=start + self.levels)
        return replace(population, neuron=self._neuron(population, window))

    def _neuron(self, population: Population, window: Window) -> Spiking:
        reach = max(1, population_ranges(self.before, population).membrane.highest)
        shape = self.draw(st.sampled_from(((), population.shape[:1], population.shape)))
        threshold = np.maximum(1, (reach * self.rng.random(shape) ** 2).astype(np.int64))
        initial = self.rng.integers(-1, 2, shape) * threshold // 2
        common: dict[str, Any] = {"threshold": threshold, "v_init": initial, "window": window}
        kind = self.draw(st.integers(0, 9)) if self.odd else 0
        if kind == 9:
            return LIF(**common, decay=self.rng.integers(0, 300))
        if kind == 8:
            common["bias"] = self.rng.integers(1, 4)
        if kind == 7:
            common["v_floor"] = -5
        if kind == 6:
            common |= {"reset": Reset.TO_VALUE, "v_reset": -1}
        return IF(**common)
