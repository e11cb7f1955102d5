"""Speed of the C simulation of the MNIST networks' HLS C++, and its predicted cycles.

    python benchmarks/hls_csim.py                 MNIST CNN, exact code, both models of integers
    python benchmarks/hls_csim.py --network mlp --code rate --samples 500 --json
    python benchmarks/hls_csim.py --cycles        predicted cycles beside the Verilog's measured

`images_per_second` is that of the fast model (``make fast``), whose built-in integers wrap at the
exact widths; `ap_int_images_per_second` that of the vendor's ap_int (``make csim``). Both are
compiled with -O2 and compared spike for spike; images per second of one core, best of the runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from tempfile import TemporaryDirectory

from cycles import CLASSES, converted  # beside this file

from neurocuda_hw import NeurocudaError
from neurocuda_hw.checks import Request
from neurocuda_hw.hls import Model, find_ap_headers, predicted_cycles, verify_hls
from neurocuda_hw.hls.cycles import bound
from neurocuda_hw.hls.plan import plan_network
from neurocuda_hw.network import Network
from neurocuda_hw.passes.folding import uniform_lanes
from neurocuda_hw.trace import Trace
from neurocuda_hw.verify import verify


def speed(network: Network, trace: Trace, model: Model, runs: int) -> float:
    """Images per second of one core, the best of `runs`."""
    found = []
    with TemporaryDirectory() as folder:
        for _ in range(runs):
            result = verify_hls(network, trace, folder, model=model)
            if not result.equal:
                raise SystemExit(f"{network.name}: {result.divergence or result.fault}")
            found.append(result.samples_per_second)
    return round(max(found), 1)


def print_cycles(network: Network, trace: Trace, code: str) -> None:
    """The layers' predicted cycles, the pace they allow, and the pace of the Verilog."""
    plan = plan_network(network)
    predicted = predicted_cycles(network, trace)
    print(f"{network.name} {code}, mean of {trace.samples} images")
    print(f"  {'layer':16}{'lanes':>6}{'events':>10}{'rows':>10}{'sweeps':>8}{'cycles':>10}")
    for name, layer in predicted.items():
        lanes = plan.layers[name].plan.layout.lanes
        print(
            f"  {name:16}{lanes:>6}{layer.events:>10.1f}{layer.rows:>10.1f}{layer.sweeps:>8}"
            f"{layer.total:>10.1f}"
        )
    request = Request(targets=("verilog",), lanes=uniform_lanes(network))
    ((check,),) = (v.checks for v in verify(network, golden=trace, request=request))
    print(
        f"  an inference every {bound(plan, predicted):.1f} cycles predicted of the C++; "
        f"every {check.cycles_per_inference:.1f} measured of the Verilog"
    )


def main() -> None:
    """Parses the command line, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=sorted(CLASSES), default="cnn")
    parser.add_argument("--code", choices=("exact", "rate"), default="exact")
    parser.add_argument("--samples", type=int, default=500, help="images, at most 500 (500)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each model (3)")
    parser.add_argument("--cycles", action="store_true", help="predicted and measured cycles")
    parser.add_argument("--json", action="store_true", help="one flat JSON object, nothing else")
    arguments = parser.parse_args()
    if not 2 <= arguments.samples <= 500 or arguments.runs < 1:
        parser.error("samples must be 2 to 500, and runs at least 1")
    try:
        network, trace = converted(arguments.network, arguments.code, arguments.samples)
        if arguments.cycles:
            print_cycles(network, trace, arguments.code)
            return
        figures = {"images_per_second": speed(network, trace, Model.FAST, arguments.runs)}
        if find_ap_headers().usable:
            rate = speed(network, trace, Model.AP_INT, arguments.runs)
            figures["ap_int_images_per_second"] = rate
    except NeurocudaError as error:
        print(f"hls_csim: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for key, value in figures.items():
            print(f"{arguments.network} {arguments.code}: {key} {value}")


if __name__ == "__main__":
    main()
