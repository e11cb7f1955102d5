"""The accuracy benchmark on the shipped sample: flat figures, the proof, seeds, clear errors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each is a process of its own

ROOT = Path(__file__).parents[2]


SAMPLE = str(ROOT / "examples" / "data" / "mnist_sample.npz")


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """The benchmark's process, ended."""
    command = [sys.executable, "-m", "benchmarks", "accuracy", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_figures_of_the_sample(tmp_path: Path) -> None:
    """Two codes, two seeds; a second call reads what the first one wrote."""
    options = ("mlp", "--data", SAMPLE, "--codes", "exact", "rate_direct", "--levels", "8",
               "--seeds", "0", "1", "--out", str(tmp_path), "--json", "-")  # fmt: skip
    done = run(*options)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["images"], figures["seeds"]) == (500, 2)
    assert figures["mlp_exact8_w8_unequal"] == 0
    assert "mlp_rate_direct8_w8_unequal" not in figures
    assert figures["mlp_ann"] > 97
    for code in ("exact", "rate_direct"):
        key = f"mlp_{code}8_w8"
        seeds = [json.loads((tmp_path / f"{key}_seed{n}.json").read_text())["snn"] for n in (0, 1)]
        assert figures[key] == round(sum(seeds) / 2, 4) > 97
        assert figures[f"{key}_std"] == round(abs(seeds[0] - seeds[1]) / 2**0.5, 4)
        assert figures[f"{key}_drop"] == round(figures["mlp_ann"] - figures[key], 4)
        assert 10 < figures[f"{key}_spikes"] < 128 * 8
    again = run(*options)
    assert again.stdout == done.stdout
    assert "mlp_exact8_w8_seed0" in done.stderr
    assert again.stderr == ""
    other = run(*options, "--epochs", "1")
    assert other.returncode == 2
    assert re.fullmatch(
        r"accuracy: '.*mlp_exact8_w8_seed0.json' is of \{.*'qcfs_epochs': 0.*\}, not "
        r"\{.*'qcfs_epochs': 1.*\}; delete it\n",
        other.stderr,
    )


def test_missing_data(tmp_path: Path) -> None:
    place = str(tmp_path / "nowhere")
    done = run("cnn", "--data", place, "--json", "-")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"accuracy: there is no data at {place!r}; name a folder of idx or CIFAR binary files, or "
        "a .npz with x and y\n"
    )


def test_missing_images() -> None:
    weights = ROOT / "nowhere.th"
    done = run("resnet20", "--weights", str(weights), "--json", "-")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "accuracy: resnet20 must have its images: name their folder with --cifar\n"
    )
