"""How long the queues between layers are, and why no network can deadlock.

**Any depth is correct.** Call (k, l) finished when layer l has sent the marker of step k into the
queues of all its targets. Suppose that nothing moves, although the output is taken and the input is
there. Let (k, l) be the first unfinished one, by steps, then in topological order.

1. Its sources without delay have finished k, those with delay k - 1. What they sent lies in the
   queues to l in the order of steps, and l has taken all of the steps before. So the head of each
   of its streams belongs to step k, or l has already taken that stream's marker of step k.
2. A walker takes events at any time outside of a sweep, whether the other streams have ended the
   step or not. So l takes what is there, comes to all markers, and sweeps.
3. The sweep asks for room in each queue. Take a full one, to target m without delay. Were m at a
   step j < k, then (j, m) would be unfinished and before (k, l). So m is at step k, whose marker l
   has not sent: all in the queue are events of step k, which m takes by (2). There will be room.
4. A delay has a queue for all events that a step can have (of the input: see `limits_input`) and
   two markers (`rtl.delay`), and what it held of the step before is taken, by (1) and (2) for its
   target's step k, so it takes all.

5. An expander holds a burst of every neuron, so between two markers it takes all that comes; then
   it sends to its target alone. It is a layer by itself, between its source and its target.

So l finishes step k: a contradiction. The input's fork sends each branch on when it can, as a queue
of one event would. With bursts all of this holds as it is: a queue holds counts instead of masks,
each neuron sends once per inference, and a step of the hardware may be a whole inference.

**Lines need depth.** Where lines are sent as they are complete (`passes.streams`), a layer takes no
more of them than its next line needs; what a skip connection brings too early waits in its queue.
`line_order` runs the lines of an inference in an order in which this always goes on: of all
populations whose next line has all that it needs, that of the last in topological order is sent,
and a line of the input where there is none. The most lines that wait on the way (`least_lines`) fit
into the queue of each branch, as if all neurons were active. Nothing can then be stuck: let (p, l)
be the first line of that order that p has not sent.

1. What it needs comes before it in that order, so it has been sent; p is at its line l, and takes
   of each source all that this line needs, whatever the others do.
2. A target m of p has swept at least the lines that come before (p, l), so it takes at least what
   it has taken there. p has sent its lines before l, so no more is in the queue than there is in
   that order, and there is room for every row of l.

So p sends line l: a contradiction. At the end of an inference all is taken, for the last line needs
all marks, and the order begins anew. Of the masks that wait one has left the queue: its events go
on to the walker of m. So the queue is one mask shorter; it counts those on their way to it, too.

**The depth is for speed.** A layer integrates a step while its sources sweep theirs, and its target
integrates while it sweeps. It can go on at once if its queue holds what it sends until its target
is ready to go on too: in a step, or, if it fires in a part of the steps only, in all of them (for
then it integrates in the others). Then inferences follow one another as fast as the slowest layer
works; `passes.pipeline` says how fast with any depth. Each target has a queue of its own: that of a
skip connection waits for the layers that it skips.

**Readers in turn** (the C++) take one stream to its marker before they touch the next: of each
step the delayed projections, then the others by their source's rank; a loop of recurrent
projections is one process that takes its members in turn. Let (k, l) be the first unfinished one
again. It lacks no input: what it reads is finished. So it writes, to a full stream e, in step k.
Its reader is in step k, and waits; not for a delayed stream (of step k - 1), nor for one of a lower
rank than l's.

- It has e before it, and waits for one of l's rank or a higher one, or, as a later member of a
  loop, for room behind an earlier one. Then e holds what l sends in step k; a delayed one what it
  sent in step k - 1, too.
- It has e behind it. An undelayed e has been read to its marker of step k: there is nothing in it.
  A delayed one holds what l sends in step k.

If e has room for that, (k, l) finishes. In all other cases any depth will do.

A stream between two members of one loop has one process at both ends, which waits for nobody: it
holds all that is written before it is read (`loop_depth`), of a step; of two where it is delayed
and its source comes first, for then step k is written before step k - 1 is read.

Bursts change none of this: where steps are taken as one, a step is an inference (and the input may
send in it what it may in all of its steps), and an expander is a layer behind its source, with one
stream to read, whose rank is between the source's and the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurocuda_hw.network import Network
from neurocuda_hw.passes.plan import LayerPlan

SHORTEST, DEEPEST = 8, 8192
ENOUGH = 512  # masks: fewer are held for a whole inference
REGISTERS = 64  # deeper queues are read through a register, as block memories need it
# rows between the sweep's decision and the queue, this one included, one that is decided while
# `Compactor.room` is on its way, and two in the registers before the queue; `lead` apart
IN_FLIGHT = 6


def limits_input(network: Network) -> bool:
    """Whether the input may send no more events in a step than it has neurons.

    A delay and the queues of sources that several projections share are sized for a step in which
    every neuron sends once. Events come from outside, so a neuron may well be sent twice; where a
    single reader takes them at once, as many as come are harmless.
    """
    projections = network.outgoing(network.input.name)
    return len(projections) > 1 or any(p.delay for p in projections)


def in_flight(plan: LayerPlan) -> int:
    """Rows that may be between the sweep's decision and the queue: those being divided, too."""
    return IN_FLIGHT + plan.lead + len(plan.division)


