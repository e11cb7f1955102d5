"""A NIR graph becomes an integer `Network`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import nir
import numpy as np

from neurocuda_hw.ground.errors import ModelError, UnsupportedLayerError
from neurocuda_hw.linear.steps import image_shape
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, Encoding, Input, Reset
from neurocuda_hw.network.synapses import Dense, Diagonal, Synapse
from neurocuda_hw.nir.cells import Arc, Cell, cells
from neurocuda_hw.nir.dynamics import Method, Timing
from neurocuda_hw.nir.flat import Flat, flatten
from neurocuda_hw.nir.names import Names
from neurocuda_hw.nir.notes import graph_settings, notes_of, restore
from neurocuda_hw.nir.quantise import Quantised, Rules, quantise
from neurocuda_hw.nir.read import read

ALWAYS = "always_on"
_NEVER = 2**16  # one spike in each of the most steps there are does not add up to it
_SUBTRACTING = {
    "snntorch": "snnTorch subtracts the threshold unless reset_mechanism says otherwise",
    "sinabs": "sinabs subtracts the threshold unless reset_fn says otherwise",
    "rockpool": "Rockpool subtracts the threshold",
    "norse": "Norse's neurons reset to v_reset",
    "spikingjelly": "SpikingJelly subtracts the threshold where v_reset is None",
}


def from_nir(
    graph: nir.NIRGraph | str | Path,
    timesteps: int | None = None,
    *,
    dt: float | None = None,
    method: Method | str = Method.EULER,
    integrate_dt: bool = False,
    reset: str = "nir",
    fires_at: bool = False,
    weight_bits: int = 8,
    encoding: Encoding = Encoding.SPIKES,
    payload_bits: int = 1,
    signed: bool = False,
    input_scale: float = 1.0,
    name: str = "network",
) -> Network:
    """An integer network from a NIR graph or file.

    Parameters
    ----------
    graph : nir.NIRGraph, str or Path
    timesteps : int, optional
        Steps T of one inference; only what `to_nir` wrote says so itself.
    dt : float, optional
        Seconds per step; needed where the graph has time constants or delays.
    method : Method or str
        ``"euler"`` or ``"exact"``: see `dynamics`.
    integrate_dt : bool
        IF and I integrate over dt seconds, as SpikingJelly writes them, not over one unit of time.
    reset : str
        ``"nir"``: to `v_reset`, as NIR defines it. ``"subtract"``: the threshold is subtracted, as
        many frameworks mean it without the file saying so; see `reset_hint`.
    fires_at : bool
        Fire at ``v >= threshold``, instead of NIR's ``v > threshold``.
    weight_bits : int
        2 to 32, signed, per output channel.
    encoding, payload_bits, signed, input_scale
        What the input sends: one payload unit is worth `input_scale` in the graph's units.
        A graph that `to_nir` wrote says all of this itself: all but `timesteps` is ignored.

    Raises
    ------
    DataError, ModelError, UnsupportedLayerError
        If the file or graph cannot be used; the message names the node.
    """
    timing = Timing(dt=dt, method=Method(method), integrate_dt=integrate_dt)
    if reset not in ("nir", "subtract"):
        raise ValueError(f"reset must be 'nir' or 'subtract', not {reset!r}")
    if not (np.isfinite(input_scale) and input_scale > 0):
        raise ValueError(f"input_scale must be positive, not {input_scale!r}")
    if isinstance(graph, str | Path):
        graph = read(graph)
    notes = notes_of(graph)
    if notes is not None:
        noted, notes_timing = graph_settings(notes)
        read_back = restore(
            _build(graph, noted, notes_timing, Rules(keep=True), Input(encoding=encoding)),
            graph,
            notes,
        )
        return replace(read_back, timesteps=noted if timesteps is None else timesteps)
    if timesteps is None:
        raise ModelError("a NIR graph does not say its number of steps: give timesteps (--steps)")
    return _build(
        graph,
        timesteps,
        timing,
        Rules(weight_bits=weight_bits, subtract=reset == "subtract", fires_at=fires_at),
        Input(encoding=encoding, payload_bits=payload_bits, signed=signed),
        input_scale,
        name,
    )


def _build(
    graph: nir.NIRGraph,
    timesteps: int,
    timing: Timing,
    rules: Rules,
    source: Input,
    input_scale: float = 1.0,
    name: str = "network",
) -> Network:
    flat = flatten(graph, timing.dt)
    names = _names(flat)
    first = Population(
        name=names.take(flat.input),
        shape=image_shape(flat.shapes[flat.input]),
        neuron=source,
        scale=None if input_scale == 1 else np.array(input_scale),
    )
    with np.errstate(all="ignore"):  # what overflows is beyond 2^47, which is checked
        found = cells(flat, timing)
        return _Builder(flat, first, input_scale, names).network(found, rules, timesteps, name)


def reset_hint(graph: nir.NIRGraph) -> str | None:
    """A sentence on the reset rule, where the metadata of the graph names its framework."""
    texts = [str(v).lower() for v in _texts(graph.metadata)]
    for node in graph.nodes.values():
        texts += [str(v).lower() for v in _texts(node.metadata)]
    for framework, rule in _SUBTRACTING.items():
        if any(framework in text for text in texts):
            return (
                f"this file names {framework}: {rule}; NIR's own rule is a reset to v_reset, so "
                "say which is meant (--reset subtract or --reset nir)"
            )
    return None


def _texts(value: object) -> list[object]:
    if isinstance(value, dict):
        return [part for k, v in value.items() for part in (k, *_texts(v))]
    return [value] if isinstance(value, str | bytes) else []


def population_names(flat: Flat) -> dict[str, str]:
    """The population that each firing node, the input and the output of a graph become."""
    return _names(flat).taken


def _names(flat: Flat) -> Names:
    names = Names()
    firing = (nir.IF, nir.LIF, nir.CubaLIF, nir.Threshold)
    names.take(flat.input)
    for name in flat.neurons:
        if isinstance(flat.nodes[name], firing):
            names.take(name)
    return names


@dataclass(slots=True)
class _Builder:
    """Populations and projections as they come together."""

    flat: Flat
    source: Population
    input_scale: float
    names: Names
    relays: dict[tuple[str, int, bytes], str] = field(default_factory=dict)
    populations: list[Population] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)

    def network(self, found: tuple[Cell, ...], rules: Rules, timesteps: int, name: str) -> Network:
        self.populations.append(self.source)
        for cell in found:
            self._add(cell, quantise(self._input_scaled(cell), rules))
        return Network(
            name=name,
            populations=tuple(self.populations),
            projections=tuple(self.projections),
            timesteps=timesteps,
        )

    def _input_scaled(self, cell: Cell) -> Cell:
        """The cell with inputs in payload units."""
        if self.input_scale == 1:
            return cell
        terms = tuple(
            replace(t, map=replace(t.map, weight=t.map.weight * self.input_scale))
            if t.source == self.flat.input
            else t
            for t in cell.terms
        )
        return replace(cell, terms=terms)

    def _add(self, cell: Cell, quantised: Quantised) -> None:
        name = self.names.take(cell.name)
        arriving: list[Projection] = []
        for term, synapse in quantised.synapses:
            arriving += self._projections(term, synapse, name, cell)
        if np.any(quantised.input_bias):
            arriving.append(self._constant(quantised.input_bias, name))
        scale = None
        if cell.threshold is None:
            assert cell.output_scale is not None
            scale = self._units(cell.output_scale, quantised.scale, cell)
        self.populations.append(
            Population(name=name, shape=cell.shape, neuron=quantised.neuron, scale=scale)
        )
        if not arriving:
            raise ModelError(f"NIR node {cell.name!r} must be fed by a neuron or the input")
        self.projections += arriving

    def _units(self, model: np.ndarray, scale: np.ndarray, cell: Cell) -> np.ndarray | None:
        """What one unit of a readout is worth; None where that is 1, or differs in a channel."""
        rows = np.broadcast_to(model, cell.shape).reshape(cell.shape[0], -1)
        if not ((rows == rows[:, :1]).all() and (rows > 0).all()):
            raise UnsupportedLayerError(
                path=cell.name,
                kind="Scale",
                way_out="a scale behind the readout must be positive and one per channel",
            )
        units = rows[:, 0] / scale
        if (units == 1).all():
            return None
        alike = np.allclose(units, units[0], rtol=1e-12, atol=0)  # each was divided and multiplied
        return np.array(units[0]) if alike else units

    def _projections(
        self, term: Arc, synapse: Synapse, target: str, cell: Cell
    ) -> list[Projection]:
        """The projections of one term: more than one where its neurons' delays differ."""
        source = self.names.take(term.source)
        if np.all(term.delay == term.delay.flat[0]):
            place, delay = self._late(source, int(term.delay.flat[0]), cell)
            return [Projection(source=place, target=target, synapse=synapse, delay=delay)]
        found = []
        for steps in sorted({int(d) for d in np.unique(term.delay)}):
            place, delay = self._late(source, steps, cell)
            chosen = self._relay(
                f"{source}_at{steps}", place, delay, cell, np.where(term.delay == steps, 1, _NEVER)
            )
            found.append(Projection(source=chosen, target=target, synapse=synapse))
        return found

    def _late(self, source: str, steps: int, cell: Cell) -> tuple[str, int]:
        """Where to read `source` so many steps late, and the delay that remains to be given."""
        if steps <= 1:
            return source, steps
        place = source
        for late in range(1, steps):
            place = self._relay(f"{source}_late{late}", place, 1, cell, np.array(1))
        return place, 1

    def _relay(self, name: str, source: str, delay: int, cell: Cell, threshold: np.ndarray) -> str:
        """A population that repeats spikes (where its threshold is 1), made once."""
        key = (source, delay, threshold.tobytes())
        if key in self.relays:
            return self.relays[key]
        name = self.relays[key] = self.names.fresh(name)
        shape = self._shape(source)
        origin = next((p.neuron for p in self.populations if p.name == source), None)
        if isinstance(origin, Input) and origin.encoding is not Encoding.SPIKES:
            raise UnsupportedLayerError(
                path=cell.name,
                kind="Delay",
                way_out="an input that is not binary can be delayed by at most one step",
            )
        neuron = IF(threshold=threshold, reset=Reset.ZERO)
        self.populations.append(Population(name=name, shape=shape, neuron=neuron))
        ones = Diagonal(weight=np.ones(shape[0], dtype=np.int64))
        self.projections.append(Projection(source=source, target=name, synapse=ones, delay=delay))
        return name

    def _shape(self, name: str) -> tuple[int, ...]:
        for population in self.populations:
            if population.name == name:
                return population.shape
        original = next(n for n, taken in self.names.taken.items() if taken == name)
        return image_shape(self.flat.shapes[original])

    def _constant(self, bias: np.ndarray, target: str) -> Projection:
        """A bias that is low-pass filtered like any input: spikes of a neuron that always fires."""
        key = (ALWAYS, 0, b"")
        if key not in self.relays:
            self.relays[key] = self.names.fresh(ALWAYS)
            neuron = IF(threshold=1, bias=1, reset=Reset.ZERO)
            self.populations.append(Population(name=self.relays[key], shape=(1,), neuron=neuron))
            nothing = Dense(weight=np.zeros((1, self.source.size), dtype=np.int64))
            self.projections.append(
                Projection(source=self.source.name, target=self.relays[key], synapse=nothing)
            )
        synapse = Dense(weight=bias.reshape(-1, 1))
        return Projection(source=self.relays[key], target=target, synapse=synapse)
