"""The integer network: populations of neurons joined by projections of synapses.

For each step t and each population p, in the order in which the populations are listed::

    a  = bias + sum over projections (q -> p) of W_q . s_q[t - delay_q]
    v- = decay(v) + a                   IF: decay(v) = v;  CubaLIF: u = decay(u) + sum, a = u + bias
    s  = 1 if v- >= threshold and start <= t < stop else 0
    v  = v- - threshold * s   (SUBTRACT)      0 where s   (ZERO)      v_reset where s   (TO_VALUE)
    v  = max(v, v_floor)      if a floor is set

A readout never fires: its membrane after the last step is what it says. Everything is an integer.
Every target of this package computes exactly this.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.fixed import quantise
from neurocuda_hw.ground.showing import Brief, html_table, outline
from neurocuda_hw.ground.words import some
from neurocuda_hw.network.neurons import Input, Ints, Neuron, Window, whole
from neurocuda_hw.network.synapses import Synapse

SCHEMA_VERSION = 1
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Population(Brief):
    """Neurons of one kind.

    Parameters
    ----------
    name : str
        Lower case letters, digits and underscores: it names Verilog modules and C++ functions.
    shape : tuple of int
        ``(C, H, W)`` or ``(N,)``; the first axis is the channel.
    neuron : Input, IF, LIF, CubaLIF, Readout, LeakyReadout or CubaReadout
        What each neuron computes. Its parameters are one for all, one per channel, or one each.
    scale : array of float, optional
        Metadata for people: what one spike (payload unit, membrane unit of a Readout) is worth in
        the units of the trained model; one for all or one per channel. Not part of the hash.
    """

    name: str
    shape: tuple[int, ...]
    neuron: Neuron
    scale: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ModelError(
                "population name must be lower case letters, digits and underscores, starting with "
                f"a letter, not {self.name!r}"
            )
        shape = tuple(whole(n, f"population {self.name!r}: shape") for n in self.shape)
        if len(shape) not in (1, 3) or min(shape) < 1:
            raise ModelError(
                f"population {self.name!r}: shape must be (N,) or (C, H, W), not {self.shape!r}"
            )
        object.__setattr__(self, "shape", shape)
        if not isinstance(self.neuron, Neuron):
            raise TypeError(
                f"population {self.name!r}: neuron must be a Neuron, not {self.neuron!r}"
            )
        for field in self.neuron.arrays:
            found = getattr(self.neuron, field).shape
            if found not in ((), shape[:1], shape):
                raise ModelError(
                    f"population {self.name!r}: {field} must have the shape (), {shape[:1]} or "
                    f"{shape}, not {found}"
                )
        if self.scale is not None:
            scale = np.array(self.scale, dtype=np.float64)
            if scale.shape not in ((), shape[:1]) or not np.all(np.isfinite(scale) & (scale > 0)):
                raise ModelError(
                    f"population {self.name!r}: scale must be positive, one or one per channel"
                )
            scale.setflags(write=False)
            object.__setattr__(self, "scale", scale)

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))

    @property
    def chw(self) -> tuple[int, int, int]:
        """The shape as ``(C, H, W)``; a flat population is ``(N, 1, 1)``."""
        return self.shape if len(self.shape) == 3 else (self.shape[0], 1, 1)

    @property
    def spiking(self) -> bool:
        """Whether its neurons fire (neither input nor readout)."""
        return self.neuron.spiking

    @property
    def readout(self) -> bool:
        """Whether its membranes are what the network says."""
        return self.neuron.readout

    @property
    def fed(self) -> bool:
        """Whether it is the input: it computes nothing."""
        return isinstance(self.neuron, Input)

    def spread(self, values: Ints) -> np.ndarray:
        """A parameter (one, one per channel, or one each) shaped to broadcast against `shape`."""
        array = np.asarray(values)
        if array.shape == self.shape[:1] and len(self.shape) == 3:
            return array.reshape(-1, 1, 1)
        return array.reshape(self.shape) if array.size == self.size else array

    def each(self, values: Ints) -> np.ndarray:
        """A parameter of every neuron, ``shape``; read-only."""
        return np.broadcast_to(self.spread(values), self.shape)

    def quantise(self, real: np.ndarray) -> np.ndarray:
        """Real values ``(..., *shape)`` as payloads of this input, by its `scale`.

        Raises
        ------
        DataError
            If `real` holds NaN or infinity.
        """
        assert isinstance(self.neuron, Input)
        scale = np.array(1.0) if self.scale is None else self.scale
        return quantise(real, self.spread(scale), self.neuron.payload)

    def coordinates(self, neuron: int) -> tuple[int, ...]:
        """``(c, y, x)`` of a flat neuron index, or ``(n,)``."""
        return tuple(int(i) for i in np.unravel_index(neuron, self.shape))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Projection(Brief):
    """Synapses from one population to another; `delay` 1 marks a recurrent edge."""

    source: str
    target: str
    synapse: Synapse
    delay: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.synapse, Synapse):
            raise TypeError(f"synapse must be a Synapse, not {self.synapse!r}")
        object.__setattr__(self, "delay", whole(self.delay, "delay"))
        if self.delay not in (0, 1):
            raise ModelError(
                f"projection {self.source} -> {self.target}: delay must be 0 or 1, "
                f"not {self.delay!r}"
            )

    @property
    def label(self) -> str:
        """``source -> target``, for messages."""
        return f"{self.source} -> {self.target}"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Network:
    """A validated integer spiking network: one input, one output, everything between.

    Parameters
    ----------
    populations : tuple of Population
        In topological order: a projection without delay goes from an earlier to a later one.
        Exactly one is an Input and exactly one has no projection to a later one.
    projections : tuple of Projection
        Several may end in one population: their sums add up.
    timesteps : int
        Steps T of one inference.

    Raises
    ------
    ModelError
        If any part is inconsistent; the message names the population or projection.
    """

    name: str = "network"
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    timesteps: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "populations", tuple(self.populations))
        object.__setattr__(self, "projections", tuple(self.projections))
        if not _NAME.fullmatch(self.name):
            raise ModelError(f"network name must be a lower case identifier, not {self.name!r}")
        object.__setattr__(self, "timesteps", whole(self.timesteps, "timesteps"))
        if not 1 <= self.timesteps <= 65535:
            raise ModelError(f"timesteps must be 1 to 65535, not {self.timesteps!r}")
        names = [p.name for p in self.populations]
        doubles = sorted({n for n in names if names.count(n) > 1})
        if doubles:
            raise ModelError(f"population names must be unique, not repeated: {', '.join(doubles)}")
        self._check_projections({name: i for i, name in enumerate(names)})
        self._check_ends()
        for population in self.populations:
            window = population.neuron.window
            if window is not None and window.stop > self.timesteps:
                raise ModelError(
                    f"population {population.name!r}: window must stop by step {self.timesteps}, "
                    f"not {window.stop}"
                )

    def _check_projections(self, index: dict[str, int]) -> None:
        for projection in self.projections:
            for end in (projection.source, projection.target):
                if end not in index:
                    raise ModelError(
                        f"projection {projection.label}: there is no population {end!r}"
                    )
            if projection.delay == 0 and index[projection.source] >= index[projection.target]:
                raise ModelError(
                    f"projection {projection.label}: without delay it must go from an earlier to a "
                    "later population; list them in topological order or give it delay=1"
                )
            source, target = self[projection.source], self[projection.target]
            if target.fed:
                raise ModelError(f"projection {projection.label}: nothing may end in an input")
            if source.readout:
                raise ModelError(f"projection {projection.label}: a readout sends no spikes")
            projection.synapse.check(source.shape, target.shape, projection.label)

    def _check_ends(self) -> None:
        inputs = [p.name for p in self.populations if p.fed]
        if len(inputs) != 1:
            raise ModelError(f"a network must have exactly one input, not {len(inputs)}")
        fed = {p.target for p in self.projections}
        starved = [p.name for p in self.populations if p.name not in fed and p.name not in inputs]
        if starved:
            raise ModelError(f"population {starved[0]!r} must be the target of a projection")
        ends = self._ends()
        if len(ends) != 1 or ends == inputs:
            raise ModelError(f"a network must have exactly one output, not {len(ends)}: {ends}")

    def _ends(self) -> list[str]:
        """Populations that no later one listens to; recurrent edges lead back and do not count."""
        index = {p.name: i for i, p in enumerate(self.populations)}
        feeding = {p.source for p in self.projections if index[p.source] < index[p.target]}
        return [name for name in index if name not in feeding]

    def __getitem__(self, name: str) -> Population:
        for population in self.populations:
            if population.name == name:
                return population
        raise KeyError(name)

    @property
    def outline(self) -> str:
        """Name, steps and populations in one line; of many populations the first and the last."""
        names = [f"{p.name}{p.shape}" for p in self.populations]
        return f"{self.name!r}, T={self.timesteps}: {outline(names)}"

    def __repr__(self) -> str:
        return f"Network({self.outline})"

    def _repr_html_(self) -> str:
        """The populations as a table, for notebooks."""
        heads = ("population", "neuron", "shape", ">neurons", ">weights", ">weight bits", ">steps")
        rows = []
        for population in self.populations:
            synapses = [p.synapse for p in self.incoming(population.name)]
            window = self.window(population.name)
            rows.append(
                (
                    population.name,
                    type(population.neuron).__name__,
                    " \u00d7 ".join(map(str, population.shape)),
                    f"{population.size:,}",
                    f"{sum(s.weight.size for s in synapses):,}" if synapses else "",
                    max((s.weight_bits for s in synapses), default=""),
                    f"{window.start} to {window.stop - 1}",
                )
            )
        title = (
            f"{self.name}: {some(self.timesteps, 'step')} per inference, network {self.hash[:12]}"
        )
        return html_table(title, heads, rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self.hash == other.hash

    def __hash__(self) -> int:
        return int(self.hash[:15], 16)

    @property
    def input(self) -> Population:
        """The input population."""
        return next(p for p in self.populations if p.fed)

    @property
    def input_neuron(self) -> Input:
        """What the input delivers."""
        neuron = self.input.neuron
        assert isinstance(neuron, Input)
        return neuron

    @property
    def output(self) -> Population:
        """The population that ends the network: a Readout, or spiking (its counts are read)."""
        return self[self._ends()[0]]

    @property
    def targets(self) -> tuple[Population, ...]:
        """All populations that compute: every one but the input."""
        return tuple(p for p in self.populations if not p.fed)

    @property
    def neurons(self) -> int:
        """Neurons of all populations that compute: an input's values are none."""
        return sum(p.size for p in self.targets)

    @property
    def weights(self) -> int:
        """Weights of all projections, as they are stored: a kernel's once."""
        return sum(p.synapse.weight.size for p in self.projections)

    def incoming(self, name: str) -> tuple[Projection, ...]:
        """Projections that end in population `name`."""
        return tuple(p for p in self.projections if p.target == name)

    def outgoing(self, name: str) -> tuple[Projection, ...]:
        """Projections that start at population `name`."""
        return tuple(p for p in self.projections if p.source == name)

    def window(self, name: str) -> Window:
        """The steps in which population `name` may send events; all T if it sets no window."""
        return self[name].neuron.window or Window(start=0, stop=self.timesteps)

    @property
    def arrivals(self) -> Window:
        """The steps in which events of the input come; of a CURRENT, which is held, step 0."""
        return Window(start=0, stop=1) if self.input_neuron.held else self.window(self.input.name)

    @cached_property
    def hash(self) -> str:
        """sha256 (hex) of everything that decides a spike; scales and the network's name do not."""
        digest = hashlib.sha256(
            f"neurocuda_hw.network {SCHEMA_VERSION} T={self.timesteps}".encode()
        )
        for part in (*self.populations, *self.projections):
            _feed(digest, part)
        return digest.hexdigest()


def _feed(digest: Any, value: object) -> None:
    """Feeds one value, with its type and name, into a running hash: no two networks read alike."""
    if is_dataclass(value):
        digest.update(f"({type(value).__name__}".encode())
        for field in fields(value):
            if not (isinstance(value, Population) and field.name == "scale"):
                digest.update(f" {field.name}=".encode())
                _feed(digest, getattr(value, field.name))
        digest.update(b")")
    elif isinstance(value, np.ndarray):
        digest.update(f"i8{value.shape}:".encode())
        digest.update(np.ascontiguousarray(value, dtype="<i8").data)
    elif isinstance(value, Enum):
        digest.update(str(value.value).encode())
    else:
        digest.update(repr(value).encode())


def as_network(model: object) -> Network:
    """The integers of `model`: a Network, or anything that holds one as ``network``.

    Raises
    ------
    TypeError
        If it is neither.
    """
    network = model if isinstance(model, Network) else getattr(model, "network", None)
    if not isinstance(network, Network):
        raise TypeError(
            f"a spiking network (from convert, load or from_nir) is needed, not "
            f"{type(model).__name__}"
        )
    return network
