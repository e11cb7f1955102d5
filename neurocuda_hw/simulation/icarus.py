"""Runs Verilog in Icarus, as ``make icarus`` of a build folder does, and compares every spike."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from neurocuda_hw.data.stimulus import expected_bytes, observed_trace, stimulus_bytes
from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.programs import require, run
from neurocuda_hw.ground.toolchain import find_compiler, find_icarus, find_make
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts
from neurocuda_hw.simulation.benches import RUN_FOLDER, bench_files
from neurocuda_hw.simulation.simulate import SimulationResult, joined


def run_icarus(
    network: Network,
    files: Mapping[str, bytes],
    word_bits: int,
    expected: Trace,
    bursts: Bursts = NO_BURSTS,
) -> SimulationResult:
    """Replays the inputs of `expected` in Icarus; what is given as of `simulate.Simulator`.

    All samples follow one another, and nothing of a layer's cycles is counted.

    Raises
    ------
    ToolError
        If Icarus, make or the compiler is missing or fails.
    """
    icarus, compiler = require(find_icarus()), require(find_compiler())
    files = {**files, **bench_files(network, word_bits, bursts)}
    files["sim/config.mk"] = f"RUN_DIR := {RUN_FOLDER}\n".encode()
    files["golden/stimulus.bin"] = stimulus_bytes(
        network, expected.inputs, word_bits, raster=bursts.raster
    )
    files["golden/expected.bin"] = expected_bytes(expected)
    with tempfile.TemporaryDirectory(prefix="nchw_") as name:
        folder, left = Path(name), Path(name) / "obj_dir"
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        extra = {"IVERILOG": icarus.where, "VVP": str(Path(icarus.where).with_name("vvp"))}
        extra |= {"CXX": compiler.where, "MAKEFLAGS": ""}
        started = time.perf_counter()
        make = find_make()
        done = run(make, ["icarus"], cwd=folder, extra=extra, accept=(0, 2), what="Icarus")
        if not (left / "icarus.json").exists():
            raise ToolError(f"Icarus could not run the Verilog:\n{done.stdout[-2000:]}")
        told = json.loads((left / "icarus.json").read_text())
        seen = observed_trace((left / "observed.bin").read_bytes(), expected)
    return replace(joined([(told, seen)], expected), seconds=time.perf_counter() - started)
