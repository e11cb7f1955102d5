"""Long work is never silent: a line now and then where there is no terminal."""

from __future__ import annotations

import time

import pytest

from neurocuda_hw.ground import progress


def test_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.05)
    with progress.progress_bar() as tell:
        time.sleep(0.2)  # a stage that calls nothing
        tell("training", 3, 1000)
        time.sleep(0.2)
    out, err = capsys.readouterr()
    told = [line.split(" s: ")[1] for line in err.splitlines()]
    assert out == ""
    assert {"at work", "training, 3 of 1,000"} == set(told)
    assert told == sorted(told)
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_nothing_where_it_is_not_wanted_or_ends_soon(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.progress_bar() as tell:
        tell("training", 3, 10)
    monkeypatch.setattr(progress, "EVERY", 0.01)
    with progress.progress_bar(quiet=True) as tell:
        tell("training", 3, 10)
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
