"""Spikes of the Loihi 2 model beside the golden trace, in every layer of trained networks.

    python -m benchmarks loihi_equality                          the MNIST MLP and CNN
    python -m benchmarks loihi_equality --nmnist cnn_sinabs.nir train1000.tar.gz
    python -m benchmarks loihi_equality --cifar cifar-10-batches-bin
    python -m benchmarks loihi_equality --files network.pt inputs.npz

The golden trace is recorded with the integer reference; the chip's model then runs the same inputs,
each layer later by its depth, and every spike of every layer and every output is compared. N-MNIST
is the network of the NIR paper (github.com/neuromorphs/NIR, paper/02_cnn) on recordings of
github.com/bamsumit/slayerPytorch; ResNet-20 is the public checkpoint of
github.com/akamaster/pytorch_resnet_cifar10, calibrated on the first training images.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator

import cifar
import numpy as np

from benchmarks.inputs import Case, mnist_case, nmnist_case, resnet20, saved_case
from benchmarks.table import say
from neurocuda_hw.conversion import convert
from neurocuda_hw.loihi import compile as compile_loihi
from neurocuda_hw.loihi import verify_loihi
from neurocuda_hw.network import Network
from neurocuda_hw.reference.reference import Reference


def check(network: Network, inputs: np.ndarray) -> dict[str, object]:
    """Runs both, prints a line for each layer, and says what differs."""
    start = time.perf_counter()
    golden = Reference(network).trace(inputs)
    recorded = time.perf_counter()
    program = compile_loihi(network)
    compiled = time.perf_counter()
    results = verify_loihi(network, golden, program=program)
    done = time.perf_counter()
    say(f"{network.name}: T = {network.timesteps}, {program.mapping.cores} cores of Loihi 2")
    for result in results:
        say(f"  {result}")
        if result.first is not None:
            say(f"  {result.first}")
    unequal = sum(result.unequal for result in results)
    seconds = [b - a for a, b in ((start, recorded), (recorded, compiled), (compiled, done))]
    silent = [r.population for r in results if network[r.population].spiking and not r.spikes]
    say(
        f"  {sum(r.spikes for r in results):,} golden spikes of {golden.samples} inputs, "
        f"{unequal} unequal; silent layers: {', '.join(silent) or 'none'}; "
        "reference {:.1f} s, mapping {:.1f} s, chip {:.1f} s".format(*seconds)
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


def public_resnet20(given: Namespace) -> Case:
    """The public ResNet-20 under the exact code with 8 levels, on CIFAR-10 test images."""
    x, y = cifar.load(given.cifar, "train")
    train = x[: given.calibration], y[: given.calibration]
    model = resnet20(given.weights)
    snn, _ = convert(model, train, strategy="exact", qcfs_epochs=0, name="resnet20", verbose=False)
    return snn.network, snn.quantise(cifar.load(given.cifar, "test")[0][: given.samples])


def cases(given: Namespace) -> Iterator[Case]:
    """Every network that was asked for."""
    if not given.skip_mnist:
        yield from (mnist_case(kind, given.code, given.samples) for kind in ("mlp", "cnn"))
    if given.nmnist:
        yield nmnist_case(*given.nmnist, given.samples)
    if given.cifar:
        yield public_resnet20(given)
    for network, inputs in given.files or ():
        yield saved_case(network, inputs, given.samples)


def measure(given: Namespace) -> list[dict[str, object]]:
    """A row for each network."""
    rows = [check(*case) for case in cases(given)]
    good = not any(row["unequal"] for row in rows)
    say("Equal, every spike of every layer." if good else "NOT equal.")
    return rows
