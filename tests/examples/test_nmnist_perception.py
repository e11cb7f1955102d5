"""The perception example on a few made recordings: it trains, converts, and all targets agree."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_formats import nmnist
from tools import need

from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

import event_data  # noqa: E402 - the examples are no package
import nmnist_perception  # noqa: E402

LITTLE = ("--seeds", 0, "--epochs", 1, "--lif-epochs", 1, "--qcfs-epochs", 0, "--if-epochs", 0,
          "--rates", 0.01, "--levels", 2, "--steps", 3)  # fmt: skip


def made(place: Path, *parts: str, each: int = 3) -> Path:
    """Recordings of three classes, each a bright column of its own, in folders."""
    rng = np.random.default_rng(0)
    for part in parts:
        for label in range(3):
            folder = place / part / str(label)
            folder.mkdir(parents=True)
            for i in range(each):
                time = np.sort(rng.integers(0, 120_000, 80))
                x, y = 5 + 10 * label + rng.integers(0, 3, 80), rng.integers(0, 34, 80)
                rows = zip(x, y, rng.integers(0, 2, 80), time, strict=True)
                (folder / f"{i}.bin").write_bytes(nmnist([tuple(map(int, r)) for r in rows]))
    return place


def figures(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """Runs the script with --json."""
    sys.argv = ["nmnist_perception.py", *map(str, arguments), "--json"]
    assert nmnist_perception.main() == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.slow
def test_all_targets_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need(find_verilator(), find_compiler(), find_make())
    place = made(tmp_path / "set", "Train", "Test")
    found = figures(capsys, "--data", place, *LITTLE, "--hardware", 1)
    assert (found["recordings"], found["held_out"]) == (18, 9)
    seed = found["seeds"]["0"]
    assert seed["exact_unequal"] == 0
    for name in ("exact", "rate", "lif"):
        run = seed[f"{name}_hardware"]
        assert [run[f"{target}_unequal"] for target in ("verilog", "hls", "loihi")] == [0, 0, 0]
        assert run["cycles"] > 0
        assert 0 < seed[f"{name}_activity"]["sparsity"] <= 1
        assert seed[f"{name}_activity"]["microjoule"] > 0
    text = nmnist_perception.table(found | {"seeds": {0: seed}})
    assert "0 / 0 / 0" in text
    assert "60,000 recordings to train on" in text


def test_spike_trains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "spoken.h5", "w") as file:
        kind = h5py.special_dtype(vlen=np.dtype("float32"))
        times = file.create_dataset("spikes/times", (10,), kind)
        units = file.create_dataset("spikes/units", (10,), h5py.special_dtype(vlen=np.dtype("u2")))
        for i in range(10):
            times[i] = np.sort(rng.random(50)).astype("float32")
            units[i] = rng.integers(0, 20, 50) + 20 * (i % 2)
        file["labels"] = np.arange(10) % 2
    data = event_data.load(tmp_path / "spoken.h5", None, None, None)
    assert (data.shape, data.steps, data.classes) == ((40,), 16, 2)
    assert data.pair(np.arange(3))[0].shape == (3, 16, 40)
    found = figures(capsys, "--data", tmp_path / "spoken.h5", *LITTLE, "--hardware", 0)
    assert (found["recordings"], found["held_out"]) == (10, 2)
    assert found["seeds"]["0"]["exact_unequal"] == 0


def test_parts_and_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = event_data.load(made(tmp_path / "set", "Train", "Test"), None, None, None)
    training, testing = data.parts(3)
    assert (len(training), len(testing)) == (9, 9)
    assert not set(training) & set(testing)
    one = event_data.load(made(tmp_path / "one", ""), None, None, None)
    fifths = [set(one.parts(seed)[1]) for seed in range(5)]
    assert set().union(*fifths) == set(range(9))
    assert sum(map(len, fifths)) == 9
    sys.argv = ["nmnist_perception.py", "--data", str(tmp_path / "nothing")]
    assert nmnist_perception.main() == 2
    assert capsys.readouterr().err.startswith("error: ")
