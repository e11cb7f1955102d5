"""What goes wrong outside: disks, tools, interrupts, readers that go away."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from shell import Shell

from neurocuda_hw import cli
from neurocuda_hw.commands import console


@pytest.mark.parametrize(
    ("arguments", "path", "reason"),
    [
        (["golden", "network.pt", "-o"], "data.npz/t.npz", "'data.npz': Not a directory"),
        (["golden", "network.pt", "-o"], "none/t.npz", "'none': there is no such folder"),
        (["golden", "network.pt", "-o"], ".", "Is a directory"),
        (
            ["convert", "weights.pt", "--data", "data.npz", "-o"],
            "data.npz/n.pt",
            "'data.npz': Not a directory",
        ),
        (["verify", "network.pt", "--json"], "none/f.json", "'none': there is no such folder"),
    ],
)
def test_outputs_that_cannot_be_written(
    nchw: Shell, arguments: list[str], path: str, reason: str
) -> None:
    nchw.refuses(f"cannot write {path!r}: {reason}", *arguments, path)


def test_a_missing_verilator(nchw: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCHW_VERILATOR", "/nowhere/verilator")
    nchw.refuses(
        "NCHW_VERILATOR must name a program, not '/nowhere/verilator'; unset it or correct it",
        "verify",
        "network.pt",
        code=3,
    )
    result = nchw("doctor")
    assert result.code == 3
    assert "Missing: verilator." in result.out


def test_an_old_verilator(nchw: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    old = nchw.folder / "verilator"
    old.write_text("#!/bin/sh\necho 'Verilator 5.006 2023-01-22'\n")
    old.chmod(0o755)
    monkeypatch.setenv("NCHW_VERILATOR", str(old))
    result = nchw("verify", "network.pt")
    assert result.code == 3
    assert result.err.startswith(f"nchw: Verilator must be 5.036 or newer, not 5.006 ({old})")


def test_doctor(nchw: Shell) -> None:
    result = nchw("doctor", "--json")
    tools = {tool["name"]: tool for tool in result.json["tools"]}  # type: ignore[attr-defined]
    needed = [tool for tool in tools.values() if tool["needed"]]
    assert result.json["ready"] == all(tool["usable"] for tool in needed)
    assert result.code == (0 if result.json["ready"] else 3)
    assert tools["python"]["version"] == ".".join(map(str, sys.version_info[:3]))
    assert tools["torch"]["version"].split("+")[0] == torch.__version__.split("+")[0]


def test_a_full_disk(nchw: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    nchw.refuses(
        "cannot write 't.npz': No space left on device", "golden", "network.pt", "-o", "t.npz"
    )
    result = nchw("build", "network.pt", "-o", "new")
    assert (result.code, result.out) == (2, "")
    assert "No space left on device" in result.err
    assert not Path("new").exists()


def test_an_unexpected_system_error(nchw: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error", "disk")

    monkeypatch.setattr(console, "to_json", fails)
    nchw.refuses("Input/output error (disk)", "inspect", "network.pt", "--json")


def test_interrupt_is_one_line(nchw: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(console, "to_json", interrupted)
    result = nchw("inspect", "network.pt", "--json")
    assert (result.code, result.out) == (130, "")
    assert result.err.strip() == "nchw: interrupted"


def test_a_real_interrupt(nchw: Shell) -> None:
    fifo = nchw.folder / "never"
    subprocess.run(["mkfifo", str(fifo)], check=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "neurocuda_hw", "inspect", "network.pt", "--inputs", str(fifo)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(cli.__file__).parents[1]), "PATH": "/usr/bin:/bin"},
        # a shell that runs the tests in the background has them ignore interrupts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process, fifo.open("wb"):  # opens when the command opens its end: then it is at work
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out, err.strip()) == (130, "", "nchw: interrupted")


def test_a_reader_that_goes_away(nchw: Shell) -> None:
    done = subprocess.run(
        f"{sys.executable} -m neurocuda_hw inspect network.pt --json | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(cli.__file__).parents[1]), "PATH": "/usr/bin:/bin"},
        check=True,
    )
    assert (done.stdout, done.stderr) == ("{", "")
