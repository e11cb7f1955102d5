"""README and docs as a reader runs them: their fenced blocks, in order, in one folder per page.

A block of ``sh`` is run by a shell, one of ``python`` in one namespace per page, as a doctest if it
has prompts; a block with a title is written to the file of that name; ``text`` is for the eye, or,
below ``<!-- prints -->``, what the block above it must have printed (``...`` stands for anything).
A block below ``<!-- not run: why -->`` is left out, and a test shows why.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
LANGUAGES = ("sh", "python", "text", "c", "yaml")
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_REMARK = re.compile(r"<!-- (not run: (?P<why>[^>]+?)|(?P<prints>prints)) -->\n\s*\Z")
_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block: where it stands, what it is, and what a remark above it says."""

    page: Path
    line: int
    language: str
    title: str
    text: str
    why: str
    prints: bool

    @property
    def place(self) -> str:
        """For people, and for the name of a test."""
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        above, line = text[: match.start()], text.count("\n", 0, match.start()) + 1
        remark = _REMARK.search(above)
        title = re.search(r'title="([^"]+)"', match["info"])
        inside = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        found.append(
            Block(
                page=page,
                line=line,
                language=match["info"].split(" ")[0],
                title=title[1] if title else "",
                text=inside,
                why=(remark["why"] or "") if remark else "",
                prints=bool(remark and remark["prints"]),
            )
        )
    return found


def unfenced(page: Path) -> list[str]:
    """Lines that Markdown shows as code though no fence says of what: four spaces after a gap."""
    rest = _FENCE.sub("", page.read_text())
    return re.findall(r"(?:\A|\n)\n((?: {4}|\t)[^\s*+\d-][^\n]*)", rest)


class Reader:
    """Runs the blocks of one page in `folder`, which must be the working folder for Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.printed = ""

    def run(self, block: Block) -> None:
        """One block; an AssertionError says what went wrong, and where."""
        if block.title:
            path = self.folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "sh":
            self.printed = self._shell(block)
        elif block.language == "python":
            self._python(block)
        elif block.prints:
            same = doctest.OutputChecker().check_output(block.text, self.printed, _OPTIONS)
            assert same, f"{block.place}: what was printed is\n{self.printed}"

    def _shell(self, block: Block) -> str:
        there = Path(sys.executable).parent
        environment = os.environ | {
            "PATH": f"{there}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{self.folder}",
            "COLUMNS": "100",
        }
        done = subprocess.run(
            ["sh", "-e", "-c", block.text],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
        )
        told = f"{block.place}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert done.returncode == 0, told
        return done.stdout

    def _python(self, block: Block) -> None:
        where = str(block.page)
        if ">>>" in block.text:
            test = doctest.DocTestParser().get_doctest(
                block.text, self.names, block.place, where, block.line
            )
            said: list[str] = []
            runner = doctest.DocTestRunner(optionflags=_OPTIONS)
            runner.run(test, out=said.append, clear_globs=False)
            self.names.update(test.globs)
            assert not said, "".join(said)
            return
        try:
            exec(compile("\n" * block.line + block.text, where, "exec"), self.names)
        except Exception:
            raise AssertionError(f"{block.place}\n{traceback.format_exc()}") from None
