"""Spikes of the Loihi 2 model beside the golden trace, in every layer of trained networks.

    python benchmarks/loihi_equality.py                          the MNIST MLP and CNN
    python benchmarks/loihi_equality.py --nmnist cnn_sinabs.nir train1000.tar.gz
    python benchmarks/loihi_equality.py --resnet20 resnet20-12fca82f.th --cifar cifar-10-batches-bin
    python benchmarks/loihi_equality.py --saved network.pt inputs.npz

The golden trace is recorded with the integer reference; the chip's model then runs the same inputs,
each layer later by its depth, and every spike of every layer and every output is compared. N-MNIST
is the network of the NIR paper (github.com/neuromorphs/NIR, paper/02_cnn) on recordings of
github.com/bamsumit/slayerPytorch; ResNet-20 is the public checkpoint of
github.com/akamaster/pytorch_resnet_cifar10, calibrated on the first training images. Exit code 1 if
a spike differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples"))

from models import CifarResNet20, MnistCNN, MnistMLP  # noqa: E402

from neurocuda_hw import NeurocudaError, Reference, datasets  # noqa: E402
from neurocuda_hw.conversion import convert  # noqa: E402
from neurocuda_hw.conversion.trained import load_trained  # noqa: E402
from neurocuda_hw.data.events import bin_events, load_nmnist  # noqa: E402
from neurocuda_hw.ground.files import write_file  # noqa: E402
from neurocuda_hw.loihi import compile as compile_loihi  # noqa: E402
from neurocuda_hw.loihi import verify_loihi  # noqa: E402
from neurocuda_hw.network import Network  # noqa: E402
from neurocuda_hw.network.model_file import load  # noqa: E402
from neurocuda_hw.network.neurons import Encoding  # noqa: E402

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # as the ResNet's author trained it
NMNIST_STEPS = 300

Case = tuple[Network, np.ndarray]


def mnist(samples: int, rate: bool) -> Iterator[Case]:
    """The shipped classifiers on test images, under the exact code or the rate code."""
    sample = ROOT / "examples" / "data" / "mnist_sample.npz"
    images, _ = datasets.load(sample, "test")
    for kind, model in (("mlp", MnistMLP), ("cnn", MnistCNN)):
        path = ROOT / "examples" / "checkpoints" / f"mnist_{kind}.pt"
        trained = load_trained(path, arch=f"models:{model.__name__}")
        snn, _ = convert(
            trained,
            datasets.load(sample, "train"),
            strategy="qcfs_direct" if rate else "exact",
            qcfs_epochs=0,
            name=f"mnist_{kind}_{'rate' if rate else 'exact'}",
            verbose=False,
        )
        yield snn.network, snn.quantise(images[:samples])


def nmnist(graph: str, recordings: str, samples: int) -> Case:
    """The NIR paper's network on event recordings, 300 steps of 1 ms."""
    from neurocuda_hw.nir import from_nir, read

    network = from_nir(
        read(graph), NMNIST_STEPS, encoding=Encoding.GRADED, payload_bits=2, name="nmnist"
    )
    events, _ = load_nmnist(recordings, samples)
    return network, np.stack([bin_events(r, steps=NMNIST_STEPS, highest=3) for r in events])


def resnet20(checkpoint: str, cifar: str, samples: int, calibration: int) -> Case:
    """The public ResNet-20 under the exact code with 8 levels, on CIFAR-10 test images."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state = {k.removeprefix("module."): v for k, v in state.get("state_dict", state).items()}
    model = CifarResNet20()
    model.load_state_dict(state)

    def images(split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
        x, y = datasets.load(cifar, split)
        mean, std = (np.array(v, dtype=np.float32)[:, None, None] for v in (MEAN, STD))
        return (x[:count] - mean) / std, y[:count]

    train = images("train", calibration)
    snn, _ = convert(
        model.eval(), train, strategy="exact", qcfs_epochs=0, name="resnet20", verbose=False
    )
    return snn.network, snn.quantise(images("test", samples)[0])


def saved(model: str, inputs: str, samples: int) -> Case:
    """A network of `nchw convert` and integers for it."""
    with np.load(inputs, allow_pickle=False) as archive:
        data = archive["x" if "x" in archive.files else archive.files[0]][:samples]
    return load(model), data.astype(np.int64)


def check(network: Network, inputs: np.ndarray) -> dict[str, object]:
    """Runs both, prints a line for each layer, and says what differs."""
    start = time.perf_counter()
    golden = Reference(network).trace(inputs)
    recorded = time.perf_counter()
    program = compile_loihi(network)
    compiled = time.perf_counter()
    results = verify_loihi(network, golden, program=program)
    done = time.perf_counter()
    print(f"{network.name}: T = {network.timesteps}, {program.mapping.cores} cores of Loihi 2")
    for result in results:
        print(f"  {result}")
        if result.first is not None:
            print(f"  {result.first}")
    unequal = sum(result.unequal for result in results)
    seconds = [b - a for a, b in ((start, recorded), (recorded, compiled), (compiled, done))]
    silent = [r.population for r in results if network[r.population].spiking and not r.spikes]
    print(
        f"  {sum(r.spikes for r in results):,} golden spikes of {golden.samples} inputs, "
        f"{unequal} unequal; silent layers: {', '.join(silent) or 'none'}; "
        "reference {:.1f} s, mapping {:.1f} s, chip {:.1f} s".format(*seconds),
        flush=True,
    )
    return {
        "network": network.name,
        "samples": golden.samples,
        "layers": len(results),
        "spikes": sum(r.spikes for r in results),
        "unequal": unequal,
        "silent_layers": silent,
        "cores": program.mapping.cores,
        "chip_seconds": round(seconds[2], 2),
    }


def main() -> None:
    """Parses the command line and checks each network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=100, help="inputs of each network (100)")
    parser.add_argument("--nmnist", nargs=2, metavar=("GRAPH", "RECORDINGS"))
    parser.add_argument("--resnet20", metavar="CHECKPOINT")
    parser.add_argument("--cifar", metavar="FOLDER", help="CIFAR-10 in its binary version")
    parser.add_argument("--calibration", type=int, default=256, help="ResNet-20's images (256)")
    parser.add_argument(
        "--saved", nargs=2, action="append", default=[], metavar=("NETWORK", "INPUTS")
    )
    parser.add_argument("--skip-mnist", action="store_true")
    parser.add_argument("--rate", action="store_true", help="MNIST under the rate code")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    if arguments.samples < 1:
        parser.error("--samples must be at least 1")
    if bool(arguments.resnet20) != bool(arguments.cifar):
        parser.error("--resnet20 and --cifar need each other")
    try:
        rows = [check(*case) for case in cases(arguments)]
        if arguments.json:
            write_file(arguments.json, (json.dumps(rows, indent=1) + "\n").encode())
    except NeurocudaError as error:
        sys.exit(f"loihi_equality: {error}")
    good = not any(row["unequal"] for row in rows)
    print("Equal, every spike of every layer." if good else "NOT equal.")
    sys.exit(0 if good else 1)


def cases(arguments: argparse.Namespace) -> Iterator[Case]:
    """Every network that was asked for."""
    if not arguments.skip_mnist:
        yield from mnist(arguments.samples, arguments.rate)
    if arguments.nmnist:
        yield nmnist(*arguments.nmnist, arguments.samples)
    if arguments.resnet20:
        yield resnet20(
            arguments.resnet20, arguments.cifar, arguments.samples, arguments.calibration
        )
    for network, inputs in arguments.saved:
        yield saved(network, inputs, arguments.samples)


if __name__ == "__main__":
    main()
