"""Makes the golden folder again: the same models and inputs give the same bytes.

    python golden/regenerate.py              traces, the mixed network, and the manifest
    python golden/regenerate.py --convert    the two MNIST networks too, from examples/checkpoints

A conversion computes in floating point, whose last bits depend on the machine: so the converted
networks are committed, and only remade on purpose. All else is integers.
"""

from __future__ import annotations

import argparse
import platform
import sys
import zlib
from pathlib import Path

import numpy as np

from neurocuda_hw import load, save
from neurocuda_hw.commands.stimuli import quantised
from neurocuda_hw.data import datasets
from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.files import write_file
from neurocuda_hw.ground.toolchain import wheel_version
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.golden import MANIFEST, Entry, manifest_bytes
from neurocuda_hw.network.neurons import IF, LIF, Encoding, Input, Readout, Reset
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool
from neurocuda_hw.reference.reference import Reference

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "examples" / "data" / "mnist_sample.npz"
CHECKPOINTS = ROOT / "examples" / "checkpoints"
MNIST = {"mnist_mlp": ("MnistMLP", 10), "mnist_cnn": ("MnistCNN", 5)}  # class, samples in the trace
MIXED = "mixed"
MIXED_SAMPLES = 12


def mixed_network() -> Network:
    """What the MNIST networks lack: overlapping pools, a residual sum, leak, floor, recurrence."""
    rng = np.random.default_rng(2024)

    def weights(*shape: int) -> np.ndarray:
        return rng.integers(-8, 9, shape)

    return Network(
        name=MIXED,
        populations=(
            Population(
                name="input",
                shape=(2, 7, 7),
                neuron=Input(encoding=Encoding.GRADED, payload_bits=3, signed=True),
            ),
            Population(
                name="first",
                shape=(5, 7, 7),
                neuron=IF(threshold=rng.integers(20, 40, 5), v_init=9, v_floor=-25),
            ),
            Population(
                name="second",
                shape=(5, 2, 2),
                neuron=LIF(threshold=24, bias=rng.integers(-2, 3, 5), decay=512),
            ),
            Population(
                name="third", shape=(12,), neuron=IF(threshold=15, reset=Reset.ZERO, bias=1)
            ),
            Population(name="out", shape=(4,), neuron=Readout(bias=rng.integers(-5, 6, 4))),
        ),
        projections=(
            Projection(
                source="input",
                target="first",
                synapse=Conv2d(weight=weights(5, 2, 3, 3), padding=(1, 1)),
            ),
            Projection(
                source="first",
                target="second",
                synapse=Conv2d(
                    weight=weights(5, 5, 3, 3),
                    stride=(2, 2),
                    pool=SumPool(kernel=(3, 3), stride=(1, 1)),
                ),
            ),
            Projection(
                source="first",
                target="second",
                synapse=Diagonal(weight=weights(5), pool=SumPool(kernel=(3, 3))),
            ),
            Projection(source="second", target="third", synapse=Dense(weight=weights(12, 20))),
            Projection(
                source="third", target="third", synapse=Dense(weight=weights(12, 12)), delay=1
            ),
            Projection(source="third", target="out", synapse=Dense(weight=weights(4, 12))),
        ),
        timesteps=6,
    )


def convert_mnist(folder: Path) -> None:
    """Converts the two example classifiers under the exact code."""
    from neurocuda_hw.conversion import convert
    from neurocuda_hw.conversion.trained import load_trained

    sys.path.insert(0, str(CHECKPOINTS.parent))  # the example models are no package
    train = datasets.load(SAMPLE, "train")
    for name, (kind, _) in MNIST.items():
        model = load_trained(CHECKPOINTS / f"{name}.pt", arch=f"models:{kind}")
        snn, _ = convert(model, train, strategy="exact", qcfs_epochs=0, name=name, verbose=False)
        save(snn.network, folder / f"{name}.pt")


def regenerate(folder: Path, *, convert: bool = False) -> None:
    """Writes models, traces and manifest into `folder`, which holds the converted networks."""
    if convert:
        convert_mnist(folder)
    save(mixed_network(), folder / f"{MIXED}.pt")
    images, _ = datasets.load(SAMPLE, "test")
    entries = []
    for name in (*MNIST, MIXED):
        network = load(folder / f"{name}.pt")
        if name in MNIST:
            inputs = quantised(network, images[: MNIST[name][1]])
        else:
            inputs = default_inputs(network, MIXED_SAMPLES)
        write_file(folder / f"{name}.npz", Reference(network).trace(inputs).to_bytes())
        entries.append(Entry(name=name, model=f"{name}.pt", trace=f"{name}.npz"))
    versions = {name: wheel_version(name) for name in ("torch", "numpy")}
    versions["torch"] = versions["torch"].partition("+")[0]  # the same integers on any device
    # the same content, but other bytes, with another zipfile or zlib
    versions |= {"python": platform.python_version(), "zlib": zlib.ZLIB_RUNTIME_VERSION}
    content = manifest_bytes(
        folder, entries, made_by="python golden/regenerate.py", versions=versions
    )
    write_file(folder / MANIFEST, content)


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--convert", action="store_true", help="convert the MNIST networks again")
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent)
    arguments = parser.parse_args()
    regenerate(arguments.output, convert=arguments.convert)
    for path in sorted(arguments.output.glob("*.[pn]*")):
        if path.suffix in (".pt", ".npz"):
            print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
