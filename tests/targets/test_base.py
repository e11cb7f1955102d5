"""A build folder may have been edited, be of another version, or come from somebody else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hls.cases import case
from report.folders import folder_of
from tools import need

from neurocuda_hw.data.stimulus import default_inputs
from neurocuda_hw.ground.ap_headers import find_ap_headers
from neurocuda_hw.ground.errors import ModelError
from neurocuda_hw.ground.toolchain import find_compiler
from neurocuda_hw.passes.choice import choose
from neurocuda_hw.passes.study import Study
from neurocuda_hw.project.build import check_folder, folder_files, write_folder
from neurocuda_hw.project.verify import Subject, verify
from neurocuda_hw.reference.reference import Reference
from neurocuda_hw.targets.base import Options
from neurocuda_hw.targets.built import REPORT, Built, read_built
from neurocuda_hw.targets.checks import Request
from neurocuda_hw.targets.verilog import hardware, lanes_of

HASH = "0" * 64


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of("verilog", tmp_path_factory.mktemp("builds") / "out")


def edited(folder: Path, **changed: Any) -> bytes:
    """The folder's report with other values; Ellipsis leaves one out."""
    report = json.loads((folder / REPORT).read_text()) | changed
    return json.dumps({key: v for key, v in report.items() if v is not ...}).encode()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"version": 9}, "ValueError: its version is 9, not 1"),
        ({"version": ...}, "KeyError: 'version'"),
        ({"files": ...}, "KeyError: 'files'"),
        ({"files": ["a"]}, "TypeError: files must be dict, not ['a']"),
        ({"files": {"a": None}}, "TypeError: the hash of a must be str, not None"),
        ({"files": {"../x": HASH}}, "ValueError: file '../x' must be in the folder"),
        ({"files": {"hls/../../x": HASH}}, "ValueError: file 'hls/../../x' must be in the folder"),
        ({"files": {"a\\..\\x": HASH}}, "ValueError: file 'a\\\\..\\\\x' must be in the folder"),
        ({"files": {"/tmp/x": HASH}}, "ValueError: file '/tmp/x' must be in the folder"),
        ({"files": {"C:\\x": HASH}}, "ValueError: file 'C:\\\\x' must be in the folder"),
        ({"populations": None}, "TypeError: populations must be list, not None"),
        ({"populations": [None]}, "TypeError: 'NoneType' object is not subscriptable"),
        ({"populations": [{"name": "a"}]}, "KeyError: 'lanes'"),
        (
            {"populations": [{"name": "a", "lanes": "4"}]},
            "TypeError: lanes must be int, not '4'",
        ),
        ({"lanes": {"conv": 0}}, "ValueError: the lanes of conv must be at least 1, not 0"),
        ({"stream": {"word_bits": 33}}, "ValueError: word_bits must be 32 or 64, not 33"),
        ({"stream": None}, "TypeError: 'NoneType' object is not subscriptable"),
        ({"network": "small"}, "TypeError: string indices must be integers, not 'str'"),
        ({"target": None}, "TypeError: target must be str, not None"),
    ],
)
def test_an_edited_report_is_one_sentence(built: Path, changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError) as error:
        Built.of(built, edited(built, **changed))
    assert str(error.value) == (
        f"{str(built / REPORT)!r} is damaged ({told}); build the folder again"
    )


def test_a_folder_with_an_edited_report_is_not_replaced(tmp_path: Path) -> None:
    folder = folder_of("loihi", tmp_path / "out")
    (folder / REPORT).write_bytes(edited(folder, files=...))
    with pytest.raises(ModelError, match=r"report.json' is damaged \(KeyError: 'files'\)"):
        Subject.of(folder)
    with pytest.raises(Exception, match=r"must be empty or an earlier build, not hold"):
        check_folder(folder, force=True)


@pytest.mark.parametrize("use", [lanes_of, lambda built: hardware(None, built)])
def test_what_is_left_out_is_one_sentence(built: Path, use: Callable[[Built], object]) -> None:
    found = Built.of(built, edited(built, populations=..., stream=...))
    with pytest.raises(ModelError, match=rf"^build folder {re.escape(repr(str(built)))} is dama"):
        use(found)


def test_only_what_was_built_is_run(tmp_path: Path) -> None:
    folder = folder_of("verilog", tmp_path / "out")
    (folder / "rtl" / "stale.v").write_text("module stale;\n")
    (folder / "Makefile").write_text("all:\n\ttouch ran\n")
    found = read_built(folder)
    assert found is not None
    assert found.changed == ("Makefile",)
    subject = Subject.of(folder)
    files, _ = hardware(Study(subject.network), found)
    assert {path.split("/")[0] for path in files} == {"rtl", "ip"}
    assert "rtl/stale.v" not in files
    (folder / "rtl" / "nchw_top.v").unlink()
    assert found.changed == ("Makefile", "rtl/nchw_top.v (missing)")


@pytest.mark.slow
def test_the_test_bench_of_the_folder_is_not_run(tmp_path: Path) -> None:
    need(find_compiler(), find_ap_headers())
    folder = folder_of("hls", tmp_path / "out")
    (folder / "testbench.cpp").write_text("#error this is somebody else's test bench\n")
    (result,) = verify(folder, request=Request(targets=("hls",)))
    assert result.equal


@pytest.mark.slow
@pytest.mark.parametrize("name", ["maxima", "ring"])  # whose bursts the C++ sends as spikes
def test_a_folder_of_bursts_is_run_with_the_bench_of_its_cpp(name: str, tmp_path: Path) -> None:
    need(find_compiler(), find_ap_headers())
    network = case(name)
    trace = Reference(network).trace(default_inputs(network, samples=4))
    choice = choose(Study(network, trace=trace), "on")
    assert choice.facts["counts"]
    options = Options(told={"bursts": choice.facts})
    files, _ = folder_files(choice.study, "hls", options)
    write_folder(files, tmp_path / "out", network=network)
    (tmp_path / "out" / "testbench.cpp").write_text("#error somebody else's\n")
    (result,) = verify(tmp_path / "out", request=Request(targets=("hls",)))
    assert result.equal, result.message
