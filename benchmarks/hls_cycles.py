"""Predicted cycles of each layer of the HLS C++ beside the cycles that the Verilog's layers take.

    python benchmarks/hls_cycles.py                     MNIST: both networks, both codes, 100 images
    python benchmarks/hls_cycles.py --network cnn --code exact --samples 500 --json

Predicted are loops that start one row a cycle (II = 1), counted from the golden trace: no vendor
tool has been run, and the few cycles in which a loop's pipeline fills are not counted. Measured are
the cycles in which Verilator sees the same layer of the Verilog integrate or sweep, with the same
lanes, in a run in which every spike was equal. The Verilog passes over rows whose sweep would
change nothing, which the C++ does not. Means per inference; the last line is the network's pace.
"""

from __future__ import annotations

import argparse
import json
import sys

from cycles import CLASSES, converted, simulated  # beside this file

from neurocuda_hw import NeurocudaError
from neurocuda_hw.hls import predicted_cycles
from neurocuda_hw.hls.cycles import bound
from neurocuda_hw.hls.plan import plan_network
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.folding import uniform_lanes

COLUMNS = ("rows", "ends", "sweeps", "total", "integrate", "sweep", "total", "ratio")


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


def show(title: str, found: dict[str, dict[str, float]]) -> None:
    """A table of one network."""
    print(f"{title:17}{'':5}{'C++ (predicted)':>38}{'Verilog (measured)':>30}")
    print(f"  {'layer':15}{'lanes':>5}" + "".join(f"{name:>10}" for name in COLUMNS))
    for name, row in found.items():
        if name == "network":
            print(
                f"  {'every inference':50}{row['predicted']:>10.1f}{'':20}{row['measured']:>10.1f}"
                f"{row['ratio']:>10.3f}\n"
            )
            continue
        keys = ("rows", "ends", "sweeps", "predicted", "integrating", "sweeping", "measured")
        numbers = "".join(f"{row[key]:>10.1f}" for key in keys)
        print(f"  {name:15}{row['lanes']:>5}{numbers}{row['ratio']:>10.3f}")


def main() -> None:
    """Parses the command line, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=sorted(CLASSES), action="append", help="default: all")
    parser.add_argument("--code", choices=("exact", "rate"), action="append", help="default: both")
    parser.add_argument("--samples", type=int, default=100, help="images, at most 500 (100)")
    parser.add_argument("--json", action="store_true", help="one flat JSON object, nothing else")
    arguments = parser.parse_args()
    if not 2 <= arguments.samples <= 500:
        parser.error("samples must be 2 to 500")
    figures: dict[str, float] = {}
    try:
        for kind in arguments.network or sorted(CLASSES):
            for code in arguments.code or ("exact", "rate"):
                found = compare(*converted(kind, code, arguments.samples))
                for name, row in found.items():
                    for key in ("predicted", "measured", "ratio"):
                        figures[f"{kind}_{code}_{name}_{key}"] = round(row[key], 4)
                if not arguments.json:
                    show(f"{kind} {code}", found)
    except NeurocudaError as error:
        print(f"hls_cycles: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
