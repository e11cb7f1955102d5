"""Speed of the C simulation of the MNIST networks' HLS C++, every spike compared.

    python benchmarks/hls_csim.py                 MNIST CNN, exact code
    python benchmarks/hls_csim.py --network mlp --code rate --samples 500 --json

`images_per_second` is that of ``make csim``, with the vendor's ap_int for memories and streams;
`exact_images_per_second` that of ``make exact``, with ap_int for every wire and register too;
`fast_images_per_second` that of ``make fast``, which needs no vendor header. All are compiled with
-O2; images per second of processor time of one core, best of the runs.
"""

from __future__ import annotations

import argparse
import json
import sys
from tempfile import TemporaryDirectory

from cycles import CLASSES, converted  # beside this file

from neurocuda_hw import NeurocudaError
from neurocuda_hw.ground.programs import require
from neurocuda_hw.hls import Model, find_ap_headers, verify_hls
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace

KEYS = {
    "images_per_second": Model.AP_INT,
    "exact_images_per_second": Model.EXACT,
    "fast_images_per_second": Model.FAST,
}


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


def main() -> None:
    """Parses the command line, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=sorted(CLASSES), default="cnn")
    parser.add_argument("--code", choices=("exact", "rate"), default="exact")
    parser.add_argument("--samples", type=int, default=500, help="images, at most 500 (500)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each model (3)")
    parser.add_argument("--json", action="store_true", help="one flat JSON object, nothing else")
    arguments = parser.parse_args()
    if not 2 <= arguments.samples <= 500 or arguments.runs < 1:
        parser.error("samples must be 2 to 500, and runs at least 1")
    try:
        network, trace = converted(arguments.network, arguments.code, arguments.samples)
        require(find_ap_headers())
        figures = {key: speed(network, trace, model, arguments.runs) for key, model in KEYS.items()}
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
