"""What mkdocs asks when it builds the site: the register tables come from the register map."""

from __future__ import annotations

from typing import Any

from neurocuda_hw.rtl.register_map import markdown

REGISTERS = "<!-- registers -->\n"


def on_page_markdown(text: str, **_: Any) -> str:
    """A page with the register tables where it asks for them."""
    return text.replace(REGISTERS, markdown())
