"""A row of `nchw reproduce`: a command, the values to compare, and how near each must come.

A key is the path of a value, with dots: ``evt3.lut6``; rows of a list go by their name or number of
lanes: ``rows.mlp4.cycles``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from benchmarks import readme


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """How far a value may be from the committed one: by `points` of its own unit, or by a share.

    With `times`, so many times as much or as little. `why` is told beside it.
    """

    points: float = 0.0
    share: float = 0.0
    times: float = 1.0
    why: str = ""

    def holds(self, committed: Any, measured: Any) -> bool:
        """Whether `measured` may stand where `committed` does; what is no number must be equal."""
        if not (_is_number(committed) and _is_number(measured)):
            return type(committed) is type(measured) and bool(committed == measured)
        away = abs(measured - committed)
        if self.times > 1 and committed * measured > 0:
            return away == 0 or abs(math.log(measured / committed)) <= math.log(self.times)
        return bool(away <= self.points + self.share * abs(committed) + 1e-9)

    def __str__(self) -> str:
        if self.times > 1:
            return f"within {self.times:g} times"
        told = [f"{self.points:g}"] if self.points else []
        told += [f"{100 * self.share:g} %"] if self.share else []
        why = f" ({self.why})" if self.why else ""
        return (f"± {' and '.join(told)}" if told else "exact") + why


Bands = Mapping[str, Band]


@dataclass(frozen=True, slots=True)
class Run:
    """A command and the values to compare: patterns of keys, the first that fits says the band.

    The first word is a figure of the table (``python -m benchmarks``) or a script of this checkout
    that prints JSON with ``--json``; ``{data}`` is the folder of data sets, whose entries are in
    `DATA`, ``{made}`` one for networks and checkpoints: see `MADE`. `asks` is a name of
    `reproduce.ASKS`.
    """

    words: str
    bands: Bands
    asks: str = ""

    def band(self, key: str) -> Band | None:
        """How near the value of a key must come; None: it is not compared."""
        return next((b for pattern, b in self.bands.items() if fnmatchcase(key, pattern)), None)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a file of ``results/``, or a part of it.

    Parameters
    ----------
    name : str
        What ``--only`` takes.
    result : str
        The file, without its suffix.
    full : Run, optional
        The whole of it.
    quick : Run, optional
        What of it takes a minute or two.
    look : callable, optional
        In the place of a command: gives what is wrong, or nothing.
    """

    name: str
    result: str = ""
    full: Run | None = None
    quick: Run | None = None
    look: Callable[[], str] | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The committed values by their keys."""
        return flat(readme.read(self.result)) if self.result else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def flat(value: Any, key: str = "") -> dict[str, Any]:
    """Values at any depth by their paths; rows of a list by name, lanes, or what they are of."""
    if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
        value = {_called(row): row for row in value}
    if not isinstance(value, Mapping):
        return {key: value}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found |= flat(inner, f"{key}.{name}" if key else str(name))
    return found


def _called(row: Mapping[str, Any]) -> str:
    names = ("name", "lanes", "package", "direction", "network", "settings")
    told = [str(row[name]) for name in names if name in row]
    return told[0] if "name" in row else " ".join(told)
