"""How long ResNet-20 and ResNet-18 for CIFAR-10 take to become Verilog, and how large it is.

    python -m benchmarks elaboration                    both, with random 8-bit weights
    python -m benchmarks elaboration --files model.pt   a saved network instead

The time is that of `rtl.emit.emit` alone: planning, elaboration, Yosys, memory files. Seconds are
those of the clock; CPU seconds do not grow when the machine is busy with something else.
"""

from __future__ import annotations

import time
from argparse import Namespace

import numpy as np

from benchmarks.inputs import cpu_seconds
from benchmarks.table import say
from neurocuda_hw.network import Network, Population, Projection
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.neurons import IF, Encoding, Input, Readout, Window
from neurocuda_hw.network.synapses import Conv2d, Dense, Diagonal, SumPool
from neurocuda_hw.passes.folding import uniform_lanes
from neurocuda_hw.rtl.emit import emit

LEVELS = 4
SHAPES = {"resnet20": ((16, 32, 64), 3), "resnet18": ((64, 128, 256, 512), 2)}


def resnet(name: str) -> Network:
    """A residual network on 32 x 32 images with random weights, in the exact code."""
    widths, blocks = SHAPES[name]
    rng = np.random.default_rng(0)
    populations = [
        Population(
            name="image",
            shape=(3, 32, 32),
            neuron=Input(
                encoding=Encoding.GRADED,
                payload_bits=8,
                signed=True,
                window=Window(start=0, stop=1),
            ),
        )
    ]
    projections: list[Projection] = []

    def join(source: str, target: str, shape: tuple[int, ...], stride: int = 1) -> None:
        weight = rng.integers(-128, 128, shape)
        padding = (shape[2] // 2, shape[3] // 2)
        synapse = Conv2d(weight=weight, stride=(stride, stride), padding=padding)
        projections.append(Projection(source=source, target=target, synapse=synapse))

    def add(label: str, channels: int, size: int) -> str:
        stop = len(populations) * (LEVELS - 1) + 1
        window = Window(start=stop - LEVELS, stop=stop)
        threshold = rng.integers(2000, 4000, channels)
        neuron = IF(threshold=threshold, v_init=threshold // 2, window=window)
        populations.append(Population(name=label, shape=(channels, size, size), neuron=neuron))
        return label

    size, channels = 32, widths[0]
    last = add("conv1", channels, size)
    join("image", last, (channels, 3, 3, 3))
    for stage, width in enumerate(widths):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            size //= stride
            first = add(f"s{stage}b{block}a", width, size)
            join(last, first, (width, channels, 3, 3), stride)
            second = add(f"s{stage}b{block}b", width, size)
            join(first, second, (width, width, 3, 3))
            if stride == 1:
                skip = Diagonal(weight=rng.integers(1, 128, width))
                projections.append(Projection(source=last, target=second, synapse=skip))
            else:
                join(last, second, (width, channels, 1, 1), stride)
            last, channels = second, width
    populations.append(Population(name="logits", shape=(10,), neuron=Readout()))
    pool = SumPool(kernel=(size, size))
    synapse = Dense(weight=rng.integers(-128, 128, (10, channels)), pool=pool)
    projections.append(Projection(source=last, target="logits", synapse=synapse))
    return Network(
        name=name,
        populations=tuple(populations),
        projections=tuple(projections),
        timesteps=(len(populations) - 2) * (LEVELS - 1) + 1,
    )


def elaborated(network: Network, limit: int) -> dict[str, float | str]:
    """Seconds, and sizes in bytes."""
    weights = sum(p.synapse.weight.size for p in network.projections)
    start, cpu = time.perf_counter(), cpu_seconds()
    files = emit(network, uniform_lanes(network, limit)).files
    seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu
    verilog = {path: content for path, content in files.items() if path.endswith(".v")}
    memories = {path: len(content) for path, content in files.items() if path.endswith(".mem")}
    lines = [line for content in verilog.values() for line in content.splitlines()]
    return {
        "layers": len(network.targets),
        "weights": weights,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "verilog_bytes": sum(map(len, verilog.values())),
        "verilog_lines": len(lines),
        "longest_line": max(map(len, lines)),
        "memory_files": len(memories),
        "memory_bytes": sum(memories.values()),
    }


def measure(given: Namespace) -> dict[str, float | str]:
    """The figures of each network."""
    networks = [load(path) for path in given.files or ()]
    figures: dict[str, float | str] = {}
    for network in networks or map(resnet, given.network or sorted(SHAPES)):
        found = elaborated(network, given.lanes)
        say(f"{network.name}: {found['seconds']} s")
        figures |= {f"{network.name}_{key}": value for key, value in found.items()}
    return figures