def queue_depth(plan: LayerPlan) -> int:
    """Masks that the queue holds, within limits; a power of two."""
    rows, steps = plan.layout.rows, plan.fire_stop - plan.fire_start
    if plan.burst:  # all that an inference sends, and its other steps' markers
        words = max(rows + plan.timesteps - 1, SHORTEST, 2 * in_flight(plan))
        return min(DEEPEST, 1 << (words - 1).bit_length())
    masks = steps * rows + 1
    if masks > ENOUGH:
        masks = max(ENOUGH, masks + plan.timesteps if steps < plan.timesteps else 2 * rows)
    return min(DEEPEST, max(SHORTEST, 1 << (masks - 1).bit_length()))


def least_lines(plans: Mapping[str, LayerPlan]) -> dict[str, list[int]]:
    """Lines that wait in the queue of each branch of each population that sends by lines, at least;
    see "Lines need depth". Branches are in the order of `readers`."""
    sent = dict.fromkeys(plans, 0)
    most = {name: [0] * len(readers(plans, name)) for name in plans}
    for name in line_order(plans):
        if name not in plans:
            continue
        sent[name] += 1
        for branch, (target, index) in enumerate(readers(plans, name)):
            need = marks_needed(plans[target])[index]
            taken = need[min(sent[target], len(need) - 1)]
            most[name][branch] = max(most[name][branch], sent[name] - int(taken))
    return most


def line_order(plans: Mapping[str, LayerPlan]) -> Iterator[str]:
    """Who sends its next line, of all lines of an inference; see "Lines need depth"."""
    needs = {name: marks_needed(plan) for name, plan in plans.items()}
    sources = {name: [p.source for p in plan.projections] for name, plan in plans.items()}
    sends = {name: 1 if plan.lines is None else plan.lines.sends for name, plan in plans.items()}
    (given,) = {s for of_layer in sources.values() for s in of_layer} - set(plans)
    order, sent = list(plans), dict.fromkeys([given, *plans], 0)

    def complete(name: str) -> bool:
        line = sent[name]
        return line < sends[name] and all(
            sent[source] >= need[line]
            for source, need in zip(sources[name], needs[name], strict=True)
        )

    while any(sent[name] < sends[name] for name in plans):
        name = next((name for name in reversed(order) if complete(name)), given)
        yield name
        sent[name] += 1


def marks_needed(plan: LayerPlan) -> Sequence[np.ndarray]:
    """Marks of each source before each line that a population sends, or before all of it."""
    return [np.ones(1, int)] * len(plan.sources) if plan.lines is None else plan.lines.needs


def readers(plans: Mapping[str, LayerPlan], name: str) -> list[tuple[str, int]]:
    """Who takes a population's events, a queue each: target and number of its projection."""
    return [
        (target, index)
        for target, plan in plans.items()
        for index, projection in enumerate(plan.projections)
        if projection.source == name
    ]


def least_depth(plan: LayerPlan, waiting: int) -> int:
    """Masks that a queue must hold for so many lines to wait, at least."""
    return max(1, waiting * plan.line_rows - 1)


def queue_depths(plan: LayerPlan, branches: int) -> Sequence[int]:
    """Masks that the queue of each branch holds."""
    if plan.lines is not None and plan.lines.sends > 1:
        return plan.lines.depths
    return [queue_depth(plan)] * branches


def line_depths(plans: Mapping[str, LayerPlan]) -> dict[str, tuple[int, ...]]:
    """Masks that the queue of each branch holds: those that wait, and those of as many lines as the
    target takes for one of its own, so that it seldom waits; powers of two."""
    return {
        name: tuple(
            line_depth(plans[name], lines, line_step(plans[target], index))
            for lines, (target, index) in zip(waiting, readers(plans, name), strict=True)
        )
        for name, waiting in least_lines(plans).items()
    }


def line_step(plan: LayerPlan, index: int) -> int:
    """Lines of a source that a population takes for one of its own, at most; behind the first, for
    which it waits anyway."""
    needs = marks_needed(plan)[index]
    return int(needs[0] if len(needs) == 1 else np.diff(needs).max(initial=1))


def line_depth(plan: LayerPlan, waiting: int, step: int) -> int:
    """Masks of a queue in which so many lines wait; see `line_depths`."""
    if plan.lines is None or plan.lines.sends == 1:
        return queue_depth(plan)
    whole = plan.lines.ring == plan.layout.lines  # it takes nothing before all of it is sent
    ahead = plan.layout.lines if whole else step
    words = max(SHORTEST, least_depth(plan, waiting) + ahead * plan.line_rows)
    return 1 << (words - 1).bit_length()


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One stream of a process that reads its streams in turn.

    Parameters
    ----------
    rank : int
        The source's place in topological order.
    delay : int
        Steps by which it is read late, 0 or 1.
    words : int
        The most that the source sends in a step, with the marker.
    later : bool
        It belongs to another than the first member of a loop.
    """

    rank: int
    delay: int
    words: int
    later: bool = False


def reading_depths(reads: Sequence[Read]) -> list[int]:
    """Words that each stream must hold, in the order of reading; see "Readers in turn"."""
    depths = []
    for place, read in enumerate(reads):
        waits = any(not r.delay and r.rank >= read.rank for r in reads[:place])
        steps = read.delay + (waits or read.later)
        depths.append(max(1, steps * read.words))
    return depths


def loop_depth(words: int, delay: int, source: int, target: int) -> int:
    """Words that a stream between two members of a loop must hold, by their places in it."""
    return words * (1 + (delay if source < target else 0))
