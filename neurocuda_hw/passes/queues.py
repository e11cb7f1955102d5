"""How long the queue between a population's sweep and its events is.

A layer integrates a step while its sources sweep theirs, and its target integrates while it sweeps.
It can go on at once if its queue holds what it sends until its target is ready to go on too: in a
step, or, if it fires in a part of the steps only, in all of them (for then it integrates in the
others). So inferences follow one another as fast as the slowest layer works. Any depth is correct;
a shorter one only makes layers wait.
"""

from __future__ import annotations

from neurocuda_hw.passes.plan import LayerPlan

SHORTEST, DEEPEST = 8, 8192
ENOUGH = 512  # masks: fewer are held for a whole inference
REGISTERS = 64  # deeper queues are read through a register, as block memories need it


def queue_depth(plan: LayerPlan) -> int:
    """Masks that the queue holds, within limits; a power of two."""
    rows, steps = plan.layout.rows, plan.fire_stop - plan.fire_start
    masks = steps * rows + 1
    if masks > ENOUGH:
        masks = max(ENOUGH, masks + plan.timesteps if steps < plan.timesteps else 2 * rows)
    return min(DEEPEST, max(SHORTEST, 1 << (masks - 1).bit_length()))
