"""Dynamic energy per step: events by class times the constants of a profile, in pJ.

Leakage and the power of the idle chip are not in it.
"""

from __future__ import annotations

import numpy as np

from neurocuda_hw.loihi.events import Events
from neurocuda_hw.loihi.profiles import Profile


def step_energy(events: Events, profile: Profile) -> dict[str, np.ndarray]:
    """Energy of every step by class of event, each ``(S, K)`` pJ."""
    active, messages = events.active.sum(axis=2), events.messages_in.sum(axis=2)
    idle = int(events.neurons.sum()) - active
    return {
        "neurons": active * profile.neuron.pj + idle * profile.idle.pj,
        "spikes": events.spikes.sum(axis=2) * profile.spike.pj,
        "synapses": events.dense_ops.sum(axis=2) * profile.dense.pj
        + events.conv_ops.sum(axis=2) * profile.conv.pj,
        "reads": events.words.sum(axis=2) * profile.word.pj,
        "messages": events.messages_out.sum(axis=2) * profile.send.pj
        + messages * (profile.receive.pj + profile.tile.pj),
        "hops": events.hops_ew * profile.east_west.pj + events.hops_ns * profile.north_south.pj,
    }


def core_energy(events: Events, profile: Profile) -> np.ndarray:
    """Energy of every core in every step, hops left out, ``(S, K, C)`` pJ."""
    energy: np.ndarray = (
        events.active * profile.neuron.pj
        + (events.neurons - events.active) * profile.idle.pj
        + events.spikes * profile.spike.pj
        + events.dense_ops * profile.dense.pj
        + events.conv_ops * profile.conv.pj
        + events.words * profile.word.pj
        + events.messages_out * profile.send.pj
        + events.messages_in * (profile.receive.pj + profile.tile.pj)
    )
    return energy
