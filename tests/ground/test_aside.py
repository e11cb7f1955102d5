"""What killed runs leave: told from what is in use, undone, removed; never part of a build."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from neurocuda_hw.ground import aside as module
from neurocuda_hw.ground.aside import aside, restore, take_place
from neurocuda_hw.ground.errors import OutputError
from neurocuda_hw.ground.files import check_writable, write_file

SCRIPT = """
import os, signal, sys
from pathlib import Path
from neurocuda_hw.ground import aside
folder, moment, exchange = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "exchange"
if not exchange:
    aside._exchange = lambda one, other: False
rename, calls = Path.rename, 0
def counted(self, other):
    global calls
    calls += 1
    if calls == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, other)
Path.rename = counted
with aside.aside(folder.parent, folder.name) as part:
    (part / "new").mkdir()
    for name in ("a", "c"):
        (part / "new" / name).write_text("new")
    aside.take_place(part / "new", folder)
    if exchange:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def filled(folder: Path) -> Path:
    """An earlier result."""
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text("old")
    return folder


def content(folder: Path) -> dict[str, str]:
    """Names and texts in a folder."""
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


OLD, NEW = {"a": "old", "b": "old"}, {"a": "new", "c": "new"}


@pytest.mark.parametrize("moment", range(1, 9))
def test_a_kill_at_any_moment_leaves_the_one_or_the_other(tmp_path: Path, moment: int) -> None:
    folder = filled(tmp_path / "out")
    done = subprocess.run([sys.executable, "-c", SCRIPT, folder, str(moment), "move"], check=False)
    assert done.returncode == (0 if moment > 6 else -signal.SIGKILL)
    restore(folder)
    assert content(folder) == (NEW if moment > 6 else OLD)
    restore(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_exchange_needs_no_restoring(tmp_path: Path) -> None:
    folder = filled(tmp_path / "out")
    done = subprocess.run([sys.executable, "-c", SCRIPT, folder, "0", "exchange"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert content(folder) == NEW
    assert len(list(tmp_path.iterdir())) == 2
    restore(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_in_use_stays_and_what_is_not_goes(tmp_path: Path) -> None:
    stale = tmp_path / f".out.{os.getpid()}.part"  # of an earlier process 1, say, in a container
    (stale / "rtl").mkdir(parents=True)
    (stale / "rtl" / "stale.v").write_text("module stale;")
    other = tmp_path / ".out.more.abc.part"  # of `out.more`
    other.mkdir()
    with aside(tmp_path, "out") as first, aside(tmp_path, "out") as second:
        assert first != second
        assert sorted(tmp_path.iterdir()) == sorted([first, second, other])
        assert list(first.iterdir()) == []
    assert list(tmp_path.iterdir()) == [other]


def test_a_build_that_an_earlier_version_had_moved_away_comes_back(tmp_path: Path) -> None:
    filled(tmp_path / ".out.17.old")
    restore(tmp_path / "out")
    assert content(tmp_path / "out") == OLD
    filled(tmp_path / ".out.18.old")
    restore(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_cannot_be_put_in_place_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = filled(tmp_path / "out")
    monkeypatch.setattr(module, "_exchange", lambda one, other: False)
    rename = Path.rename

    def fail(self: Path, other: Path) -> Path:
        if self.name == "c":
            raise PermissionError(13, "Permission denied")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", fail)
    with aside(tmp_path, "out") as part:
        (part / "new").mkdir()
        for name in ("a", "c"):
            (part / "new" / name).write_text("new")
        with pytest.raises(PermissionError):
            take_place(part / "new", folder)
    assert content(folder) == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_links_of_files_stay(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to("far/file")
    for text in (b"1", b"2"):
        check_writable(tmp_path / "link")
        write_file(tmp_path / "link", text)
        assert (tmp_path / "far" / "file").read_bytes() == text
    assert (tmp_path / "link").is_symlink()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["far", "file", "link"]


@pytest.mark.parametrize("kind", ["pipe", "circle", "socket"])
def test_what_is_no_regular_file_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "circle":
        path.symlink_to(path)
    else:
        bound = socket.socket(socket.AF_UNIX)
        monkeypatch.chdir(tmp_path)  # the name of a socket is short
        bound.bind(kind)
        bound.close()
    before = os.lstat(path)
    for call in (lambda: write_file(path, b"x"), lambda: check_writable(path)):
        with pytest.raises(OutputError) as error:
            call()
        assert str(error.value) == (
            f"cannot write {str(path)!r}: it must be a regular file, not a device, a pipe or a "
            "circle of links"
        )
    after = os.lstat(path)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


def test_a_mounted_file_is_written_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(self: Path, other: Path) -> Path:
        raise OSError(16, "Device or resource busy")

    (tmp_path / "file").write_text("old")
    before = (tmp_path / "file").stat().st_ino
    monkeypatch.setattr(Path, "replace", busy)
    write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "file").stat().st_ino == before
