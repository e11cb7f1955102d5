"""Work folders beside a result, and how a finished folder takes the place of an earlier one.

A work folder is locked while its process lives. So what a killed run left is told from what is in
use, whatever their process numbers, and goes with the next run.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_TRIES = 8
_SYSTEM = "lost+found"  # in the root of a file system, which may be mounted as an output folder


@contextmanager
def aside(home: Path, name: str) -> Iterator[Path]:
    """An empty folder ``.NAME.XXXXXXXX.part`` in `home`; those that killed runs left there go."""
    for left in home.iterdir():
        if _is_part(left.name, name):
            _forget(left)
    for _ in range(_TRIES):  # somebody who cleans up may take it before it is locked
        part = Path(tempfile.mkdtemp(dir=home, prefix=f".{name}.", suffix=".part"))
        held = _lock(part)
        if held is not None:
            break
    try:
        yield part
    finally:
        _remove(part)
        if held is not None:
            os.close(held)


def entries(folder: Path) -> list[Path]:
    """What a folder holds, but for work folders and what belongs to its file system."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.name != _SYSTEM and not _is_part(path.name, folder.name)
    ]


def restore(folder: Path) -> None:
    """Puts back what a killed run was about to replace in `folder`, and clears up after it."""
    for left in folder.parent.glob(f".{folder.name}.*.old"):  # of earlier versions
        if re.fullmatch(r"\d+", left.name[len(folder.name) + 2 : -4]):
            if folder.exists():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.rename(folder)
    for home in (folder.parent, folder):
        for left in home.iterdir() if home.is_dir() else ():
            if _is_part(left.name, folder.name):
                _forget(left)


def take_place(new: Path, folder: Path) -> None:
    """Puts the folder `new` where `folder` is, or would be; what was there ends in its stead.

    At every moment the one or the other is there, whole. Only where `folder` must stay what it is,
    since it is mounted or somebody works in it, its content is replaced piece by piece; a kill
    meanwhile is undone by `restore`.
    """
    if not folder.exists():
        new.rename(folder)
    elif folder in (Path.cwd(), *Path.cwd().parents) or not _exchange(new, folder):
        with aside(folder, folder.name) as part:
            shutil.copytree(new, part / "new")
            try:
                (part / "old").mkdir()
                _move(folder, part / "old")
                (part / "old").rename(part / "whole")
                _move(part / "new", folder)
                (part / "whole").rename(part / "replaced")
            except BaseException:
                _put_back(part)
                raise


def _put_back(part: Path) -> None:
    """Undoes a replacement of the content of the folder that `part` lies in."""
    if (part / "whole").is_dir():
        (part / "failed").mkdir(exist_ok=True)
        _move(part.parent, part / "failed")
        (part / "whole").rename(part / "old")
    if (part / "old").is_dir():
        _move(part / "old", part.parent)
        (part / "old").rmdir()


def _move(source: Path, target: Path) -> None:
    for path in entries(source):
        path.rename(target / path.name)


def _exchange(one: Path, other: Path) -> bool:
    """Whether two folders could change places in one step."""
    swap = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
    return swap is not None and swap(*names, _RENAME_EXCHANGE) == 0


def _is_part(found: str, name: str) -> bool:
    """Whether a file name is that of a work folder of the result `name`."""
    return re.fullmatch(rf"\.{re.escape(name)}\.\w+\.part", found) is not None


def _lock(part: Path) -> int | None:
    """A descriptor that holds the lock of a work folder, unless another process does."""
    try:
        held = os.open(part, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(part.lstat(), os.fstat(held)):
            return held
    except OSError:
        pass
    os.close(held)
    return None


def _forget(part: Path) -> None:
    """Undoes and removes what a killed run left; leaves it where it is in use."""
    held = _lock(part)
    if held is not None:
        try:
            _put_back(part)
            _remove(part)
        finally:
            os.close(held)


def _remove(part: Path) -> None:
    """Removes a work folder, unless it holds what could not be put back."""
    if not part.is_dir():
        part.unlink(missing_ok=True)  # a file: of earlier versions
    elif not any((part / name).exists() for name in ("old", "whole")):
        shutil.rmtree(part, ignore_errors=True)
