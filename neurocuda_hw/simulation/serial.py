"""The Verilog behind a serial line, simulated: a socket, or a terminal that a host opens."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.network import Network
from neurocuda_hw.simulation.benches import RUN_FOLDER, bench_files
from neurocuda_hw.simulation.simulate import SERIAL, compiled

DIVISOR = 4  # cycles of a bit: the fewest, so that bytes cost little
_PATIENCE = 5.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialDevice:
    """A simulation that runs: where a host finds it, and its process."""

    where: str
    process: subprocess.Popen[str]


@contextmanager
def serial_device(
    network: Network,
    files: Mapping[str, bytes],
    word_bits: int,
    *,
    divisor: int = DIVISOR,
    terminal: bool = False,
) -> Iterator[SerialDevice]:
    """Runs a network behind its serial bridge until the context ends.

    Parameters
    ----------
    files : mapping of str to bytes
        ``rtl/``, and ``serial/`` as `bridge_files` makes it for this `divisor`.
    word_bits : int
        Width of TDATA.
    terminal : bool
        `where` is the path of a pseudo-terminal; else it is HOST:PORT.

    Raises
    ------
    ToolError
        If Verilator, make or the compiler is missing or fails.
    """
    binary = compiled({**files, **bench_files(network, word_bits)}, SERIAL)
    with tempfile.TemporaryDirectory(prefix="nchw_") as name:
        for path, content in files.items():
            if path.startswith(f"{RUN_FOLDER}/"):
                (Path(name) / path.removeprefix(f"{RUN_FOLDER}/")).write_bytes(content)
        process = subprocess.Popen(
            [str(binary), str(divisor), "pty" if terminal else "tcp"],
            cwd=name,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            try:
                where = process.stdout.readline().strip()
                if not where:
                    raise ToolError("the simulated serial line ended before it began")
                yield SerialDevice(where=where, process=process)
            finally:
                process.stdin.close()  # it ends with its input
                try:
                    process.wait(_PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
