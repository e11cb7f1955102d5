"""What stands around the code says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import neurocuda_hw as nc
from neurocuda_hw.cli import cli

ROOT = Path(__file__).parents[1]


def test_versions_are_one() -> None:
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited is not None
    assert cited[1] == nc.__version__


def test_declared_pythons_are_those_that_are_asked_for() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    declared = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)
    assert declared == ["3.10", "3.11", "3.12", "3.13"]
    assert f'requires-python = ">={declared[0]}"' in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str) -> None:
    done = CliRunner().invoke(cli, prog_name="nchw", env={"_NCHW_COMPLETE": f"{shell}_source"})
    assert done.exit_code == 0, done.output
    assert "_NCHW_COMPLETE" in done.output
    assert f"{shell}_source" in (ROOT / "docs" / "files.md").read_text()
