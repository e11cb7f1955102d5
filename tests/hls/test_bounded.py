"""FIFOs at the depths that `reading_depths` proves: they are enough, and one word less locks up."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from small import SPIKES, wired
from tools import need

from neurocuda_hw.ground.toolchain import find_compiler
from neurocuda_hw.hls import HlsResult, Model, emit, verify_hls
from neurocuda_hw.hls.context import context
from neurocuda_hw.hls.plan import plan_network
from neurocuda_hw.network import Network
from neurocuda_hw.network.neurons import (
    IF,
    Encoding,
    Input,
    LeakyReadout,
    Neuron,
    Readout,
    Window,
)
from neurocuda_hw.network.synapses import Dense, Diagonal, Synapse
from neurocuda_hw.passes.bursts import find_bursts
from neurocuda_hw.passes.queues import Read, reading_depths
from neurocuda_hw.passes.study import Study
from neurocuda_hw.reference.reference import Reference

pytestmark = pytest.mark.slow

ONES = Dense(weight=np.ones((3, 40), dtype=int))
SAME = Diagonal(weight=np.ones(40, dtype=int))
FIRES = IF(threshold=1)
IN, OUT = ((40,), SPIKES), ((3,), Readout())


def twice() -> Network:
    """Two projections between one pair: the second waits for the first one's marker."""
    populations = {"input": IN, "out": OUT}
    return wired(4, populations, ("input", "out", ONES), ("input", "out", ONES))


def residual() -> Network:
    """relu(conv(x) + x), behind a layer: the same where no event comes from outside."""
    populations = {"input": IN, "a": ((40,), FIRES), "b": ((40,), FIRES), "out": OUT}
    return wired(
        4,
        populations,
        ("input", "a", SAME),
        ("a", "b", SAME),
        ("a", "b", Dense(weight=np.ones((40, 40), dtype=int))),
        ("b", "out", ONES),
    )


def late() -> Network:
    """A delayed stream fills while the undelayed one of its source is read."""
    populations = {"input": IN, "out": OUT}
    return wired(4, populations, ("input", "out", ONES, 1), ("input", "out", ONES))


def loop() -> Network:
    """The second member of a loop reads the input late, the first one at once."""
    populations = {"input": IN, "a": ((40,), FIRES), "b": ((40,), FIRES), "out": OUT}
    return wired(
        4,
        populations,
        ("input", "a", SAME),
        ("input", "b", SAME, 1),
        ("a", "b", SAME),
        ("b", "a", SAME, 1),
        ("b", "out", ONES),
    )


def late_inside() -> Network:
    """A delayed stream from an earlier member of a loop to a later one: two steps are in it."""
    populations = {"input": IN, "a": ((40,), FIRES), "b": ((40,), FIRES), "out": OUT}
    return wired(
        4,
        populations,
        ("input", "a", SAME),
        ("a", "b", SAME, 1),
        ("a", "b", SAME),
        ("b", "a", SAME, 1),
        ("b", "out", ONES),
    )


def bursts() -> Network:
    """Three steps of input as one, and twice the bursts of one sender."""
    return exact(Readout(), ("input", "a", SAME), ("a", "out", ONES), ("a", "out", ONES))


def expanded() -> Network:
    """Twice the spikes that an expander makes of bursts."""
    out = LeakyReadout(decay=9)
    return exact(out, ("a", "out", ONES), ("a", "out", ONES))


def exact(out: Neuron, *joins: tuple[str, str, Synapse]) -> Network:
    """A sender of bursts of up to 4 spikes, and who takes them."""
    populations = {
        "input": ((40,), Input(encoding=Encoding.SPIKES, window=Window(start=0, stop=3))),
        "a": ((40,), IF(threshold=1, window=Window(start=2, stop=6))),
        "out": ((3,), out),
    }
    return wired(7, populations, ("input", "a", SAME), *joins)


def sending(network: Network) -> Study:
    """With all bursts that there may be."""
    return Study(network, bursts=find_bursts(network))


def run(network: Network, folder: Path, depths: dict[str, int]) -> HlsResult:
    """The bounded C simulation where every neuron fires, at other depths than declared."""
    need(find_compiler())
    files = dict(emit(sending(network)))
    text = files["nchw_top.cpp"].decode()
    for name, depth in depths.items():
        pattern = rf"(#pragma HLS STREAM variable={name} depth=)\d+\n"
        text, found = re.subn(pattern, rf"\g<1>{depth}\n", text)
        assert found == 1, name
    files["nchw_top.cpp"] = text.encode()
    steps = network.window("input").steps
    trace = Reference(network).trace(np.ones((3, steps, 40), dtype=int))
    return verify_hls(network, trace, folder, model=Model.BOUNDED, optimise=0, files=files)


@pytest.mark.parametrize(
    ("network", "tight", "words"),
    [
        (twice(), "input_to_out_1", 41),
        (residual(), "a_to_b_2", 41),
        (late(), "input_to_out_0", 41),
        (loop(), "input_to_b_1", 82),
        (loop(), "a_to_b_2", 41),
        (loop(), "b_to_a_3", 41),
        (late_inside(), "a_to_b_1", 82),
        (late_inside(), "a_to_b_2", 41),
        (late_inside(), "b_to_a_3", 41),
        (bursts(), "input_to_a_1", 121),
        (bursts(), "a_to_out_3", 41),
        (expanded(), "a_to_out_2", 41),
    ],
)
def test_one_word_less_locks_up(network: Network, tight: str, words: int, tmp_path: Path) -> None:
    values = context(plan_network(sending(network)))
    local = [s for process in values["processes"] for s in process["local"]]
    needed = {s["name"]: s["needed"] for s in (*values["streams"], *local)}
    needed.pop("result", None)
    assert needed[tight] == words
    good = run(network, tmp_path, needed)
    assert good.equal, good.fault
    bad = run(network, tmp_path, needed | {tight: words - 1})
    assert not bad.equal
    told = f"waits to write stream '{tight}', which holds {words - 1} of {words - 1}"
    assert told in bad.fault


def test_depths_by_hand() -> None:
    def depths(*reads: tuple[int, int, bool]) -> list[int]:
        return reading_depths([Read(rank=r, delay=d, words=10, later=x) for r, d, x in reads])

    assert depths((0, 0, False), (1, 0, False)) == [1, 1]  # a skip connection
    assert depths((0, 0, False), (0, 0, False)) == [1, 10]  # two between one pair
    assert depths((2, 1, False), (0, 0, False)) == [10, 1]
    assert depths((1, 0, False), (0, 1, True), (0, 0, True)) == [1, 20, 10]
