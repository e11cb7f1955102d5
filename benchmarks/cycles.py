"""Cycles per inference of a network's Verilog beside the lower bound, and the latency of one alone.

    python benchmarks/cycles.py                       MNIST: both networks, both codes, 200 images
    python benchmarks/cycles.py --lanes 32 --samples 500 --json
    python benchmarks/cycles.py --nmnist cnn_sinabs.nir train1000.tar.gz --samples 6
    python benchmarks/cycles.py --files resnet20.pt resnet20_inputs.npz --samples 3

``--nmnist`` takes the graph and recordings that nir_nmnist.py names; ``--files`` a network that
`nchw convert` or `save` wrote, and its quantised inputs as ``x`` of an .npz file.

The bound of a layer is the sum over the steps of (rows of weights that its events visit) + (state
rows that must be swept), one row per cycle, counted from the golden trace. Cycles are those that
Verilator counts when inferences follow one another; the bound is that of the same inferences and
the slowest layer. Latency is that of one inference alone, from its first word to its last output,
beside the sum along its longest chain of steps (`passes.cycles.critical_path`). Every spike of
every run was equal.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples"))

import numpy as np  # noqa: E402
from models import MnistCNN, MnistMLP  # noqa: E402

from neurocuda_hw import NeurocudaError, Reference, datasets  # noqa: E402
from neurocuda_hw.conversion import convert  # noqa: E402
from neurocuda_hw.conversion.trained import load_trained  # noqa: E402
from neurocuda_hw.data.events import bin_events, load_nmnist  # noqa: E402
from neurocuda_hw.network import Network  # noqa: E402
from neurocuda_hw.network.model_file import load  # noqa: E402
from neurocuda_hw.network.neurons import Encoding  # noqa: E402
from neurocuda_hw.network.trace import Trace  # noqa: E402
from neurocuda_hw.nir import from_nir, read  # noqa: E402
from neurocuda_hw.passes.cycles import (  # noqa: E402
    critical_path,
    mean_events,
    network_work,
    slowest,
)
from neurocuda_hw.passes.folding import balanced_lanes  # noqa: E402
from neurocuda_hw.project.verify import verify  # noqa: E402
from neurocuda_hw.rtl.emit import plan_network  # noqa: E402
from neurocuda_hw.simulation.benches import BLOCK  # noqa: E402
from neurocuda_hw.targets.checks import Check, Request  # noqa: E402

CLASSES = {"mlp": MnistMLP, "cnn": MnistCNN}


def converted(kind: str, code: str, samples: int) -> tuple[Network, Trace]:
    """The shipped network, calibrated on the shipped sample, and its trace on test images."""
    sample = ROOT / "examples" / "data" / "mnist_sample.npz"
    arch = f"models:{CLASSES[kind].__name__}"
    model = load_trained(ROOT / "examples" / "checkpoints" / f"mnist_{kind}.pt", arch=arch)
    strategy = "exact" if code == "exact" else "qcfs_direct"
    data = datasets.load(sample, "train")
    snn, _ = convert(
        model, data, strategy=strategy, qcfs_epochs=0, name=f"mnist_{kind}", verbose=False
    )
    images, _ = datasets.load(sample, "test")
    inputs = snn.quantise(images[:samples])
    return snn.network, Reference(snn.network).trace(inputs)


def nmnist(graph: str, recordings: str, samples: int) -> tuple[Network, Trace]:
    """The NIR paper's network on recordings of 300 steps of 1 ms."""
    events, _ = load_nmnist(recordings, samples)
    frames = np.stack([bin_events(e, steps=300, highest=3) for e in events])
    network = from_nir(
        read(graph), 300, encoding=Encoding.GRADED, payload_bits=2, weight_bits=8, name="nmnist"
    )
    return network, Reference(network).trace(frames, batch=2)


def from_files(model: str, inputs: str, samples: int) -> tuple[Network, Trace]:
    """A saved network and as many of its quantised inputs."""
    network = load(model)
    with np.load(inputs) as arrays:
        return network, Reference(network).trace(arrays["x"][:samples], batch=4)


def simulated(network: Network, trace: Trace, lanes: dict[str, int]) -> Check:
    """The Verilog's run of a trace; ends the program unless it is equal."""
    request = Request(targets=("verilog",), lanes=lanes)
    (result,) = verify(network, golden=trace, request=request)
    (check,) = result.checks
    if not check.equal:
        raise SystemExit(f"{network.name}: {check.message or check.little}")
    return check


def measure(network: Network, trace: Trace, limit: int) -> dict[str, float | str]:
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


def workloads(arguments: argparse.Namespace) -> Iterator[tuple[str, Network, Trace]]:
    """What is to be measured, with a name for each."""
    samples = arguments.samples
    if arguments.nmnist:
        yield "nmnist", *nmnist(*arguments.nmnist, samples)
    for model, inputs in arguments.files or ():
        yield Path(model).stem, *from_files(model, inputs, samples)
    if arguments.nmnist or arguments.files:
        return
    for kind in arguments.network or sorted(CLASSES):
        for code in arguments.code or ("exact", "rate"):
            yield f"{kind}_{code}", *converted(kind, code, samples)


def main() -> None:
    """Parses the command line, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=sorted(CLASSES), action="append", help="default: all")
    parser.add_argument("--code", choices=("exact", "rate"), action="append", help="default: both")
    parser.add_argument("--nmnist", nargs=2, metavar=("GRAPH", "RECORDINGS"))
    parser.add_argument("--files", nargs=2, metavar=("MODEL", "INPUTS"), action="append")
    parser.add_argument("--samples", type=int, default=200, help="inferences, at most 500 (200)")
    parser.add_argument("--lanes", type=int, default=16, help="most lanes of a layer (16)")
    parser.add_argument("--json", action="store_true", help="one flat JSON object, nothing else")
    arguments = parser.parse_args()
    if not 2 <= arguments.samples <= 500 or arguments.lanes < 1:
        parser.error("samples must be 2 to 500, and lanes at least 1")
    figures: dict[str, float | str] = {}
    try:
        for name, network, trace in workloads(arguments):
            found = measure(network, trace, arguments.lanes)
            figures |= {f"{name}_{key}": value for key, value in found.items()}
            if not arguments.json:
                print(
                    f"{name:10} {found['cycles']:>9} cycles per inference, bound "
                    f"{found['bound']:>9} ({found['slowest']}), ratio {found['ratio']:.3f}; "
                    f"one alone {found['latency']}, chain {found['chain']}, ratio "
                    f"{found['latency_ratio']:.3f}; {found['seconds']} s of simulation; "
                    f"lanes: {found['lanes']}",
                    flush=True,
                )
    except NeurocudaError as error:
        print(f"cycles: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
