"""Cycles per inference of a network's Verilog beside the lower bound, and the latency of one alone.

    python -m benchmarks cycles                    MNIST: both networks, both codes, 200 images
    python -m benchmarks cycles --nmnist cnn_sinabs.nir train1000.tar.gz --samples 6
    python -m benchmarks cycles --files resnet20.pt resnet20_inputs.npz --samples 3

The bound of a layer is the sum over the steps of (rows of weights that its events visit) + (state
rows that must be swept), one row per cycle, counted from the golden trace. Cycles are those that
Verilator counts when inferences follow one another; the bound is that of the same inferences and
the slowest layer. Latency is that of one inference alone, from its first word to its last output,
beside the sum along its longest chain of steps (`passes.cycles.critical_path`). Every spike of
every run was equal.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.inputs import Case, mnist_case, nmnist_case, saved_case, simulated, traced
from benchmarks.table import say
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.cycles import critical_path, mean_events, network_work, slowest
from neurocuda_hw.passes.folding import balanced_lanes
from neurocuda_hw.rtl.emit import plan_network
from neurocuda_hw.simulation.benches import BLOCK


def compared(network: Network, trace: Trace, limit: int) -> dict[str, float | str]:
    """Measured cycles, the bound, and their ratio; the layer that sets the pace; latency."""
    lanes = balanced_lanes(network, mean_events(network, trace), limit)
    plans = plan_network(network, lanes)
    # from the first output of a block to the last, every inference but the first is worked on
    others = np.flatnonzero(np.arange(trace.samples) % BLOCK)
    work = network_work(plans, mean_events(network, trace.select(others)))
    check = simulated(network, trace, lanes)
    pace = slowest(work)
    alone = trace.select(slice(0, 1))
    chain = int(critical_path(plans, mean_events(network, alone))[0])
    latency = simulated(network, alone, lanes).latency_cycles
    return {
        "cycles": round(check.cycles_per_inference, 1),
        "bound": round(work[pace].bound, 1),
        "ratio": round(check.cycles_per_inference / work[pace].bound, 4),
        "predicted": round(max(w.cycles for w in work.values()), 1),
        "latency": latency,
        "chain": chain,
        "latency_ratio": round(latency / chain, 4),
        "slowest": pace,
        "seconds": round(check.seconds, 1),
        "lanes": " ".join(f"{name} {n}" for name, n in lanes.items()),
    }


def cases(given: Namespace) -> Iterator[tuple[str, Case]]:
    """What is to be measured, with a name for each."""
    if given.nmnist:
        yield "nmnist", nmnist_case(*given.nmnist, given.samples)
    for model, inputs in given.files or ():
        yield Path(model).stem, saved_case(model, inputs, given.samples)
    if given.nmnist or given.files:
        return
    for kind in given.network or ("cnn", "mlp"):
        for code in given.code or ("exact", "rate"):
            yield f"{kind}_{code}", mnist_case(kind, code, given.samples)


def measure(given: Namespace) -> dict[str, float | str]:
    """The figures of all networks."""
    figures: dict[str, float | str] = {}
    for name, case in cases(given):
        found = compared(*traced(case, batch=4), given.lanes)
        figures |= {f"{name}_{key}": value for key, value in found.items()}
        say(f"{name}: {found['cycles']} cycles, {found['ratio']} times the bound")
    return figures
