"""Whether the chip's spikes equal a golden trace, population by population."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurocuda_hw.loihi.lower import depths
from neurocuda_hw.loihi.program import LoihiProgram
from neurocuda_hw.loihi.program import spikes as run_spikes
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Divergence, Trace, first_divergence


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationResult:
    """One population against the golden trace.

    Parameters
    ----------
    population : str
    shift : int
        Steps by which the chip is later, its depth.
    samples, steps, neurons : int
        What was compared: every spike of all of them; of a Readout its final membranes (steps 1).
    spikes : int
        Spikes in the golden trace: a comparison of silent layers shows little.
    unequal : int
        Spikes (or membranes) that differ.
    first : Divergence, optional
        Where the traces first part, if they part in this population.
    """

    population: str
    shift: int
    samples: int
    steps: int
    neurons: int
    spikes: int
    unequal: int
    first: Divergence | None = None

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.unequal == 0

    def __str__(self) -> str:
        verdict = "equal" if self.equal else f"{self.unequal} unequal"
        return (
            f"{self.population:<16}shift {self.shift:>3}  {self.samples} samples x {self.steps} "
            f"steps x {self.neurons} neurons, {self.spikes} spikes: {verdict}"
        )


def verify_loihi(
    network: Network, trace: Trace, *, program: LoihiProgram | None = None, chip: str = "loihi2"
) -> list[PopulationResult]:
    """Runs the inputs of a golden trace on the chip and compares every spike of every layer.

    Parameters
    ----------
    program : LoihiProgram, optional
        What to run; default the network on as many cores of `chip` as it takes.

    Raises
    ------
    ModelError
        If the trace is of another network, or the chip cannot run the network.
    """
    trace.check(network)
    if program is None:
        got, depth = run_spikes(network, trace.inputs, chip), depths(network)
    else:
        got = program.run(trace.inputs, cost=False).trace
        depth = {name: p.depth for name, p in program.lowered.placements.items()}
    divergence = first_divergence(network, trace, got)
    results = []
    for population in network.targets:
        name = population.name
        first = divergence if divergence and divergence.population == name else None
        shift = depth[name]
        if population.spiking:
            difference = trace.spikes[name] ^ got.spikes[name]
            unequal = int(np.bitwise_count(difference).sum(dtype=np.int64))
            spikes, steps = int(trace.counts(name).sum()), trace.timesteps
        else:
            unequal = int((trace.outputs != got.outputs).sum())
            spikes, steps = 0, 1
        results.append(
            PopulationResult(
                population=name,
                shift=shift,
                samples=trace.samples,
                steps=steps,
                neurons=population.size,
                spikes=spikes,
                unequal=unequal,
                first=first,
            )
        )
    return results
