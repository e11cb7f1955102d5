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

from neurocuda_hw.loihi.energy import costs
from neurocuda_hw.loihi.events import Events
from neurocuda_hw.loihi.profiles import Profile

PARTS = ("neurons", "synapses", "reads", "messages", "links", "barrier")


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
    parts : dict of str to array (S, K)
        What each step's time is made of: of `PARTS`, adding up to `step`. Where work overlaps, all
        of a step is that of the one that it waits for.
    """

    core: np.ndarray
    step: np.ndarray
    limited_by: np.ndarray
    parts: dict[str, np.ndarray]

    @property
    def inference(self) -> np.ndarray:
        """Time of each inference in ns, ``(S,)``."""
        total: np.ndarray = self.step.sum(axis=1)
        return total


def barrier_ns(profile: Profile, tiles: int) -> float:
    """The barrier over `tiles` tiles."""
    points = profile.barrier
    return float(np.interp(tiles, [p[0] for p in points], [p[1] for p in points]))


def core_work(events: Events, profile: Profile) -> dict[str, np.ndarray]:
    """What each core's work in each step takes, by kind, each ``(S, K, C)`` ns; a neuron's spike
    is part of its update."""
    found: dict[str, np.ndarray] = {}
    for name, counts, constants in costs(events, profile):
        kind = "neurons" if name == "spikes" else name
        found[kind] = found.get(kind, 0) + counts * sum(c.ns for c in constants)
    return found


def step_times(events: Events, profile: Profile, tiles: int) -> Timing:
    """Times of every step of every sample."""
    work = core_work(events, profile)
    together = np.stack(list(work.values()))
    core = together.max(axis=0) if profile.overlapped else together.sum(axis=0)
    busiest, where = core.max(axis=2), core.argmax(axis=2)
    link = events.busiest_link * max(profile.east_west.ns, profile.north_south.ns)
    barrier = np.full_like(busiest, barrier_ns(profile, tiles))
    longest = np.maximum(busiest, link)
    step = np.maximum(longest, barrier) if profile.overlapped else longest + barrier
    limited = np.where(busiest >= link, "core", "link")
    limited = np.where(barrier > longest, "barrier", limited)
    # kinds of work of the core that the step waits for, ``(kinds, S, K)``
    of_busiest = np.take_along_axis(together, where[None, ..., None], axis=3)[..., 0]
    if profile.overlapped:
        slowest = of_busiest.argmax(axis=0)
        kinds = np.where(slowest == np.arange(len(work))[:, None, None], busiest, 0.0)
        parts = dict(zip(work, np.where(limited == "core", kinds, 0.0), strict=True))
        parts |= {"links": np.where(limited == "link", link, 0.0)}
        parts |= {"barrier": np.where(limited == "barrier", barrier, 0.0)}
    else:
        parts = dict(zip(work, np.where(busiest >= link, of_busiest, 0.0), strict=True))
        parts |= {"links": np.where(busiest >= link, 0.0, link), "barrier": barrier}
    return Timing(core=core, step=step, limited_by=limited, parts=parts)
