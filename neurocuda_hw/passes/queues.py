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

So l finishes step k: a contradiction. The input's fork sends each branch on when it can, as a queue
of one event would.

**The depth is for speed.** A layer integrates a step while its sources sweep theirs, and its target
integrates while it sweeps. It can go on at once if its queue holds what it sends until its target
is ready to go on too: in a step, or, if it fires in a part of the steps only, in all of them (for
then it integrates in the others). Then inferences follow one another as fast as the slowest layer
works; `passes.pipeline` says how fast with any depth. Each target has a queue of its own: that of a
skip connection waits for the layers that it skips.
"""

from __future__ import annotations

from neurocuda_hw.network import Network
from neurocuda_hw.passes.plan import LayerPlan

SHORTEST, DEEPEST = 8, 8192
ENOUGH = 512  # masks: fewer are held for a whole inference
REGISTERS = 64  # deeper queues are read through a register, as block memories need it


def limits_input(network: Network) -> bool:
    """Whether the input may send no more events in a step than it has neurons.

    A delay and the queues of sources that several projections share are sized for a step in which
    every neuron sends once. Events come from outside, so a neuron may well be sent twice; where a
    single reader takes them at once, as many as come are harmless.
    """
    projections = network.outgoing(network.input.name)
    return len(projections) > 1 or any(p.delay for p in projections)


def queue_depth(plan: LayerPlan) -> int:
    """Masks that the queue holds, within limits; a power of two."""
    rows, steps = plan.layout.rows, plan.fire_stop - plan.fire_start
    masks = steps * rows + 1
    if masks > ENOUGH:
        masks = max(ENOUGH, masks + plan.timesteps if steps < plan.timesteps else 2 * rows)
    return min(DEEPEST, max(SHORTEST, 1 << (masks - 1).bit_length()))
