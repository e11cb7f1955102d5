"""What this package writes beside a graph that NIR itself cannot say, as metadata.

Everything is under the key ``neurocuda_hw``. Of the graph: ``version``, ``timesteps``, ``dt``
(seconds per step that its time constants and delays are in), ``integrate_dt`` (1: ``r`` is 1 /
dt), ``export``, ``name``, ``hash`` of the network, ``populations`` (names in order) and
``projections`` (lines "source target delay kind").
Of the Input node: ``encoding``, ``payload_bits``, ``signed``, ``window``, ``scale``. Of the node
that fires (or of the readout): ``kind`` and each parameter of the integer neuron by its name:
``threshold`` (fires at v >= threshold), ``bias``, ``v_init``, ``reset``, ``v_reset``, ``v_floor``,
``window`` (start, stop), ``decay`` or ``du`` and ``dv`` in 4096ths; those left out are not set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from typing import Any

import nir
import numpy as np

from neurocuda_hw.ground.errors import ModelError, NeurocudaError
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import KINDS, Encoding, Neuron, Reset, Window
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal
from neurocuda_hw.nir.dynamics import Timing

KEY = "neurocuda_hw"
VERSION = 1
_KINDS: dict[str, type[Neuron]] = {k.__name__: k for k in KINDS}
_READ: dict[str, Callable[[Any], Any]] = {
    "window": lambda ends: Window(start=int(ends[0]), stop=int(ends[1])),
    "reset": Reset,
    "encoding": Encoding,
    "v_floor": int,
    "payload_bits": int,
    "signed": bool,
}
_ALTERED = "the notes of neurocuda_hw in this NIR graph do not fit its nodes"
WAY_OUT = "export it again, or remove its metadata to read it as any other graph"


def graph_notes(network: Network, export: str, timing: Timing) -> dict[str, Any]:
    """The notes of a whole graph."""
    lines = [f"{p.source} {p.target} {p.delay} {_kind(p)}" for p in network.projections]
    return {
        KEY: {
            "version": VERSION,
            "timesteps": network.timesteps,
            "dt": timing.dt,
            "integrate_dt": int(timing.integrate_dt),
            "export": export,
            "name": network.name,
            "hash": network.hash,
            "populations": "\n".join(p.name for p in network.populations),
            "projections": "\n".join(lines),
        }
    }


def _kind(projection: Projection) -> str:
    return type(projection.synapse).__name__


def node_notes(population: Population) -> dict[str, Any]:
    """The notes of one population."""
    notes: dict[str, Any] = {"kind": type(population.neuron).__name__}
    for field in fields(population.neuron):
        value = getattr(population.neuron, field.name)
        if isinstance(value, Window):
            notes[field.name] = np.array([value.start, value.stop])
        elif isinstance(value, Enum):
            notes[field.name] = value.value
        elif isinstance(value, bool):
            notes[field.name] = int(value)
        elif value is not None:
            notes[field.name] = _stored(value)
    if population.scale is not None:
        notes["scale"] = _stored(population.scale)
    return {KEY: notes}


def _stored(value: Any) -> Any:
    """A value as HDF5 takes it: compressed arrays must have an axis."""
    if isinstance(value, np.ndarray):
        return np.array(value) if value.ndim else value.item()
    return value


def notes_of(item: nir.NIRNode) -> dict[str, Any] | None:
    """The notes of a graph or node, if it has any."""
    metadata = getattr(item, "metadata", None)
    notes = metadata.get(KEY) if isinstance(metadata, dict) else None
    return notes if isinstance(notes, dict) else None


def is_noted(graph: nir.NIRNode) -> bool:
    """Whether `to_nir` wrote this graph, which then says itself which integers it stands for."""
    return notes_of(graph) is not None


def graph_settings(notes: dict[str, Any]) -> tuple[int, Timing]:
    """Steps and their length from the notes of a graph.

    Raises
    ------
    ModelError
        If they are of another version or damaged.
    """
    if notes.get("version") != VERSION:
        raise ModelError(
            f"notes of neurocuda_hw in a NIR graph must be of version {VERSION}, not "
            f"{notes.get('version')!r}; {WAY_OUT}"
        )
    try:
        timesteps = int(notes["timesteps"])
        timing = Timing(dt=float(notes["dt"]), integrate_dt=bool(notes["integrate_dt"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{_ALTERED}; {WAY_OUT}") from error
    if timesteps < 1:
        raise ModelError(f"{_ALTERED}; {WAY_OUT}")
    return timesteps, timing


def noted_neuron(notes: dict[str, Any]) -> tuple[Neuron, np.ndarray | None]:
    """The integer neuron that the notes of a node describe, and its scale."""
    values = {k: v for k, v in notes.items() if k not in ("kind", "scale")}
    for name in values.keys() & _READ.keys():
        values[name] = _READ[name](values[name])
    return _KINDS[notes["kind"]](**values), notes.get("scale")


def restore(network: Network, graph: nir.NIRGraph, notes: dict[str, Any]) -> Network:
    """`network`, read from the nodes of `graph`, with what its notes add.

    Raises
    ------
    ModelError
        If notes and nodes do not belong together.
    """
    try:
        restored = _restored(network, graph, notes)
        same = restored.hash == notes["hash"]
    except (KeyError, TypeError, ValueError, IndexError, NeurocudaError) as error:
        raise ModelError(f"{_ALTERED}; {WAY_OUT}") from error
    if not same:
        raise ModelError(f"{_ALTERED}; {WAY_OUT}")
    return restored


def _restored(network: Network, graph: nir.NIRGraph, notes: dict[str, Any]) -> Network:
    order = str(notes["populations"]).split("\n")
    lines = [line.split() for line in str(notes["projections"]).split("\n")]
    populations = []
    for name in order:
        node = notes_of(graph.nodes[name])
        if node is None:
            raise KeyError(name)
        neuron, scale = noted_neuron(node)
        populations.append(
            Population(name=name, shape=network[name].shape, neuron=neuron, scale=scale)
        )
    left = list(network.projections)
    projections = []
    for source, target, delay, kind in lines:
        place = next(
            i
            for i, p in enumerate(left)
            if (p.source, p.target, p.delay) == (source, target, int(delay))
        )
        projections.append(_as_kind(left.pop(place), kind))
    if left:
        raise KeyError(left[0].label)
    return Network(
        name=str(notes["name"]),
        populations=tuple(populations),
        projections=tuple(projections),
        timesteps=network.timesteps,
    )


def _as_kind(projection: Projection, kind: str) -> Projection:
    """A one-to-one projection that had to carry a bias, as the diagonal that it was."""
    synapse = projection.synapse
    if kind != "Diagonal" or isinstance(synapse, Diagonal):
        return projection
    if isinstance(synapse, Conv2d):
        weight = synapse.weight.reshape(-1)
    else:
        assert isinstance(synapse, Dense)
        weight = np.diagonal(synapse.weight)
    return Projection(
        source=projection.source,
        target=projection.target,
        synapse=Diagonal(weight=np.array(weight), pool=synapse.pool),
        delay=projection.delay,
    )
