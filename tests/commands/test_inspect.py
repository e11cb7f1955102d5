"""``nchw inspect`` of a device and of a build folder: the memories of each layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from small import chain

from neurocuda_hw.cli import cli
from neurocuda_hw.network import IF, Input, Network, Readout, Window
from neurocuda_hw.network.model_file import save
from neurocuda_hw.network.neurons import Encoding
from neurocuda_hw.network.synapses import Conv2d, Dense

FOR = ("--device", "xczu7ev", "--target-cycles", "3000")


def network() -> Network:
    """Under the exact code: an image to a map of 8 channels, and two classes."""
    rng = np.random.default_rng(1)
    window = Window(start=0, stop=1)
    cells = {
        "x": ((1, 16, 16), Input(encoding=Encoding.GRADED, payload_bits=6, window=window)),
        "y": ((8, 16, 16), IF(threshold=300, window=Window(start=0, stop=8))),
        "o": ((2,), Readout()),
    }
    weights = (rng.integers(-127, 128, shape) for shape in ((8, 1, 3, 3), (2, 2048)))
    return chain(
        8, cells, Conv2d(weight=next(weights), padding=(1, 1)), Dense(weight=next(weights))
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with ``n.pt`` and ``x.npz``."""
    monkeypatch.chdir(tmp_path)
    save(network(), tmp_path / "n.pt")
    np.savez("x.npz", x=np.random.default_rng(2).integers(0, 64, (4, 1, 1, 16, 16)))


def nchw(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def facts(*arguments: str) -> dict[str, Any]:
    result = nchw(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def test_a_device_is_folded_for() -> None:
    found = facts("inspect", "n.pt", "--inputs", "x.npz", *FOR)["memories"]
    assert (found["device"], found["there"]) == ("xczu7", {"blocks": 312, "ultras": 96})
    for layer in found["layers"]:
        assert sum(layer["uses"].values()) == layer["blocks"]
        for use, blocks in layer["uses"].items():
            assert blocks == sum(m["blocks"] for m in layer["memories"] if m["use"] == use)
    assert [layer["name"] for layer in found["layers"]] == ["y", "o", "(shared)"]


def test_without_a_device_no_memories_are_counted() -> None:
    assert facts("inspect", "n.pt", "--inputs", "x.npz")["memories"] == {}


def test_a_build_has_what_its_report_says() -> None:
    report = facts("build", "n.pt", "--inputs", "x.npz", "-o", "out", *FOR)
    folding = report["folding"]
    found = facts("inspect", "out")
    memories = found["memories"]
    assert memories["blocks"] == folding["blocks"]
    assert memories["ultras"] == folding["ultras"]
    assert [layer["blocks"] for layer in memories["layers"]] == [
        layer["blocks"] for layer in [*folding["layers"], folding["shared"]]
    ]
    told = {p["name"]: p["ways"]["memories"] for p in report["populations"] if "ways" in p}
    shown = {
        layer["name"]: {m["name"]: m["style"] for m in layer["memories"] if m["style"] != "auto"}
        for layer in memories["layers"]
    }
    assert told["y"]
    assert {n: s for n, s in told.items() if s} == {n: s for n, s in shown.items() if s}
    assert {p["name"]: p["lanes"] for p in found["populations"]} == {
        p["name"]: p["lanes"] for p in report["populations"]
    }
    assert found["samples"] == 4
    text = nchw("inspect", "out").output
    assert f"{folding['blocks']:g} of 312 RAMB36, {folding['ultras']} of 96 UltraRAM" in text


def test_a_build_has_its_lanes() -> None:
    assert nchw("build", "n.pt", "--inputs", "x.npz", "-o", "out", *FOR).exit_code == 0
    for option in ("--fit", "--target-cycles=9"):
        result = nchw("inspect", "out", "--device", "xczu7ev", option)
        assert result.exit_code == 2
        assert "a build has its lanes: --lanes, --target-cycles and --fit need" in result.output
