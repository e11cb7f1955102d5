"""Where the vendor's headers are looked for, in which order, and what is said without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurocuda_hw.ground.ap_headers import NAME, find_ap_headers


def headers(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "ap_int.h").touch()
    return folder


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine without any of them."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    for variable in ("NCHW_AP_INCLUDE", "XILINX_HLS", "XILINX_VITIS"):
        monkeypatch.delenv(variable, raising=False)
    return monkeypatch


def test_what_is_said_without_them(nowhere: pytest.MonkeyPatch) -> None:
    assert find_ap_headers().problem == (
        "ap_int.h was not found; pip install 'neurocuda_hw[hls]', or install Vitis HLS and set "
        "XILINX_HLS; 'make fast' in a build folder needs none"
    )


def test_the_named_folder_comes_first(nowhere: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nowhere.setenv("XILINX_HLS", str(headers(tmp_path / "vitis" / "include").parent))
    assert find_ap_headers().where == str(tmp_path / "vitis" / "include")
    named = headers(tmp_path / "mine")
    nowhere.setenv("NCHW_AP_INCLUDE", str(named))
    found = find_ap_headers()
    assert (found.name, found.where, found.version) == (NAME, str(named), "NCHW_AP_INCLUDE")


def test_a_named_folder_without_them_is_refused(
    nowhere: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere.setenv("NCHW_AP_INCLUDE", "/nowhere")
    nowhere.setenv("XILINX_HLS", str(headers(tmp_path / "vitis" / "include").parent))
    assert find_ap_headers().problem == (
        "NCHW_AP_INCLUDE must name a folder with ap_int.h, not '/nowhere'; unset it or correct it"
    )


@pytest.mark.parametrize("name", ["vitis-run", "vitis_hls"])
def test_vitis_on_the_path(name: str, nowhere: pytest.MonkeyPatch, tmp_path: Path) -> None:
    include = headers(tmp_path / "Vitis" / "include")
    program = tmp_path / "Vitis" / "bin" / name
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    nowhere.setenv("PATH", str(program.parent))
    found = find_ap_headers()
    assert (found.where, found.version) == (str(include), "Vitis HLS")


def test_the_wheel_comes_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("NCHW_AP_INCLUDE", "XILINX_HLS", "XILINX_VITIS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    package = tmp_path / "site" / "hls4ml"
    include = headers(package / "templates" / "vivado" / "ap_types")
    (package / "__init__.py").write_text("raise RuntimeError('nobody may import this')\n")
    monkeypatch.syspath_prepend(str(package.parent))
    assert find_ap_headers().where == str(include)
