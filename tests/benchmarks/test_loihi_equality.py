"""loihi_equality: what it gives is what was compared, and a difference fails it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import small_network

from benchmarks import command, loihi_equality
from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.network.model_file import save
from neurocuda_hw.network.trace import Trace
from neurocuda_hw.reference.reference import Reference


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """A saved network and its inputs."""
    network = small_network()
    save(network, tmp_path / "network.pt")
    np.savez(tmp_path / "inputs.npz", x=default_inputs(network, 6))
    saved = [str(tmp_path / "network.pt"), str(tmp_path / "inputs.npz")]
    return ["--skip-mnist", "--samples", "4", "--files", *saved, "--json", str(tmp_path / "out")]


def run(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as end:
        command.main(["loihi_equality", *arguments])
    return int(end.value.code or 0)


def test_equal_networks_pass(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    (row,) = json.loads(Path(arguments[-1]).read_text())
    network = small_network()
    golden = Reference(network).trace(default_inputs(network, 6)[:4])
    assert row["spikes"] == sum(int(golden.counts(name).sum()) for name in golden.sizes) > 0
    assert (row["samples"], row["layers"], row["unequal"]) == (4, 3, 0)
    assert capsys.readouterr().err.endswith("Equal, every spike of every layer.\n")


def test_one_spike_that_differs_fails(
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

    monkeypatch.setattr(loihi_equality, "Reference", Wrong)
    assert run(arguments) == 1
    told = capsys.readouterr().err
    assert "first divergence: sample 2, population 'hidden', step 3, neuron 2 (2,): " in told
    assert told.endswith("NOT equal.\n")
