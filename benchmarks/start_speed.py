"""Processor time until ``nchw`` answers where there is nothing to do, against an earlier commit.

    python -m benchmarks start_speed --json FILE

``help`` is ``nchw --help``, ``missing_model`` ``nchw build`` of a file that is not there, and
``missing_folder`` ``nchw report`` of such a folder. Both commits have the same Python; the earlier
one is unpacked into a temporary folder. Runs take turns, each a process of its own: user and system
seconds, the least of the rounds.

Keys: ``<call>_cpu_seconds``, ``<call>_cpu_seconds_against``; ``commit``, ``against``, ``rounds``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from benchmarks import ROOT
from benchmarks.build_speed import git, unpacked
from benchmarks.inputs import cpu_seconds
from benchmarks.table import say
from neurocuda_hw.ground.errors import ToolError

CALLS = {  # arguments, exit code
    "help": (("--help",), 0),
    "missing_model": (("build", "missing.pt"), 2),
    "missing_folder": (("report", "missing"), 2),
}


def start_seconds(checkout: Path, call: str) -> float:
    """Seconds of the processor that one call takes with the package of `checkout`."""
    arguments, code = CALLS[call]
    started = cpu_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "neurocuda_hw", *arguments],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != code:
        raise ToolError(f"nchw {' '.join(arguments)} failed in {checkout}: {done.stderr[-500:]}")
    return cpu_seconds() - started


def measure(given: Namespace) -> dict[str, object]:
    """The least seconds of each call, of both commits."""
    least: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="nchw_") as name:
        checkouts = {"": ROOT, "_against": unpacked(given.against, Path(name) / "against")}
        for number in range(given.rounds):
            for call in CALLS:
                for which, checkout in checkouts.items():
                    key = f"{call}_cpu_seconds{which}"
                    spent = start_seconds(checkout, call)
                    least[key] = min(spent, least.get(key, spent))
            say(f"round {number + 1} of {given.rounds}")
    return {
        "commit": git("describe", "--always", "--dirty").decode().strip(),
        "against": given.against,
        "rounds": given.rounds,
        **{key: round(seconds, 3) for key, seconds in least.items()},
    }
