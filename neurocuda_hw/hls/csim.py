"""C simulation: compiles an emitted project with g++, replays a golden trace, compares every spike.

Four models compute the same bits. ``ap_int`` holds memories and streams in the vendor's classes
and wires in built-in integers; ``exact`` holds wires and registers in the vendor's classes too, as
they are synthesised, which is ten times slower; ``fast`` holds all of them in the classes of
``nchw_sim.h``, which wrap at the same widths, twice as fast and without the vendor's headers;
``bounded`` is that with a thread for each process and FIFOs that hold what is declared.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from neurocuda_hw.data.stimulus import observed_trace
from neurocuda_hw.ground.ap_headers import find_ap_headers
from neurocuda_hw.ground.errors import DataError, ToolError
from neurocuda_hw.ground.programs import Tool, require, run
from neurocuda_hw.ground.toolchain import find_compiler
from neurocuda_hw.hls.emit import EXPECTED, STIMULUS, emit, golden_files
from neurocuda_hw.network import Network
from neurocuda_hw.network.trace import Divergence, Trace, first_divergence

# as in the Makefile: g++ does not know HLS pragmas, nor that a label is the name of a loop in HLS
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label")
# ap_int reads itself before it is set, which g++ reports wherever that is inlined
_VENDOR_WARNINGS = ("-Wno-uninitialized", "-Wno-maybe-uninitialized")
_SANITIZE = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_VENDOR_SANITIZE = ("-fno-sanitize=shift",)  # ap_int shifts negative numbers to the left
_LIMIT = 3600.0  # seconds


class Model(Enum):
    """Whose integers the C simulation computes with."""

    AP_INT = "ap_int"
    EXACT = "exact"
    FAST = "fast"
    BOUNDED = "bounded"

    @property
    def vendor(self) -> bool:
        """Whether it needs the vendor's headers."""
        return self in (Model.AP_INT, Model.EXACT)


@dataclass(frozen=True, slots=True, kw_only=True)
class HlsResult:
    """What the C simulation found.

    Parameters
    ----------
    equal : bool
        Whether every spike of every population and every output was as expected.
    model : Model
    observed : Trace
        What was seen, of the inferences that ended.
    divergence : Divergence, optional
        The first one.
    fault : str
        A broken packet, a deadlock, or events that nobody read; empty if there was none.
    compile_seconds, seconds, core_seconds : float
        Of g++, within ``nchw_top``, and of one core within it, whatever else the machine does.
    """

    equal: bool
    model: Model
    observed: Trace
    divergence: Divergence | None
    fault: str
    compile_seconds: float
    seconds: float
    core_seconds: float

    @property
    def samples(self) -> int:
        """Inferences that ended."""
        return self.observed.samples

    @property
    def samples_per_second(self) -> float:
        """Inferences per second of one core."""
        return self.samples / self.core_seconds if self.core_seconds else 0.0


_DEFINES: dict[Model, tuple[str, ...]] = {
    Model.AP_INT: (),
    Model.EXACT: ("-DNCHW_EXACT",),
    Model.FAST: ("-DNCHW_FAST",),
    Model.BOUNDED: ("-DNCHW_FAST", "-DNCHW_BOUNDED"),
}


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Writes a project into `folder`, over what is there; tables that are as they were stay."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def compile_csim(
    folder: Path, model: Model, *, optimise: int = 2, sanitize: bool = False
) -> tuple[Path, float]:
    """Compiles the project in `folder`; the program's path and the seconds it took.

    Raises
    ------
    ToolError
        If there is no compiler, no vendor header, or the code does not compile without a warning.
    """
    flags = [f"-O{optimise}", *WARNINGS, *_DEFINES[model]]
    source = "nchw_top.cpp"
    if model.vendor:
        flags += [*_VENDOR_WARNINGS, "-isystem", require(find_ap_headers()).where]
    if sanitize:
        flags += _SANITIZE
        flags += _VENDOR_SANITIZE if model.vendor else ()
    program = folder / "build" / (model.value + ("_sanitize" if sanitize else ""))
    program.parent.mkdir(exist_ok=True)
    start = time.perf_counter()
    if model is Model.BOUNDED:
        source = "build/bounded.cpp"
        flags += ["-I.", "-pthread"]
        sed = Tool(name="sed", command=("sed",))
        text = run(sed, ["-f", "bounded.sed", "nchw_top.cpp"], cwd=folder).stdout
        (folder / source).write_text(text)
    run(
        find_compiler(),
        ["-std=c++14", *flags, source, "testbench.cpp", "-o", str(program.absolute())],
        cwd=folder,
        what="compiling the HLS project",
        timeout=_LIMIT,
    )
    return program, time.perf_counter() - start


