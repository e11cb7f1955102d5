"""benchmarks/loihi_equality.py: what it prints is what was compared, and a difference fails it."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from small import small_network

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.network.model_file import save
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.reference.reference import Reference

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "loihi_equality.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPT.parents[1] / "examples"))
    monkeypatch.setattr(sys, "path", list(sys.path))  # the script adds to it too
    spec = importlib.util.spec_from_file_location("loihi_equality", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """A saved network and its inputs."""
    network = small_network()
    save(network, tmp_path / "network.pt")
    np.savez(tmp_path / "inputs.npz", x=default_inputs(network, 6))
    saved = [str(tmp_path / "network.pt"), str(tmp_path / "inputs.npz")]
    return ["--skip-mnist", "--samples", "4", "--saved", *saved, "--json", str(tmp_path / "out")]


def run(script: ModuleType, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["loihi_equality.py", *arguments])
    with pytest.raises(SystemExit) as end:
        script.main()
    return int(end.value.code or 0)


def test_equal_networks_pass(
    script: ModuleType,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(script, arguments, monkeypatch) == 0
    (row,) = json.loads(Path(arguments[-1]).read_text())
    network = small_network()
    golden = Reference(network).trace(default_inputs(network, 6)[:4])
    assert row["spikes"] == sum(int(golden.counts(name).sum()) for name in golden.sizes) > 0
    assert (row["samples"], row["layers"], row["unequal"]) == (4, 3, 0)
    assert capsys.readouterr().out.endswith("Equal, every spike of every layer.\n")


def test_one_spike_that_differs_fails(
    script: ModuleType,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Wrong(Reference):
        def trace(self, *given: Any, **more: Any) -> Trace:
            found = super().trace(*given, **more)
            hidden = found.spikes["hidden"].copy()
            hidden[2, 3, 0] ^= 4
            return replace(found, spikes=found.spikes | {"hidden": hidden})

    monkeypatch.setattr(script, "Reference", Wrong)
    assert run(script, arguments, monkeypatch) == 1
    out = capsys.readouterr().out
    assert "first divergence: sample 2, population 'hidden', step 3, neuron 2 (2,): " in out
    assert out.endswith("NOT equal.\n")
