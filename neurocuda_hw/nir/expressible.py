"""What NIR cannot say of an integer network, plainly or in one of the exports of `to_nir`."""

from __future__ import annotations

import numpy as np

from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import (
    Reset,
)
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal


def needs(network: Network) -> dict[str, str]:
    """What plain NIR cannot say of each population, by name."""
    found: dict[str, list[str]] = {}
    for population in network.populations:
        neuron = population.neuron
        said = found.setdefault(population.name, [])
        if neuron.spiking and neuron.reset is Reset.SUBTRACT:
            said.append("reset by subtraction")
        if neuron.v_floor is not None:
            said.append("a floor of the membrane")
        if neuron.leak is not None:
            said.append("a step's length for its leak")
        if neuron.window is not None:
            said.append("a window of steps")
        if np.any(neuron.v_init):
            said.append("an initial membrane")
    return {name: " and ".join(said) for name, said in found.items() if said}


def check_export(network: Network, export: str | None) -> None:
    """Raises ModelError where `export` does not do."""
    if export is None:
        for name, what in needs(network).items():
            raise ModelError(
                f"population {name!r} needs {what}, which NIR cannot express: choose the export "
                "'explicit' (more nodes, any tool runs it) or 'annotated' (plain nodes, the rest "
                "in metadata that other tools do not read)"
            )
    for population in network.populations:
        reason = _inexpressible(network, population, export)
        if reason:
            raise ModelError(f"population {population.name!r} {reason}")
    seen = set()
    for p in network.projections:
        key = (p.source, p.target, p.delay, type(p.synapse), _geometry(p))
        if key in seen:
            raise ModelError(f"projections {p.label} of one kind must be added up before export")
        seen.add(key)


def _geometry(projection: Projection) -> tuple[object, ...]:
    synapse = projection.synapse
    if isinstance(synapse, Conv2d):
        kernel = synapse.weight.shape
        return (synapse.pool, kernel, synapse.stride, synapse.padding, synapse.dilation)
    return (synapse.pool,)


def _inexpressible(network: Network, population: Population, export: str | None) -> str | None:
    """Why `export` cannot say what a population does, or None."""
    neuron = population.neuron
    incoming = network.incoming(population.name)
    for p in incoming:
        if isinstance(p.synapse, Dense) and len(population.shape) == 3:
            return f"of shape {population.shape} gets a dense projection: NIR has no reshape"
    if neuron.current_leak is None and np.ndim(neuron.bias) == 3:
        return "has a bias for each neuron, which a NIR convolution cannot add"
    if export != "explicit":
        return None
    other = "; choose the export 'annotated'"
    if neuron.window is not None:
        return f"has a window of steps, which NIR nodes cannot say{other}"
    if neuron.readout and np.any(neuron.v_init) and len(population.shape) == 3:
        return f"has an initial membrane and three axes, which NIR nodes cannot say{other}"
    if neuron.leak is not None and np.any(neuron.v_init):
        return f"leaks and has an initial membrane, which NIR nodes cannot say{other}"
    if not neuron.spiking:
        return None
    if neuron.v_floor is not None:
        return f"has a floor of the membrane, which NIR nodes cannot say{other}"
    if neuron.reset is Reset.SUBTRACT:
        if neuron.current_leak is not None:
            return f"subtracts behind a synaptic current, which NIR nodes cannot say{other}"
        if any(p.source == p.target and isinstance(p.synapse, Diagonal) for p in incoming):
            return f"feeds back one to one, as its reset would{other}"
    return None


def fitting_export(network: Network) -> str | None:
    """None where plain NIR says it all, explicit where nodes can, else annotated."""
    if not needs(network):
        return None
    said = all(_inexpressible(network, p, "explicit") is None for p in network.populations)
    return "explicit" if said else "annotated"
