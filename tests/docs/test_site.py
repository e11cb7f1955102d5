"""The documentation's site: it builds without a warning, and no public name lacks an example."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs.pages import ROOT, blocks

import neurocuda_hw as nc
from neurocuda_hw import plots
from neurocuda_hw.rtl.register_map import LAYER_COUNTERS, REGISTERS

MODULES = {"plots": plots.__all__, "datasets": ["load"], "build": ["build"], "verify": ["verify"]}
# what users write, by the name that docs/api/ has an entry of
PUBLIC = {f"neurocuda_hw.{name}": f"nc.{name}" for name in nc.__all__} | {
    f"neurocuda_hw.{module}.{name}": name if name == module else f"{module}.{name}"
    for module, names in MODULES.items()
    for name in names
}
PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))


def examples() -> dict[str, str]:
    """The code of the examples below each name of the API reference."""
    found: dict[str, str] = {}
    for page in PAGES:
        lines = page.read_text().splitlines()
        entries = [(i + 1, line[4:]) for i, line in enumerate(lines) if line.startswith("::: ")]
        for block in blocks(page):
            above = [name for line, name in entries if line < block.line]
            if above and block.language == "python" and not block.why:
                parsed = doctest.DocTestParser().get_examples(block.text)
                code = "".join(example.source for example in parsed)
                found[above[-1]] = found.get(above[-1], "") + code
        for _, name in entries:
            found.setdefault(name, "")
    return found


def uses(code: str, written: str) -> bool:
    """Whether the code uses a name, written like this."""
    return any(
        isinstance(node, (ast.Attribute, ast.Name)) and ast.unparse(node) == written
        for node in ast.walk(ast.parse(code))
    )


def test_every_public_name_has_an_example_that_runs() -> None:
    found = examples()
    strange = set(found) - set(PUBLIC)
    assert not strange, f"docs/api/ names what is not public: {', '.join(sorted(strange))}"
    lacking = [name for name, written in PUBLIC.items() if not uses(found.get(name, ""), written)]
    assert not lacking, f"docs/api/ must have an example of {', '.join(lacking)}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    for package in ("material", "mkdocstrings_handlers.python"):
        try:
            there = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            there = None
        if there is None:
            problem = "mkdocs is not installed: pip install 'neurocuda_hw[docs]'"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(problem)
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_site_has_the_registers_of_the_map(site: Path) -> None:
    page = (site / "hardware.html").read_text()
    for entry in REGISTERS:
        assert f"<td>0x{entry.offset:03x}</td>\n<td>{entry.name}</td>" in page
    assert all(f"<td>{counter.name}</td>" in page for counter in LAYER_COUNTERS)


def test_site_has_every_public_name_with_its_docstring(site: Path) -> None:
    pages = "".join((site / "api" / f"{page.stem}.html").read_text() for page in PAGES)
    for name in PUBLIC:
        assert f'id="{name}"' in pages, name
    assert "Real training data: the first 1,024 samples calibrate" in pages


def test_site_shows_the_notebook_with_its_outputs(site: Path) -> None:
    cells = json.loads((ROOT / "examples/notebooks/own_model.ipynb").read_text())["cells"]
    kinds = [kind for c in cells for out in c.get("outputs", ()) for kind in out["data"]]
    page = (site / "notebook.html").read_text()
    assert page.count('src="data:image/png;base64,') == kinds.count("image/png")
    assert page.count('<div class="cell"><table') == kinds.count("text/html")
    for number in range(1, 6):
        assert f">{number}. " in page


def test_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|link|img)[^>]*(?:src|href)="(https?:[^"]+)"', page.read_text()
        )
        assert loaded == [], page.name
