"""Time per step: events of every core in every step times the constants of a profile.

Side by side (Loihi 2, the structure of arXiv 2601.10035)::

    T = max(max over cores of max(neurons, synapses, reads, messages), busiest link, barrier)

One after the other (Loihi 1)::

    T = max(max over cores of (neurons + synapses + reads + messages), busiest link) + barrier

The chip is asynchronous: there is no clock, the answer is in nanoseconds, and it is a model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurocuda_hw.loihi.events import Events
from neurocuda_hw.loihi.profiles import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Modelled times in ns.

    Parameters
    ----------
    core : array (S, K, C)
        How long each core works in each step.
    step : array (S, K)
        Time of each step, barrier included.
    limited_by : array (S, K) of str
        ``core``, ``link`` or ``barrier``: what the step waits for longest.
    """

    core: np.ndarray
    step: np.ndarray
    limited_by: np.ndarray

    @property
    def inference(self) -> np.ndarray:
        """Time of each inference in ns, ``(S,)``."""
        total: np.ndarray = self.step.sum(axis=1)
        return total


def barrier_ns(profile: Profile, tiles: int) -> float:
    """The barrier over `tiles` tiles."""
    points = profile.barrier
    return float(np.interp(tiles, [p[0] for p in points], [p[1] for p in points]))


def core_times(events: Events, profile: Profile) -> np.ndarray:
    """How long each core works in each step, ``(S, K, C)`` ns."""
    idle = events.neurons - events.active
    neurons = (
        events.active * profile.neuron.ns
        + idle * profile.idle.ns
        + events.spikes * profile.spike.ns
    )
    synapses = events.dense_ops * profile.dense.ns + events.conv_ops * profile.conv.ns
    reads = events.words * profile.word.ns
    messages = events.messages_out * profile.send.ns + events.messages_in * (
        profile.receive.ns + profile.tile.ns
    )
    if not profile.overlapped:
        together: np.ndarray = neurons + synapses + reads + messages
        return together
    slowest: np.ndarray = np.maximum.reduce([neurons, synapses, reads, messages])
    return slowest


def step_times(events: Events, profile: Profile, tiles: int) -> Timing:
    """Times of every step of every sample."""
    core = core_times(events, profile)
    busiest = core.max(axis=2)
    link = events.busiest_link * max(profile.east_west.ns, profile.north_south.ns)
    barrier = barrier_ns(profile, tiles)
    work = np.maximum(busiest, link)
    step = np.maximum(work, barrier) if profile.overlapped else work + barrier
    limited = np.where(busiest >= link, "core", "link")
    return Timing(core=core, step=step, limited_by=np.where(barrier > work, "barrier", limited))
