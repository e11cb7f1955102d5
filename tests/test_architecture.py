"""docs/architecture.md and its picture say what the code is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_picture_is_drawn_from_these_imports() -> None:
    spec = importlib.util.spec_from_file_location("draw_rooms", DOCS / "draw_rooms.py")
    assert spec is not None
    assert spec.loader is not None
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    current = drawing.picture() == (DOCS / "rooms.svg").read_text()
    assert current, "draw it again: python docs/draw_rooms.py"
