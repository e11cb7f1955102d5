"""How objects show themselves: in one short line, and as a table where a notebook shows HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from enum import Enum
from html import escape
from typing import Any


class Brief:
    """A dataclass (``repr=False``) whose line leaves out defaults, and the values of arrays."""

    __slots__ = ()

    def __repr__(self) -> str:
        told = [
            f"{field.name}={brief(getattr(self, field.name))}"
            for field in fields(self)  # type: ignore[arg-type]
            if field.repr and not _default(field.default, getattr(self, field.name))
        ]
        return f"{type(self).__name__}({', '.join(told)})"


def _default(default: Any, value: Any) -> bool:
    return default is not MISSING and (
        value is default or (getattr(value, "size", 1) == 1 and bool(value == default))
    )


def brief(value: Any) -> str:
    """One value in a few words: of an array or tensor its shape and range."""
    if hasattr(value, "dtype"):
        if value.ndim == 0:
            return str(value.item())
        shape = f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
        empty = 0 in value.shape
        return shape if empty else f"{shape} {value.min().item():g} to {value.max().item():g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {brief(v)}" for k, v in value.items()) + "}"
    return f"{type(value).__name__}.{value.name}" if isinstance(value, Enum) else repr(value)


def outline(names: Sequence[str], most: int = 6) -> str:
    """Names one after another, those in the middle of a long row left out."""
    if len(names) > most:
        left = len(names) - most + 1
        names = [*names[: most - 2], f"({left} more)", names[-1]]
    return " -> ".join(names)


def html_table(title: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as HTML, every value escaped; a leading ``>`` of a head aligns to the right."""
    sides = ["right" if head.startswith(">") else "left" for head in heads]

    def line(tag: str, cells: Sequence[object]) -> str:
        told = (
            f'<{tag} style="text-align: {side}">{escape(str(cell))}</{tag}>'
            for side, cell in zip(sides, cells, strict=True)
        )
        return f"<tr>{''.join(told)}</tr>"

    head = line("th", [head.removeprefix(">") for head in heads])
    body = "".join(line("td", row) for row in rows)
    return (
        f"<table><caption>{escape(title)}</caption><thead>{head}</thead>"
        f"<tbody>{body}</tbody></table>"
    )
