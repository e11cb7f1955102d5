"""Predicted cycles of each layer of the HLS C++ beside the cycles that the Verilog's layers take.

    python -m benchmarks hls_cycles                     MNIST: both networks, both codes, 100 images
    python -m benchmarks hls_cycles --network cnn --code exact --samples 500

Predicted are loops that start one row a cycle (II = 1), counted from the golden trace: no vendor
tool has been run, and the few cycles in which a loop's pipeline fills are not counted. Measured are
the cycles in which Verilator sees the same layer of the Verilog integrate or sweep, with the same
lanes, in a run in which every spike was equal. The Verilog passes over rows whose sweep would
change nothing, which the C++ does not. Means per inference; ``network`` is its pace.
"""

from __future__ import annotations

from argparse import Namespace

from benchmarks.inputs import mnist_case, simulated, traced
from neurocuda_hw.hls import predicted_cycles
from neurocuda_hw.hls.cycles import bound
from neurocuda_hw.hls.plan import plan_network
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.folding import uniform_lanes


def compare(network: Network, trace: Trace) -> dict[str, dict[str, float]]:
    """The columns of each layer, and of ``network`` as a whole."""
    plan = plan_network(network)
    predicted = predicted_cycles(network, trace)
    check = simulated(network, trace, uniform_lanes(network))
    found: dict[str, dict[str, float]] = {}
    for name, layer in predicted.items():
        spent = check.activity[name]
        integrating = spent["integrating"] / check.samples
        sweeping = spent["sweeping"] / check.samples
        found[name] = {
            "lanes": plan.layers[name].plan.layout.lanes,
            "rows": layer.rows,
            "ends": layer.ends,
            "sweeps": layer.sweeps,
            "predicted": layer.total,
            "integrating": integrating,
            "sweeping": sweeping,
            "measured": integrating + sweeping,
        }
    pace = bound(plan, predicted)
    found["network"] = {"predicted": pace, "measured": check.cycles_per_inference}
    for row in found.values():
        row["ratio"] = row["predicted"] / row["measured"]
    return found


def measure(given: Namespace) -> dict[str, float]:
    """All columns of all layers of all networks."""
    figures: dict[str, float] = {}
    for kind in given.network or ("cnn", "mlp"):
        for code in given.code or ("exact", "rate"):
            found = compare(*traced(mnist_case(kind, code, given.samples)))
            for name, row in found.items():
                figures |= {f"{kind}_{code}_{name}_{k}": round(v, 4) for k, v in row.items()}
    return figures
