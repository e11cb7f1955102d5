"""The README's commands and its block of Python run as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tools import need

from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator
from neurocuda_hw.hls import find_ap_headers

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like the repository, but may be written to."""
    need(find_verilator(), find_compiler(), find_make(), find_ap_headers())
    for name in ("examples", "golden"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def run(command: list[str], folder: Path) -> None:
    """Runs it; what it printed comes with the failure."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.mark.slow
def test_commands_run_as_written(place: Path) -> None:
    (commands,) = (block for block in blocks("sh") if "nchw" in block)
    used = set(re.findall(r"^nchw (\w+)", commands, re.MULTILINE))
    assert used == {"doctor", "convert", "inspect", "build", "verify", "golden", "report"}
    for line in commands.splitlines():
        run(["sh", "-c", line.replace("nchw", f"{sys.executable} -m neurocuda_hw", 1)], place)


@pytest.mark.slow
def test_library_block_runs_as_written(place: Path) -> None:
    (code,) = blocks("python")
    (place / "build").mkdir()
    run([sys.executable, "-W", "error", "-c", code], place)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?:`|^)make ([a-z]+)", TEXT, re.MULTILINE))
    build = (ROOT / "sim" / "Makefile").read_text()
    build += (ROOT / "neurocuda_hw" / "hls" / "templates" / "Makefile").read_text()
    assert targets >= {"demo", "test", "sim", "lint", "clean"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile + build, re.MULTILINE), target


def test_named_files_exist() -> None:
    named = set(
        re.findall(r"`((?:examples|neurocuda_hw|golden|tests|benchmarks|sim)/[\w./]*)`", TEXT)
    )
    assert named
    for path in named:
        assert (ROOT / path).exists(), path
