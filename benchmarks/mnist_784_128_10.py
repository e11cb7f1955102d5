"""MNIST 784-128-10 in hardware: accuracy, cycles, look-up tables and block memories.

    python -m benchmarks mnist_784_128_10
    python -m benchmarks mnist_784_128_10 --core --samples 300 --pareto 1 2 4 8 16 64 128

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
hidden layer, ``lanes_out`` of the output; ``unequal`` images of those simulated. With --pareto the
same for each number of lanes, under ``front``.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

import numpy as np

from benchmarks.inputs import mnist, simulated
from benchmarks.table import say
from neurocuda_hw import Reference, datasets
from neurocuda_hw.conversion import convert
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.activity import Activity
from neurocuda_hw.passes.cycles import layer_work
from neurocuda_hw.passes.devices import Family
from neurocuda_hw.passes.folding import lane_choices
from neurocuda_hw.passes.planner import plan_layer
from neurocuda_hw.reference.snn import SpikingNetwork
from neurocuda_hw.rtl.emit import emit
from neurocuda_hw.rtl.ip import ip_files
from neurocuda_hw.synth import Area, synthesise

Figures = dict[str, float | int | str]
EARLIER = 0.8  # share of the hidden layer's cycles that the output layer may need


def converted(given: Namespace) -> SpikingNetwork:
    """The network, fine-tuned in its integers."""
    snn, _ = convert(
        mnist("mlp"),
        datasets.load(given.data, "train"),
        strategy="exact",
        levels=given.levels,
        weight_bits=given.weight_bits,
        input_bits=given.pixel_bits,
        qcfs_epochs=given.epochs,
        rate=0.01,
        seed=given.seed,
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


def compared(
    network: Network, trace: Trace, activity: Activity, hidden: int, *, registers: bool
) -> Figures:
    """Cycles and area of one number of lanes, if all spikes are equal."""
    lanes = lanes_for(network, activity, hidden)
    check = simulated(network, trace, lanes)
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


def measure(given: Namespace) -> Mapping[str, object]:
    """All figures: of --lanes, or of each number of --pareto."""
    snn = converted(given)
    images, labels = datasets.load(given.data, "test")
    trace = Reference(snn.network).trace(snn.quantise(images[: given.samples]))
    activity = Activity(snn.network, trace)
    events = {name: round(float(mean.sum()), 1) for name, mean in activity.items()}
    shared: Figures = {
        "accuracy": round(accuracy(snn, images, labels), 2),
        "images": len(labels),
        "weight_bits": given.weight_bits,
        "pixel_bits": given.pixel_bits,
        "levels": given.levels,
        **{f"events_{name}": count for name, count in events.items()},
    }
    rows = []
    for lanes in given.pareto or [given.lanes]:
        found = compared(snn.network, trace, activity, lanes, registers=not given.core)
        rows.append({**shared, **found})
        say(f"{found['lanes']} + {found['lanes_out']} lanes: {found['cycles']} cycles")
    return {"front": rows} if given.pareto else rows[0]
