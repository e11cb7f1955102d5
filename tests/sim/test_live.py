"""The simulation that is talked to answers as the reference does, and says so when it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_design import tiny_design, tiny_network
from tools import need

from neurocuda_hw.data.stimulus import default_inputs, packets
from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.simulation.live import Live
from neurocuda_hw.simulation.simulate import Stalls

NETWORK = tiny_network(spiking=False)
INPUTS = default_inputs(NETWORK, 12)
WORDS = [packets(NETWORK, INPUTS[n : n + 1], 32)[0] for n in range(len(INPUTS))]


def live(fault: str = "", stalls: int = 0) -> Live:
    """The hand-written design, whole or broken; all of them are one program."""
    return Live(tiny_design(NETWORK, fault), stalls=Stalls(percent=stalls, seed=3))


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """What compiles."""
    need(find_verilator(), find_compiler(), find_make())


@pytest.mark.parametrize("stalls", [0, 60])
def test_one_packet_at_a_time(stalls: int) -> None:
    wanted = Reference(NETWORK).trace(INPUTS).outputs
    before = 0
    with live(stalls=stalls) as hardware:
        for words, logits in zip(WORDS, wanted, strict=True):
            answer = hardware.send(words)
            assert np.array_equal(answer.values(32, 3), logits[None])
            assert answer.last.tolist() == [False, False, True]
            cycles = [before, answer.taken, *answer.cycles.tolist(), answer.cycle]
            assert cycles == sorted(cycles)
            before = answer.cycle
            assert set(answer.counts.values()) == {0}


def test_packets_that_nobody_waited_for_come_later() -> None:
    wanted = Reference(NETWORK).trace(INPUTS).outputs
    with live() as hardware:
        first = hardware.send(np.concatenate(WORDS[:1]), packets=0)
        half = len(WORDS[1]) // 2
        parts = [hardware.send(WORDS[1][:half], last=False, packets=0)]
        parts.append(hardware.send(WORDS[1][half:], packets=0))
        parts.append(hardware.send(WORDS[0][:0], packets=99, limit=1000))
    found = np.concatenate([part.values(32, 1) for part in (first, *parts)])
    assert np.array_equal(found.reshape(-1, 3), wanted[:2])
    assert parts[-1].cycle - parts[-1].cycles[-1] == 1001


def test_a_design_that_takes_no_more() -> None:
    message = r"^the simulated design took no word for 500 cycles, or ended; check the build"
    everything = np.concatenate([*WORDS, *WORDS])  # it hangs within a packet
    with live("hang") as hardware, pytest.raises(ToolError, match=message):
        hardware.send(everything, limit=500)


def test_it_is_compiled_once_for_all_weights() -> None:
    files = tiny_design(NETWORK)
    first, *others = (Live(f)._binary for f in (files, {**files, "rtl/mem/fault.mem": b"0\n"}))
    assert [first] == others


def test_a_top_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"^top must be one of nchw_top, .*, not 'nchw'$"):
        Live({}, "nchw")
