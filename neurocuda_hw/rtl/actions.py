"""What a layer may do to a row of states."""

from __future__ import annotations

from amaranth.lib import enum


class Action(enum.Enum, shape=2):
    """What is done to a row: nothing at all, or one of three ways to a new state."""

    PASS = 0
    ACCUMULATE = 1
    SWEEP = 2
    CLEAR = 3
