"""The documentation's site: it builds without a warning, and no public name lacks an example."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs.pages import ROOT, blocks

import neurocuda_hw as nc
from neurocuda_hw.rtl.register_map import LAYER_COUNTERS, REGISTERS

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


def uses(code: str, name: str) -> bool:
    """Whether the code names ``nc.NAME``."""
    return any(
        isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == "nc"
        for node in ast.walk(ast.parse(code))
    )


def test_every_public_name_has_an_example_that_runs() -> None:
    found = examples()
    strange = set(found) - {f"neurocuda_hw.{name}" for name in nc.__all__}
    assert not strange, f"docs/api/ names what is not public: {', '.join(sorted(strange))}"
    lacking = [n for n in nc.__all__ if not uses(found.get(f"neurocuda_hw.{n}", ""), n)]
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
    for name in nc.__all__:
        assert f'id="neurocuda_hw.{name}"' in pages, name
    assert "Real training data: the first 1,024 samples calibrate" in pages


def test_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|link|img)[^>]*(?:src|href)="(https?:[^"]+)"', page.read_text()
        )
        assert loaded == [], page.name
