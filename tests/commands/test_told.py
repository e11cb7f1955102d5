"""What commands say beside figures: whose inputs, what was left out, which folder is meant."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from shell import Shell
from torch import nn

from neurocuda_hw.targets.table import BUILT

MADE = "inputs that were made to show faults, seed 0"


@pytest.mark.parametrize("target", [name for name, t in BUILT.items() if not t.gates])
def test_a_build_without_data_says_that_inputs_are_made(nchw: Shell, target: str) -> None:
    more = ("--export", "annotated") if target == "nir" else ()
    result = nchw("build", "network.pt", "-o", "out", "--target", target, *more)
    assert result.code == 0, result.err
    report = json.loads(Path("out/report.json").read_text())
    samples = report["golden"]["samples"]
    assert report["golden"] == {"samples": samples, "inputs": MADE}
    assert f"Golden spikes are those of {samples} samples of {MADE}." in result.out
    told = report["coverage"]
    assert told["bits"] == told["shown"] + told["hidden"] + told["open"]
    can = told["bits"] - told["hidden"]
    assert (
        f"the golden spikes show a flip of {told['shown']:,} of {can:,} stored bits" in result.out
    )
    assert told["shown"] > 0.9 * can
    if target == "loihi":
        text = Path("out/loihi/report.txt").read_text()
        assert text.endswith(f"Time and energy are those of {MADE}.\n")
        assert json.loads(Path("out/loihi/report.json").read_text())["inputs"] == MADE


def test_verify_says_whose_inputs_and_what_it_left_out(nchw: Shell) -> None:
    assert nchw("build", "network.pt", "-o", "out", "--target", "all").code == 0
    result = nchw("verify", "out", "--target", "loihi", "--json", "v.json")
    assert result.code == 0, result.err
    whose = f"the folder's own golden trace ({MADE})"
    assert f"out: inputs are those of {whose}." in result.out
    left = "verilog,hls"
    assert result.out.endswith(
        "Not compared: verilog, hls, which this folder holds too: "
        f"nchw verify out --target {left}\n"
    )
    told = json.loads(Path("out/report.json").read_text())["coverage"]
    proved = f" (and {told['hidden']:,} that no input can show)" if told["hidden"] else ""
    assert (
        f"Of single-bit faults in memory: a flip of {told['open']:,} of its {told['bits']:,} "
        f"stored bits would not be seen{proved}.\n"
    ) in result.out
    assert json.loads(Path("v.json").read_text())[0]["inputs"] == whose
    record = json.loads(Path("out/verification.json").read_text())
    assert record["checks"]["loihi"]["golden"] == whose
    data = nchw("verify", "network.pt", "--target", "loihi", "--data", "data.npz").out
    assert "network.pt: inputs are those of data.npz, its test samples." in data
    assert "Not compared" not in data


def test_a_part_of_a_build_is_the_wrong_folder_and_not_damaged(nchw: Shell) -> None:
    assert nchw("build", "network.pt", "-o", "out", "--target", "loihi").code == 0
    place = str(nchw.folder / "out")
    for command in ("report", "verify", "synth"):
        nchw.refuses(
            "'out/loihi' must be a folder that 'nchw build' wrote: its report.json is of something "
            f"else; it lies in the build {place!r}: name that",
            command,
            "out/loihi",
        )


def test_a_warning_is_one_line_without_its_source(nchw: Shell) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 1),
        nn.ReLU(),
        nn.MaxPool2d((2, 1)),
        nn.Flatten(),
        nn.Linear(6, 3),
    ).eval()
    torch.export.save(torch.export.export(model, (torch.zeros(2, 1, 2, 3),)), "model.pt2")
    x, y = np.random.default_rng(0).random((40, 1, 2, 3), dtype=np.float32), np.arange(40) % 3
    np.savez("images.npz", x=x, y=y)
    done = nchw_alone(nchw.folder)
    (line,) = [line for line in done.splitlines() if "max pooling" in line]
    assert line.startswith("nchw: note: max pooling at ")
    assert "UserWarning" not in done
    assert "warnings.warn" not in done


def nchw_alone(folder: Path) -> str:
    """Standard error of a conversion in a process of its own, where warnings are no errors."""
    command = [sys.executable, "-m", "neurocuda_hw", "convert", "model.pt2", "--data", "images.npz"]
    command += ["--code", "rate", "--qcfs-epochs", "0", "--if-epochs", "0", "-o", "n.pt"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stderr
