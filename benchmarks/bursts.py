"""Bursts against single spikes: cycles, memories, latency and pace of verification.

    python -m benchmarks bursts --network resnet20.pt --network16 resnet20_L16.pt --cifar FOLDER

The baseline is the commit before bursts (--against), unpacked into a folder of its own and run in
the same run, on the same machine and inputs; each design in a process of its own. ResNet-20 is
CIFAR-10's at L = 8 (exact code, 8 bits, no training), folded for the xczu7ev: the fastest that
fits, and the cheapest of --target-cycles; L = 16 the same weights. Its inputs are the first
--images test images. ``cnn`` is the MNIST CNN of ``golden/`` and its images, for the xc7z020, and
with at most 16 lanes. All cycles are simulated, and every spike of every step is compared; with
--planned they are only predicted.

Keys: ``resnet20_cycles_ratio``, ``resnet20_blocks_ratio`` (at --target-cycles),
``levels16_over_levels8``, ``resnet20_streams_cycles_ratio``, ``resnet20_streams_blocks_ratio`` (the
same two, by lines from the input on), ``resnet20_latency_ratio`` (one inference alone, at most 16
lanes, by lines, too), ``cnn_cycles_ratio``, ``cnn16_cycles_ratio``, ``verify_rate_ratio`` (images
of ResNet-20 per second of the harness's processor time, all spikes compared, without the build),
``hls_rate_ratio`` (that of ``make csim``, with bursts over without, both of this checkout),
``unequal`` (samples with any unequal spike or output), and the figures that they are made of.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import cifar
import numpy as np

from benchmarks import ROOT
from benchmarks.build_speed import answer_of, git, unpacked
from benchmarks.table import say
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.hls import emit as emit_hls
from neurocuda_hw.hls import verify_hls
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.trace import load_trace
from neurocuda_hw.passes.bursts import NO_BURSTS, find_bursts
from neurocuda_hw.passes.study import Study
from neurocuda_hw.reference.reference import Reference

Figures = dict[str, Any]
DEVICE = "xczu7ev"
SIDE = Path(__file__).with_name("bursts_side.py")


class Runs:
    """Measures designs of this checkout and of the one before; collects figures."""

    def __init__(self, before: Path, folder: Path, planned: bool) -> None:
        self.before, self.folder, self.planned = before, folder, planned
        self.figures: Figures = {"unequal": 0}

    def of(self, name: str, network: Path, inputs: np.ndarray, **job: Any) -> Figures:
        """One design; of this checkout with bursts, else of the one before without."""
        sent, answer = self.folder / f"{name}.npy", self.folder / f"{name}.json"
        np.save(sent, inputs)
        job = {"network": str(network.resolve()), "inputs": str(sent), **job}
        job |= {"simulate": not self.planned, "device": job.get("device")}
        checkout = ROOT if job.get("bursts") else self.before
        found: Figures = answer_of(SIDE, job, answer, checkout, name)
        self.figures["unequal"] += found.get("unequal", 0)
        self.figures |= {f"{name}_{key}": _short(value) for key, value in found.items()}
        say(f"{name}: {found['cycles']:,.0f} cycles, alone {found['latency']:,}")
        return found

    def pair(self, name: str, network: Path, inputs: np.ndarray, **job: Any) -> list[Figures]:
        """With bursts, and without; notes the ratio of cycles."""
        on = self.of(f"{name}_bursts", network, inputs, bursts=True, **job)
        off = self.of(f"{name}_spikes", network, inputs, **job)
        self.figures[f"{name}_cycles_ratio"] = round(on["cycles"] / off["cycles"], 4)
        return [on, off]


def _short(value: float) -> float:
    return value if isinstance(value, int) else round(value, 4 if value < 100 else 1)


def quantised(network: Path, images: np.ndarray) -> np.ndarray:
    """Real images as a network's integers, one step each."""
    found: np.ndarray = load(network).input.quantise(images.astype(np.float64))[:, None]
    return found


def resnet20(given: Namespace, runs: Runs) -> None:
    """The figures of ResNet-20."""
    images = np.asarray(cifar.load(given.cifar, "test")[0][: given.images])
    figures, network = runs.figures, Path(given.network)
    inputs = quantised(network, images)
    on, off = runs.pair("resnet20", network, inputs, device=DEVICE)
    if not runs.planned:
        ratio = on["per_cpu_second"] / off["per_cpu_second"]
        figures["verify_rate_ratio"] = round(ratio, 3)
    lines = {"bursts": True, "streams": True}
    fast = runs.of("resnet20_streams", network, inputs, device=DEVICE, **lines)
    figures["resnet20_streams_cycles_ratio"] = round(fast["cycles"] / off["cycles"], 4)
    runs.planned, planned = True, runs.planned
    paced = {"device": DEVICE, "target": given.target_cycles}
    for name, sent in (("", {"bursts": True}), ("streams_", lines)):
        found = runs.of(f"resnet20_{name}paced", network, inputs, **paced, **sent)
        figures[f"resnet20_{name}blocks_ratio"] = round(found["blocks"] / off["blocks"], 4)
    runs.planned = planned
    if given.network16:
        wide = Path(given.network16)
        found = runs.of(
            "resnet20_levels16", wide, quantised(wide, images), device=DEVICE, bursts=True
        )
        figures["levels16_over_levels8"] = round(found["cycles"] / on["cycles"], 4)
    _, before = runs.pair("resnet20_alone", network, inputs[:1])
    alone = runs.of("resnet20_alone_streams", network, inputs[:1], **lines)
    figures["resnet20_latency_ratio"] = round(alone["latency"] / before["latency"], 4)


def csim(given: Namespace, runs: Runs) -> None:
    """Images of ResNet-20 per second of the C simulation, with bursts and without."""
    network = load(given.network)
    images = np.asarray(cifar.load(given.cifar, "test")[0][: given.images])
    trace = Reference(network).trace(quantised(Path(given.network), images))
    rates = []
    for way, bursts in (("bursts", find_bursts(network)), ("spikes", NO_BURSTS)):
        files = emit_hls(Study(network, trace=trace, bursts=bursts))
        with tempfile.TemporaryDirectory(prefix="nchw_") as folder:
            found = verify_hls(network, trace, folder, files=files)
        runs.figures["unequal"] += not found.equal
        rates.append(found.samples_per_second)
        runs.figures[f"hls_{way}_images_per_second"] = round(rates[-1], 3)
        say(f"C simulation, {way}: {rates[-1]:.2f} images per second")
    runs.figures["hls_rate_ratio"] = round(rates[0] / rates[1], 3)


def measure(given: Namespace) -> Figures:
    """The figures of all networks."""
    with tempfile.TemporaryDirectory(prefix="nchw_") as name:
        runs = Runs(unpacked(given.against, Path(name) / "against"), Path(name), given.planned)
        if "cnn" in given.only:
            network = ROOT / "golden" / "mnist_cnn.pt"
            inputs = load_trace(network.with_suffix(".npz"), membranes=False).inputs
            runs.pair("cnn", network, inputs, device="xc7z020")
            runs.pair("cnn16", network, inputs)
        if {"resnet20", "hls"} & set(given.only) and not (given.network and given.cifar):
            raise DataError("ResNet-20 needs --network and --cifar; --only cnn leaves it out")
        if "resnet20" in given.only:
            resnet20(given, runs)
        if "hls" in given.only and not given.planned:
            csim(given, runs)
    return runs.figures | {
        "commit": git("describe", "--always", "--dirty").decode().strip(),
        "against": given.against,
        "planned": int(given.planned),
    }
