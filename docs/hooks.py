"""What mkdocs asks when it builds the site: register tables, and the notebook as it was run."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from neurocuda_hw.rtl.register_map import markdown

REGISTERS = "<!-- registers -->\n"
NOTEBOOK = "<!-- notebook -->\n"
_PATH = Path(__file__).parents[1] / "examples" / "notebooks" / "own_model.ipynb"


def on_page_markdown(text: str, **_: Any) -> str:
    """A page with the register tables, and with the notebook, where it asks for them."""
    return text.replace(REGISTERS, markdown()).replace(NOTEBOOK, notebook())


def notebook() -> str:
    """The cells with the outputs that were committed; its title is the page's own."""
    told = []
    for number, cell in enumerate(json.loads(_PATH.read_text())["cells"]):
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            told += [f"```python\n{text}\n```", *map(_output, cell["outputs"])]
        else:
            told.append(text.partition("\n")[2] if number == 0 else text)
    return "\n\n".join(told) + "\n"


def _output(output: dict[str, Any]) -> str:
    """The richest form of what a cell gave."""
    data = output.get("data", {})
    if "image/png" in data:
        png = "".join(data["image/png"]).replace("\n", "")
        return f'<img alt="the figure that this cell draws" src="data:image/png;base64,{png}">'
    if "text/html" in data:
        table = "".join(data["text/html"]).replace("\n", " ")
        return f'<div class="cell">{table}</div>'
    plain = "".join(data.get("text/plain", output.get("text", "")))
    return f'<pre class="cell">{html.escape(plain).rstrip()}</pre>'
