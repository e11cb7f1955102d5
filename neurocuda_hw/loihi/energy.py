"""Dynamic energy per step: events by class times the constants of a profile, in pJ.

Leakage and the power of the idle chip are not in it.
"""

from __future__ import annotations

import numpy as np

from neurocuda_hw.loihi.events import Events
from neurocuda_hw.loihi.profiles import Constant, Profile


def costs(events: Events, profile: Profile) -> list[tuple[str, np.ndarray, tuple[Constant, ...]]]:
    """Everything that happens on a core: its class, how often ``(S, K, C)``, and what it costs."""
    return [
        ("neurons", events.active, (profile.neuron,)),
        ("neurons", events.neurons - events.active, (profile.idle,)),
        ("spikes", events.spikes, (profile.spike,)),
        ("synapses", events.dense_ops, (profile.dense,)),
        ("synapses", events.conv_ops, (profile.conv,)),
        ("reads", events.words, (profile.word,)),
        ("messages", events.messages_out, (profile.send,)),
        ("messages", events.messages_in, (profile.receive, profile.tile)),
    ]


def step_energy(events: Events, profile: Profile) -> dict[str, np.ndarray]:
    """Energy of every step by class of event, each ``(S, K)`` pJ."""
    found: dict[str, np.ndarray] = {}
    for name, counts, constants in costs(events, profile):
        energy = counts.sum(axis=2) * sum(c.pj for c in constants)
        found[name] = found.get(name, 0) + energy
    hops = events.hops_ew * profile.east_west.pj + events.hops_ns * profile.north_south.pj
    return found | {"hops": hops}


def core_energy(events: Events, profile: Profile) -> np.ndarray:
    """Energy of every core in every step, hops left out, ``(S, K, C)`` pJ."""
    energy = np.zeros(())
    for _, counts, constants in costs(events, profile):
        energy = energy + counts * sum(c.pj for c in constants)
    return energy
