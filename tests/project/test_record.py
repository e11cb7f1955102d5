"""What `verify` notes in a build folder: by target, with the build that it is about."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from neurocuda_hw.ground.errors import DataError, ModelError
from neurocuda_hw.project.build import RECORD
from neurocuda_hw.project.record import build_digest, read_record, write_record
from neurocuda_hw.project.verify import Verification
from neurocuda_hw.simulation.mutate import MutantResult
from neurocuda_hw.targets.built import REPORT
from neurocuda_hw.targets.checks import Check


def result(**fields: Any) -> Verification:
    """One check, equal unless said otherwise."""
    check = Check(
        **{"target": "verilog", "same": True, "samples": 3, "events": 9, "outputs": 3, **fields}
    )
    return Verification(name="n", network="ab" * 32, checks=(check,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / REPORT).write_text("{}")
    return tmp_path


def test_the_latest_check_of_each_target_is_kept(folder: Path) -> None:
    write_record(folder, result(same=False, fault="it hangs"), golden="a")
    write_record(folder, result(target="loihi", samples=4), golden="b")
    first = read_record(folder)["checks"]
    assert first["verilog"]["message"] == "it hangs"
    (folder / REPORT).write_text('{"another": "build"}')
    write_record(folder, result(samples=5, cycles_per_inference=7.5), golden="c")
    checks = read_record(folder)["checks"]
    assert [(t, c["equal"], c["samples"], c["golden"]) for t, c in checks.items()] == [
        ("verilog", True, 5, "c"),
        ("loihi", True, 4, "b"),
    ]
    assert checks["verilog"]["build"] == build_digest(folder) != checks["loihi"]["build"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", checks["loihi"]["when"])


def test_mutants_are_counted(folder: Path) -> None:
    mutants = tuple(
        MutantResult(kind="bit", place="m", outcome=o, detail="")
        for o in ("caught", "missed", "caught", "not exercised")
    )
    write_record(
        folder,
        Verification(name="n", network="ab" * 32, checks=(), mutants=mutants),
        golden="a",
    )
    found = read_record(folder)
    assert found["checks"] == {}
    assert [found["mutants"][k] for k in ("caught", "missed", "not exercised")] == [2, 1, 1]
    write_record(folder, result(), golden="a")
    assert read_record(folder)["mutants"] == found["mutants"]


def test_none_is_told_from_a_damaged_one(folder: Path) -> None:
    path = str(folder / RECORD)
    with pytest.raises(DataError) as missing:
        read_record(folder)
    assert str(missing.value) == (
        f"cannot read the verification record {path!r}: No such file or directory"
    )
    write_record(folder, result(), golden="a")
    good = json.loads((folder / RECORD).read_text())
    for broken in ("{", "[]", "{}", '{"format": "x", "version": 1}'):
        (folder / RECORD).write_text(broken)
        with pytest.raises(ModelError, match=r"is damaged \(.*\); verify the folder again$"):
            read_record(folder)
    good["checks"]["verilog"]["equal"] = "yes"
    (folder / RECORD).write_text(json.dumps(good))
    with pytest.raises(ModelError) as damaged:
        read_record(folder)
    assert str(damaged.value) == (
        f"{path!r} is damaged (ValueError: a check has no verdict or no time); "
        "verify the folder again"
    )
    write_record(folder, result(), golden="a")
    assert read_record(folder)["checks"]["verilog"]["equal"] is True
