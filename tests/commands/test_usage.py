"""The command line: help, and wrong usage."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from shell import Shell

COMMANDS = (
    "convert",
    "inspect",
    "build",
    "verify",
    "synth",
    "report",
    "golden",
    "reproduce",
    "doctor",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(nchw: Shell, command: str) -> None:
    result = nchw(command, "--help")
    assert result.code == 0
    assert len(re.findall(rf"^  nchw {command}", result.out, re.MULTILINE)) >= 1
    assert max(map(len, result.out.splitlines())) <= 100


def test_help_lists_the_commands_in_their_order(nchw: Shell) -> None:
    listed = re.findall(r"^  (\w+)  ", nchw("--help").out.split("Commands:")[1], re.MULTILINE)
    assert listed == list(COMMANDS)


def test_version(nchw: Shell) -> None:
    assert re.fullmatch(r"nchw, version \d+\.\d+\.\d+\n", nchw("--version").out)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["fly"], "No such command 'fly'"),
        (["build"], "Missing argument 'MODEL'"),
        (["convert", "weights.pt"], "Missing option '--data'"),
        (["build", "network.pt", "--target", "asic"], "'asic' is not"),
        (
            ["build", "network.pt", "--lanes", "many"],
            "must be 'auto' or a number of at least 1, not 'many'",
        ),
        (["build", "network.pt", "--lanes", "0"], "a number of at least 1, not '0'"),
        (
            ["golden", "network.pt", "--data", "data.npz", "--inputs", "data.npz", "-o", "t.npz"],
            "--data and --inputs exclude each other",
        ),
        (["verify"], "name a model or a build folder, or a golden folder with --golden"),
        (
            ["verify", "network.pt", "--golden", "data.npz", "--data", "data.npz"],
            "--golden excludes --data and --inputs",
        ),
        (
            ["convert", "weights.pt", "--data", "data.npz", "-o", "o", "--weight-bits", "9"],
            "9 is not in the range",
        ),
    ],
)
def test_wrong_usage(nchw: Shell, arguments: list[str], complaint: str) -> None:
    result = nchw(*arguments)
    assert result.code == 2
    assert complaint in result.err
    assert "Usage: nchw" in result.err
    assert result.out == ""


def test_a_process_that_ends_at_once_leaves_nothing_unsaid(tmp_path: Path) -> None:
    script = f"""
import sys, tempfile
from neurocuda_hw import cli
folder = tempfile.TemporaryDirectory(dir={str(tmp_path)!r})
cli.cli.add_command(cli.click.Command("words", callback=lambda: sys.stdout.write("said") and 4))
sys.argv = ["nchw", "words"]
cli.main()
"""
    command = [sys.executable, "-c", script]
    buffered = os.environ | {"PYTHONUNBUFFERED": ""}
    done = subprocess.run(command, env=buffered, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (4, "said", [])
