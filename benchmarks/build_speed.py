"""Processor time of ``nchw build``, of this checkout against an earlier commit.

    python -m benchmarks build_speed --json FILE
    python -m benchmarks build_speed --against HEAD~1 --only cnn_all --rounds 5

``resnet20`` is CIFAR-10 ResNet-20 (exact code, L = 8, no training), ``--device xczu7ev --fit``;
``cnn_all`` the MNIST CNN of ``golden/``, ``--target all``. Both commits read the same file, with
the same Python and tools; the earlier one is unpacked into a temporary folder. Runs take turns,
each a process of its own: user and system seconds of it and of all that it started, the least of
the rounds. ResNet-20 is converted once, from the public checkpoint, calibrated with CIFAR-10's
images (--cifar) or, without them, with normally distributed ones of the same shape; it is kept in
--network, and made again where that file is deleted.

Keys: ``<build>_cpu_ratio`` (this checkout over the other commit), ``<build>_cpu_seconds``,
``<build>_cpu_seconds_against``; ``commit``, ``against``, ``rounds``.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import cifar
import torch

from benchmarks import ROOT
from benchmarks.inputs import cpu_seconds, resnet20
from benchmarks.networks import CALIBRATION, exact
from benchmarks.table import say
from neurocuda_hw.ground.errors import DataError, ToolError
from neurocuda_hw.network.model_file import save

# file (of ResNet-20: --network), options of nchw build
BUILDS: dict[str, tuple[Path | None, tuple[str, ...]]] = {
    "resnet20": (None, ("--device", "xczu7ev", "--fit")),
    "cnn_all": (ROOT / "golden" / "mnist_cnn.pt", ("--target", "all")),
}


def git(*arguments: str) -> bytes:
    """What git answers in this repository."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        raise DataError(f"git {arguments[0]} failed: {done.stderr.decode().strip()}")
    return done.stdout


def answer_of(side: Path, job: dict[str, Any], answer: Path, checkout: Path, what: str) -> Any:
    """What the script `side` writes to `answer` for a job, run with the package of a checkout.

    Raises
    ------
    ToolError
        If it fails; `what` says at what.
    """
    done = subprocess.run(
        [sys.executable, str(side), json.dumps(job), str(answer)],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ToolError(f"{what} could not be measured in {checkout}: {done.stderr[-500:]}")
    return json.loads(answer.read_text())


def unpacked(commit: str, folder: Path) -> Path:
    """The repository as it was at a commit.

    Raises
    ------
    DataError
        If this clone has no such commit.
    """
    try:
        git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    except DataError:
        raise DataError(
            f"--against must be a commit of this clone, not {commit!r}; a shallow clone has the "
            "others after git fetch --unshallow"
        ) from None
    with zipfile.ZipFile(io.BytesIO(git("archive", "--format=zip", commit))) as archive:
        archive.extractall(folder)
    return folder


def make_resnet20(given: Namespace) -> None:
    """Converts the checkpoint and writes the integers."""
    if given.cifar:
        x, y = (part[:CALIBRATION] for part in cifar.load(given.cifar, "train"))
    else:
        x = torch.randn(CALIBRATION, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        y = torch.zeros(CALIBRATION, dtype=torch.long)
    snn = exact(resnet20(given.weights), (x, y), 8)
    given.network.parent.mkdir(parents=True, exist_ok=True)
    save(snn, given.network)
    say(f"{given.network}: converted, calibrated with {'CIFAR-10' if given.cifar else 'random'}")


def build_seconds(checkout: Path, network: Path, options: tuple[str, ...], folder: Path) -> float:
    """Seconds of the processor that one build takes with the package of `checkout`."""
    command = [sys.executable, "-m", "neurocuda_hw", "build", str(network.resolve()), *options]
    started = cpu_seconds()
    done = subprocess.run(
        [*command, "-o", str(folder), "--force", "--json"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ToolError(f"nchw build of {network} failed in {checkout}: {done.stderr[-500:]}")
    return cpu_seconds() - started


def measure(given: Namespace) -> dict[str, object]:
    """The ratios, and the seconds behind them."""
    if "resnet20" in given.only and not given.network.exists():
        make_resnet20(given)
    figures: dict[str, object] = {
        "commit": git("describe", "--always", "--dirty").decode().strip(),
        "against": given.against,
        "rounds": given.rounds,
    }
    with tempfile.TemporaryDirectory(prefix="nchw_") as name:
        checkouts = {"": ROOT, "_against": unpacked(given.against, Path(name) / "against")}
        for build in given.only:
            path, options = BUILDS[build]
            least: dict[str, float] = {}
            for number in range(given.rounds):
                for which, checkout in checkouts.items():
                    spent = build_seconds(
                        checkout, path or given.network, options, Path(name) / f"{build}{which}"
                    )
                    say(f"round {number + 1}, {build}{which}: {spent:.1f} s")
                    least[which] = min(spent, least.get(which, spent))
            figures[f"{build}_cpu_ratio"] = round(least[""] / least["_against"], 3)
            figures |= {f"{build}_cpu_seconds{w}": round(s, 1) for w, s in least.items()}
    return figures
