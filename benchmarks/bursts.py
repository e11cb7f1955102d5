"""Bursts against single spikes: cycles, memories, latency and pace of verification.

    python -m benchmarks bursts --network resnet20.pt --network16 resnet20_L16.pt --cifar FOLDER

The baseline is this commit with ``--bursts off``, in the same run, on the same inputs. ResNet-20 is
CIFAR-10's at L = 8 (exact code, 8 bits, no training), folded for the xczu7ev: the fastest that
fits, and the cheapest of --target-cycles; L = 16 the same weights. Its inputs are the first
--images test images. ``cnn`` is the MNIST CNN of ``golden/`` and its images, for the xc7z020, and
with at most 16 lanes. All cycles are simulated, and every spike of every step is compared; with
--planned they are only predicted.

Keys: ``resnet20_cycles_ratio``, ``resnet20_blocks_ratio`` (at --target-cycles),
``levels16_over_levels8``, ``resnet20_latency_ratio`` (one inference alone, at most 16 lanes),
``cnn_cycles_ratio``, ``cnn16_cycles_ratio``, ``verify_rate_ratio`` (images of ResNet-20 per second
of simulation), ``hls_rate_ratio`` (that of ``make csim``, per second of one
core), ``unequal`` (samples with any unequal spike or output), and the figures that they
are made of. ``--only hls`` measures the C simulation alone.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from functools import partial

import cifar
import numpy as np

from benchmarks import ROOT
from benchmarks.table import say
from neurocuda_hw.ground.errors import DataError
from neurocuda_hw.hls import emit as emit_hls
from neurocuda_hw.hls import verify_hls
from neurocuda_hw.network import Network
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.trace import Trace, load_trace
from neurocuda_hw.passes.budget import Folder, Folding
from neurocuda_hw.passes.bursts import NO_BURSTS, find_bursts
from neurocuda_hw.passes.choice import Choice, choose
from neurocuda_hw.passes.devices import find_device
from neurocuda_hw.passes.folding import uniform_lanes
from neurocuda_hw.passes.pipeline import predict
from neurocuda_hw.passes.study import Study
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.simulation.simulate import SimulationResult, Simulator

Figures = dict[str, float | int | str]
WAYS = {"on": "bursts", "off": "spikes"}


def fold(study: Study, device: str, target: int | None) -> Folding:
    """Lanes for a device."""
    folder = Folder(study.network, study.activity, bursts=study.bursts)
    return folder.fold(find_device(device), target=target)


class Runs:
    """Simulates designs, and counts what was unequal."""

    def __init__(self, planned: bool) -> None:
        self.planned, self.unequal = planned, 0

    def of(self, study: Study, trace: Trace) -> SimulationResult | None:
        """The Verilog of a study on a trace; None where it is only predicted."""
        if self.planned:
            return None
        design = emit(study)
        run = Simulator(study.network, design.files, design.tdata_bits, design.bursts)
        found = run.run(trace, jobs=1)
        if found.fault:
            raise DataError(found.fault)
        spikes = max(found.unequal_samples.values(), default=0)
        self.unequal += max(spikes, found.unequal_outputs)
        return found


def cycles(runs: Runs, choice: Choice, name: str, figures: Figures) -> float:
    """Cycles per inference of a chosen design, measured or predicted."""
    study = choice.study
    predicted = predict(study.plans, study.activity).cycles
    figures[f"{name}_predicted"] = round(predicted, 1)
    found = runs.of(study, study.trace)
    per_inference = predicted if found is None else found.cycles_per_inference
    figures[f"{name}_cycles"] = round(per_inference, 1)
    if choice.folding is not None:
        area = choice.folding.area
        figures |= {f"{name}_luts": round(area.luts), f"{name}_blocks": area.blocks}
        figures[f"{name}_dsps"] = area.dsps
    if found is not None:
        figures[f"{name}_images_per_second"] = round(found.samples / found.seconds, 3)
    say(f"{name}: {per_inference:,.0f} cycles")
    return per_inference


def pair(runs: Runs, study: Study, name: str, figures: Figures, device: str | None = None) -> float:
    """Cycles with bursts over cycles without."""
    place = None if device is None else partial(fold, device=device, target=None)
    on, off = (
        cycles(runs, choose(study, wish, place), f"{name}_{way}", figures)
        for wish, way in WAYS.items()
    )
    return round(on / off, 4)


def traced(network: Network, images: np.ndarray) -> Trace:
    """The golden trace of real images."""
    quantised = network.input.quantise(images.astype(np.float64))
    return Reference(network).trace(quantised[:, None])


def resnet20(given: Namespace, runs: Runs) -> Figures:
    """The figures of ResNet-20."""
    images = np.asarray(cifar.load(given.cifar, "test")[0][: given.images])
    network = load(given.network)
    study = Study(network, trace=traced(network, images))
    figures: Figures = {}
    figures["resnet20_cycles_ratio"] = pair(runs, study, "resnet20", figures, "xczu7ev")
    rate = "resnet20_{}_images_per_second"
    if not given.planned:
        on, off = (float(figures[rate.format(way)]) for way in WAYS.values())
        figures["verify_rate_ratio"] = round(on / off, 3)
    paced = partial(fold, device="xczu7ev", target=given.target_cycles)
    with_bursts = choose(study, "on", paced).folding
    assert with_bursts is not None
    figures["resnet20_paced_blocks"] = with_bursts.area.blocks
    blocks = float(figures["resnet20_spikes_blocks"])
    figures["resnet20_blocks_ratio"] = round(with_bursts.area.blocks / blocks, 4)
    if given.network16:
        other = load(given.network16)
        wide = Study(other, trace=traced(other, images))
        chosen = choose(wide, "on", partial(fold, device="xczu7ev", target=None))
        found = cycles(runs, chosen, "resnet20_levels16", figures)
        levels8 = float(figures["resnet20_bursts_cycles"])
        figures["levels16_over_levels8"] = round(found / levels8, 4)
    return figures | latency(runs, study, given)


def csim(runs: Runs, given: Namespace) -> Figures:
    """Images of ResNet-20 per second of the C simulation, with bursts and without."""
    network = load(given.network)
    trace = traced(network, np.asarray(cifar.load(given.cifar, "test")[0][: given.images]))
    figures: Figures = {}
    for way, bursts in (("bursts", find_bursts(network)), ("spikes", NO_BURSTS)):
        files = emit_hls(Study(network, trace=trace, bursts=bursts))
        with tempfile.TemporaryDirectory(prefix="nchw_") as folder:
            found = verify_hls(network, trace, folder, files=files)
        runs.unequal += not found.equal
        rate = found.samples_per_second
        figures[f"hls_{way}_images_per_second"] = round(rate, 3)
        say(f"C simulation, {way}: {rate:.2f} images per second")
    on, off = (float(figures[f"hls_{way}_images_per_second"]) for way in WAYS.values())
    return figures | {"hls_rate_ratio": round(on / off, 3)}


def latency(runs: Runs, study: Study, given: Namespace) -> Figures:
    """Of one inference alone, with at most 16 lanes."""
    figures: Figures = {}
    alone = Study(study.network, trace=study.trace.select(slice(0, 1)))
    narrow = alone.laid_out(uniform_lanes(study.network))
    for way, bursts in (("bursts", find_bursts(study.network)), ("spikes", NO_BURSTS)):
        laid = narrow.relaid(bursts)
        found = runs.of(laid, alone.trace)
        cycles = (
            predict(laid.plans, laid.activity).latency if found is None else found.latency_cycles
        )
        figures[f"resnet20_{way}_latency"] = cycles
        say(f"resnet20, {way}: {cycles:,} cycles for one inference alone")
    one, other = (float(figures[f"resnet20_{way}_latency"]) for way in WAYS.values())
    return figures | {"resnet20_latency_ratio": round(one / other, 4)}


def measure(given: Namespace) -> Figures:
    """The figures of all networks."""
    runs = Runs(given.planned)
    figures: Figures = {}
    if "cnn" in given.only:
        network = load(ROOT / "golden" / "mnist_cnn.pt")
        study = Study(network, trace=load_trace(ROOT / "golden" / "mnist_cnn.npz"))
        figures["cnn_cycles_ratio"] = pair(runs, study, "cnn", figures, "xc7z020")
        narrow = study.laid_out(uniform_lanes(network))
        figures["cnn16_cycles_ratio"] = pair(runs, narrow, "cnn16", figures)
    if {"resnet20", "hls"} & set(given.only) and not (given.network and given.cifar):
        raise DataError("ResNet-20 needs --network and --cifar; --only cnn leaves it out")
    if "resnet20" in given.only:
        figures |= resnet20(given, runs)
    if "hls" in given.only and not given.planned:
        figures |= csim(runs, given)
    return figures | {"unequal": runs.unequal, "planned": int(given.planned)}
