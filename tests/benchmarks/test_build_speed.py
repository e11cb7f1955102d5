"""build_speed: two checkouts in turns, the least of the rounds, and a commit that is not there."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import ROOT, build_speed
from neurocuda_hw.ground.errors import DataError


@pytest.fixture
def commit() -> str:
    """The one that is checked out; a copy without git has none."""
    try:
        return build_speed.git("rev-parse", "HEAD").decode().strip()
    except (DataError, OSError):
        pytest.skip("this is no clone, or git is not installed")


def test_a_commit_is_unpacked(commit: str, tmp_path: Path) -> None:
    folder = build_speed.unpacked(commit, tmp_path)
    assert (folder / "neurocuda_hw" / "__init__.py").is_file()
    assert (folder / "golden" / "mnist_cnn.pt").stat().st_size > 1000


def test_a_commit_that_is_not_there(commit: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--against must be a commit of this clone, not 'nowhere'"):
        build_speed.unpacked("nowhere", tmp_path)


def test_runs_take_turns_and_the_least_counts(commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([6.0, 9.0, 5.0, 8.0, 7.0, 10.0])
    seen: list[bool] = []

    def build(checkout: Path, network: Path, options: tuple[str, ...], folder: Path) -> float:
        assert (network, options) == (ROOT / "golden" / "mnist_cnn.pt", ("--target", "all"))
        assert (checkout / "neurocuda_hw").is_dir()
        seen.append(checkout == ROOT)
        return next(seconds)

    monkeypatch.setattr(build_speed, "build_seconds", build)
    figures = build_speed.measure(Namespace(only=["cnn_all"], against=commit, rounds=3))
    assert seen == [True, False] * 3
    assert figures["cnn_all_cpu_ratio"] == 5 / 8
    assert (figures["cnn_all_cpu_seconds"], figures["cnn_all_cpu_seconds_against"]) == (5.0, 8.0)


@pytest.mark.slow
def test_a_build_takes_processor_time(tmp_path: Path) -> None:
    network = ROOT / "golden" / "mnist_mlp.pt"
    options = ("--target", "loihi", "--samples", "2")
    assert build_speed.build_seconds(ROOT, network, options, tmp_path / "build") > 0.2
    assert any((tmp_path / "build").iterdir())
