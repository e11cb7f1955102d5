"""The whole road once: a trained MNIST classifier to Verilog whose every spike is checked.

    python examples/demo.py                 the MLP, in well under two minutes
    python examples/demo.py --network cnn

Converts with the exact code, builds Verilog, simulates it on 500 real digits with Verilator, and
compares every spike of every layer with the golden trace. Exit code 0: all equal; 1: they differ.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from models import MnistCNN, MnistMLP

from neurocuda_hw import NeurocudaError, Reference
from neurocuda_hw.commands.console import print_table, say
from neurocuda_hw.commands.verify import show
from neurocuda_hw.conversion import convert, quantized_ann
from neurocuda_hw.conversion.trained import load_trained
from neurocuda_hw.data import datasets
from neurocuda_hw.ground.progress import progress_bar
from neurocuda_hw.passes.cycles import mean_events
from neurocuda_hw.passes.folding import balanced_lanes
from neurocuda_hw.project.build import build
from neurocuda_hw.project.verify import verify
from neurocuda_hw.targets.checks import Request

HERE = Path(__file__).resolve().parent
SAMPLE = HERE / "data" / "mnist_sample.npz"
CLASSES = {"mlp": MnistMLP, "cnn": MnistCNN}


def demo(kind: str, folder: Path) -> int:
    """Converts, builds, simulates, verifies and prints; gives the exit code."""
    started = time.monotonic()
    train, (images, labels) = datasets.load(SAMPLE, "train"), datasets.load(SAMPLE, "test")
    say(f"1  Converting {CLASSES[kind].__name__} with {len(train[0]):,} images (exact code).")
    with progress_bar() as progress:
        model = load_trained(
            HERE / "checkpoints" / f"mnist_{kind}.pt", arch=f"models:{CLASSES[kind].__name__}"
        )
        snn, stats = convert(
            model,
            train,
            test_loader=(images, labels),
            strategy="exact",
            qcfs_epochs=0,
            name=f"mnist_{kind}",
            verbose=False,
            progress=progress,
        )
        network = snn.network
        inputs = snn.quantise(images)
        golden = Reference(network).trace(
            inputs, progress=lambda done, total: progress("golden trace", done, total)
        )
    unequal = quantized_ann(snn).logits(inputs).numpy() != golden.outputs
    lanes = balanced_lanes(network, mean_events(network, golden))
    say(f"2  Building Verilog in {folder}, lanes {lanes}.")
    build(network, folder, lanes=lanes, trace=golden)
    say(f"3  Simulating {golden.samples} inferences with Verilator and comparing every spike.")
    with progress_bar() as progress:
        (result,) = verify(folder, request=Request(progress=progress))
    show([result])
    hardware = next(check for check in result.checks if check.target == "verilog")
    spikes = sum(hardware.spikes.values()) / hardware.samples
    answers = 100 * float((golden.outputs.argmax(axis=1) == labels).mean())
    rows = [
        ("accuracy of the trained model", f"{stats.ann_accuracy:.2f} %"),
        (
            "accuracy of the hardware" if result.equal else "accuracy of the reference",
            f"{answers:.2f} %",
        ),
        ("images whose logits differ from the quantised ANN", int(unequal.any(axis=1).sum())),
        ("cycles per inference (back to back)", f"{hardware.cycles_per_inference:,.1f}"),
        ("cycles of the first inference (latency)", f"{hardware.latency_cycles:,}"),
        ("spikes per inference", f"{spikes:,.1f}"),
        ("input events per inference", f"{float(np.count_nonzero(inputs)) / len(inputs):,.1f}"),
        ("verdict", "equal, bit for bit" if result.equal else "DIFFERENT"),
    ]
    print_table(f"{CLASSES[kind].__name__} on {len(images)} test digits", ("", ">"), rows)
    say(f"{time.monotonic() - started:.0f} s in all. Simulate it again: make -C {folder} sim")
    return result.exit_code


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", choices=sorted(CLASSES), default="mlp")
    parser.add_argument("-o", "--output", type=Path, help="folder (default: build/demo-NETWORK)")
    arguments = parser.parse_args()
    folder = arguments.output or Path("build") / f"demo-{arguments.network}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        code = demo(arguments.network, folder)
    except NeurocudaError as error:
        print(f"demo: {error}", file=sys.stderr)
        code = error.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
