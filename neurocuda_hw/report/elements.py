"""What a page is made of: sections of words, plots and tables, already text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A figure as an element of the page, with what it shows in words."""

    element: Markup
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Heads (a leading ``>`` aligns to the right) and rows of text."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Of each column, for the page's style: numbers, and what may be long or must not wrap."""
        return tuple(
            "number" if head.startswith(">") else head if head in ("inputs", "when") else ""
            for head in self.heads
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page: a title, words, plots and tables, in this order."""

    title: str
    lead: str = ""
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()


Draw = Callable[["Figure", str], Plot]
