"""MNIST 784-128-10 in hardware: accuracy, cycles, look-up tables and block memories.

    python benchmarks/mnist_784_128_10.py --data FOLDER --json
    python benchmarks/mnist_784_128_10.py --data FOLDER --pareto 1 2 4 8 16 32 64 128

The trained MLP of the examples becomes a network of the exact code with pixels of one bit (black or
white) and weights of four, fine-tuned for three epochs on the training images. Accuracy is that of
the integer network on all 10,000 test images; nothing is chosen by them. Cycles are those that
Verilator counts per inference when images follow one another, in a run of the generated Verilog in
which every spike of every layer and every output was equal to the network's. Areas are by yosys
(``synth_xilinx -flatten``, 7 series, before placement): ``lut6`` counts every LUT, inverter and LUT
that serves as memory; ``bram36`` a RAMB18 as one half.

Figures: ``accuracy`` (per cent), ``cycles``, ``latency``, ``lut6``, ``bram36``, ``dsp``,
``flipflops`` of the core with its two AXI4-Streams; ``lut6_axi_lite`` with the AXI4-Lite register
block and its counters around it; ``weight_bits``, ``pixel_bits``, ``levels``, ``lanes`` of the
hidden layer, ``lanes_out`` of the output; ``unequal`` images of those simulated.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples"))

from models import MnistMLP  # noqa: E402 - the examples are no package

from neurocuda_hw import NeurocudaError, Reference, datasets  # noqa: E402
from neurocuda_hw.conversion import convert  # noqa: E402
from neurocuda_hw.network import Network  # noqa: E402
from neurocuda_hw.network.trace import Trace  # noqa: E402
from neurocuda_hw.passes.activity import Activity  # noqa: E402
from neurocuda_hw.passes.cycles import layer_work  # noqa: E402
from neurocuda_hw.passes.devices import Family  # noqa: E402
from neurocuda_hw.passes.folding import lane_choices  # noqa: E402
from neurocuda_hw.passes.plan import plan_layer  # noqa: E402
from neurocuda_hw.project.verify import verify  # noqa: E402
from neurocuda_hw.reference.snn import SpikingNetwork  # noqa: E402
from neurocuda_hw.rtl.emit import emit  # noqa: E402
from neurocuda_hw.rtl.ip import ip_files  # noqa: E402
from neurocuda_hw.synth import Area, synthesise  # noqa: E402
from neurocuda_hw.targets.checks import Check, Request  # noqa: E402

Figures = dict[str, float | int | str]
EARLIER = (
    0.8  # the output layer is given lanes to need at most this share of the hidden one's cycles
)


def converted(arguments: argparse.Namespace) -> SpikingNetwork:
    """The network, fine-tuned in its integers."""
    model = MnistMLP()
    weights = ROOT / "examples" / "checkpoints" / "mnist_mlp.pt"
    model.load_state_dict(torch.load(weights, weights_only=True))
    snn, _ = convert(
        model.eval(),
        datasets.load(arguments.data, "train"),
        strategy="exact",
        levels=arguments.levels,
        weight_bits=arguments.weight_bits,
        input_bits=arguments.pixel_bits,
        qcfs_epochs=arguments.epochs,
        rate=0.01,
        seed=arguments.seed,
        name="mnist_784_128_10",
        verbose=False,
    )
    return snn


def accuracy(snn: SpikingNetwork, images: np.ndarray, labels: np.ndarray) -> float:
    """Per cent of the images that the integer network answers rightly."""
    right = 0
    for start in range(0, len(images), 500):
        outputs = snn.run(images[start : start + 500]).outputs.flatten(1)
        right += int((outputs.argmax(1).numpy() == labels[start : start + 500]).sum())
    return 100 * right / len(images)


def lanes_for(network: Network, activity: Activity, hidden: int) -> dict[str, int]:
    """`hidden` lanes in the hidden layer; in the output the fewest that do not hold it up."""
    first, last = network.targets
    pace = layer_work(plan_layer(network, first, hidden), activity).cycles
    choices = lane_choices(last, 128)
    work = {n: layer_work(plan_layer(network, last, n), activity).cycles for n in choices}
    enough = [n for n in choices if work[n] <= EARLIER * pace]
    return {first.name: hidden, last.name: min(enough) if enough else choices[-1]}


def simulate(network: Network, trace: Trace, lanes: dict[str, int]) -> Check:
    """The Verilog's run of a trace."""
    (result,) = verify(network, golden=trace, request=Request(targets=("verilog",), lanes=lanes))
    (check,) = result.checks
    return check


