"""Illegal packets between legal ones, through the bulk harness and the C++."""

from __future__ import annotations

import pytest
from hls.cases import project
from tools import need

from benchmarks import packets
from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.toolchain import find_compiler, find_verilator

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["loops", "currents", "convolutions, bursts"])
def test_both_targets_drop_alike(name: str) -> None:
    need(find_verilator(), find_compiler())
    study = project(name)
    found = packets.compared(study, default_inputs(study.network, samples=20))
    wrong = {key: n for key, n in found.items() if "unequal" in key}
    assert wrong == {"verilog_unequal": 0, "hls_unequal": 0, "counts_unequal": 0}
    assert found["packets"] == 40
