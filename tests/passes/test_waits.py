"""Waits of the hardware that the passes repeat, since they may not look at it."""

from __future__ import annotations

from neurocuda_hw.passes.cycles import LEAK_WAIT
from neurocuda_hw.rtl.lanes import SETTLE


def test_a_leaking_sweep_settles_as_long_as_the_lanes_say() -> None:
    assert LEAK_WAIT == SETTLE
