"""Mutants of the marks of lines: which mark of which population is broken, and how.

The design is built once with a `rtl.spoiler` in each stream of lines; a memory file makes a mutant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.plan import LayerPlan
from neurocuda_hw.rtl.memory import hex_lines
from neurocuda_hw.rtl.spoiler import KIND_BITS, Spoil, marks_needed_of, spoil_bits, spoil_file


def spoilt_marks(
    network: Network, plans: Mapping[str, LayerPlan], golden: Trace
) -> Iterator[tuple[str, str, dict[str, bytes]]]:
    """Each kind at the line of each population in which most neurons fire.

    Of the lines whose marks complete one of a target, that is. Yields the kind, the place, and the
    memory file that makes it of a `SpoiltTop`.
    """
    for name, needs in marks_needed_of(network, plans).items():
        lines = max(needs)
        height = plans[name].layout.block[0] if name in plans else 1
        active = np.add.reduceat(
            _active(network, golden, name), np.arange(0, lines * height, height)
        )
        busiest = max(needs, key=lambda marks: active[marks - 1]) - 1
        for kind in Spoil:
            # a second mark ends the line behind it before it comes
            line = (busiest - 1) % lines if kind is Spoil.DOUBLED else busiest
            word = np.array([[line << KIND_BITS | kind]])
            label = kind.name.lower().replace("_", " ")
            memory = {spoil_file(name): hex_lines(word, spoil_bits(lines))}
            yield f"mark {label}", f"{name} line {line} of {lines}", memory


def _active(network: Network, golden: Trace, name: str) -> np.ndarray:
    """How often neurons of each line of positions fire in the samples, ``(H,)``."""
    fired = golden.bits(name).any(axis=1) if name in golden.sizes else golden.inputs.any(axis=1)
    of_neurons = fired.astype(np.int64).sum(axis=0).reshape(network[name].chw)
    found: np.ndarray = of_neurons.sum(axis=(0, 2))
    return found
