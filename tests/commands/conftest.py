"""A small trained model, its network and its build, for the tests of the command line."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from shell import SOURCE, Shell
from tools import need
from torch import nn

from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small trained model, its data, and the network converted from it."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    x = rng.random((80, 6), dtype=np.float32)
    y = x[:, :6].reshape(-1, 3, 2).sum(axis=2).argmax(axis=1)
    np.savez(folder / "data.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    (folder / "small_model.py").write_text(SOURCE)
    torch.manual_seed(0)
    model = nn.ModuleDict({"first": nn.Linear(6, 8), "last": nn.Linear(8, 3)})
    torch.save(model.state_dict(), folder / "weights.pt")
    return folder


@pytest.fixture
def nchw(
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Shell]:
    """A shell in a copy of the prepared folder."""
    folder = tmp_path / "work"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    shell = Shell(folder, capsys)
    if not (prepared / "network.pt").exists():
        result = shell(
            "convert",
            "weights.pt",
            "--arch",
            "small_model:Small",
            "--data",
            "data.npz",
            "--levels",
            4,
            *("--qcfs-epochs", 0, "--if-epochs", 0),
            "-o",
            prepared / "network.pt",
        )
        assert result.code == 0, result.err
        shutil.copy(prepared / "network.pt", folder)
    yield shell
    sys.modules.pop("small_model", None)


@pytest.fixture
def built(nchw: Shell, prepared: Path) -> Path:
    """A build folder of the small network, in the shell's folder."""
    need(find_verilator(), find_compiler(), find_make())
    if not (prepared / "build").exists():
        result = nchw("build", "network.pt", "-o", prepared / "build", "--lanes", 16)
        assert result.code == 0, result.err
    shutil.copytree(prepared / "build", nchw.folder / "built", dirs_exist_ok=True)
    return nchw.folder / "built"
