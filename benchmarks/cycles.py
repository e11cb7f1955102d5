"""Cycles per inference of the MNIST networks' Verilog, beside the lower bound of its slowest layer.

    python benchmarks/cycles.py                       both networks, both codes, 200 images
    python benchmarks/cycles.py --lanes 32 --samples 500 --json

The bound of a layer is the sum over the steps of (rows of weights that its events visit) + (state
rows that a sweep must walk), one row per cycle, counted from the golden trace. Cycles are those
that Verilator counts when inferences follow one another, in a run in which every spike was equal.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples"))

from models import MnistCNN, MnistMLP  # noqa: E402

from neurocuda_hw import NeurocudaError, Reference, datasets  # noqa: E402
from neurocuda_hw.checks import Request  # noqa: E402
from neurocuda_hw.conversion import convert  # noqa: E402
from neurocuda_hw.network import Network  # noqa: E402
from neurocuda_hw.passes.cycles import mean_events, network_work, slowest  # noqa: E402
from neurocuda_hw.passes.folding import balanced_lanes  # noqa: E402
from neurocuda_hw.rtl.emit import plan_network  # noqa: E402
from neurocuda_hw.trace import Trace  # noqa: E402
from neurocuda_hw.trained import load_trained  # noqa: E402
from neurocuda_hw.verify import verify  # noqa: E402

CLASSES = {"mlp": MnistMLP, "cnn": MnistCNN}


def converted(kind: str, code: str, samples: int) -> tuple[Network, Trace]:
    """The shipped network, calibrated on the shipped sample, and its trace on test images."""
    sample = ROOT / "examples" / "data" / "mnist_sample.npz"
    arch = f"models:{CLASSES[kind].__name__}"
    model = load_trained(ROOT / "examples" / "checkpoints" / f"mnist_{kind}.pt", arch=arch)
    conversion = convert(model, datasets.load(sample, "train"), code=code, name=f"mnist_{kind}")
    images, _ = datasets.load(sample, "test")
    inputs = conversion.quantise(images[:samples])
    return conversion.network, Reference(conversion.network).trace(inputs)


def measure(network: Network, trace: Trace, limit: int) -> dict[str, float | str]:
    """Measured cycles, the bound, and their ratio; the layer that sets the pace."""
    events = mean_events(network, trace)
    lanes = balanced_lanes(network, events, limit)
    work = network_work(plan_network(network, lanes), events)
    request = Request(targets=("verilog",), lanes=lanes)
    (result,) = verify(network, golden=trace, request=request)
    (check,) = result.checks
    if not check.equal:
        raise SystemExit(f"{network.name}: {check.message()}")
    bound = work[slowest(work)].bound
    return {
        "cycles": round(check.cycles_per_inference, 1),
        "bound": round(bound, 1),
        "ratio": round(check.cycles_per_inference / bound, 4),
        "latency": check.latency_cycles,
        "slowest": slowest(work),
        "lanes": " ".join(f"{name} {n}" for name, n in lanes.items()),
    }


def main() -> None:
    """Parses the command line, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=sorted(CLASSES), action="append", help="default: all")
    parser.add_argument("--code", choices=("exact", "rate"), action="append", help="default: both")
    parser.add_argument("--samples", type=int, default=200, help="images, at most 500 (200)")
    parser.add_argument("--lanes", type=int, default=16, help="most lanes of a layer (16)")
    parser.add_argument("--json", action="store_true", help="one flat JSON object, nothing else")
    arguments = parser.parse_args()
    if not 2 <= arguments.samples <= 500 or arguments.lanes < 1:
        parser.error("samples must be 2 to 500, and lanes at least 1")
    figures: dict[str, float | str] = {}
    for kind in arguments.network or sorted(CLASSES):
        for code in arguments.code or ("exact", "rate"):
            try:
                found = measure(*converted(kind, code, arguments.samples), arguments.lanes)
            except NeurocudaError as error:
                print(f"cycles: {error}", file=sys.stderr)
                sys.exit(error.exit_code)
            figures |= {f"{kind}_{code}_{key}": value for key, value in found.items()}
            if not arguments.json:
                print(
                    f"{kind} {code:5}  {found['cycles']:>9} cycles per inference, bound "
                    f"{found['bound']:>9} ({found['slowest']}), ratio {found['ratio']:.3f}, "
                    f"first after {found['latency']}; lanes: {found['lanes']}",
                    flush=True,
                )
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
