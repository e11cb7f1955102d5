"""The front block beside the software's binning, at small size."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
from event_formats import made, nmnist
from tools import need

from benchmarks import front
from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator, find_yosys


@pytest.mark.slow
def test_real_words_are_binned_alike(tmp_path: Path) -> None:
    need(find_verilator(), find_compiler(), find_make(), find_yosys())
    for label in range(3):
        (tmp_path / str(label)).mkdir()
        (tmp_path / str(label) / "1.bin").write_bytes(nmnist(made(500, seed=label)))
    found = front.measure(Namespace(data=str(tmp_path), recordings=3, events=2000))
    for kind in ("evt3", "aer"):
        assert found[kind]["unequal"] == 0
        assert (found[kind]["recordings"], found[kind]["events"]) == (3, 1500)
        assert found[kind]["cycles"] > 2000
        assert found[kind]["lut6"] > 100
