"""Verilog to talk to: words in, answers out, its clock standing still between; for closed loops.

with Live(design.files, word_bits=design.tdata_bits) as hardware:
    answer = hardware.send(*packets(network, inputs, design.tdata_bits)[:1])
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.programs import Tool, run
from neurocuda_hw.rtl.front_plan import FrontCount
from neurocuda_hw.simulation.benches import RUN_FOLDER, bench_folder
from neurocuda_hw.simulation.simulate import Stalls, compiled

TOPS = ("nchw_top", "nchw_front", "nchw_camera")
_LIMIT = 1_000_000  # cycles without a transfer
_VERILATE = (
    *("--cc", "--exe", "--build", "-O3", "--x-assign", "unique", "--x-initial", "unique"),
    *("--no-timing", "-Wno-fatal", "-Wno-lint", "--prefix", "Vlive", "-o", "live"),
    *("-MAKEFLAGS", "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O1"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What came out while words were sent, and until the wanted packets had come.

    Parameters
    ----------
    words : uint64 array (M,)
    last : bool array (M,)
        TLAST of each.
    cycles : uint64 array (M,)
        When each left; cycles are counted from the reset on.
    taken : int
        The cycle in which the last word that was sent was taken.
    cycle : int
        Now.
    counts : dict of str to int
        A front block's counters so far; zeros without one.
    """

    words: np.ndarray
    last: np.ndarray
    cycles: np.ndarray
    taken: int
    cycle: int
    counts: dict[str, int]

    def values(self, bits: int, count: int) -> np.ndarray:
        """The packets as signed values ``(packets, count)``, of words of so many bits."""
        signed = self.words.astype(f"<u{bits // 8}").view(f"<i{bits // 8}")
        return signed.astype(np.int64).reshape(-1, count)


class Live:
    """A design that runs while somebody sends words to it; use it as a context.

    Parameters
    ----------
    files : mapping of str to bytes
        Verilog (all of it is compiled) and the memory files ``rtl/mem/*.mem``.
    top : str
        ``nchw_top``, or with a front block ``nchw_front`` or ``nchw_camera``.
    word_bits : int
        Width of the input's TDATA.
    stalls : Stalls, optional
        Random pauses on both streams.
    step_us, from_first
        What a front block's ports of these names get.

    Raises
    ------
    ToolError
        If Verilator or the compiler is missing or fails.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        top: str = "nchw_top",
        *,
        word_bits: int = 32,
        stalls: Stalls | None = None,
        step_us: int = 1,
        from_first: bool = False,
    ) -> None:
        if top not in TOPS:
            raise ValueError(f"top must be one of {', '.join(TOPS)}, not {top!r}")
        self._binary = _compiled(files, top, word_bits)
        self._memories = {
            path.removeprefix(f"{RUN_FOLDER}/"): content
            for path, content in files.items()
            if path.startswith(f"{RUN_FOLDER}/")
        }
        self._stalls = stalls or Stalls()
        self._step_us, self._flags = step_us, 2 * from_first

    def __enter__(self) -> Live:
        self._folder = tempfile.TemporaryDirectory(prefix="nchw_")
        for name, content in self._memories.items():
            Path(self._folder.name, name).write_bytes(content)
        self._process = subprocess.Popen(
            [self._binary, str(self._stalls.percent), str(self._stalls.seed)],
            cwd=self._folder.name,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def __exit__(self, *about: Any) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def send(
        self, words: np.ndarray, *, last: bool = True, packets: int = 1, limit: int = _LIMIT
    ) -> Answer:
        """Sends words, the last of them with TLAST, and waits for so many packets.

        Parameters
        ----------
        words : integer array (N,)
        last : bool
            Whether TLAST goes with the last word.
        packets : int
            Ends when all words are taken and so many packets came out since.
        limit : int
            Cycles without a transfer after which fewer packets will do.

        Raises
        ------
        ToolError
            If the design takes no more words, or cannot read its memory files.
        """
        head = np.array([len(words), last | self._flags, packets, limit, self._step_us], "<u4")
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(head.tobytes() + np.asarray(words).astype("<u8").tobytes())
            stdin.flush()
            cycle, taken = (int(n) for n in _read(stdout, "<u8", 2))
            *counts, size = (int(n) for n in _read(stdout, "<u4", len(FrontCount.__members__) + 1))
            out, marked = _read(stdout, "<u8", size), _read(stdout, "<u8", size)
        except (BrokenPipeError, EOFError) as error:
            raise ToolError(
                f"the simulated design took no word for {limit:,} cycles, or ended; check the "
                "build that its files are of with 'nchw verify'"
            ) from error
        names = map(str.lower, FrontCount.__members__)
        return Answer(
            words=out,
            last=(marked >> np.uint64(63)).astype(bool),
            cycles=marked & np.uint64((1 << 63) - 1),
            taken=taken,
            cycle=cycle,
            counts=dict(zip(names, counts, strict=True)),
        )


def _read(stream: IO[bytes], kind: str, count: int) -> np.ndarray:
    wanted = count * np.dtype(kind).itemsize
    content = stream.read(wanted)
    if len(content) != wanted:
        raise EOFError
    return np.frombuffer(content, kind)


def _compiled(files: Mapping[str, bytes], top: str, word_bits: int) -> Path:
    verilog = sorted(path for path in files if path.endswith(".v"))
    ports = f"-DKEEP={(1 << word_bits // 8) - 1}" if top == "nchw_top" else "-DCAMERA"
    arguments = [*_VERILATE, "--top-module", top, "-CFLAGS", f"-std=c++17 {ports}", *verilog]
    benches = bench_folder()
    sources = {path: files[path] for path in verilog}
    for name in ("live.cpp", "verilator.sh"):
        sources[f"sim/{name}"] = (benches / name).read_bytes()
    told = " ".join(arguments).encode()

    def build(work: Path, name: str, extra: dict[str, str]) -> None:
        script = Tool(name="Verilator", command=("sh", "sim/verilator.sh"))
        what = "building the simulation"
        run(script, [*arguments, "sim/live.cpp"], cwd=work, extra=extra, what=what)

    return compiled("live", sources | {"sim/arguments": told}, build)