def verify_hls(
    network: Network,
    trace: Trace,
    work_dir: str | Path,
    *,
    lanes: Mapping[str, int] | None = None,
    model: Model = Model.AP_INT,
    optimise: int = 2,
    sanitize: bool = False,
    files: Mapping[str, bytes] | None = None,
) -> HlsResult:
    """Emits, compiles and simulates `network`, and compares it with `trace`.

    Parameters
    ----------
    work_dir : str or Path
        A folder for the project; what is in it may be overwritten.
    lanes : mapping of str to int, optional
        See `emit`.
    optimise : int
        g++'s ``-O``; at 0 it compiles fastest.
    sanitize : bool
        Compile with AddressSanitizer and UndefinedBehaviorSanitizer; a finding is an error.
    files : mapping of str to bytes, optional
        The project to verify instead of the one that `emit` gives now.

    Raises
    ------
    ModelError
        If the network does not suit the target.
    ToolError
        If a tool is missing, or the code does not compile or crashes.
    """
    folder = Path(work_dir)
    write(emit(network, lanes) if files is None else files, folder)
    write(golden_files(network, trace), folder)
    program, compile_seconds = compile_csim(folder, model, optimise=optimise, sanitize=sanitize)
    observed, done = replay(folder, program, (STIMULUS, EXPECTED))
    timing = re.search(r"samples in ([\d.]+) s, ([\d.]+) s of one core", done.stdout)
    if timing is None:
        raise ToolError(f"the C simulation ended without a result:\n{done.stdout[-2000:]}")
    seconds = (compile_seconds, float(timing[1]), float(timing[2]))
    return _judge(network, trace, observed, done, seconds, model)


def replay(
    folder: Path, program: Path, arguments: Sequence[str]
) -> tuple[bytes, subprocess.CompletedProcess[str]]:
    """Runs a compiled test bench in `folder`: what it observed, and what it printed."""
    path = folder / "build" / "observed.bin"
    path.unlink(missing_ok=True)
    done = run(
        Tool(name="C simulation", command=(str(program.absolute()),)),
        [*arguments, "--observed", str(path.absolute())],
        cwd=folder,
        accept=(0, 1),
        timeout=_LIMIT,
    )
    try:
        return path.read_bytes(), done
    except OSError as error:
        raise ToolError(f"the C simulation left no observed spikes: {error}") from error


def dropped(text: str) -> Counter[str]:
    """What the test bench says of transfers that were dropped, by reason; none that is 0."""
    line = re.search("^dropped: (.*)$", text, re.MULTILINE)
    assert line is not None, "the test bench counts what is dropped"
    return Counter({k: int(n) for k, n in re.findall(r"(\w+) (\d+)", line[1]) if int(n)})


def faults(text: str) -> list[str]:
    """What the test bench says of broken packets, of bursts that cannot be and of events that
    nobody read, each once."""
    wrong = (
        "WARNING: Hls::stream",
        "is not one packet",
        "deadlock: ",
        "another network",
        "fault: ",
    )
    lines = [line for line in text.splitlines() if any(part in line for part in wrong)]
    return list(dict.fromkeys(lines))  # a stream that runs dry says so every time


def _judge(
    network: Network,
    trace: Trace,
    observed: bytes,
    done: subprocess.CompletedProcess[str],
    seconds: tuple[float, float, float],
    model: Model,
) -> HlsResult:
    code, text = done.returncode, done.stdout
    try:
        seen = observed_trace(observed, trace)
    except DataError as error:
        raise ToolError(f"the C simulation left no observed spikes: {error}") from error
    expected = trace.select(slice(0, seen.samples))
    divergence = first_divergence(network, expected, seen)
    found = faults(text)
    if seen.samples != trace.samples and not found:
        found.append(f"only {seen.samples} of {trace.samples} inferences ended")
    equal = divergence is None and not found
    if equal != (code == 0) and not found:
        raise ToolError(
            f"the C test bench and the comparison of traces must agree, not say {code} and "
            f"{divergence}"
        )
    return HlsResult(
        equal=equal,
        model=model,
        observed=seen,
        divergence=divergence,
        fault="\n".join(found),
        compile_seconds=seconds[0],
        seconds=seconds[1],
        core_seconds=seconds[2],
    )
