"""User code type-checks under mypy's strict rules; `.ci/wheel.py` checks it against the wheel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import neurocuda_hw as nc

CODE = Path(__file__).with_name("user_code.py")
ROOT = Path(__file__).parents[2]


def mypy(text: str, folder: Path) -> str:
    """What mypy says of a program."""
    pytest.importorskip("mypy")
    (folder / "program.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "program.py"],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done.stdout


def test_every_public_name_is_in_it() -> None:
    used = set(re.findall(r"\bnc\.(\w+)", CODE.read_text()))
    assert used == {*nc.__all__, "__version__"}
    assert Path(nc.__file__).with_name("py.typed").exists()


@pytest.mark.slow
def test_user_code_type_checks(tmp_path: Path) -> None:
    assert mypy(CODE.read_text(), tmp_path).startswith("Success: ")
    wrong = "import neurocuda_hw as nc\nnc.nothing\nnc.load(3)\n"
    found = mypy(wrong, tmp_path)
    assert 'Module has no attribute "nothing"' in found
    assert 'Argument 1 to "load" has incompatible type "int"' in found
