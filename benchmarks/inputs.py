"""What the figures are measured on: the trained classifiers, their networks, public recordings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cifar
import numpy as np
from models import CifarResNet20, MnistCNN, MnistMLP
from torch import nn

from benchmarks import ROOT
from neurocuda_hw.conversion import convert
from neurocuda_hw.data import datasets
from neurocuda_hw.data.binning import bin_events
from neurocuda_hw.data.labelled import open_labelled
from neurocuda_hw.ground.errors import DivergenceError
from neurocuda_hw.network import Network
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts
from neurocuda_hw.passes.mapping import Ways
from neurocuda_hw.passes.study import Study
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.targets.checks import Check, Request
from neurocuda_hw.targets.table import BUILT

SAMPLE = ROOT / "examples" / "data" / "mnist_sample.npz"
MNIST = {"mlp": MnistMLP, "cnn": MnistCNN}
NMNIST_STEPS = 300

Case = tuple[Network, np.ndarray]


def mnist(kind: str) -> nn.Module:
    """The trained classifier of the examples, ``mlp`` or ``cnn``."""
    model = MNIST[kind]()
    cifar.load_weights(model, ROOT / "examples" / "checkpoints" / f"mnist_{kind}.pt")
    return model.eval()


def resnet20(weights: str | Path) -> nn.Module:
    """The trained ResNet-20 for CIFAR-10."""
    model = CifarResNet20()
    cifar.load_weights(model, weights)
    return model.eval()


def mnist_case(kind: str, code: str, samples: int) -> Case:
    """The shipped network, calibrated on the shipped sample, and test images for it."""
    snn, _ = convert(
        mnist(kind),
        datasets.load(SAMPLE, "train"),
        strategy="exact" if code == "exact" else "qcfs_direct",
        qcfs_epochs=0,
        name=f"mnist_{kind}",
        verbose=False,
    )
    images, _ = datasets.load(SAMPLE, "test")
    return snn.network, snn.quantise(images[:samples])


def nmnist_case(graph: str, recordings: str, samples: int) -> Case:
    """The NIR paper's network on recordings of 300 steps of 1 ms."""
    from neurocuda_hw.nir import from_nir, read

    network = from_nir(
        read(graph), NMNIST_STEPS, encoding=Encoding.GRADED, payload_bits=2, name="nmnist"
    )
    found = open_labelled(recordings)
    first = replace(found, entries=found.entries[:samples])
    return network, frames(first.recordings())


def frames(events: list[Any]) -> np.ndarray:
    """Recordings as counts of events in each step, at most 3."""
    return np.stack([bin_events(e, steps=NMNIST_STEPS, highest=3) for e in events])


def saved_case(model: str, inputs: str, samples: int) -> Case:
    """A saved network and as many of its quantised inputs: of an .npy, or x of an .npz."""
    stored = np.load(inputs, allow_pickle=False)
    if not isinstance(stored, np.ndarray):
        with stored as archive:
            stored = archive["x" if "x" in archive.files else archive.files[0]]
    return load(model), stored[:samples]


def traced(case: Case, batch: int | None = None) -> tuple[Network, Trace]:
    """A case with its golden trace."""
    network, inputs = case
    more = {} if batch is None else {"batch": batch}
    return network, Reference(network).trace(inputs, **more)


def simulated(
    network: Network,
    trace: Trace,
    lanes: dict[str, int],
    bursts: Bursts = NO_BURSTS,
    ways: Mapping[str, Ways] | None = None,
) -> Check:
    """The Verilog's run of a trace.

    Raises
    ------
    DivergenceError
        Unless every spike and every output is equal.
    """
    study = Study(network, trace=trace, lanes=lanes, bursts=bursts, ways=ways)
    (bench,) = [b for b in BUILT["verilog"].benches if b.name == "verilog"]
    check = bench.check(study, None, Request(targets=("verilog",)))
    if not check.equal:
        raise DivergenceError(f"{network.name}: {check.message or check.little}")
    return check


def cpu_seconds() -> float:
    """Of this process and of those that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
