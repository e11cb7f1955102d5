"""Words that several files say."""

from __future__ import annotations

# where inputs come from
RANDOM = "random inputs, seed 0"  # `data.stimulus.default_inputs`
COVER = "inputs that were made to show faults, seed 0"  # `coverage.search.cover`
GIVEN = "inputs that were given"


def some(count: int, noun: str) -> str:
    """``1 sample``, ``2,000 samples``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
