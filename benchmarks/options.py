"""How the arguments of a figure are written in the table."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Option:
    """One argument of a figure, as `argparse` takes it."""

    name: str
    settings: Mapping[str, Any]


def number(low: int, high: int | None = None) -> Callable[[str], int]:
    """The type of whole numbers from `low` to `high`."""
    allowed = f"at least {low}" if high is None else f"{low} to {high}"

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < low or (high is not None and int(text) > high):
            raise argparse.ArgumentTypeError(f"must be {allowed}, not {text!r}")
        return int(text)

    return parse


def option(name: str, about: str = "", **settings: Any) -> Option:
    """One argument of a figure: ``option("--seeds", "of training", default=[0])``.

    A default says the type (whole numbers are at least 0), and a list that there may be several
    values; without one it is text, or None.
    """
    default = settings.get("default")
    if isinstance(default, list):
        settings.setdefault("nargs", "+")
        default = default[0]
    if "type" not in settings and isinstance(default, int | float | Path):
        settings["type"] = number(0) if isinstance(default, int) else type(default)
    return Option(name, {"help": about, **settings})


def flag(name: str, about: str) -> Option:
    """An argument that is there or not."""
    return Option(name, {"help": about, "action": "store_true"})
