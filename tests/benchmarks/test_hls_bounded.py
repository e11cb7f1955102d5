"""Random and committed networks between FIFOs of the declared depths: a few of those measured."""

from __future__ import annotations

from argparse import Namespace

import pytest
from tools import need

from benchmarks import ROOT, hls_bounded
from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.toolchain import find_compiler
from neurocuda_hw.network.model_file import load
from neurocuda_hw.passes import queues
from neurocuda_hw.passes.study import Study
from neurocuda_hw.reference.reference import Reference

pytestmark = pytest.mark.slow


def test_random_networks_run_to_their_end() -> None:
    need(find_compiler())
    found = hls_bounded.random_networks(Namespace(random=8, seed=0, samples=3, seeds=[1, 2]))
    assert found["networks"] == 8
    assert found["bursts"] >= 1
    assert found["unequal"] == 0


@pytest.mark.parametrize("short", [False, True])
def test_a_committed_network(short: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two projections join one pair of its layers: 32 words, as once declared, lock up."""
    need(find_compiler())
    network = load(ROOT / "golden" / "mixed.pt")
    trace = Reference(network).trace(default_inputs(network, samples=4))
    if short:
        monkeypatch.setattr(
            "neurocuda_hw.hls.streams.reading_depths",
            lambda reads: [min(32, depth) for depth in queues.reading_depths(reads)],
        )
    assert hls_bounded.unequal(Study(network, trace=trace), [1, 2], level=0) == 2 * short
