"""Two networks in one project: names of their own, and the same hardware."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from small import small_network
from tools import need

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.toolchain import find_compiler, find_icarus, find_make
from neurocuda_hw.passes.study import Study
from neurocuda_hw.project.build import folder_files, write_folder
from neurocuda_hw.project.verify import verify
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.rtl.prefix import check_prefix, prefixed
from neurocuda_hw.targets.base import Options
from neurocuda_hw.targets.checks import Request

NETWORK = small_network()


def built(folder: Path, prefix: str) -> Path:
    trace = Reference(NETWORK).trace(default_inputs(NETWORK, 4))
    study = Study(NETWORK, trace=trace)
    options = Options(prefix=prefix, told={"prefix": prefix})
    write_folder(folder_files(study, "verilog", options)[0], folder, network=NETWORK)
    return folder


def test_all_names_are_its_own_and_the_design_is_the_same(tmp_path: Path) -> None:
    need(find_icarus(), find_compiler(), find_make())
    one, other = (built(tmp_path / name, name) for name in ("left", "right"))
    assert not any(path.name.startswith("nchw_") for path in one.rglob("*.v"))
    sources = [path for folder in (one, other) for path in folder.glob("[ri][tp]*/*.v")]
    assert len({path.name for path in sources}) == len(sources)
    memories = [path.name for folder in (one, other) for path in folder.rglob("*.mem")]
    assert len(set(memories)) == len(memories) > 0
    command = [find_icarus().where, "-g2005", "-o", str(tmp_path / "both"), *map(str, sources)]
    subprocess.run(command, check=True)
    done = subprocess.run(
        ["make", "-C", str(one), "icarus"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "EQUAL: 4 inferences" in done.stdout
    (found,) = verify(other, request=Request(targets=("icarus",)))
    assert [(c.target, c.verdict) for c in found.checks] == [("icarus", "equal")]


def test_back_and_forth() -> None:
    files = {
        "rtl/nchw_top.v": b'nchw_rom #(.FILE("a.b.mem")) x; Vnchw_top nchw_top__DOT__tap',
        "rtl/mem/a.b.mem": b"nchw_",
        "golden/x.bin": b"\xffnchw_",
    }
    there = prefixed(files, "my")
    assert there == {
        "rtl/my_top.v": b'my_rom #(.FILE("my.a.b.mem")) x; Vnchw_top my_top__DOT__tap',
        "rtl/mem/my.a.b.mem": b"nchw_",
        "golden/x.bin": b"\xffnchw_",
    }
    assert prefixed(there, "nchw", "my") == files
    assert prefixed(files, "nchw") == files


@pytest.mark.parametrize("prefix", ["", "1a", "a_b", "a-b", "A"])
def test_a_prefix_must_begin_names(prefix: str) -> None:
    with pytest.raises(ModelError, match=r"^prefix must be small letters and digits"):
        check_prefix(prefix)
