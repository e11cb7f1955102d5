"""Families of FPGAs whose netlists are simulated, by the names that ``--family`` takes."""

from __future__ import annotations

from neurocuda_hw.passes.devices import Family

NETLISTS = {"ice40": Family.ICE40, "ecp5": Family.ECP5, "series7": Family.SERIES7}
