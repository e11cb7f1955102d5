"""No packet, whatever it holds, changes another one, nor locks up the C++."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hls.cases import case
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from strategies import inputs_for, networks
from tools import need

from benchmarks.odd import OddPackets
from neurocuda_hw.data.stimulus import default_inputs, observed_trace
from neurocuda_hw.ground.toolchain import find_compiler
from neurocuda_hw.hls import Model, emit
from neurocuda_hw.hls.context import word_bits
from neurocuda_hw.hls.csim import compile_csim, dropped, faults, replay, write
from neurocuda_hw.network import Network

pytestmark = pytest.mark.slow


def check(network: Network, inputs: np.ndarray, folder: Path, seed: int, **how: object) -> None:
    """Sends rubbish, and the packets of `inputs` spoiled, in turn; compares what can be known."""
    need(find_compiler())
    odd = OddPackets.of(network, inputs, word_bits(network), random.Random(seed))
    write({**emit(network), "stimulus.bin": odd.stimulus(), "keep.bin": odd.keep()}, folder)
    program, _ = compile_csim(folder, optimise=0, **how)  # type: ignore[arg-type]
    arguments = ("stimulus.bin", "--keep", "keep.bin", "--seed", str(seed))
    observed, done = replay(folder, program, arguments)
    assert faults(done.stdout) == []
    told: list[str] = []
    assert odd.unequal(observed_trace(observed, odd.trace), told.append) == 0, told
    assert dropped(done.stdout) == odd.dropped


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(networks(), st.data())
def test_random_network(network: Network, data: st.DataObject) -> None:
    inputs = data.draw(inputs_for(network, samples=3))
    with TemporaryDirectory() as folder:
        check(network, inputs, Path(folder), data.draw(st.integers(0, 99)), model=Model.BOUNDED)


@pytest.mark.parametrize("name", ["convolutions", "loops", "currents"])
def test_many_packets(name: str, tmp_path: Path) -> None:
    """Out of range, late, null, twice, over-long, cut short; no index leaves its array."""
    inputs = default_inputs(case(name), samples=100)
    check(case(name), inputs, tmp_path, 1, model=Model.FAST, sanitize=True)
