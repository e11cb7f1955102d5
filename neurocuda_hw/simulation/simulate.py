"""Runs Verilog through the bulk harness: compiles it once per content, then replays any trace.

Compiled harnesses are kept in a cache keyed by the hash of their sources and tools (``NCHW_CACHE``,
else ``$XDG_CACHE_HOME/neurocuda_hw``, else ``~/.cache/neurocuda_hw``). Memory files are read when
the simulation runs, so other weights need no other build.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from neurocuda_hw.data.stimulus import expected_bytes, observed_trace, stimulus_bytes
from neurocuda_hw.ground.aside import aside
from neurocuda_hw.ground.errors import DataError, OutputError, ToolError
from neurocuda_hw.ground.programs import Tool, require, run
from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Trace, concatenated
from neurocuda_hw.passes.bursts import NO_BURSTS, Bursts
from neurocuda_hw.rtl.axi import Fault
from neurocuda_hw.simulation.benches import BLOCK, RUN_FOLDER, bench_files, bench_folder

_SUMS = ("samples", "cycles", "gap_cycles", "gaps", "unequal_outputs")
SERIAL = "serial"  # the harness of a serial line; see `serial`
_DAY = 86_400  # seconds, beyond what any build takes
_KEPT = 24  # compiled harnesses; each is about a megabyte
_NO_BUILD_INPUT = (
    *("sim/config.mk", "sim/ports.vlt"),
    *("sim/icarus.v", "sim/replay.cpp", "sim/taps.vh"),
    *("sim/test_top.py", "sim/test_registers.py", "sim/ip_block.py", "sim/run_cocotb.py"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalls:
    """Random pauses on both streams: `percent` of all cycles (0 to 95); each block of samples draws
    from `seed` plus its number."""

    percent: int = 0
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationResult:
    """What the harness found.

    Parameters
    ----------
    equal : bool
        Whether every spike and output was as expected, and the protocol was kept.
    samples : int
        Inferences that ended.
    cycles, latency_cycles : int
        From the first input word to the last output word, of each block of `benches.BLOCK` samples,
        in all; and of the first inference.
    cycles_per_inference : float
        Mean distance of the last output words of two inferences that follow one another in a block;
        `cycles` where there is one inference only.
    spikes, unequal_samples : dict of str to int
        Per spiking population.
    unequal_outputs : int
        Samples whose outputs differ.
    activity : dict of str to (dict of str to int)
        Per population with hardware: ``events`` taken, ``spikes`` sent (of a readout, values), and
        the cycles spent ``integrating``, ``sweeping``, ``stalled``, ``starved``, in a ``bubble``
        (see `rtl.activity`), which add up to `cycles`.
    dropped : Counter of str
        Input transfers that the design dropped, by reason (`rtl.axi.Fault`).
    fault : str
        A broken protocol or a deadlock, and where; empty if there was none.
    observed : Trace
        What was seen, of the inferences that ended.
    seconds : float
        Of simulation, without the build.
    """

    equal: bool
    samples: int
    cycles: int
    latency_cycles: int
    cycles_per_inference: float
    spikes: dict[str, int]
    unequal_samples: dict[str, int]
    unequal_outputs: int
    activity: dict[str, dict[str, int]]
    dropped: Counter[str]
    fault: str
    observed: Trace
    seconds: float


class Simulator:
    """A compiled design.

    Parameters
    ----------
    network : Network
        Whose Verilog `files` are.
    files : mapping of str to bytes
        ``rtl/*.v`` and ``rtl/mem/*.mem``. The harness is the package's own, for a build folder
        too: what is counted means the same for all.
    word_bits : int
        Width of TDATA.
    bursts : Bursts
        What the Verilog sends as bursts.
    gates : bool
        It is a netlist, whose compilation takes far longer than its run.

    Raises
    ------
    ToolError
        If Verilator, make or the compiler is missing or fails.
    """

    def __init__(
        self,
        network: Network,
        files: Mapping[str, bytes],
        word_bits: int,
        bursts: Bursts = NO_BURSTS,
        *,
        gates: bool = False,
    ) -> None:
        self.network, self.bursts = network, bursts
        self.word_bits = word_bits
        self.files = {**files, **bench_files(network, word_bits, bursts)}
        self.memories = {
            path.removeprefix(f"{RUN_FOLDER}/"): content
            for path, content in files.items()
            if path.startswith(f"{RUN_FOLDER}/")
        }
        inputs = build_inputs(self.files, optimise="-O0" if gates else "-O1")
        self.binary = compiled("bulk", inputs)

    def run(
        self,
        expected: Trace,
        *,
        memories: Mapping[str, bytes] | None = None,
        stalls: Stalls | None = None,
        stop: bool = False,
        jobs: int | None = None,
        packets: tuple[bytes, bytes] | None = None,
    ) -> SimulationResult:
        """Replays the inputs of `expected` and compares everything with it.

        Parameters
        ----------
        memories : mapping of str to bytes, optional
            Memory files that replace those of the design, by name.
        stop : bool
            Whether to stop at the first sample that differs.
        jobs : int, optional
            Processes among which blocks of `BLOCK` samples are divided; as many as there are cores
            where None. Nothing that is counted depends on it, nor any fault.
        packets : (bytes, bytes), optional
            What is sent instead of those inputs: a stimulus file, and the TKEEP of each word.
        """
        blocks = -(-expected.samples // BLOCK)
        parts = 1 if stop else min(jobs or os.cpu_count() or 1, blocks)
        edges = [i * blocks // parts * BLOCK for i in range(parts)] + [expected.samples]
        with (
            tempfile.TemporaryDirectory(prefix="nchw_") as name,
            ThreadPoolExecutor(max_workers=parts) as pool,
        ):
            folder = Path(name)
            mem = folder / "mem"
            mem.mkdir()
            for path, content in {**self.memories, **(memories or {})}.items():
                (mem / path).write_bytes(content)
            stimulus, keep = packets or (
                stimulus_bytes(
                    self.network, expected.inputs, self.word_bits, raster=self.bursts.raster
                ),
                b"",
            )
            (folder / "stimulus").write_bytes(stimulus)
            (folder / "keep").write_bytes(keep)
            (folder / "expected").write_bytes(expected_bytes(expected))
            runs = [
                pool.submit(self._replay, expected, slice(*edge), mem, stalls or Stalls(), stop)
                for edge in pairwise(edges)
            ]
            results = [one.result() for one in runs]
        return joined(results, expected)

    def _replay(
        self, expected: Trace, part: slice, mem: Path, stalls: Stalls, stop: bool
    ) -> tuple[dict[str, Any], Trace]:
        """One run of the harness, in one process: what it told, and what it observed."""
        observed, result = (mem.parent / f"{what}_{part.start}" for what in ("observed", "result"))
        arguments = [
            *("../stimulus", "../expected", "--observed", str(observed), "--json", str(result)),
            *("--first", str(part.start), "--samples", str(part.stop - part.start)),
            *("--stall-percent", str(stalls.percent), "--stall-seed", str(stalls.seed)),
            *(("--stop",) if stop else ()),
            *(("--keep", "../keep") if (mem.parent / "keep").stat().st_size else ()),
        ]
        harness = Tool(name="bulk harness", command=(str(self.binary),))
        done = run(harness, arguments, cwd=mem, accept=(0, 1), what="simulation")
        if not result.exists():  # Verilator ends the process where it cannot read a memory file
            said = [line for line in done.stdout.splitlines() if "Error" in line] or ["nothing"]
            raise DataError(
                f"the simulation ended before it compared anything; it said: {said[0]}; build the "
                "folder again"
            )
        told = json.loads(result.read_text())
        return told, observed_trace(observed.read_bytes(), expected.select(part))


def joined(results: list[tuple[dict[str, Any], Trace]], expected: Trace) -> SimulationResult:
    """Consecutive parts as one result, up to the first part with a broken protocol."""
    ends = [i for i, (part, _) in enumerate(results) if part["fault"]] or [len(results) - 1]
    told, seen = zip(*results[: ends[0] + 1], strict=True)
    total = {what: sum(part[what] for part in told) for what in _SUMS}
    populations = [part["populations"] for part in told]
    return SimulationResult(
        equal=all(part["equal"] for part in told),
        samples=total["samples"],
        cycles=total["cycles"],
        latency_cycles=told[0]["latency_cycles"],
        cycles_per_inference=(
            total["gap_cycles"] / total["gaps"] if total["gaps"] else float(total["cycles"])
        ),
        spikes=_added([{n: row["spikes"] for n, row in rows.items()} for rows in populations]),
        unequal_samples=_added(
            [{n: row["unequal_samples"] for n, row in rows.items()} for rows in populations]
        ),
        unequal_outputs=total["unequal_outputs"],
        activity={
            name: _added([part["activity"][name] for part in told]) for name in told[0]["activity"]
        },
        dropped=sum((_reasons(part["dropped"]) for part in told), start=Counter()),
        fault=told[-1]["fault"],
        observed=replace(
            expected.select(slice(0, total["samples"])),
            spikes=concatenated([part.spikes for part in seen]),
            outputs=np.concatenate([part.outputs for part in seen]),
            membranes={},
        ),
        seconds=max(part["seconds"] for part in told),
    )


def _reasons(counts: list[int]) -> Counter[str]:
    names = Fault.__members__
    return Counter({name: counts[fault] for name, fault in names.items() if counts[fault]})


def _added(counts: list[dict[str, int]]) -> dict[str, int]:
    return {name: sum(c[name] for c in counts) for name in counts[0]}


def cache_folder() -> Path:
    """Where compiled harnesses are kept."""
    named = os.environ.get("NCHW_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "neurocuda_hw"


def _key(files: Mapping[str, bytes], tools: list[Tool]) -> str:
    """Hash of everything the compiled harness depends on."""
    digest = hashlib.sha256()
    for tool in tools:
        digest.update(f"{tool.name} {tool.version} {tool.where}\n".encode())
    for path in sorted(files):
        digest.update(f"{path} {len(files[path])}\n".encode())
        digest.update(files[path])
    return digest.hexdigest()[:32]


def build_inputs(
    files: Mapping[str, bytes], program: str = "bulk", *, optimise: str = "-O1"
) -> dict[str, bytes]:
    """What `program` is made of; the bulk harness has no serial line."""
    folders = ("rtl/", "serial/") if program == SERIAL else ("rtl/",)
    left_out = (*_NO_BUILD_INPUT, *(() if program == SERIAL else (f"sim/{SERIAL}.cpp",)))
    inputs = {
        path: content
        for path, content in files.items()
        if path == "Makefile"
        or (path.startswith("sim/") and path not in left_out)
        or (path.startswith(folders) and path.endswith(".v"))
    }
    told = f"RUN_DIR := {RUN_FOLDER}\nOPTIMISE := {optimise}\n"
    return inputs | {"sim/config.mk": told.encode()}


def compiled(
    name: str,
    files: Mapping[str, bytes],
    build: Callable[[Path, str, dict[str, str]], object] | None = None,
) -> Path:
    """The program of these files, from the cache or freshly made.

    `build` gets a folder that holds them, the name, and the environment in which Verilator finds
    its tools, and leaves ``obj_dir/name`` there; without, the Makefile among the files does.
    """
    verilator, compiler = require(find_verilator()), require(find_compiler())
    folder = cache_folder()
    binary = folder / f"{name}-{_key(files, [verilator, compiler])}"
    if binary.is_file():
        binary.touch()  # the cache drops what was not used for longest
        return binary
    # sim/verilator.sh looks for Verilator as `find_verilator` does; no flags of an outer make
    extra = {"PYTHON": sys.executable, "CXX": compiler.where, "MAKEFLAGS": ""}
    extra["OBJCACHE"] = os.environ.get("OBJCACHE") or object_cache(folder / "runtime")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with aside(folder, name) as place, _spaceless(place) as work:
            for path, content in files.items():
                target = work / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            (build or _make)(work, name, extra)
            if not (work / "obj_dir" / name).is_file():
                raise ToolError("Verilator built no program; run 'nchw doctor'")
            shutil.move(work / "obj_dir" / name, place / "harness")
            (place / "harness").replace(binary)
        _forget_old(folder, name)
    except OSError as error:
        raise OutputError(
            f"cannot write the cache folder {str(folder)!r}: {error.strerror}; name another one in "
            "NCHW_CACHE"
        ) from error
    return binary


@contextmanager
def _spaceless(place: Path) -> Iterator[Path]:
    """`place`, or where make cannot build there, as it cannot below a space, another folder."""
    if not any(sign.isspace() for sign in str(place.absolute())):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="nchw_") as name:
        yield Path(name)


def _make(work: Path, name: str, extra: dict[str, str]) -> None:
    make = require(find_make())
    run(make, [f"obj_dir/{name}"], cwd=work, extra=extra, what="building the simulation")


def object_cache(folder: Path) -> str:
    """``OBJCACHE`` for which Verilator's own library is compiled once and kept in `folder`."""
    words = ("sh", str(bench_folder() / "objcache.sh"), str(folder.absolute()))
    return " ".join(shlex.quote(word) for word in words).replace("$", "$$")


def _forget_old(folder: Path, program: str) -> None:
    """Drops the harnesses that were not used for longest."""
    found = sorted(folder.glob(f"{program}-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[_KEPT:]:
        path.unlink(missing_ok=True)
    for path in folder.glob("part-*"):  # work folders of earlier versions
        if path.stat().st_mtime < time.time() - _DAY:
            shutil.rmtree(path, ignore_errors=True)
