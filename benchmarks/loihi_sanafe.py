"""Event counts, energy and time beside SANA-FE's Loihi, and beside PilotNet's public figures.

    OMP_NUM_THREADS=1 python -m benchmarks loihi_sanafe --peers peers/bin/python

(`loihi_speed` says how to make the peers' environment.) The same network of IF neurons with
reset to zero, on the same cores, with the same input spikes, in both: every class of event must be
equal in every step. Energy and time are then ratios of this package's Loihi 1 profiles to SANA-FE,
which schedules every message; the constants are said. PilotNet-LIF on Loihi 2 is a sum over public
totals, spread evenly over its cores, every neuron active, one message per spike, no hops, since no
more is public; ``pilotnet_time`` and ``pilotnet_energy`` are over the public figures.
"""

from __future__ import annotations

import os
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.loihi_speed import ask
from benchmarks.table import say
from neurocuda_hw import loihi
from neurocuda_hw.loihi.energy import step_energy
from neurocuda_hw.loihi.events import Events
from neurocuda_hw.loihi.profiles import LOIHI1_DAVIES, LOIHI1_SILICON, LOIHI2_SCALED
from neurocuda_hw.loihi.timing import step_times
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.neurons import IF, Encoding, Input, Reset
from neurocuda_hw.network.synapses import Dense

SIZES, STEPS = (900, 600, 300, 100), 50
PILOTNET = {"neurons": 158_509, "synaptic_ops": 3_000_000, "spikes": 46_000, "cores": 74}
PILOTNET_US, PILOTNET_UJ = 152.8, 68.3
PILOTNET_TILES = 19


def network(rng: np.random.Generator) -> Network:
    """Dense layers of IF neurons with reset to zero."""
    populations = [
        Population(name="input", shape=SIZES[:1], neuron=Input(encoding=Encoding.SPIKES))
    ]
    projections = []
    for layer, size in enumerate(SIZES[1:]):
        weight = rng.integers(-20, 26, (size, SIZES[layer]))
        weight[weight == 0] = 1
        neuron = IF(threshold=600, reset=Reset.ZERO)
        populations.append(Population(name=f"layer{layer}", shape=(size,), neuron=neuron))
        projections.append(
            Projection(
                source=populations[-2].name,
                target=populations[-1].name,
                synapse=Dense(weight=weight),
            )
        )
    return Network(populations=tuple(populations), projections=tuple(projections), timesteps=STEPS)


def compare(python: str, folder: Path) -> dict[str, Any]:
    """Counts that must be equal, ratios that are told."""
    rng = np.random.default_rng(1)
    net = network(rng)
    spikes = rng.random((1, STEPS, SIZES[0])) < 0.08
    program = loihi.compile(net, "loihi1", input_on_chip=True)
    report = program.run(spikes.astype(np.int64)).report
    assert report is not None
    events, steps = report.events, program.lowered.steps
    case: dict[str, Any] = {"layers": len(SIZES) - 1, "steps": steps, "spikes": spikes[0]}
    for number, population in enumerate(net.populations):
        cores = np.empty(population.size, dtype=np.int64)
        for part in program.mapping.of(population.name):
            cores[part.neurons] = part.core
        case[f"cores{number}"] = cores
    for layer, projection in enumerate(net.projections):
        case[f"weight{layer}"], case[f"threshold{layer}"] = projection.synapse.weight, 600
    answer, path = ask(python, "sanafe-events", case, folder)
    with np.load(path) as found:
        theirs = {name: found[name] for name in found.files}

    inputs = np.zeros(steps, dtype=np.int64)
    inputs[:STEPS] = spikes[0].sum(axis=1)
    width = theirs["received"].shape[1]
    ours = {
        "spikes": events.spikes[0].sum(axis=1) + inputs,
        # SANA-FE calls an input neuron updated in the steps in which it fires
        "active neurons": events.active[0].sum(axis=1) + inputs,
        "synaptic operations": events.synaptic_ops[0].sum(axis=1),
        "hops": events.hops_ew[0] + events.hops_ns[0],
        "messages received, per core": events.messages_in[0][:, :width],
        "synaptic operations, per core": events.synaptic_ops[0][:, :width],
    }
    expected = {
        "spikes": theirs["fired"],
        "active neurons": theirs["updated"],
        "synaptic operations": theirs["spikes"],
        "hops": theirs["hops"],
        "messages received, per core": theirs["received"],
        "synaptic operations, per core": theirs["weights"],
    }
    counts = [
        {
            "events of each step": name,
            "ours": int(got.sum()),
            "SANA-FE": int(expected[name].sum()),
            "unequal": int((got != expected[name]).sum()),
        }
        for name, got in ours.items()
    ]
    result: dict[str, Any] = {
        "sanafe": answer["version"],
        "unequal_counts": sum(row["unequal"] for row in counts),
        "counts": counts,
    }
    joules, seconds = answer["energy"]["total"], answer["sim_time"]
    for profile in (LOIHI1_SILICON, LOIHI1_DAVIES):
        energy = sum(float(e.sum()) for e in step_energy(events, profile).values()) * 1e-12
        spent = float(step_times(events, profile, program.mapping.tiles).step.sum()) * 1e-9
        result[f"{profile.name}_energy"] = energy / joules
        result[f"{profile.name}_time"] = spent / seconds
    say(LOIHI1_SILICON.table())
    return result


def pilotnet() -> dict[str, float]:
    """The model's answer for PilotNet-LIF's public counts of one step."""
    cores = PILOTNET["cores"]

    def even(total: int) -> np.ndarray:
        shares = np.full(cores, total // cores)
        shares[: total % cores] += 1
        return shares.reshape(1, 1, cores)

    nothing = np.zeros((1, 1), dtype=np.int64)
    events = Events(
        neurons=even(PILOTNET["neurons"])[0, 0],
        active=even(PILOTNET["neurons"]),
        spikes=even(PILOTNET["spikes"]),
        dense_ops=np.zeros((1, 1, cores), dtype=np.int64),
        conv_ops=even(PILOTNET["synaptic_ops"]),
        words=even(PILOTNET["synaptic_ops"] // 8),
        messages_out=even(PILOTNET["spikes"]),
        messages_in=even(PILOTNET["spikes"]),
        hops_ew=nothing,
        hops_ns=nothing,
        busiest_link=nothing,
    )
    time = float(step_times(events, LOIHI2_SCALED, PILOTNET_TILES).step[0, 0]) / 1e3
    parts = {k: float(e[0, 0]) / 1e6 for k, e in step_energy(events, LOIHI2_SCALED).items()}
    energy = sum(parts.values())
    say(LOIHI2_SCALED.table())
    return {
        "pilotnet_us": time,
        "pilotnet_uj": energy,
        "pilotnet_time": time / PILOTNET_US,
        "pilotnet_energy": energy / PILOTNET_UJ,
        **{f"pilotnet_{name}_uj": part for name, part in parts.items()},
    }


def measure(given: Namespace) -> dict[str, Any]:
    """Both comparisons."""
    with tempfile.TemporaryDirectory() as name:
        return compare(given.peers, Path(name)) | pilotnet()