def areas(network: Network, lanes: dict[str, int], *, registers: bool) -> Figures:
    """What the core takes, and with the AXI4-Lite block around it."""
    design = emit(network, lanes)
    core = synthesise(design.files, Family.SERIES7, flatten=True)
    figures: Figures = {
        "lut6": core.luts,
        "bram36": core.blocks,
        "dsp": core.dsps,
        "flipflops": core.flipflops,
    }
    if registers:
        block = _with_registers(network, design.files, design.tdata_bits)
        figures |= {"lut6_axi_lite": block.luts, "bram36_axi_lite": block.blocks}
    return figures


def _with_registers(network: Network, files: Mapping[str, bytes], tdata_bits: int) -> Area:
    around = ip_files(network, tdata_bits=tdata_bits, counters=True, sources=sorted(files))
    verilog = {path: text for path, text in around.items() if path.endswith(".v")}
    return synthesise({**files, **verilog}, Family.SERIES7, top="nchw_ip", flatten=True)


def measure(
    network: Network, trace: Trace, activity: Activity, hidden: int, *, registers: bool
) -> Figures:
    """Cycles and area of one number of lanes; ends the program unless all spikes are equal."""
    lanes = lanes_for(network, activity, hidden)
    check = simulate(network, trace, lanes)
    if not check.equal:
        raise SystemExit(f"{hidden} lanes: {check.message}")
    first, last = (lanes[p.name] for p in network.targets)
    return {
        "lanes": first,
        "lanes_out": last,
        "cycles": round(check.cycles_per_inference, 1),
        "latency": check.latency_cycles,
        "simulated": check.samples,
        "unequal": sum(check.unequal.values()),
        **areas(network, lanes, registers=registers),
    }


def main() -> int:
    """Parses, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", default="../shared/data/mnist", help="folder of the idx files (%(default)s)"
    )
    parser.add_argument("--lanes", type=int, default=32, help="of the hidden layer (%(default)s)")
    parser.add_argument("--weight-bits", type=int, default=4, help="2 to 8 (%(default)s)")
    parser.add_argument("--pixel-bits", type=int, default=1, help="of a pixel (%(default)s)")
    parser.add_argument("--levels", type=int, default=8, help="L (%(default)s)")
    parser.add_argument("--epochs", type=int, default=3, help="of fine-tuning (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--samples", type=int, default=1000, help="test images to simulate (%(default)s)"
    )
    parser.add_argument(
        "--core", action="store_true", help="leave the AXI4-Lite block's area out: half the time"
    )
    parser.add_argument(
        "--pareto", type=int, nargs="+", metavar="LANES", help="a row for each number of lanes"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON value only")
    arguments = parser.parse_args()
    if not 2 <= arguments.samples <= 10000:
        parser.error("samples must be 2 to 10000")
    wrong = [
        n for n in arguments.pareto or [arguments.lanes] if n not in {1 << i for i in range(8)}
    ]
    if wrong:
        parser.error(f"lanes must be a power of two up to 128, not {wrong[0]}")
    try:
        result = figures(arguments)
    except NeurocudaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.json:
        print(json.dumps(result))
    return 0


def figures(arguments: argparse.Namespace) -> Figures | list[Figures]:
    """All figures: of one number of lanes, or a list; a line is printed for each unless JSON is."""
    snn = converted(arguments)
    images, labels = datasets.load(arguments.data, "test")
    trace = Reference(snn.network).trace(snn.quantise(images[: arguments.samples]))
    activity = Activity(snn.network, trace)
    events = {name: round(float(mean.sum()), 1) for name, mean in activity.items()}
    shared: Figures = {
        "accuracy": round(accuracy(snn, images, labels), 2),
        "images": len(labels),
        "weight_bits": arguments.weight_bits,
        "pixel_bits": arguments.pixel_bits,
        "levels": arguments.levels,
        **{f"events_{name}": count for name, count in events.items()},
    }
    rows = []
    for lanes in arguments.pareto or [arguments.lanes]:
        found = measure(snn.network, trace, activity, lanes, registers=not arguments.core)
        rows.append({**shared, **found})
        row = rows[-1]
        print(
            f"{row['lanes']:>4} + {row['lanes_out']} lanes: {row['accuracy']} %, "
            f"{row['cycles']} cycles, {row['lut6']} LUT6 ({row.get('lut6_axi_lite', '-')} with "
            f"AXI4-Lite), {row['bram36']} BRAM36, {row['unequal']} of {row['simulated']} unequal",
            file=sys.stderr if arguments.json else sys.stdout,
            flush=True,
        )
    return rows if arguments.pareto else rows[0]


if __name__ == "__main__":
    sys.exit(main())
