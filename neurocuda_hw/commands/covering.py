"""``--cover``: inputs that are made to show faults, and the table of what they show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from neurocuda_hw.commands.console import print_table, say

if TYPE_CHECKING:
    from neurocuda_hw.coverage.table import Coverage

cover_option = click.option(
    "--cover",
    is_flag=True,
    help="Also make inputs that show the single-bit faults of weights, thresholds, biases and "
    "initial states that no other sample shows, and print which are shown.",
)


def show_coverage(coverage: Coverage) -> None:
    """The table, and the sum."""
    rows = [(r.what, r.bits, r.shown, r.hidden, r.open) for r in coverage.rows]
    columns = ("stored", ">bits", ">shown", ">cannot be shown", ">open")
    print_table("Flips of single bits that the golden spikes show", columns, rows)
    say(f"In all {coverage}.")


def not_covered(report: dict[str, Any]) -> str:
    """What the golden trace of a build leaves open, by its report; empty where that says nothing.

    Reports may be edited: what is no coverage is passed over.
    """
    coverage = report.get("coverage")
    if not isinstance(coverage, dict):
        return ""
    numbers = [coverage.get(key) for key in ("bits", "hidden", "open")]
    if not all(isinstance(n, int) for n in numbers):
        return ""
    bits, hidden, left = numbers
    proved = f" (and {hidden:,} that no input can show)" if hidden else ""
    return f"a flip of {left:,} of its {bits:,} stored bits would not be seen{proved}"
