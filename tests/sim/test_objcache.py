"""Verilator's own library is compiled once, everything else whenever it is asked for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tools import need

from neurocuda_hw.ground.toolchain import find_make
from neurocuda_hw.simulation.simulate import object_cache

RULE = """
OBJCACHE ?=
%.o:
\t$(OBJCACHE) $(CXX) $(FLAGS) -c -o $@ $(SOURCE)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a makefile like Verilator's, and a compiler that notes what it compiles."""
    need(find_make())
    place = tmp_path / "it's $(here)"
    place.mkdir()
    (place / "Makefile").write_text(RULE)
    compiler = place / "compiler"
    compiler.write_text(
        '#!/bin/sh\n[ "$*" = --version ] && exec cat version\necho "$*" >> asked\n'
        "test ! -e broken || exit 9\n"
        'while [ "$1" != -o ]; do shift; done\necho "of $3" > "$2"\n'
    )
    compiler.chmod(0o755)
    return place


def make(folder: Path, source: str, flags: str = "-O1", compiler: str = "./compiler") -> int:
    """How often the compiler was asked in all, after this."""
    (folder / "it.o").unlink(missing_ok=True)
    done = subprocess.run(
        [find_make().where, "it.o", f"SOURCE={source}", f"FLAGS={flags}", f"CXX={compiler}"],
        cwd=folder,
        env={**os.environ, "OBJCACHE": object_cache(folder / "kept"), "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 2), done.stderr
    assert (folder / "it.o").is_file() == (done.returncode == 0)
    if done.returncode == 0:
        assert (folder / "it.o").read_text() == f"of {source}\n"
    return len((folder / "asked").read_text().splitlines())


def test_once_per_file_and_flags(folder: Path) -> None:
    library = "/opt/include/verilated.cpp"
    assert [make(folder, library) for _ in range(3)] == [1, 1, 1]
    assert make(folder, "/opt/include/verilated_vpi.cpp") == 2
    assert make(folder, library, "-O0") == 3
    assert make(folder, library) == 3
    assert len(list((folder / "kept").iterdir())) == 3


def test_again_with_another_compiler(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [make(folder, "/opt/include/verilated.cpp") for _ in range(2)] == [1, 1]
    (folder / "version").write_text("15.1")
    assert [make(folder, "/opt/include/verilated.cpp") for _ in range(2)] == [2, 2]
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    names = ("compiler", "'$(CURDIR)/compiler'")  # the same, found on PATH and by its path
    assert [make(folder, "/opt/include/verilated.cpp", compiler=name) for name in names] == [3, 3]


def test_a_design_is_compiled_each_time(folder: Path) -> None:
    sources = (
        "../sim/bulk.cpp",
        "Vnchw_top__ALL.cpp",
        "/opt/cocotb/verilator.cpp",
        "verilated.cpp",
    )
    for source in sources:
        before = make(folder, source)
        assert make(folder, source) == before + 1
    assert not (folder / "kept").exists()


def test_what_failed_is_not_kept(folder: Path) -> None:
    (folder / "broken").touch()
    assert make(folder, "/opt/include/verilated.cpp") == 1
    (folder / "broken").unlink()
    assert make(folder, "/opt/include/verilated.cpp") == 2


def test_a_folder_that_cannot_be_written_does_not_matter(folder: Path) -> None:
    (folder / "kept").touch()
    assert [make(folder, "/opt/include/verilated.cpp") for _ in range(2)] == [1, 2]
