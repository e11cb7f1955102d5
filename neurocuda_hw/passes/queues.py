"""How long the queue between a population's sweep and its events is.

It holds what a layer can send in a whole inference if that is not too much: a layer that is done
with an inference can then take the next one while its target still works. Any depth is correct; a
shorter one only makes layers wait.
"""

from __future__ import annotations

from neurocuda_hw.passes.plan import LayerPlan

SHORTEST, DEEPEST = 8, 512
REGISTERS = 64  # deeper queues are read through a register, as block memories need it


def queue_depth(plan: LayerPlan) -> int:
    """Masks that the queue holds: those of one inference, within limits; a power of two."""
    masks = (plan.fire_stop - plan.fire_start) * plan.layout.rows + 1
    return min(DEEPEST, max(SHORTEST, 1 << (masks - 1).bit_length()))
