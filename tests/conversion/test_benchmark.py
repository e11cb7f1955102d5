"""The accuracy benchmark on the shipped sample: one flat JSON object, the proof, clear errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """The benchmark's process, ended."""
    command = [sys.executable, "benchmarks/accuracy_mnist.py", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_figures_of_the_sample() -> None:
    sample = str(ROOT / "examples" / "data" / "mnist_sample.npz")
    done = run("--data", sample, "--networks", "mlp", "--rate-epochs", "0", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["images"] == 500
    assert figures["mlp_exact_unequal"] == 0
    assert figures["mlp_ann"] > 97
    for code in ("exact", "rate"):
        assert figures[f"mlp_{code}"] > 97
        drop = round(figures["mlp_ann"] - figures[f"mlp_{code}"], 4)
        assert figures[f"mlp_{code}_drop"] == drop
        assert 10 < figures[f"mlp_{code}_spikes"] < 128 * 8


def test_missing_data(tmp_path: Path) -> None:
    place = str(tmp_path / "nowhere")
    done = run("--data", place, "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: there is no data at {place!r}; name a folder of idx or CIFAR binary files, or a "
        ".npz with x and y\n"
    )
