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
from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.toolchain import find_compiler
from neurocuda_hw.hls import Model, emit
from neurocuda_hw.hls.context import word_bits
from neurocuda_hw.hls.csim import compile_csim, dropped, faults, replay, write
from neurocuda_hw.network import Network

pytestmark = pytest.mark.slow


def check(
    network: Network,
    inputs: np.ndarray,
    folder: Path,
    seed: int,
    broken: tuple[str, str] = ("", ""),
    **how: object,
) -> None:
    """Sends rubbish, and the packets of `inputs` spoiled, in turn; compares what can be known.

    `broken` is a text of the C++ and what stands in its place.
    """
    need(find_compiler())
    odd = OddPackets.of(network, inputs, word_bits(network), random.Random(seed))
    files = emit(network) | {"stimulus.bin": odd.stimulus(), "keep.bin": odd.keep()}
    text = files["nchw_top.cpp"].decode()
    assert broken[0] in text
    files["nchw_top.cpp"] = text.replace(*broken, 1).encode()
    write(files, folder)
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


NEVER = "if (false) {"


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("currents", ("if (known && (e.c >= 3 || e.y >= 5)) {", NEVER)),
        ("currents", ("e.c >= 3 || ", "")),
        ("currents", (" || e.y >= 5", "")),
        ("currents", ("if (known && (step >= 1)) {", NEVER)),
        ("currents", ("else if (!whole) {", "else if (null) {")),
        ("currents", ("else if (!whole) {", f"else {NEVER}")),
        ("currents", ("if (step == STEPS) {", NEVER)),
        ("currents", ("if (!null) ++total.overlong;", "++total.overlong;")),
        ("currents", ("if (!null) ++total.keep;", "++total.keep;")),
        ("currents", ("while (!last || step < STEPS) {", "while (step < STEPS) {")),
        ("currents", ("word = word & (END - 1);", "")),
        ("loops", ("if (known && held == 5) {", NEVER)),
        ("loops", ("held == 5", "held == 4")),
        ("loops", ("held = marker ? 0 :", "held =")),
    ],
)
def test_a_rule_that_is_broken_shows(name: str, broken: tuple[str, str], tmp_path: Path) -> None:
    inputs = default_inputs(case(name), samples=30)
    with pytest.raises((AssertionError, ToolError)):
        check(case(name), inputs, tmp_path, 1, broken, model=Model.FAST)
