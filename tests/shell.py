"""The command line, run in the process of the tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from neurocuda_hw import cli

SOURCE = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
    def forward(self, x):
        return self.last(self.first(x).relu())

class Strange(Small):
    def __init__(self):
        super().__init__()
        self.mid = nn.Tanh()
    def forward(self, x):
        return self.last(self.mid(self.first(x)))
"""


@dataclass
class Result:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, object]:
        """Standard output, which must be one JSON value."""
        return json.loads(self.out)  # type: ignore[no-any-return]


class Shell:
    """Runs ``nchw`` in this process, in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def __call__(self, *arguments: object) -> Result:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(a) for a in arguments])
        out, err = self.capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, out, err)

    def refuses(self, message: str, *arguments: object, code: int = 2) -> None:
        """Asserts exit code, the one sentence, an empty stdout, and that no file came or went."""
        before = self.files()
        result = self(*arguments)
        assert (result.code, result.out) == (code, "")
        assert result.err == f"nchw: {message}\n"
        assert self.files() == before

    def files(self) -> list[Path]:
        """All files but Python's own caches."""
        return sorted(p for p in self.folder.rglob("*") if "__pycache__" not in p.parts)
