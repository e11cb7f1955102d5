"""Draws ``docs/rooms.svg``: the rooms of the package and who imports whom, read from its source.

    python docs/draw_rooms.py

An arrow goes from a room to one that it imports. What follows from other arrows is left out: a room
that reaches another through a third has no arrow of its own to it.
"""

from __future__ import annotations

import ast
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from reading import PACKAGE, imports, longest  # noqa: E402

PICTURE = ROOT / "docs" / "rooms.svg"
WIDE, HIGH, GAP, RISE = 208, 50, 26, 40  # of a box, and between boxes and floors, in pixels
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2933 }
.name { font-weight: 600; font-size: 14px }
rect { fill: #eef3f8; stroke: #5b7083; rx: 6px }
.way { fill: none; stroke: #5b7083; stroke-opacity: 0.75; marker-end: url(#tip) }
.tip { fill: #5b7083 }
@media (prefers-color-scheme: dark) {
  text { fill: #e4ebf1 } rect { fill: #22303c; stroke: #8fa5b8 } .way { stroke: #8fa5b8 }
}
"""
TIP = (
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker>'
)


def rooms() -> dict[str, str]:
    """Each folder of the package and what it is: the first line of its docstring."""
    found = {}
    for path in sorted(PACKAGE.glob("*/__init__.py")):
        said = ast.get_docstring(ast.parse(path.read_text())) or ""
        found[path.parent.name] = said.splitlines()[0].replace("`", "")
    return found


def edges(names: set[str]) -> dict[str, set[str]]:
    """The rooms that each room imports."""
    found: dict[str, set[str]] = {name: set() for name in sorted(names)}
    for one in imports():
        parts = one.name.split(".")
        if parts[0] == PACKAGE.name and len(parts) > 1 and {one.importer, parts[1]} <= names:
            found[one.importer].add(parts[1])
    return {name: below - {name} for name, below in found.items()}


def reached(found: dict[str, set[str]], room: str) -> set[str]:
    """All rooms below a room."""
    return set().union(*({other} | reached(found, other) for other in found[room]))


def straight(found: dict[str, set[str]]) -> dict[str, list[str]]:
    """The arrows that no longer way says already."""
    kept = {}
    for room, below in found.items():
        further = set().union(*(reached(found, other) for other in below))
        kept[room] = sorted(below - further)
    return kept


def floors(found: dict[str, set[str]]) -> list[list[str]]:
    """Rooms by the length of their longest way down, the ground first."""
    heights = {room: len(longest(found, room)) for room in found}
    return [[r for r in sorted(found) if heights[r] == n] for n in sorted(set(heights.values()))]


def wrapped(text: str, letters: int = 28) -> list[str]:
    """Up to two lines of a text, cut between words."""
    lines = [""]
    for word in text.split(". ")[0].rstrip(".").split():
        if len(lines[-1]) + len(word) > letters:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:2] if len(lines) < 3 else [lines[0], lines[1].rstrip(",;:") + " …"]


def picture() -> str:
    """The picture as SVG."""
    said = rooms()
    found = edges(set(said))
    levels = floors(found)
    width = max(map(len, levels)) * (WIDE + GAP) + GAP
    height = len(levels) * (HIGH + RISE) + RISE
    places = {}
    for number, level in enumerate(levels):
        left = (width - len(level) * (WIDE + GAP) + GAP) / 2
        for column, room in enumerate(level):
            top = height - (number + 1) * (HIGH + RISE)
            places[room] = (left + column * (WIDE + GAP), top)
    parts = []
    for room, below in straight(found).items():
        x, y = places[room]
        for index, other in enumerate(below):
            to_x, to_y = places[other]
            start = x + WIDE * (index + 1) / (len(below) + 1)
            end, bottom = to_x + WIDE / 2, y + HIGH
            middle = (bottom + to_y) / 2
            curve = f"M{start:.0f} {bottom:.0f}C{start:.0f} {middle:.0f} {end:.0f} {middle:.0f}"
            parts.append(f'<path class="way" d="{curve} {end:.0f} {to_y:.0f}"/>')
    for room, (x, y) in sorted(places.items()):
        parts.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{WIDE}" height="{HIGH}"/>')
        parts.append(f'<text class="name" x="{x + 8:.0f}" y="{y + 16:.0f}">{room}/</text>')
        for line, text in enumerate(wrapped(said[room])):
            down = y + 30 + 14 * line
            parts.append(f'<text x="{x + 8:.0f}" y="{down:.0f}">{escape(text)}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'role="img" aria-label="Rooms of neurocuda_hw">\n<style>{STYLE}</style>\n'
        f"<defs>{TIP}</defs>\n{body}\n</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.write_text(picture())
