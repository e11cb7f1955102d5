"""README.md and docs show what results/ holds, and a changed figure is noticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks import readme
from neurocuda_hw.ground.errors import DataError


@pytest.mark.parametrize("path", readme.documents(), ids=lambda path: path.name)
def test_documents_show_the_results(path: Path) -> None:
    assert path.read_text() == readme.documents()[path], "run python -m benchmarks readme"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """README, docs and results, where they may be broken."""
    shutil.copytree(readme.RESULTS, tmp_path / "results")
    for name in ("README", "FIGURES", "NIR", "DEMONSTRATIONS"):
        path = tmp_path / getattr(readme, name).name
        path.write_text(getattr(readme, name).read_text())
        monkeypatch.setattr(readme, name, path)
    monkeypatch.setattr(readme, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    return tmp_path


def change(path: Path, key: str, value: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


def test_another_result_is_written(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (copy / "figures.md").read_text()
    assert "15 / 12 s" in before
    assert readme.write() == 0
    assert capsys.readouterr().out == ""
    change(copy / "results" / "elaboration.json", "resnet18_seconds", 11.4)
    assert readme.documents()[copy / "figures.md"] != before
    assert readme.write() == 0
    assert capsys.readouterr().out == "figures.md: written\n"
    assert (copy / "figures.md").read_text() == before.replace("15 / 12 s", "15 / 11 s")


@pytest.mark.parametrize("page", ["README.md", "figures.md"])
def test_a_figure_changed_by_hand_is_put_right(copy: Path, page: str) -> None:
    before = (copy / page).read_text()
    assert "98.97" in before
    (copy / page).write_text(before.replace("98.97", "98.96"))
    readme.write()
    assert (copy / page).read_text() == before


def test_unequal_images_are_counted_at_any_depth(copy: Path) -> None:
    path = copy / "results" / "accuracy_resnet20.json"
    seeds = json.loads(path.read_text())["seeds"]
    seeds["2"]["exact16_unequal"] = 3
    change(path, "seeds", seeds)
    assert readme.results(copy / "results")["unequal"] == 3


def test_what_no_result_has(copy: Path) -> None:
    (copy / "results" / "hls_csim.json").write_text("{}")
    with pytest.raises(
        DataError, match=r"must have all that figures\.md names: 'images_per_second'"
    ):
        readme.documents()


def test_marks_that_are_not_there(copy: Path) -> None:
    text = (copy / "README.md").read_text()
    (copy / "README.md").write_text(text.replace("<!-- figures: end -->", ""))
    with pytest.raises(DataError, match="must have the marks"):
        readme.documents()
