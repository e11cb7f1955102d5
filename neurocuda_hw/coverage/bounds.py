"""What no input can show: by bounds of every neuron's membrane in every step.

With v- at most `highest` in all steps in which a neuron may fire, and all that one unit of a weight
can add in an inference at most n, a flip by +d stays unseen if ``highest + d * n < threshold``; one
by -d, if the neuron never fires at all. A weight whose sources never send is never added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from neurocuda_hw.coverage.bits import Left
from neurocuda_hw.coverage.patches import patches
from neurocuda_hw.network import Network, Population
from neurocuda_hw.network.neurons import Spiking
from neurocuda_hw.network.ranges import after_fire

_EXACT = torch.float64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reach:
    """How far a population may come.

    Parameters
    ----------
    highest : int64 array (*shape)
        Of v- in the steps in which it may fire.
    fires : bool array (*shape)
        Whether a neuron may send anything.
    """

    highest: np.ndarray
    fires: np.ndarray


def reaches(network: Network) -> dict[str, Reach]:
    """Bounds of every population; a later population's use those of the earlier ones."""
    found: dict[str, Reach] = {}
    for population in network.populations:
        everyone = np.ones(population.shape, dtype=bool)
        if not population.spiking:
            found[population.name] = Reach(highest=everyone * 0, fires=everyone)
            continue
        found[population.name] = _reach(network, population, found)
    return found


def _reach(network: Network, population: Population, known: dict[str, Reach]) -> Reach:
    neuron, spread = population.neuron, population.spread
    assert isinstance(neuron, Spiking)
    drives = []
    for q in network.incoming(population.name):
        source = network[q.source]
        # a recurrent source is not known yet: it may do anything
        fires = known[q.source].fires if q.source in known else np.ones(source.shape, dtype=bool)
        low, high = network.input_neuron.payload if source.fed else (0, 1)
        weight = np.array(q.synapse.weight)
        sent = torch.from_numpy(fires[None]).to(_EXACT)
        up, down = (
            q.synapse.deliver(sent, torch.from_numpy(part).to(_EXACT))
            .reshape(population.shape)
            .numpy()
            .astype(np.int64)
            for part in (np.maximum(weight, 0), np.minimum(weight, 0))
        )
        lowest = np.minimum(down * high + up * min(low, 0), 0)
        drives.append((q, lowest, np.maximum(up * high + down * min(low, 0), 0)))
    v_low = v_high = np.array(population.each(neuron.v_init))
    u_low = u_high = np.zeros_like(v_low)
    window = network.window(population.name)
    highest = np.full(population.shape, -(2**62))
    for step in range(window.stop):
        a_low = a_high = np.zeros_like(v_low)
        for q, low_drive, high_drive in drives:
            if step - q.delay in network.window(q.source):
                a_low, a_high = a_low + low_drive, a_high + high_drive
        v_low, u_low = neuron.integrate(v_low, u_low, a_low, spread)
        v_high, u_high = neuron.integrate(v_high, u_high, a_high, spread)
        if step in window:
            highest = np.maximum(highest, v_high)
            v_low, v_high = after_fire(neuron, spread, v_low, v_high)
        if neuron.v_floor is not None:
            v_low, v_high = (np.maximum(v, neuron.v_floor) for v in (v_low, v_high))
    threshold = np.broadcast_to(spread(neuron.threshold), population.shape)
    return Reach(highest=highest, fires=highest >= threshold)


def hidden_weights(network: Network, index: int, left: Left, known: dict[str, Reach]) -> np.ndarray:
    """Masks ``(O, K)`` of the bits left of a projection's weights that no input can show."""
    q = network.projections[index]
    source, target = network[q.source], network[q.target]
    fires = torch.from_numpy(known[q.source].fires[None]).to(_EXACT)
    met = patches(q, fires, target)[0].numpy()  # (groups, K, P): events of one step, at most
    outputs = len(left.up)
    if target.readout:
        silent = (met == 0).all(axis=2).repeat(outputs // len(met), axis=0)
        return np.where(silent, left.masks, 0)
    neuron = target.neuron
    assert isinstance(neuron, Spiking)
    most = max(abs(n) for n in network.input_neuron.payload) if source.fed else 1
    pushes = met * most * network.window(q.source).steps
    threshold = np.broadcast_to(target.spread(neuron.threshold), target.shape)
    lacks = (threshold - known[target.name].highest).reshape(outputs, -1)  # at least 1: never fires
    signed = source.fed and network.input_neuron.payload[0] < 0
    hidden = np.zeros_like(left.up)
    group = outputs // len(met)
    for o in range(outputs):
        push = pushes[o // group]
        silent = push == 0
        for bit in range(left.bits):
            mask = np.int64(1) << np.int64(bit)
            unseen = (silent | (push * 2.0**bit < lacks[o])).all(axis=1)
            falls = unseen if signed else (silent | (lacks[o] > 0)).all(axis=1)
            masks = np.where(unseen, left.up[o], 0) | np.where(falls, left.down[o], 0)
            hidden[o] |= masks & mask
    return hidden


def hidden_parameters(
    network: Network, name: str, kind: str, left: Left, known: dict[str, Reach]
) -> np.ndarray:
    """Masks of the bits left of a parameter that no input can show."""
    population = network[name]
    neuron = population.neuron
    if not isinstance(neuron, Spiking):
        return np.zeros_like(left.up)
    threshold = np.broadcast_to(population.spread(neuron.threshold), population.shape)
    lacks = threshold - known[name].highest
    times = network.timesteps if kind == "bias" else 1
    hidden = np.zeros_like(left.up)
    for bit in range(left.bits):
        dead, short = lacks > 0, times * 2.0**bit < lacks
        if left.up.ndim < lacks.ndim:
            axes = tuple(range(left.up.ndim, lacks.ndim))
            dead, short = dead.all(axis=axes), short.all(axis=axes)
        more, less = (dead, short) if kind == "threshold" else (short, dead)
        masks = np.where(more, left.up, 0) | np.where(less, left.down, 0)
        hidden |= masks & (np.int64(1) << np.int64(bit))
    return hidden
