"""What is evidence: how much was compared, and when that is too little to say "equal".

Silent layers are equal whatever their weights are. So a comparison without a difference is "equal"
only if some input was other than 0 (biases alone may fire, with no weight of the first layer), a
spike of some layer was compared, and an output other than 0; and of designs that were broken on
purpose, if any were made, one must have been caught. A single layer that never fires is told by
name and no more: trained networks have dead layers, and what fires around one is evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurocuda_hw.ground.words import some
from neurocuda_hw.network.trace import Trace

EXIT_CODE = 4  # of a comparison of too little
WAY_OUT = "compare more samples, or samples that make it fire (--data DATA)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was compared.

    Parameters
    ----------
    samples : int
        Inferences.
    events : int, optional
        Input values other than 0; None where nobody counted them (records of old).
    spikes : mapping of str to int
        Golden spikes by spiking population.
    outputs : int, optional
        Golden output values other than 0; None likewise.
    """

    samples: int
    events: int | None = None
    spikes: Mapping[str, int] = field(default_factory=dict)
    outputs: int | None = None

    @property
    def silent(self) -> list[str]:
        """Spiking populations that never fired: faults in them and before them may not show."""
        return [name for name, count in self.spikes.items() if not count]

    @property
    def little(self) -> str:
        """Why this is too little to say "equal"; empty where it is enough."""
        if self.samples < 1:
            return "no sample was compared"
        seen = "sample" if self.samples == 1 else f"{self.samples:,} samples"
        if self.events == 0:
            return f"every input was 0 in the {seen} compared"
        if self.spikes and len(self.silent) == len(self.spikes):
            return f"nothing fired in the {seen} compared"
        if self.outputs == 0 or not (self.spikes or self.outputs):
            return f"every output was 0 in the {seen} compared"
        return ""


def counted(trace: Trace) -> dict[str, Any]:
    """The fields of `Evidence`, where all of a golden trace was compared."""
    spikes = {name: int(trace.counts(name).sum()) for name in trace.sizes}
    events, outputs = int(np.count_nonzero(trace.inputs)), int(np.count_nonzero(trace.outputs))
    return {"samples": trace.samples, "events": events, "spikes": spikes, "outputs": outputs}


def none_caught(caught: int, missed: int, idle: int) -> str:
    """Why mutants show nothing: some were made, and none changes a spike; else empty."""
    if caught or missed or not idle:
        return ""
    made = some(idle, "design")
    return f"none of {made} broken on purpose changes a spike of the samples compared"
