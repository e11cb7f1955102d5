"""The verdict: "verified" only where something of this very build was compared, and was equal."""

from __future__ import annotations

from pathlib import Path

import pytest
from report.folders import folder_of, noted

from neurocuda_hw.project.build import RECORD
from neurocuda_hw.report import judge, read_facts
from neurocuda_hw.simulation.mutate import MutantResult
from neurocuda_hw.targets.built import REPORT


def verdict(folder: Path) -> tuple[str, str, str]:
    """State and words."""
    found = judge(read_facts(folder))
    return found.state, found.sentence, found.detail


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of("loihi", tmp_path / "out")


def test_nothing_compared_is_not_verified(folder: Path) -> None:
    state, sentence, detail = verdict(folder)
    assert state == "unverified"
    assert sentence == "Not verified: nothing has compared this mapping with the golden trace."
    assert detail == f"Compare it: nchw verify {folder} --target loihi"


@pytest.mark.parametrize("target", ["reference", "verilog", "cocotb", "hls"])
def test_a_check_of_another_target_does_not_verify(folder: Path, target: str) -> None:
    noted(folder, target=target)
    assert verdict(folder)[0] == "unverified"


def test_an_equal_check_of_its_own_verifies(folder: Path) -> None:
    noted(folder, target="reference")
    noted(folder, target="loihi", samples=7)
    found = judge(read_facts(folder))
    assert found.state == "verified"
    assert found.sentence == "Verified: every spike of every layer is equal on 7 inferences."
    assert found.detail.startswith("Compared: the fixed-point model of Loihi 2, each layer ")
    assert [(r.target, r.verdict, r.samples, r.spikes) for r in found.rows] == [
        ("reference", "equal", 3, 40),
        ("loihi", "equal", 7, 40),
    ]


def test_a_difference_anywhere_is_told_first(folder: Path) -> None:
    noted(folder, target="loihi")
    noted(folder, target="hls", same=False, fault="it never ends")
    assert verdict(folder) == (
        "different",
        "Not equal: hls differs from the golden trace.",
        "it never ends",
    )


def test_silence_shows_nothing(folder: Path) -> None:
    noted(folder, target="loihi", spikes={"conv": 0, "hidden": 0})
    state, sentence, _ = verdict(folder)
    assert state == "unverified"
    assert sentence == "Not verified: nothing fired in the 3 samples compared, which shows nothing."


def test_a_check_of_an_earlier_build_does_not_count(folder: Path) -> None:
    noted(folder, target="loihi")
    report = folder / REPORT
    report.write_text(report.read_text() + "\n")
    state, sentence, detail = verdict(folder)
    assert state == "outdated"
    assert sentence == "Not verified: what was compared was an earlier build."
    assert detail == f"Compare this one: nchw verify {folder} --target loihi"
    assert [r.verdict for r in judge(read_facts(folder)).rows] == ["of an earlier build"]


def test_files_that_changed_undo_the_verdict(folder: Path) -> None:
    noted(folder, target="loihi")
    (folder / "loihi" / "mapping.txt").write_text("better")
    (folder / "loihi" / "limits.txt").unlink()
    assert verdict(folder) == (
        "outdated",
        "Not verified: 2 files not as built.",
        "Not as built: loihi/limits.txt (missing), loihi/mapping.txt.",
    )


def test_missed_mutants_undo_the_verdict(folder: Path) -> None:
    mutants = [
        MutantResult(kind="bit", place="m", outcome=o, detail="")
        for o in ("caught", "missed", "not exercised")
    ]
    noted(folder, *mutants, target="loihi")
    found = judge(read_facts(folder))
    assert found.state == "different"
    assert found.sentence == "The checks missed 1 design broken on purpose."
    assert found.broken == "1 caught, 1 missed, 1 not shown by these inputs"
    noted(folder, mutants[0], target="loihi")
    assert verdict(folder)[2].endswith(" Broken on purpose and caught: 1 design.")


def test_a_damaged_record_verifies_nothing(folder: Path) -> None:
    noted(folder, target="loihi")
    (folder / RECORD).write_text("{")
    state, _, detail = verdict(folder)
    assert state == "unverified"
    assert detail.endswith("verify the folder again")


def test_a_build_for_all_targets_needs_every_check(tmp_path: Path) -> None:
    folder = folder_of("all", tmp_path / "out")
    noted(folder, target="verilog", samples=9)
    noted(folder, target="loihi", samples=5)
    assert verdict(folder) == (
        "partial",
        "Verified in part: verilog, loihi is equal, nothing has compared hls.",
        f"Compare the rest: nchw verify {folder} --target hls",
    )
    noted(folder, target="hls", samples=7)
    noted(folder, target="cocotb", samples=2)
    state, sentence, _ = verdict(folder)
    assert state == "verified"
    assert sentence == "Verified: every spike of every layer is equal on 5 inferences."
