"""The notebook runs from top to bottom, and its outputs are what it claims."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tools import need

from neurocuda_hw.ground.toolchain import find_compiler, find_make, find_verilator

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "notebooks" / "own_model.ipynb"


def outputs(cells: list[Any], kind: str) -> list[str]:
    """All that cells show in one form."""
    shown = [out.get("data", {}).get(kind) for cell in cells for out in cell.get("outputs", ())]
    return [text if isinstance(text, str) else "".join(text) for text in shown if text]


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need(find_verilator(), find_compiler(), find_make())
    if not os.environ.get("CI"):
        for name in ("nbformat", "nbclient", "ipykernel"):
            pytest.importorskip(name, reason=f"{name} is of the test extra")
    import nbformat
    from nbclient import NotebookClient

    (tmp_path / "notebooks").mkdir()
    (tmp_path / "data").symlink_to(ROOT / "examples" / "data")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name in ("HOME", "IPYTHONDIR", "JUPYTER_CONFIG_DIR"):  # nobody's own settings
        monkeypatch.setenv(name, str(tmp_path / "home"))
    kernels = tmp_path / "kernels" / "python3"
    kernels.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    told = {"argv": command, "display_name": "Python 3", "language": "python"}
    (kernels / "kernel.json").write_text(json.dumps(told))  # this interpreter, whatever is known
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    folder = tmp_path / "notebooks"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(outputs(cells, "image/png")) == 7
    tables = " ".join(outputs(cells, "text/html"))
    for told in ("Conversion: exact", "own_cnn: ", "20 samples, ", ">equal<"):
        assert told in tables
    assert (folder / "build" / "own_cnn" / "report.json").is_file()
    assert not [out for cell in cells for out in cell.outputs if out.output_type == "error"]
    shutil.rmtree(folder / "build")


def test_the_committed_outputs_name_no_machine() -> None:
    text = NOTEBOOK.read_text()
    for word in ("/home", "/root", "/tmp", "/work", "Traceback", "Warning"):
        assert word not in text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] == n for n, cell in enumerate(cells, 1))
    assert len(outputs(cells, "image/png")) == 7
    assert len(NOTEBOOK.read_bytes()) < 600_000
