"""``nchw convert`` of recordings of events."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from neurocuda_hw.cli import cli
from neurocuda_hw.data.binning import bin_events
from neurocuda_hw.data.events import Events
from neurocuda_hw.data.labelled import load_recordings
from neurocuda_hw.data.nmnist import encode
from neurocuda_hw.network.model_file import load
from neurocuda_hw.network.neurons import Encoding, Input
from neurocuda_hw.reference.reference import Reference

MODEL = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(2, 3, 5, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(192, 3)
        )

    def forward(self, x):
        return self.net(x.sum(1))

class Frame(Net):
    def forward(self, x):
        return self.net(x)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 30 recordings of 3 classes, and a model's weights."""
    generator = np.random.default_rng(0)
    for number in range(30):
        count, label = 200, number % 3
        events = Events(
            x=generator.integers(0, 34, count),
            y=generator.integers(10 * label, 10 * label + 12, count),
            polarity=generator.integers(0, 2, count),
            time=np.sort(generator.integers(0, 4000, count)),
        )
        folder = tmp_path / "data" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:05d}.bin").write_bytes(encode(events))
    (tmp_path / "recorded_net.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    torch.manual_seed(0)
    from recorded_net import Net  # type: ignore[import-not-found]

    torch.save(Net().state_dict(), tmp_path / "net.pt")
    return tmp_path


def converted(place: Path, *options: str) -> dict[str, object]:
    """Figures of a conversion of recordings in 4 steps of 1 ms."""
    arguments = ["convert", "net.pt", "--data", "data", "-o", "network.pt", "--timesteps", "4"]
    run = CliRunner().invoke(cli, [*arguments, "--json", *options], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    figures: dict[str, object] = json.loads(run.stdout)
    return figures


def frames(folder: str) -> tuple[np.ndarray, np.ndarray]:
    """Counts of the recordings of a folder in 4 steps of 1 ms, and their classes."""
    recordings, labels = load_recordings(folder)
    return np.stack([bin_events(events, steps=4) for events in recordings]), labels


def test_recordings_of_events(place: Path) -> None:
    figures = converted(place, "--arch", "recorded_net:Net", "--qcfs-epochs", "1")
    network = load("network.pt")
    neuron = network.input.neuron
    assert isinstance(neuron, Input)
    assert (neuron.encoding, network.window("input").steps) == (Encoding.GRADED, 4)
    assert figures["unequal"] == 0
    x, y = frames("data")
    run = Reference(network).run(x[4::5])
    right = 100 * float((run.outputs.argmax(1).numpy() == y[4::5]).mean())
    assert figures["integer_accuracy"] == pytest.approx(right)


@pytest.mark.slow
def test_a_model_of_single_frames(place: Path) -> None:
    figures = converted(
        place, "--arch", "recorded_net:Frame", "--frames", "mean", "--strategy", "qcfs_direct"
    )
    assert figures["timesteps"] == 4
    whole = converted(place, "--arch", "recorded_net:Net", "--qcfs-epochs", "0")
    part = converted(place, "--arch", "recorded_net:Frame", "--frames", "sum", "--qcfs-epochs", "0")
    assert whole["hash"] == part["hash"]


def test_folders_train_and_test(place: Path) -> None:
    (place / "data").rename(place / "all")
    (place / "data").mkdir()
    for name in ("Train", "Test"):
        shutil.copytree(place / "all", place / "data" / name)
    figures = converted(place, "--arch", "recorded_net:Net", "--qcfs-epochs", "0")
    x, y = frames("all")
    run = Reference(load("network.pt")).run(x)
    right = 100 * float((run.outputs.argmax(1).numpy() == y).mean())
    assert figures["integer_accuracy"] == pytest.approx(right)
